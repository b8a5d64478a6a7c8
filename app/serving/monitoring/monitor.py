"""Observes the models in use: their traffic and their drift."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.serving.monitoring.traffic import RECORD_SECONDS, Traffic, TrafficHistory

log = logging.getLogger(__name__)


class HealthMonitor:
    """Observes the models of a server. Thread safe.

    Each worker has a thread that records what has happened; what one process records, all read.

    :param folder: of the shared state; ``None`` if this process is the only one.
    """

    def __init__(self, folder: Path | None) -> None:
        self._traffic = TrafficHistory(folder)

    def start(self) -> None:
        """Start the thread of this process."""
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def get_traffic(self) -> Mapping[str, Sequence[Traffic]]:
        """Return the hours with calls of each model by label; none for a model without calls."""
        return self._traffic.read(time.time())

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(RECORD_SECONDS):
            try:
                self._traffic.record(time.time())
            except Exception:  # the thread must continue
                log.exception("the health of the models is not recorded")
