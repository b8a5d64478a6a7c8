"""Fingerprints of model files, to detect whether a file has changed since its model was created."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mlmodel.bounded import safe_open
from mlmodel.errors import InvalidFile


@dataclass(frozen=True)
class FileFingerprint:
    """The fingerprint of a file's bytes; two are equal if the bytes are.

    ``stamp`` changes whenever the file is written or replaced, ``digest`` only with the bytes.
    """

    stamp: tuple[int, ...]
    digest: str

    def __eq__(self, other: object) -> bool:
        """Return whether the bytes are the same."""
        return isinstance(other, FileFingerprint) and self.digest == other.digest

    def __hash__(self) -> int:
        """Return the hash of the digest."""
        return hash(self.digest)


def stamp(path: Path) -> tuple[int, ...]:
    """Return modification time, size and inode of a file; empty if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def file_fingerprint(path: Path, previous: FileFingerprint | None = None) -> FileFingerprint:
    """Return the fingerprint of a file; its digest is empty if the file cannot be read.

    :param previous: an earlier result, returned if the file's stamp is unchanged.
    """
    # The stamp is taken first, so that a write during the hashing changes it.
    now = stamp(path)
    if previous is not None and now == previous.stamp:
        return previous
    try:
        with safe_open.open_regular_file(path) as stream:
            return FileFingerprint(now, hashlib.file_digest(stream, "sha256").hexdigest())
    except (OSError, InvalidFile):
        return FileFingerprint(now, "")
