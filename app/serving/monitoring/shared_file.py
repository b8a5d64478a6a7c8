"""A JSON document that all processes of a server read and update."""

from __future__ import annotations

import fcntl
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Document = dict[str, Any]


class SharedFile:
    """A JSON object in a file of the shared state, or in memory without a folder. Thread safe.

    A reader finds either the old or the new document. If the folder cannot be written, the document
    stays as it is.
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

    def update(self, change: Callable[[Document], Document | None]) -> None:
        """Replace the document by ``change(document)``, unless that is ``None``.

        A file lock makes processes update one after another.
        """
        with self._lock:
            if self._path is None:
                changed = change(self._own)
                self._own = self._own if changed is None else changed
                return
            try:
                with self._path.with_suffix(".lock").open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    try:
                        self._write(change(self.read()))
                    finally:
                        # Closing does not unlock the file if a process was forked meanwhile.
                        fcntl.flock(lock, fcntl.LOCK_UN)
            except OSError as error:
                log.warning("cannot update %s: %s", self._path.name, error)

    def _write(self, document: Document | None) -> None:
        if document is None or self._path is None:
            return
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(document), encoding="utf-8")
        new.replace(self._path)
