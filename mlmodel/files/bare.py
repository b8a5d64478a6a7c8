"""Read model files of their own libraries, and folders that MLflow wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlmodel import frameworks
from mlmodel.bounded import compression, filetypes, safe_open
from mlmodel.bounded.filetypes import BOOSTED, Kind
from mlmodel.bounded.metadata import FrameworkMetadata, Meta, ModelMetadata
from mlmodel.errors import InvalidFile
from mlmodel.files import source
from mlmodel.files.description import FileDescription, LoadOptions
from mlmodel.files.flm.artifacts import ArtifactFolder
from mlmodel.files.package import Package, verify
from mlmodel.trust import contents

#: The framework whose adapter serves a kind of file.
LIBS: Mapping[Kind, str] = {
    Kind.CATBOOST: "sklearn",
    Kind.FUNCTION: "python_function",
    Kind.KERAS: "tensorflow",
    Kind.LIGHTGBM: "sklearn",
    Kind.ONNX: "onnx",
    Kind.PICKLE: "sklearn",
    Kind.SKOPS: "sklearn",
    Kind.XGBOOST: "sklearn",
}


def is_bare(path: str | os.PathLike[str]) -> bool:
    """Return whether :func:`read` reads a file, that is, whether it is not a package.

    The first bytes decide; for a file that cannot be read, a suffix other than ``.flm``. A folder
    is no package.
    """
    if Path(path).is_dir():
        return True
    try:
        with safe_open.open_regular_file(path) as stream:
            return not filetypes.is_package(stream.read(filetypes.PEEK_BYTES))
    except (OSError, InvalidFile):
        return Path(path).suffix.lower() != ".flm"


def read(path: str | os.PathLike[str], options: LoadOptions) -> Package:
    """Read and verify a file without metadata. Raises the errors of :func:`mlmodel.load`."""
    found = source.read(path, options.sha256)
    content = found.content
    kind = found.kind
    release = contents.get_sklearn_release(kind, content)
    versions = {**found.versions, **({} if release is None else {"scikit-learn": release})}
    verify(found.path, kind, content, versions, options)
    # Importing the adapter may start threads; without any, the check can fork this process.
    lib = LIBS[kind]
    version = frameworks.adapter(lib).version()
    return Package(
        path=found.path,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        kind=kind,
        content=content,
        meta=Meta(
            "",
            "",
            FrameworkMetadata("ml", lib, version),
            ModelMetadata(""),
            extra={"mlflow": dict(found.facts)} if found.facts else None,
            capabilities=None,
        ),
        framework=_framework(kind, lib, version),
        versions=versions,
        description=FileDescription.from_extra({}, found.path, options),
        artifacts=ArtifactFolder({}, compression.Budget(0)),
        is_bare=True,
        signature=found.signature,
    )


def _framework(kind: Kind, lib: str, version: str) -> str:
    """Return the name and version of the library of a kind of file."""
    if kind in BOOSTED:
        # This imports scikit-learn, as late as its adapter would.
        from mlmodel.frameworks.sklearn import boosters  # noqa: PLC0415

        return str(boosters.version(kind))
    return f"{frameworks.title(lib)} {version}"
