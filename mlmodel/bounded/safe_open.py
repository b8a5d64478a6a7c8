"""Whole files, read without waiting for what is none."""

from __future__ import annotations

import os
import stat
from io import BufferedReader

from mlmodel.errors import InvalidFile


def content(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file.

    :raises InvalidFile: if it is a folder, a device or a pipe, or larger than the memory here is.
    :raises OSError: if it cannot be opened.
    """
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > _memory_bytes():
            raise InvalidFile(f"it has {size:,} bytes, more than there is memory")
        # Not to its end: some files of the system have none.
        return stream.read(size)


def opened(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file to be read.

    :raises InvalidFile: if it is a device or a pipe.
    :raises OSError: if it cannot be opened.
    """
    # Opening a pipe waits for somebody to write.
    stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  the caller's
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise InvalidFile("it is no regular file, but a device or a pipe")
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
