"""Return of unused memory to the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def return_memory() -> None:
    """Collect garbage, and return the C library's free memory to the system if it is glibc."""
    gc.collect()
    return_free_memory()


def return_free_memory() -> None:
    """Return the C library's free memory to the system if it is glibc."""
    # Only glibc has malloc_trim; other C libraries keep small free blocks for reuse.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
