"""When to give up."""

from __future__ import annotations

import time


class Deadline:
    """A moment after which whoever asks is told to stop.

    Nobody is interrupted: a step that does not ask takes as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise :class:`TimeoutError` if the moment has passed."""
        if self._end is not None and time.monotonic() > self._end:
            raise TimeoutError(f"it took longer than {self._seconds:g} s")
