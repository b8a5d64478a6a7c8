"""Memory that nobody uses any more, given back to the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def return_memory() -> None:
    """Free what only refers to itself, and give the C library's free memory back, where it can."""
    gc.collect()
    # Only glibc has it; without it, small pieces wait in the process to be used again.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
