"""The files of a folder, and their hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlmodel.bounded import safe_open
from mlmodel.errors import InvalidFile

#: The file that describes the model in a folder of MLflow.
MANIFEST = "MLmodel"
#: Maximum number of files in a folder.
MAX_FILES = 10_000
#: Maximum number of folders around a file.
MAX_DEPTH = 16


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a folder that MLflow wrote."""
    return (Path(path) / MANIFEST).is_file()


@dataclass(frozen=True)
class Folder:
    """The files of a folder, by their paths within it, with ``/`` between the parts.

    ``paths`` has only regular files. :func:`scan` creates it.
    """

    path: Path
    paths: Mapping[str, Path]

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """The SHA-256 of each file."""
        hashes = {}
        for name, path in self.paths.items():
            with safe_open.open_regular_file(path) as stream:
                hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        return hashes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the lines that ``sha256sum`` writes for all files, sorted by name."""
        lines = hashlib.sha256()
        for name, digest in self.hashes.items():
            lines.update(f"{digest}  ./{name}\n".encode())
        return lines.hexdigest()

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(path.stat().st_size for path in self.paths.values())

    @property
    def stamp(self) -> tuple[int, ...]:
        """Numbers that change whenever a file is written, added, replaced or removed."""
        facts = [path.stat() for path in self.paths.values()]
        return tuple(
            number for each in facts for number in (each.st_mtime_ns, each.st_size, each.st_ino)
        )

    def copy_to(self, target: Path) -> None:
        """Write all files to an empty folder.

        :raises InvalidFile: if one is not the one that was hashed.
        """
        for name in self.paths:
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.read(name))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        :param name: its path within the folder, as its own files write it.
        :raises InvalidFile: if the folder has no such file, or it is not the one that was hashed.
        """
        place = os.path.normpath(name) if name else name
        if place not in self.paths:
            raise InvalidFile(f"{MANIFEST} names the file {name!r:.200}, which the folder lacks")
        content = safe_open.read_regular_file(self.paths[place])
        if hashlib.sha256(content).hexdigest() != self.hashes[place]:
            raise InvalidFile(f"the file {place!r} was changed while the folder was read")
        return content


def scan(path: Path) -> Folder:
    """Return the files of a folder, sorted by the bytes of their names.

    :raises InvalidFile: if it has a symbolic link, a device or a pipe, too many files, or a name
        that cannot be shown.
    """
    found: dict[str, Path] = {}
    for name, file in _walk(path, "", 0):
        found[name] = file
        if len(found) > MAX_FILES:
            raise InvalidFile(f"the folder has more than {MAX_FILES:,} files")
    return Folder(path, {name: found[name] for name in sorted(found, key=str.encode)})


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    if depth > MAX_DEPTH:
        raise InvalidFile(f"the folder has more than {MAX_DEPTH} levels of folders")
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if not entry.name.isprintable() or "\\" in entry.name:
                raise InvalidFile(f"the folder has a file with the name {name!r:.200}")
            if entry.is_symlink():
                raise InvalidFile(
                    f"the folder has a symbolic link, {name!r}; replace it by what it refers to"
                )
            if entry.is_dir():
                yield from _walk(folder / entry.name, f"{name}/", depth + 1)
            elif entry.is_file():
                yield name, folder / entry.name
            else:
                raise InvalidFile(f"the folder has a device or a pipe, {name!r}")
