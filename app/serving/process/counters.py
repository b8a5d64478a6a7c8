"""Counters that all processes of a server share, in files that are safe on a full disk.

``prometheus_client`` maps a file with the counters of each process into memory. It enlarges the
file without allocating blocks, so on a full disk the next write to the memory raises SIGBUS, which
ends the process. This module allocates each file before it maps it. If the disk has no room, the
process counts in private memory, and its ``/metrics`` shows only its own numbers.

Names with a leading underscore belong to ``prometheus_client``; a test fails when they change.
"""

from __future__ import annotations

import logging
import mmap
import os
from contextlib import suppress
from typing import BinaryIO

from prometheus_client import mmap_dict, values

log = logging.getLogger(__name__)

#: Bytes of a value without its name: padding, the name's length and two doubles.
VALUE_BYTES = 32
#: PIDs without a file of counters; a forked process has another PID and tries again.
_alone: set[int] = set()


def is_alone() -> bool:
    """Return whether this process counts in private memory."""
    return os.getpid() in _alone


class AllocatedDict(mmap_dict.MmapedDict):
    """A file of counters whose blocks are allocated before use.

    Not thread safe, like its base class: ``prometheus_client`` has one lock for all of them.
    """

    _f: BinaryIO | None  # type: ignore[assignment]
    _m: mmap.mmap
    _fname: str
    _capacity: int
    _used: int

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            _allocate(filename)
        except OSError as error:
            self._f, self._fname, self._positions, self._used = None, filename, {}, 8
            self._move_to_memory(mmap_dict._INITIAL_MMAP_SIZE, error)
            mmap_dict._pack_integer(self._m, 0, self._used)  # type: ignore[no-untyped-call]
        else:
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        size, needed = self._capacity, self._used + len(key.encode()) + VALUE_BYTES
        while size < needed:
            size *= 2
        if size > self._capacity:
            self._grow(size)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self, size: int) -> None:
        try:
            if self._f is None:
                self._move_to_memory(size)
                return
            os.posix_fallocate(self._f.fileno(), 0, size)
        except OSError as error:
            self._move_to_memory(size, error)
        else:
            self._capacity, self._m = size, mmap.mmap(self._f.fileno(), size)

    def _move_to_memory(self, size: int, error: OSError | None = None) -> None:
        memory = mmap.mmap(-1, size)
        if error is None or self._f is not None:
            memory[: self._used] = self._m[: self._used]
        if error is not None:
            _count_alone(self._fname, error)
        self.close()  # type: ignore[no-untyped-call]
        self._m, self._capacity = memory, size


def _allocate(filename: str) -> None:
    """Create the file, or complete it. It appears whole: other processes read it at any time."""
    is_new = not os.path.exists(filename)
    path = f"{filename}.new" if is_new else filename
    try:
        with open(path, "ab") as file:
            size = max(mmap_dict._INITIAL_MMAP_SIZE, file.tell())
            os.posix_fallocate(file.fileno(), 0, size)
        if is_new:
            os.rename(path, filename)
    except OSError:
        if is_new:
            with suppress(OSError):
                os.unlink(path)
        raise


def _count_alone(filename: str, error: OSError) -> None:
    """Record that this process counts in private memory, and log why."""
    if not is_alone():
        log.error(
            "cannot write shared metrics; this process reports only its own: %s", error.strerror
        )
    _alone.add(os.getpid())
    with suppress(OSError):
        os.unlink(filename)


def install() -> None:
    """Make ``prometheus_client`` use :class:`AllocatedDict` on Linux. Call it before counting."""
    if hasattr(os, "posix_fallocate"):
        values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]
