"""Metrics of the server: all names and labels.

Source of the naming: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

import collections
import os
import resource
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.samples import Sample

from app.serving.process import counters
from app.serving.process.pending_counts import pending
from app.serving.process.processes import is_alive
from mlmodel.errors import InvalidInput

counters.install()

#: Environment variable that makes prometheus_client add up several processes.
MANY_PROCESSES = "PROMETHEUS_MULTIPROC_DIR"

#: Outcome of a successful call.
OK = "ok"
#: Label of an endpoint that cannot be looked up, since its model is not available.
OTHER = "(other)"
#: Outcomes of the rows of the prediction log.
WRITTEN, DROPPED = "written", "dropped"
#: Label of the calls that explain a prediction, and are no predictions themselves.
EVALUATION = "(explain)"
#: Upper limits in seconds of the buckets of :data:`SECONDS`.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

PREDICTIONS = Counter(
    "modelhost_predictions",
    "Calls of a model, by how they ended.",
    ["model", "endpoint", "outcome"],
)
ROWS = Counter("modelhost_rows", "Rows sent to a model.", ["model", "endpoint"])
SECONDS = Histogram(
    "modelhost_prediction_seconds",
    "Seconds from the rows of a call to its validated predictions.",
    ["model", "endpoint"],
    buckets=BUCKETS,
)
ONE_ROW_SECONDS = Summary(
    "modelhost_one_row_seconds",
    "Seconds of the successful calls with one row.",
    ["model", "endpoint"],
)

CALLS = Gauge(
    "modelhost_calls",
    "Calls of a model that run or wait, in all processes.",
    ["model"],
    multiprocess_mode="livesum",
)
STATES = Gauge(
    "modelhost_models",
    "Processes in which a model is in a state.",
    ["model", "state"],
    multiprocess_mode="livesum",
)
LOAD_SECONDS = Gauge(
    "modelhost_load_seconds",
    "Seconds that it took to load a model, in the slowest process.",
    ["model"],
    multiprocess_mode="livemax",
)
RUNTIMES = Gauge(
    "modelhost_model_runtimes",
    "Processes in which a runtime predicts for a model: its framework, or a compiled graph.",
    ["model", "runtime"],
    multiprocess_mode="livesum",
)
LOGGED_ROWS = Counter(
    "modelhost_logged_rows",
    "Rows of the prediction log, by whether they were written or dropped.",
    ["model", "outcome"],
)
REQUESTS = Counter(
    "modelhost_http_requests",
    "Requests, by the template of their path and the class of their status.",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "modelhost_http_request_seconds",
    "Seconds from a request to its response.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class CallMetrics:
    """Counts the calls of one endpoint of a model: their rows, durations and outcomes."""

    def __init__(self, model: str, endpoint: str) -> None:
        self._labels = (model, endpoint)
        self._rows = ROWS.labels(model, endpoint)
        self._seconds = SECONDS.labels(model, endpoint)
        self._one_row_seconds = ONE_ROW_SECONDS.labels(model, endpoint)
        self._outcomes = {OK: PREDICTIONS.labels(model, endpoint, OK)}
        self._calls = CALLS.labels(model)

    def start(self) -> None:
        """Count a call as running or queued, until it ends."""
        pending.add(self._add_starts)

    def succeed(self, rows: int, seconds: float) -> None:
        """Count a successful call."""
        pending.add(self._add_ends, (OK, rows, seconds))

    def fail(self, error: Exception, rows: int, seconds: float) -> None:
        """Count a failed call, with the name of the error's class as outcome."""
        pending.add(self._add_ends, (type(error).__name__, rows, seconds))

    def _add_starts(self, starts: Sequence[None]) -> None:
        self._calls.inc(len(starts))

    def _add_ends(self, ends: Sequence[tuple[str, int, float]]) -> None:
        outcomes, rows, seconds = zip(*ends, strict=True)
        for outcome, count in collections.Counter(outcomes).items():
            if outcome not in self._outcomes:
                self._outcomes[outcome] = PREDICTIONS.labels(*self._labels, outcome)
            self._outcomes[outcome].inc(count)
        self._calls.dec(len(ends))
        self._rows.inc(sum(rows))
        _observe_all(self._seconds, seconds)
        single = [each for outcome, count, each in ends if outcome == OK and count == 1]
        self._one_row_seconds._count.inc(len(single))
        self._one_row_seconds._sum.inc(sum(single))


def _observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Observe many values at the cost of one. Names with an underscore belong to the library."""
    histogram._sum.inc(sum(values))
    buckets = collections.Counter(bisect_left(histogram._upper_bounds, value) for value in values)
    for bucket, count in buckets.items():
        histogram._buckets[bucket].inc(count)


def count_rejection(model: str, endpoint: str, error: Exception) -> None:
    """Count a call that was rejected before its model, with the error's class name as outcome."""
    PREDICTIONS.labels(model, endpoint, type(error).__name__).inc()


def count_logged_rows(model: str, outcome: str, count: int) -> None:
    """Count rows of the prediction log as :data:`WRITTEN` or :data:`DROPPED`."""
    LOGGED_ROWS.labels(model, outcome).inc(count)


@lru_cache(maxsize=1024)
def get_request_counter(method: str, route: str, status_class: int) -> Callable[[float], None]:
    """Return a function that counts a request of this kind, given its duration in seconds."""
    requests = REQUESTS.labels(method, route, f"{status_class}xx")
    times = REQUEST_SECONDS.labels(route)

    def add_all(seconds: Sequence[float]) -> None:
        requests.inc(len(seconds))
        _observe_all(times, seconds)

    return partial(pending.add, add_all)


@dataclass
class Usage:
    """Calls of all endpoints of a model since the server started.

    ``answered`` counts the successful calls, ``rejected`` those with invalid input; ``seconds`` is
    the total duration of all calls. ``single`` and ``single_seconds`` are the same of successful
    calls with one row.
    """

    calls: int = 0
    answered: int = 0
    seconds: float = 0.0
    rejected: int = 0
    single: int = 0
    single_seconds: float = 0.0

    @property
    def mean_seconds(self) -> float:
        """The mean duration in seconds of a call whose input is valid: others end at once."""
        valid = self.calls - self.rejected
        return self.seconds / valid if valid else 0.0


class ModelMetrics:
    """Exports a property of each model of this process as a gauge.

    A master, which only loads models for the workers that it forks, exports none.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._lock = threading.Lock()
        self._pid = 0
        self._exported: dict[str, str] = {}

    def update(self, models: Mapping[str, str]) -> None:
        """Export the values, by the models' unique names, and reset those of other models."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._exported = os.getpid(), {}
            for gone in self._exported.keys() - models.keys():
                self._gauge.labels(gone, self._exported.pop(gone)).set(0)
            for model, value in models.items():
                self._export(model, value)

    def _export(self, model: str, value: str) -> None:
        before = self._exported.get(model)
        if before == value:
            return
        if before is not None:
            self._gauge.labels(model, before).set(0)
        self._gauge.labels(model, value).set(1)
        self._exported[model] = value


#: The states and the runtimes of this process.
states, runtimes = ModelMetrics(STATES), ModelMetrics(RUNTIMES)


class _AllProcesses(MultiProcessCollector):
    """Adds up the files of counters of all processes."""

    def collect(self) -> Iterable[Metric]:
        try:
            return super().collect()  # type: ignore[no-any-return, no-untyped-call]
        except FileNotFoundError:  # a process without disk space has deleted its file meanwhile
            return self.collect()


class _Memory:
    """The memory of each process, as Linux reports it."""

    def __init__(self, pids: Collection[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "modelhost_memory_bytes",
            "Memory of a process that is in use (RSS). Processes may share a part of it.",
            labels=["pid"],
        )
        for pid in sorted(self._pids):
            with suppress(OSError):  # the process has just ended, or the system is not Linux
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                family.add_metric([str(pid)], pages * resource.getpagesize())
        yield family


def get_registry() -> CollectorRegistry:
    """Return the metrics of all processes of the server, or of this one if it counts alone."""
    pending.flush()
    everything = CollectorRegistry()
    folder = os.environ.get(MANY_PROCESSES)
    if folder is None or counters.is_alone():
        everything.register(REGISTRY)
        everything.register(_Memory({os.getpid()}))
        return everything
    pids = {int(file.stem.rpartition("_")[2]) for file in Path(folder).glob("*.db")}
    ended = {pid for pid in pids if not is_alive(pid)}
    for pid in ended:
        # However the process has ended, its models and calls must not count any more.
        with suppress(FileNotFoundError):  # another process has just done the same
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
    _AllProcesses(everything, folder)  # type: ignore[no-untyped-call]
    everything.register(_Memory(pids - ended | {os.getpid()}))
    return everything


def read_call_samples(counted: CollectorRegistry) -> Iterator[Sample]:
    """Yield the samples of calls that clients made, without those that explain a prediction."""
    for family in counted.collect():
        for sample in family.samples:
            if "endpoint" in sample.labels and sample.labels["endpoint"] != EVALUATION:
                yield sample


def read_usage(counted: CollectorRegistry) -> Mapping[str, Usage]:
    """Return the usage of each model; a model that was never called has an empty usage."""
    models: dict[str, Usage] = defaultdict(Usage)
    for sample in read_call_samples(counted):
        usage = models[sample.labels["model"]]
        if sample.name == "modelhost_predictions_total":
            usage.calls += int(sample.value)
            if sample.labels["outcome"] == OK:
                usage.answered += int(sample.value)
            elif sample.labels["outcome"] == InvalidInput.__name__:
                usage.rejected += int(sample.value)
        if sample.name == "modelhost_prediction_seconds_sum":
            usage.seconds += sample.value
        if sample.name == "modelhost_one_row_seconds_count":
            usage.single += int(sample.value)
        if sample.name == "modelhost_one_row_seconds_sum":
            usage.single_seconds += sample.value
    return models
