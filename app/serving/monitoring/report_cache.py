"""Reports on models, kept for a short time."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Report = TypeVar("Report")

#: Seconds for which the same report is returned.
CACHE_SECONDS = 30.0


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
