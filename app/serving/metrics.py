"""What is counted: names and labels in one place.

Source of the naming: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

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
