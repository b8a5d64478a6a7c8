"""Observes the models in use: their traffic and their drift."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from app.serving import periodic
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from app.serving.monitoring.drift import MIN_ROWS
from app.serving.monitoring.reports import PERIODS, DriftReport, report_drift
from app.serving.monitoring.traffic import RECORD_SECONDS, Traffic, TrafficHistory
from app.serving.monitoring.truth_metrics import Period, read_metrics
from app.serving.prediction_log.store import PredictionStore
from app.serving.process.shared_file import Document, SharedFile

log = logging.getLogger(__name__)

#: Seconds between two measurements of the drift of all models.
DRIFT_SECONDS = 900.0
#: Seconds from the start of a process to its first measurements.
FIRST_SECONDS = 5.0
#: Seconds for which the same report is returned.
CACHE_SECONDS = 30.0

Report = TypeVar("Report")


class MeasuredDrift(NamedTuple):
    """The last measurement of the drift of all models in the last week.

    ``at`` is its time in Unix seconds, and that of the next one is ``until``; both are ``None``
    before the first one. ``models`` has a member for each model with a log, by unique name: its
    ``state``, its ``rows`` and ``missing_rows``, the ``psi`` of its fields, and in ``inputs``
    and ``outputs`` how many have moderate or large drift, and of how many.
    """

    at: float | None
    until: float | None
    models: Mapping[str, Mapping[str, Any]]


class HealthMonitor:
    """Observes the models of a server. Thread safe.

    Each worker has a thread, the first of which to find a measurement due makes it. All processes
    read it.

    :param folder: of the shared state; ``None`` if this process is the only one.
    """

    def __init__(self, manager: ModelManager, store: PredictionStore, folder: Path | None) -> None:
        self.store = store
        self._manager = manager
        self._traffic = TrafficHistory(folder)
        self._drift = SharedFile(folder, "drift.json")
        self._reports = ReportCache(MIN_ROWS)

    def start(self) -> None:
        """Start the thread of this process."""
        periodic.start("record the models' health", self._record, RECORD_SECONDS, FIRST_SECONDS)

    def get_traffic(self) -> Mapping[str, Sequence[Traffic]]:
        """Return the hours with calls by the unique name of each model that was called."""
        return self._traffic.read(time.time())

    def get_drift(self, model: HostedModel, days: int) -> DriftReport:
        """Return the drift of a model in the last days, at most half a minute old."""
        return self._reports.get(
            (model.unique_name, days),
            lambda: self._report(model, days),
            lambda each: each.compared_rows,
        )

    def get_truth(self, model: HostedModel) -> tuple[Period, list[Period]]:
        """Return the metrics of predictions whose truth is known: of all weeks, and of each.

        :raises LogUnavailable: if the log cannot be read.
        """
        return self._reports.get(
            (model.unique_name, 0),
            lambda: read_metrics(self.store, model.name, model.unique_name, model.output_schema),
            lambda each: each[0].rows,
        )

    def get_measured_drift(self) -> MeasuredDrift:
        """Return the last measurement of the drift of all models."""
        document = self._drift.read()
        at = document.get("at")
        until = None if at is None else at + DRIFT_SECONDS
        return MeasuredDrift(at, until, document.get("models", {}))

    def collect(self) -> Iterator[Metric]:
        """Yield the drift as a metric, for Prometheus."""
        family = GaugeMetricFamily(
            "modelhost_drift_psi",
            "Population stability index of a field in the last week, against the reference.",
            labels=["model", "field"],
        )
        for unique_name, measured in self.get_measured_drift().models.items():
            for name, psi in measured["psi"].items():
                family.add_metric([unique_name, name], psi)
        yield family

    def measure_drift(self, now: float) -> None:
        """Measure the drift of all models in the last week if that is due."""
        if not _is_due(self._drift.read(), now):
            return
        is_taken = False

        def take(document: Document) -> Document | None:
            nonlocal is_taken
            is_taken = _is_due(document, now)
            return {**document, "at": now} if is_taken else None

        self._drift.update(take)
        if is_taken:
            models = dict(self._measure())
            self._drift.update(lambda document: {**document, "models": models})

    def _report(self, model: HostedModel, days: int) -> DriftReport:
        report = report_drift(self.store, model, days)
        if days == PERIODS[0] and model.spec.log:  # the overview must not contradict the page
            self._drift.update(
                lambda document: (
                    document
                    | {
                        "models": document.get("models", {})
                        | {model.unique_name: _describe(report)}
                    }
                )
            )
        return report

    def _measure(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for model in self._manager.models():
            if not model.spec.log:
                continue
            try:
                yield model.unique_name, _describe(report_drift(self.store, model, PERIODS[0]))
            except Exception:  # the other models are measured
                log.exception("the drift of the model %r is not measured", model.unique_name)

    def _record(self) -> None:
        self._traffic.record(time.time())
        self.measure_drift(time.time())


def _is_due(document: Document, now: float) -> bool:
    return bool(now - document.get("at", 0) >= DRIFT_SECONDS)


def _describe(report: DriftReport) -> dict[str, Any]:
    # A field of the rows takes precedence over a prediction of the same name.
    fields = sorted(report.fields, key=lambda each: not each.is_prediction)
    return {
        "state": report.state,
        "rows": report.rows,
        "missing_rows": report.missing_rows,
        "psi": {each.name: round(each.psi, 6) for each in fields},
        "inputs": report.count_drifted(are_predictions=False),
        "outputs": report.count_drifted(are_predictions=True),
    }


class ReportCache:
    """Keeps reports. Thread safe.

    A second request for a report waits for the first. ``_lock`` guards the two dictionaries; a
    thread that holds the lock of a report may acquire it.

    :param min_rows: a report on fewer rows is built each time.
    """

    def __init__(self, min_rows: int) -> None:
        self._min_rows = min_rows
        self._lock = threading.Lock()
        self._building: defaultdict[Hashable, threading.Lock] = defaultdict(threading.Lock)
        self._reports: dict[Hashable, tuple[float, Any]] = {}

    def get(
        self, key: Hashable, build: Callable[[], Report], count_rows: Callable[[Report], int]
    ) -> Report:
        """Return a report that is at most :data:`CACHE_SECONDS` old."""
        with self._lock:
            building = self._building[key]
        with building:
            with self._lock:
                self._drop_old()
                if key in self._reports:
                    found: Report = self._reports[key][1]
                    return found
            report = build()
            if count_rows(report) >= self._min_rows:
                with self._lock:
                    self._reports[key] = time.monotonic(), report
            return report

    def _drop_old(self) -> None:
        limit = time.monotonic() - CACHE_SECONDS
        self._reports = {key: each for key, each in self._reports.items() if each[0] >= limit}
