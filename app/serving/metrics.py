"""What is counted: names and labels in one place.

Source of the naming: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

#: The variable by which prometheus_client counts for several processes together.
MANY_PROCESSES = "PROMETHEUS_MULTIPROC_DIR"

#: How a call ends that is answered.
OK = "ok"

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

REQUESTS = Counter(
    "modelhost_http_requests",
    "Requests, by the template of their path and the class of their status.",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "modelhost_http_request_seconds",
    "Seconds from a request to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class Meter:
    """Counts the calls of one endpoint of a model: their rows, their time, and how they ended."""

    def __init__(self, model: str, endpoint: str) -> None:
        self._labels = (model, endpoint)
        self._rows = ROWS.labels(model, endpoint)
        self._seconds = SECONDS.labels(model, endpoint)
        self._answered = PREDICTIONS.labels(model, endpoint, OK)

    def answered(self, rows: int, seconds: float) -> None:
        """Count a call that was answered."""
        self._answered.inc()
        self._took(rows, seconds)

    def failed(self, error: Exception, rows: int, seconds: float) -> None:
        """Count a call that ended with an error, under the name of the error's class."""
        PREDICTIONS.labels(*self._labels, type(error).__name__).inc()
        self._took(rows, seconds)

    def _took(self, rows: int, seconds: float) -> None:
        self._rows.inc(rows)
        self._seconds.observe(seconds)


@lru_cache(maxsize=1024)
def traffic(method: str, route: str, status_class: int) -> Callable[[float], None]:
    """Return what counts a request of a kind, from the seconds that it took."""
    requests = REQUESTS.labels(method, route, f"{status_class}xx")
    times = REQUEST_SECONDS.labels(route)

    def count(seconds: float) -> None:
        requests.inc()
        times.observe(seconds)

    return count


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
                if sample.labels["outcome"] == OK:
                    models[sample.labels["model"]].answered += int(sample.value)
            if sample.name == "modelhost_prediction_seconds_sum":
                models[sample.labels["model"]].seconds += sample.value
    return models
