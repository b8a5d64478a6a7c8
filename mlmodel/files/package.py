"""Read and verify a model file, without building its model."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlmodel import frameworks
from mlmodel.bounded import compression
from mlmodel.bounded.filetypes import Kind
from mlmodel.bounded.metadata import Meta
from mlmodel.errors import (
    BrokenModel,
    FlmError,
    InvalidModel,
    Untrusted,
)
from mlmodel.files import source
from mlmodel.files.description import FileDescription, LoadOptions
from mlmodel.files.flm import container
from mlmodel.files.flm.artifacts import ArtifactFolder
from mlmodel.files.mlflow.signature import Signature
from mlmodel.frameworks import versions
from mlmodel.frameworks.sklearn.onnx import runtime
from mlmodel.trust import contents

logger = logging.getLogger(__name__)

#: Members of ``model.info`` that hold a network's weights in files written by Flama.
WEIGHTS = frozenset({"parameters", "state"})


@dataclass(frozen=True)
class Package:
    """A model file that was read and verified.

    ``content`` are the bytes of the model, in the format ``kind``; with :attr:`Kind.PACKAGE`, in
    that of the framework's adapter. It is empty once the model is built. ``versions`` are those of
    the packages that wrote the file, as far as it names them. ``graph`` is the ONNX graph of the
    model, if the file has one. A bare file has no metadata of its own, except in a folder that
    MLflow wrote, whose ``signature`` completes the inferred schemas.
    """

    path: Path
    sha256: str
    size_bytes: int
    kind: Kind
    content: bytes
    meta: Meta
    framework: str
    versions: Mapping[str, str]
    description: FileDescription
    artifacts: ArtifactFolder
    graph: bytes | None = None
    is_bare: bool = False
    signature: Signature | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The facts in the file, as JSON, with the versions compared and the artifacts' sizes."""
        compared = [
            {**asdict(each), "drifted": each.drifted} for each in versions.compare(self.versions)
        ]
        if self.is_bare:
            return {
                "framework": self.framework,
                "versions": compared,
                "sha256": self.sha256,
                "size_bytes": self.size_bytes,
                **({"extra": self.meta.extra} if self.meta.extra else {}),
            }
        model = self.meta.model
        return {
            "id": self.meta.id,
            "timestamp": self.meta.timestamp,
            "framework": self.framework,
            "class": model.obj,
            "info": _without_weights(model.info),
            "versions": compared,
            "params": model.params,
            "metrics": model.metrics,
            "extra": self.meta.extra,
            "artifacts": [
                {"name": name, "size_bytes": path.stat().st_size}
                for name, path in self.artifacts.paths.items()
            ],
        }


def read(path: str | os.PathLike[str], options: LoadOptions) -> Package:
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
    verify(file, kind, content, packaged, options, lib=lib)
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


def content_kind(lib: str) -> Kind:
    """Return the format of the model in an ``.flm`` file of a framework."""
    return Kind.PICKLE if lib == "sklearn" else Kind.PACKAGE


def verify(
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


@contextmanager
def explain_versions(packaged: Mapping[str, str]) -> Iterator[None]:
    """Add the packaged and the running versions to an error that they may explain.

    Such errors come from building a model, or from a trial prediction.
    """
    try:
        yield
    except (BrokenModel, InvalidModel, Untrusted) as error:
        advice = versions.advice(packaged) if _may_stem_from_versions(error) else ""
        if not advice:
            raise
        if isinstance(error, Untrusted) and not error.types:
            raise Untrusted(f"{error}; {advice}") from error
        summary = error.summary if isinstance(error, BrokenModel) else str(error)
        detail = str(error).removeprefix(summary).removeprefix(": ")
        raise BrokenModel(f"{summary}; {advice}", detail) from error


def _may_stem_from_versions(error: FlmError) -> bool:
    if isinstance(error, Untrusted):
        # The author's own classes need trust under any version.
        packages = {name.partition(".")[0] for name in error.types}
        return not packages or not packages.isdisjoint(("_loss", "sklearn"))
    cause = error.__cause__
    return isinstance(error, BrokenModel) or not isinstance(cause, FlmError | None)


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


def _without_weights(info: Any) -> Any:
    """Return a framework's ``info`` on a model, without the weights that Flama stores there."""
    if not isinstance(info, Mapping):
        return info
    return {key: value for key, value in info.items() if key not in WEIGHTS}
