"""What a file's bytes were when a model was made of them, to tell whether they have changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mlmodel.bounded import safe_open
from mlmodel.errors import InvalidFile


@dataclass(frozen=True)
class Contents:
    """The bytes of a file: two are equal if their bytes are.

    ``stamp`` changes whenever the file is written or put in place, ``digest`` only with the bytes.
    """

    stamp: tuple[int, ...]
    digest: str

    def __eq__(self, other: object) -> bool:
        """Tell whether the bytes are the same."""
        return isinstance(other, Contents) and self.digest == other.digest

    def __hash__(self) -> int:
        """Return what equal bytes have in common."""
        return hash(self.digest)


def stamp(path: Path) -> tuple[int, ...]:
    """Return what changes whenever a file is written or put in place; empty, if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def contents(path: Path, known: Contents | None = None) -> Contents:
    """Return the bytes of a file. One that cannot be read has none.

    :param known: what they were before. A file that nobody has touched since is not read again.
    """
    # Before the bytes: whoever writes them meanwhile makes another stamp.
    now = stamp(path)
    if known is not None and now == known.stamp:
        return known
    try:
        with safe_open.opened(path) as stream:
            return Contents(now, hashlib.file_digest(stream, "sha256").hexdigest())
    except (OSError, InvalidFile):
        return Contents(now, "")
