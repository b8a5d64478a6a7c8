"""Observes the models in use: their traffic and their drift."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from app.serving.monitoring.drift import MIN_ROWS
from app.serving.monitoring.reports import PERIODS, DriftReport, State, report_drift
from app.serving.monitoring.shared_file import Document, SharedFile
from app.serving.monitoring.traffic import RECORD_SECONDS, Traffic, TrafficHistory
from app.serving.monitoring.truth_metrics import Period, read_metrics
from app.serving.prediction_log.store import PredictionStore

log = logging.getLogger(__name__)
Built = TypeVar("Built")

#: Seconds between two measurements of the drift of all models.
DRIFT_SECONDS = 900.0
#: Seconds from the start of a process to its first measurements.
FIRST_SECONDS = 5.0
#: Seconds for which the page of a model shows the same report.
CACHE_SECONDS = 30.0


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
        #: Guards ``_reports``, and makes a second request for the same report wait for the first.
        self._lock = threading.Lock()
        self._reports: dict[tuple[str, int], tuple[float, Any]] = {}

    def start(self) -> None:
        """Start the thread of this process."""
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def get_traffic(self) -> Mapping[str, Sequence[Traffic]]:
        """Return the hours with calls of each model by label; none for a model without calls."""
        return self._traffic.read(time.time())

    def get_drift(self, model: HostedModel, days: int) -> DriftReport:
        """Return the drift of a model in the last days, at most :data:`CACHE_SECONDS` old."""
        return self._cached(
            (model.label, days),
            lambda: report_drift(self.store, model, days),
            lambda each: each.compared_rows,
        )

    def get_truth(self, model: HostedModel) -> tuple[Period, list[Period]]:
        """Return the metrics of predictions whose truth is known: of all weeks, and of each.

        :raises LogUnavailable: if the log cannot be read.
        """
        return self._cached(
            (model.label, 0),
            lambda: read_metrics(self.store, model.name, model.label, model.output_schema),
            lambda each: each[0].rows,
        )

    def get_measured_drift(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the last measurement of each model that has one, by label.

        ``psi`` has the fields, and ``alarms`` the number of those with moderate or large drift.
        """
        models: Mapping[str, Mapping[str, Any]] = self._drift.read().get("models", {})
        return models

    def collect(self) -> Iterator[Metric]:
        """Yield the drift as a metric, for Prometheus."""
        family = GaugeMetricFamily(
            "modelhost_drift_psi",
            "Population stability index of a field in the last week, against the reference.",
            labels=["model", "field"],
        )
        for label, measured in self.get_measured_drift().items():
            for name, psi in measured["psi"].items():
                family.add_metric([label, name], psi)
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

    def _cached(
        self, key: tuple[str, int], build: Callable[[], Built], count_rows: Callable[[Built], int]
    ) -> Built:
        """Return a report that is at most :data:`CACHE_SECONDS` old; a small one is always new."""
        now = time.monotonic()
        with self._lock:
            self._reports = {
                each: (made, report)
                for each, (made, report) in self._reports.items()
                if now - made <= CACHE_SECONDS
            }
            if key in self._reports:
                found: Built = self._reports[key][1]
                return found
            report = build()
            if count_rows(report) >= MIN_ROWS:
                self._reports[key] = now, report
            return report

    def _measure(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for model in self._manager.models():
            report = report_drift(self.store, model, PERIODS[0])
            if report.state is State.COMPARED:
                # A field of the rows takes precedence over a prediction of the same name.
                ordered = sorted(report.fields, key=lambda each: not each.is_prediction)
                psi = {each.name: round(each.psi, 6) for each in ordered}
                yield model.label, {"psi": psi, "alarms": len(report.alarms)}

    def _run(self) -> None:
        pause = threading.Event()
        seconds = FIRST_SECONDS
        while not pause.wait(seconds):
            seconds = RECORD_SECONDS
            try:
                self._traffic.record(time.time())
                self.measure_drift(time.time())
            except Exception:  # the thread must continue
                log.exception("the health of the models is not recorded")


def _is_due(document: Document, now: float) -> bool:
    return bool(now - document.get("at", 0) >= DRIFT_SECONDS)
