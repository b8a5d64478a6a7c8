"""Counts of calls and requests that are not in the metrics yet.

To change one value that all processes share takes a microsecond, and a prediction changes nine. A
thread changes each value once for all that was counted within :data:`SECONDS`. Reading the metrics
of a process adds its own pending counts first; a process that is killed loses them.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)

#: Adds values to metrics. Hashable, because all values for the same function are added at once.
AddAll = Callable[[Sequence[Any]], None]

SECONDS = 0.1
#: Number of pending counts from which the caller adds them: the thread does not keep up.
MAX_PENDING = 10_000


class PendingCounts:
    """Counts of one process. Thread safe; a forked process starts without counts."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush)

    def _reset(self) -> None:
        # Appending to a deque is atomic.
        self._counts: deque[tuple[AddAll, Any]] = deque()
        self._lock = threading.Lock()
        self._are_waiting = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, add_all: AddAll, value: Any = None) -> None:
        """Call ``add_all`` with a list of this value and others, soon."""
        self._counts.append((add_all, value))
        if not self._are_waiting.is_set() or len(self._counts) > MAX_PENDING:
            self._wake()

    def flush(self) -> None:
        """Add all pending counts now."""
        with self._lock:
            values: dict[AddAll, list[Any]] = {}
            for _ in range(len(self._counts)):
                add_all, value = self._counts.popleft()
                values.setdefault(add_all, []).append(value)
            for add_all, some in values.items():
                add_all(some)

    def _wake(self) -> None:
        try:
            with self._lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="metrics", daemon=True)
                    thread.start()
                    self._thread = thread
            self._are_waiting.set()
        except RuntimeError:  # the system's limit of threads is reached
            self.flush()
        if len(self._counts) > MAX_PENDING:
            self.flush()

    def _run(self) -> None:
        while True:
            self._are_waiting.wait()
            time.sleep(SECONDS)
            self._are_waiting.clear()
            try:
                self.flush()
            except Exception:  # the thread must continue
                log.exception("counts are lost")


#: The counts of this process.
pending = PendingCounts()
