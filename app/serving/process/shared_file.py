"""JSON documents that all processes of a server read and update, and locks between processes."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

#: Seconds between two attempts to acquire a lock within a time limit.
RETRY_SECONDS = 0.02

log = logging.getLogger(__name__)

Document = dict[str, Any]


class SharedFile:
    """A JSON object in a file of the shared state, or in memory without a folder. Thread safe.

    A reader finds either the old or the new document.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = folder / name if folder else None
        self._own: Document = {}
        self._lock = threading.Lock()

    def read(self) -> Document:
        """Return the document; empty if it was never written."""
        if self._path is None:
            return self._own
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # ValueError: the disk was full
            return {}
        return document if isinstance(document, dict) else {}

    @contextmanager
    def lock(self, seconds: float | None = None) -> Iterator[None]:
        """Make processes write one after another. Without a folder, the threads of this one.

        Raises the errors of :func:`locked`.
        """
        with self._lock if self._path is None else locked(self._path.with_suffix(".lock"), seconds):
            yield

    def write(self, document: Document) -> None:
        """Replace the document. Call this within :meth:`lock`.

        :raises OSError: if the folder cannot be written.
        """
        if self._path is None:
            self._own = document
            return
        new = self._path.with_suffix(".new")
        # In reserved blocks, if there are any; replaced in one step.
        with new.open("r+b" if new.exists() else "wb") as file:
            file.write(json.dumps(document).encode())
            file.truncate()
        new.replace(self._path)

    def reserve(self, size_bytes: int) -> None:
        """Allocate room for the next document. Call this within :meth:`lock`.

        :raises OSError: if the disk has none.
        """
        if self._path is None or not hasattr(os, "posix_fallocate"):
            return
        new = self._path.with_suffix(".new")
        try:
            with new.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise

    def update(self, change: Callable[[Document], Document | None]) -> None:
        """Replace the document by ``change(document)``, unless that is ``None``.

        If the folder cannot be written, the document stays as it is.
        """
        try:
            with self.lock():
                changed = change(self.read())
                if changed is not None:
                    self.write(changed)
        except OSError as error:
            log.warning("cannot update %s: %s", self._path and self._path.name, error)


@contextmanager
def locked(path: Path, seconds: float | None = None) -> Iterator[None]:
    """Hold the lock of a file, which only one thread of all processes holds.

    The system releases it if the process dies.

    :param seconds: how long to wait for the lock; ``None`` for no limit.
    :raises TimeoutError: if another thread holds the lock for longer.
    :raises OSError: if the file cannot be opened.
    """
    with open(path, "wb", opener=partial(os.open, mode=0o600)) as file:
        _acquire(file.fileno(), seconds)
        try:
            yield
        finally:
            # Closing is not enough: a process forked meanwhile has the same lock.
            fcntl.flock(file, fcntl.LOCK_UN)


def _acquire(descriptor: int, seconds: float | None) -> None:
    if seconds is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError from None
            time.sleep(RETRY_SECONDS)
        else:
            return
