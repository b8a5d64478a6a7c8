"""Counts of all jobs, for which metrics and pages do not wait long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock, Thread
from typing import NamedTuple

from app.serving.errors import JobsUnavailable
from app.serving.jobs.job import JobCount

log = logging.getLogger(__name__)

#: Seconds for which a caller waits.
WAIT_SECONDS = 2.0


class Counts(NamedTuple):
    """The number of jobs, and the valid and the invalid rows of each model so far."""

    jobs: Sequence[JobCount]
    rows: Mapping[str, tuple[int, int]]


class CountReader:
    """Reads counts in a thread of its own, since a database or a folder may not respond at all.

    ``_lock`` guards the thread and its result. Callers that arrive meanwhile wait for it too.

    :param read: returns the counts; ``None`` if there has never been a job.
    """

    def __init__(self, read: Callable[[], Counts | None]) -> None:
        self._read = read
        self._lock = Lock()
        self._thread: Thread | None = None
        self._result: Future[Counts | None] = Future()
        #: The last error, which is logged once.
        self._failure = ""

    def read(self) -> Counts | None:
        """Return the counts; ``None`` if there has never been a job.

        :raises JobsUnavailable: if they cannot be read in :data:`WAIT_SECONDS`.
        """
        try:
            counts = self._start().result(WAIT_SECONDS)
        except (JobsUnavailable, OSError) as error:
            reason = str(error) or f"no response within {WAIT_SECONDS:g} seconds"
            if reason != self._failure:
                log.warning("cannot count jobs: %s", reason)
            self._failure = reason
            raise JobsUnavailable from error
        self._failure = ""
        return counts

    def _start(self) -> Future[Counts | None]:
        with self._lock:
            # After a fork, the thread does not run, and its result never comes.
            is_running = self._thread is not None and self._thread.is_alive()
            if not is_running or self._result.done():
                self._result = Future()
                self._thread = Thread(target=self._run, args=[self._result], daemon=True)
                self._thread.start()
            return self._result

    def _run(self, result: Future[Counts | None]) -> None:
        try:
            result.set_result(self._read())
        except Exception as error:
            result.set_exception(error)
