"""Models in the files of their own frameworks, without a package around them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlmodel import compiling, frameworks
from mlmodel.errors import InvalidModel
from mlmodel.metadata import Described, Framework, Meta
from mlmodel.packaged import PackagedModel
from mlmodel.trust import Trust, parts, pickles, skops

#: The framework of a file, by its ending.
LIBS: Mapping[str, str] = {
    ".joblib": "sklearn",
    ".keras": "tensorflow",
    ".onnx": "onnx",
    ".pkl": "sklearn",
    ".skops": "sklearn",
}
#: Files that joblib or pickle has written.
PICKLES = (".joblib", ".pkl")


def is_bare(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is one of those that :func:`load` reads, by its ending."""
    return _ending(path) in LIBS


def load(
    path: str | os.PathLike[str],
    *,
    trust: Trust = (),
    sha256: str | None = None,
    input_schema: Mapping[str, Any] | None = None,
    qualified_name: str | None = None,
    runtime: compiling.Choice | None = None,
) -> BareModel:
    """Read a file of a framework, and build nothing yet.

    :param trust: what the file may contain beside what is known to do no harm: names of classes
        and functions, or ``"all"``.
    :param sha256: what the file must have, in hexadecimal digits. A pickle is then trusted.
    :param input_schema: instead of what the model tells.
    :param qualified_name: instead of the file's name.
    :param runtime: what answers, see :data:`mlmodel.compiling.Choice`.
    :raises InvalidModel: if the ending is of no such file, or there is no valid name to be had.
    :raises Untrusted: if building the model could run code that is not trusted.
    :raises WrongHash: if the file is not the one asked for.
    :raises MissingFramework: if the framework is not installed.
    """
    if not is_bare(path):
        raise InvalidModel(f"a bare model's file must end in {', '.join(LIBS)}, got {path!r}")
    return BareModel(
        path,
        trust=trust,
        sha256=sha256,
        input_schema=input_schema,
        qualified_name=qualified_name,
        runtime=runtime,
    )


class BareModel(PackagedModel):
    """A model in a file that says nothing of it. :func:`load` makes it."""

    def __init__(self, path: str | os.PathLike[str], **asked: Any) -> None:
        super().__init__(path, limit_bytes=None, **asked)

    @property
    def metadata(self) -> dict[str, Any]:
        """The framework, as it is installed, and which file this is."""
        framework = self.meta.framework
        return {
            "framework": f"{frameworks.title(framework.lib)} {framework.version}",
            "sha256": self._found_sha256,
            "size_bytes": self._size_bytes,
            **self._runtime_told(),
        }

    def _open(self) -> None:
        """Read the file, and refuse it if it may do what nobody allowed."""
        content = self._read()
        self._types = self._trusted_types(content)
        lib = LIBS[_ending(self._path)]
        version = frameworks.adapter(lib).version()
        self.meta = Meta("", "", Framework("ml", lib, version), Described(""), capabilities=None)
        self._describe({})
        self._content, self._size_bytes = content, len(content)
        self._found_sha256 = hashlib.sha256(content).hexdigest()
        self.artifacts = {}
        self._remove_artifacts = lambda: None

    @property
    def _is_pickle(self) -> bool:
        return _ending(self._path) in PICKLES

    def _trusted_types(self, content: bytes) -> tuple[str, ...]:
        if self._is_pickle:
            pickles.check(content, self._trust)
        elif _ending(self._path) == ".skops":
            return skops.check(self._path.name, content, self._asked_trust)
        return ()

    def _build(self, content: bytes) -> Any:
        model = self._read_model(content)
        lib = frameworks.detect(model)
        if lib == self.meta.framework.lib:
            return model
        title = frameworks.title(lib)
        raise InvalidModel(f"{self._path.name} has a model of {title}; package it with `dump`")

    def _read_model(self, content: bytes) -> Any:
        if _ending(self._path) == ".skops":
            return _built_by_skops(content, self._types, self._trust)
        return self._adapter.loads(content, self._trust)


def _built_by_skops(content: bytes, types: tuple[str, ...], trust: Trust) -> Any:
    # scikit-learn is imported here as late as its adapter would be.
    from skops import io  # noqa: PLC0415

    from mlmodel.frameworks.sklearn import built  # noqa: PLC0415

    model = built(lambda: io.loads(content, trusted=list(types)))
    # skops looks at the types of a file, and not at what their members make them do.
    parts.check(model, trust)
    return model


def _ending(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lower()
