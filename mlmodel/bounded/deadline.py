"""A limit of processor time that the running code checks itself."""

from __future__ import annotations

import time


class Deadline:
    """A limit after which :meth:`check` raises; ``None`` seconds never end.

    It counts the processor time of the thread that creates it, so that a busy machine changes
    nothing. It interrupts nothing: a step between two checks may take any time.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.thread_time() + seconds

    def check(self) -> None:
        """Raise :class:`TimeoutError` if the limit is exceeded."""
        if self._end is not None and time.thread_time() > self._end:
            raise TimeoutError(f"it took longer than {self._seconds:g} s of processor time")
