"""A time limit that the running code checks itself."""

from __future__ import annotations

import time


class Deadline:
    """A moment after which :meth:`check` raises; ``None`` seconds never end.

    It interrupts nothing: a step between two checks may take any time.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise :class:`TimeoutError` if the deadline has passed."""
        if self._end is not None and time.monotonic() > self._end:
            raise TimeoutError(f"it took longer than {self._seconds:g} s")
