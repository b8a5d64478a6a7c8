"""Fingerprints of model files, to detect whether a file has changed since its model was created."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from mlmodel.errors import InvalidFile
from mlmodel.files import source
from mlmodel.files.mlflow import folder


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
    """Return modification time, size and inode of a file, or of each file in a folder.

    It is empty if the path does not exist or cannot be read.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return folder.scan(path).stamp
    except (OSError, InvalidFile):
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def file_fingerprint(path: Path, previous: FileFingerprint | None = None) -> FileFingerprint:
    """Return the fingerprint of a file or folder; its digest is empty if that cannot be read.

    :param previous: an earlier result, returned if the file's stamp is unchanged.
    """
    # The stamp is taken first, so that a write during the hashing changes it.
    now = stamp(path)
    if previous is not None and now == previous.stamp:
        return previous
    try:
        return FileFingerprint(now, source.sha256_of(path))
    except (OSError, InvalidFile):
        return FileFingerprint(now, "")
