"""What is counted: names and labels in one place.

Source of the naming: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

#: The variable by which prometheus_client counts for several processes together.
MANY_PROCESSES = "PROMETHEUS_MULTIPROC_DIR"

PREDICTIONS = Counter(
    "modelhost_predictions",
    "Calls of a model, by how they ended.",
    ["model", "endpoint", "outcome"],
)
ROWS = Counter("modelhost_rows", "Rows that a model was asked.", ["model", "endpoint"])
SECONDS = Histogram(
    "modelhost_prediction_seconds",
    "Seconds from a model's rows to its checked answers.",
    ["model", "endpoint"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@contextmanager
def measured(model: str, endpoint: str, rows: int) -> Iterator[None]:
    """Count one call of a model: its rows, its time, and the kind of error where there is one."""
    started = time.perf_counter()
    outcome = "ok"
    try:
        yield
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        PREDICTIONS.labels(model, endpoint, outcome).inc()
        ROWS.labels(model, endpoint).inc(rows)
        SECONDS.labels(model, endpoint).observe(time.perf_counter() - started)


@dataclass
class Usage:
    """How often a model was called since the start, by all its endpoints, and how it went.

    ``seconds`` is the time of all calls together.
    """

    calls: int = 0
    answered: int = 0
    seconds: float = 0.0

    @property
    def mean_seconds(self) -> float:
        """The seconds that one call took, on average."""
        return self.seconds / self.calls if self.calls else 0.0


def registry() -> CollectorRegistry:
    """Return what was counted, by this process or by all that gunicorn.conf.py has started."""
    if MANY_PROCESSES not in os.environ:
        return REGISTRY
    everything = CollectorRegistry()
    MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
    return everything


def usage(counted: CollectorRegistry) -> Mapping[str, Usage]:
    """Return how each model was used; one that never was is not used at all."""
    models: dict[str, Usage] = defaultdict(Usage)
    for family in counted.collect():
        for sample in family.samples:
            if sample.name == "modelhost_predictions_total":
                models[sample.labels["model"]].calls += int(sample.value)
                if sample.labels["outcome"] == "ok":
                    models[sample.labels["model"]].answered += int(sample.value)
            if sample.name == "modelhost_prediction_seconds_sum":
                models[sample.labels["model"]].seconds += sample.value
    return models
