"""Read whole regular files, without blocking on pipes or devices; folders of this user alone."""

from __future__ import annotations

import os
import shutil
import stat
from io import BufferedReader
from pathlib import Path

from mlmodel.errors import InvalidFile


def read_regular_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file.

    :raises InvalidFile: if it is a device or a pipe, or larger than the machine's memory.
    :raises OSError: if it is a folder or cannot be opened.
    """
    with open_regular_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > machine_memory_bytes():
            raise InvalidFile(f"it has {size:,} bytes, more than the memory of the machine")
        # Read a fixed size: some files in /proc and /sys have no end.
        return stream.read(size)


def open_regular_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading.

    :raises InvalidFile: if it is a device or a pipe.
    :raises OSError: if it cannot be opened.
    """
    # Without O_NONBLOCK, opening a pipe blocks until a writer opens it.
    stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  the caller closes it
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise InvalidFile("it is not a regular file but a device or a pipe")
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def create_private_folder(folder: Path) -> None:
    """Create a folder that only this user can change, unless there is one.

    :raises OSError: if it cannot be created, or others can change it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"other users can change files in {folder}")


def remove_own_folder(folder: str | Path, owner: int) -> None:
    """Remove a folder in the process that created it, and not in those that it forked."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def machine_memory_bytes() -> int:
    """Return the memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
