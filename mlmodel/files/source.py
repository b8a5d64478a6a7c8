"""The bytes of a model: a file, or the model's file in a folder that MLflow wrote."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlmodel.bounded import filetypes, safe_open
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import WrongHash
from mlmodel.files.mlflow import folder
from mlmodel.files.mlflow.signature import Signature
from mlmodel.frameworks import versions


@dataclass(frozen=True)
class Source:
    """A model's bytes, and what is stated about them outside of them.

    ``name`` is that of the file with the bytes. ``sha256`` and ``size_bytes`` are those of the
    file, or of all files in the folder. ``versions`` are those of the packages that wrote it, as
    far as the folder states them; ``facts`` are shown as metadata.
    """

    path: Path
    name: str
    content: bytes
    sha256: str
    size_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    signature: Signature | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the model's file.

        :raises BadHeader: if it is not a model file.
        """
        if self.signature is not None and self.name == folder.MANIFEST:
            return Kind.FUNCTION
        return filetypes.recognize(self.content, self.name)


def read(path: str | os.PathLike[str], expected_sha256: str | None = None) -> Source:
    """Return the source at a path.

    :raises InvalidFile: if it is a folder that MLflow did not write, or a file or folder that
        cannot be read.
    :raises WrongHash: if another hash is expected.
    """
    place = Path(path)
    filetypes.check_folder(place)
    if place.is_dir():
        return _read_folder(place, expected_sha256)
    content = safe_open.read_regular_file(place)
    sha256 = hashlib.sha256(content).hexdigest()
    _check_hash(sha256, expected_sha256)
    return Source(place, place.name, content, sha256, len(content))


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 that pins a file or a folder.

    :raises InvalidFile: if it cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        return folder.scan(place).sha256
    with safe_open.open_regular_file(place) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_folder(path: Path, expected_sha256: str | None) -> Source:
    # This imports a YAML library, which other files do not need.
    from mlmodel.files.mlflow import manifest, saved_example  # noqa: PLC0415

    found = folder.scan(path)
    _check_hash(found.sha256, expected_sha256)
    stated = manifest.decode(found.read(folder.MANIFEST))
    example = saved_example.decode(found.read(stated.example)) if stated.example else None
    return Source(
        path=path,
        name=Path(stated.model_file).name,
        content=found.read(stated.model_file),
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        versions=_by_distribution(stated.versions),
        facts=stated.facts,
        signature=Signature(stated.inputs, example),
    )


def _by_distribution(stated: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of modules by the names of their installed distributions."""
    return {
        min(versions.distributions([module]), default=module): version
        for module, version in stated.items()
    }


def _check_hash(sha256: str, expected: str | None) -> None:
    if expected is not None and expected.lower() != sha256:
        raise WrongHash(expected, sha256)
