"""Artifacts, the files packaged with a model: check their names, unpack and remove them."""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mlmodel.bounded.compression import Budget
from mlmodel.bounded.safe_open import remove_own_folder
from mlmodel.errors import BadArtifact
from mlmodel.files.flm.protocols import Section

#: Maximum length of a name including folders: the limit of common file systems for a file name.
MAX_NAME_BYTES = 255
#: Maximum number of artifacts in one file.
MAX_ARTIFACTS = 10_000
#: Maximum number of parts of one name, separated by slashes.
MAX_PARTS = 16

_DRIVE = re.compile(r"[A-Za-z]:")


def check_flama_name(name: str) -> None:
    """Reject a name that Flama cannot read back.

    :raises BadArtifact: unless it is a plain ASCII file name.
    """
    # Flama counts the characters of a name where the format counts bytes.
    if not name.isascii() or "/" in name or len(name) > MAX_NAME_BYTES or not _is_plain(name):
        raise BadArtifact(f"the name of an artifact must be a plain ASCII file name, got {name!r}")


def check_names(names: Iterable[str]) -> None:
    """Reject names that cannot all be files within one folder.

    :raises BadArtifact: if a name is outside the folder or is the folder of another, or if
        there are too many.
    """
    paths = {name: _parse_name(name) for name in names}
    if len(paths) > MAX_ARTIFACTS:
        raise BadArtifact(f"expected at most {MAX_ARTIFACTS:,} artifacts, got {len(paths):,}")
    folders = {parts[:depth] for parts in paths.values() for depth in range(1, len(parts))}
    for name, parts in paths.items():
        if parts in folders:
            raise BadArtifact(f"the artifact {name!r} is also the folder of another")


class ArtifactFolder:
    """The artifacts of a model, unpacked to a temporary folder. ``paths`` has their paths by name.

    The folder is removed by :meth:`remove`, with this object, or when the process ends, but only
    in the process that created it: a fork does not remove it.
    """

    def __init__(self, artifacts: Mapping[str, Section], budget: Budget) -> None:
        """Unpack artifacts. Without any, no folder is created.

        :param artifacts: by names that passed :func:`check_names`.
        :raises InvalidFile: if one does not decompress, or not within the budget. Then no folder
            is left.
        """
        self.paths: dict[str, Path] = {}
        self._remove: Callable[[], object] = lambda: None
        if artifacts:
            folder = Path(tempfile.mkdtemp(prefix="flm-"))
            self._remove = weakref.finalize(self, remove_own_folder, folder, os.getpid())
            self._unpack(folder, artifacts, budget)

    def remove(self) -> None:
        """Remove the folder."""
        self.paths = {}
        self._remove()

    def _unpack(self, folder: Path, artifacts: Mapping[str, Section], budget: Budget) -> None:
        try:
            for name, section in artifacts.items():
                self.paths[name] = _write(folder / name, section.unpack(budget))
        except BaseException:
            self.remove()
            raise


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        stream.write(content)
    return path


def _parse_name(name: str) -> tuple[str, ...]:
    if len(name.encode()) > MAX_NAME_BYTES:
        raise BadArtifact(f"the name of an artifact must have at most {MAX_NAME_BYTES} bytes")
    parts = tuple(name.split("/"))
    if len(parts) > MAX_PARTS or not all(map(_is_plain, parts)):
        raise BadArtifact(f"the artifact {name!r} must lie within the artifacts' folder")
    return parts


def _is_plain(part: str) -> bool:
    """Return whether a name is a valid file name on every system, without a path."""
    if part in ("", ".", ".."):
        return False
    return part.isprintable() and "\\" not in part and not _DRIVE.match(part)
