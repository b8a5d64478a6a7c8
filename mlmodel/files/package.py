"""A model file that was read and verified, before its model is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlmodel.bounded.filetypes import Kind
from mlmodel.bounded.metadata import Meta
from mlmodel.errors import (
    BrokenModel,
    FlmError,
    InvalidModel,
    Untrusted,
)
from mlmodel.files.description import FileDescription
from mlmodel.files.flm.artifacts import ArtifactFolder
from mlmodel.files.mlflow.signature import Signature
from mlmodel.frameworks import versions

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


def _without_weights(info: Any) -> Any:
    """Return a framework's ``info`` on a model, without the weights that Flama stores there."""
    if not isinstance(info, Mapping):
        return info
    return {key: value for key, value in info.items() if key not in WEIGHTS}
