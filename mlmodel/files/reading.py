"""Read and verify model files: packages, files of other libraries, folders that MLflow wrote.

Nothing is built.
"""

from __future__ import annotations

import logging
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
from mlmodel.files.flm import container
from mlmodel.files.flm.artifacts import ArtifactFolder
from mlmodel.files.package import Package, explain_versions
from mlmodel.frameworks import versions
from mlmodel.frameworks.sklearn.onnx import runtime
from mlmodel.trust import contents

logger = logging.getLogger(__name__)

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
    """Return whether a file is read by :func:`read_bare`, as it is not a package.

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


def read_package(path: str | os.PathLike[str], options: LoadOptions) -> Package:
    """Read and verify an ``.flm`` file. A rejected file leaves no artifacts behind.

    Raises the errors of :func:`mlmodel.load`.
    """
    file = Path(path)
    found = source.read(file, options.sha256)
    budget = compression.budget(found.size_bytes, options.limit_bytes)
    packed = container.read(found.content, budget)
    content = container.unpack_model(packed, budget)
    meta = packed.meta
    lib = meta.framework.lib
    kind = content_kind(lib)
    packaged = _packaged_versions(meta)
    _verify(file, kind, content, packaged, options, lib=lib)
    description = FileDescription.from_extra(meta.extra or {}, file, options)
    artifacts = ArtifactFolder(packed.artifacts, budget)
    return Package(
        path=file,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        kind=kind,
        content=content,
        meta=meta,
        framework=f"{frameworks.title(lib)} {meta.framework.version}",
        versions=packaged,
        description=description,
        artifacts=artifacts,
        graph=_graph(meta, content, artifacts.paths),
    )


def read_bare(path: str | os.PathLike[str], options: LoadOptions) -> Package:
    """Read and verify a file without metadata. Raises the errors of :func:`mlmodel.load`."""
    found = source.read(path, options.sha256)
    content = found.content
    kind = found.kind
    release = contents.get_sklearn_release(kind, content)
    packaged = {**found.versions, **({} if release is None else {"scikit-learn": release})}
    _verify(found.path, kind, content, packaged, options)
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
        versions=packaged,
        description=FileDescription.from_extra({}, found.path, options),
        artifacts=ArtifactFolder({}, compression.Budget(0)),
        is_bare=True,
        signature=found.signature,
    )


def content_kind(lib: str) -> Kind:
    """Return the format of the model in an ``.flm`` file of a framework."""
    return Kind.PICKLE if lib == "sklearn" else Kind.PACKAGE


def _verify(
    path: Path,
    kind: Kind,
    content: bytes,
    packaged: Mapping[str, str],
    options: LoadOptions,
    *,
    lib: str = "",
) -> None:
    """Compare a model's versions with the installed ones, and check the names it references.

    :param packaged: the versions of the packages that wrote it.
    :param lib: the framework of a model in an ``.flm`` file.
    :raises VersionMismatch: if the versions differ and the options make that an error.
    :raises Untrusted: if building the model could run code that is not trusted.
    """
    if options.version_mismatch == "error":
        versions.check(packaged)
    for each in versions.compare(packaged):
        if each.drifted:
            logger.warning(
                "%s: packaged with %s %s, installed: %s",
                path.name,
                each.package,
                each.packaged,
                each.running or "none",
            )
    with explain_versions(packaged):
        contents.check(kind, content, options.granted_trust, lib=lib)


def _packaged_versions(meta: Meta) -> dict[str, str]:
    """Return the packaged versions; files written by Flama have only the framework's."""
    packaged = (meta.extra or {}).get(versions.KEY)
    if isinstance(packaged, dict) and all(isinstance(text, str) for text in packaged.values()):
        return packaged
    framework = frameworks.FRAMEWORKS.get(meta.framework.lib)
    distributions = framework.distributions[:1] if framework else ()
    return dict.fromkeys(distributions, meta.framework.version)


def _graph(meta: Meta, content: bytes, artifacts: Mapping[str, Path]) -> bytes | None:
    """Return the graph in a file; ``None`` if there is none or it belongs to another model."""
    stored = (meta.extra or {}).get(runtime.KEY)
    path = artifacts.get(runtime.ARTIFACT)
    if not isinstance(stored, Mapping) or path is None:
        return None
    graph = path.read_bytes()
    if runtime.get_digests(content, graph).items() <= stored.items():
        return graph
    logger.warning("ignoring %s: it was not converted from the model in the file", path.name)
    return None


def _framework(kind: Kind, lib: str, version: str) -> str:
    """Return the name and version of the library of a kind of file."""
    if kind in BOOSTED:
        # This imports scikit-learn, as late as its adapter would.
        from mlmodel.frameworks.sklearn import boosters  # noqa: PLC0415

        return str(boosters.version(kind))
    return f"{frameworks.title(lib)} {version}"
