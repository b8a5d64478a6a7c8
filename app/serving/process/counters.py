"""Counters that all processes of a server see, in files that a full disk cannot harm.

``prometheus_client`` keeps each process's counters in files that it maps into memory. It makes
them larger without allocating blocks, so on a full disk the next write to the memory is a SIGBUS,
which ends the process. Here each file is allocated before it is mapped. Without room for it, the
process counts in memory of its own, and its ``/metrics`` shows its own numbers alone.

The names that start with an underscore are ``prometheus_client``'s; a test fails when they change.
"""

from __future__ import annotations

import logging
import mmap
import os
from contextlib import suppress
from typing import BinaryIO

from prometheus_client import mmap_dict, values

log = logging.getLogger(__name__)

#: Bytes that a value takes beside its name: padding, the name's length and two doubles.
VALUE_BYTES = 32
#: The processes without files; a fork of one has another number, and tries to have files.
_alone: set[int] = set()


def is_alone() -> bool:
    """Tell whether this process counts in memory of its own."""
    return os.getpid() in _alone


class AllocatedDict(mmap_dict.MmapedDict):
    """A file of counters whose blocks are allocated before they are used.

    Not thread safe, as its base class: ``prometheus_client`` has one lock for all of them.
    """

    _f: BinaryIO | None  # type: ignore[assignment]
    _m: mmap.mmap
    _fname: str
    _capacity: int
    _used: int

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            with open(filename, "ab") as file:
                size = max(mmap_dict._INITIAL_MMAP_SIZE, file.tell())
                os.posix_fallocate(file.fileno(), 0, size)
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


def _count_alone(filename: str, error: OSError) -> None:
    """Let this process count in memory, and log why."""
    if not is_alone():
        log.error("this process counts alone, its metrics have no room: %s", error.strerror)
    _alone.add(os.getpid())
    with suppress(OSError):
        os.unlink(filename)


def install() -> None:
    """Let ``prometheus_client`` use such files, on Linux. To be called before it counts."""
    if hasattr(os, "posix_fallocate"):
        values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]
