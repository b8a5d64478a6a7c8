"""Return of unused memory to the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

#: ``M_ARENA_MAX`` of glibc's malloc.h.
_ARENA_MAX = -8


def return_memory() -> None:
    """Collect garbage, and return the C library's free memory to the system if it is glibc."""
    gc.collect()
    return_free_memory()


def use_one_arena() -> None:
    """Let all threads allocate from one arena of the C library if it is glibc.

    By default, each thread keeps free memory that the others cannot use. Call it before threads
    start, in a process whose threads seldom run at the same time.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def return_free_memory() -> None:
    """Return the C library's free memory to the system if it is glibc."""
    # Only glibc has malloc_trim; other C libraries keep small free blocks for reuse.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
