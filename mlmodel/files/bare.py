"""Load models from files of their own libraries, without a package around them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlmodel import frameworks
from mlmodel.bounded import compression, filetypes, safe_open
from mlmodel.bounded.filetypes import Kind
from mlmodel.bounded.metadata import Described, Framework, Meta
from mlmodel.errors import InvalidFile, InvalidModel
from mlmodel.files.packaged import PackagedModel, VersionMismatches
from mlmodel.frameworks.sklearn.onnx import runtime as compiling
from mlmodel.trust import Trust, pickles, skops
from mlmodel.trust.release import sklearn_release
from mlmodel.trust.trial import first_look

#: The framework whose adapter serves a kind of file.
LIBS: Mapping[Kind, str] = {
    Kind.CATBOOST: "sklearn",
    Kind.KERAS: "tensorflow",
    Kind.LIGHTGBM: "sklearn",
    Kind.ONNX: "onnx",
    Kind.PICKLE: "sklearn",
    Kind.SKOPS: "sklearn",
    Kind.XGBOOST: "sklearn",
}
#: Files written by ``save_model`` of the boosted-tree libraries.
BOOSTED = frozenset({Kind.CATBOOST, Kind.LIGHTGBM, Kind.XGBOOST})


def is_bare(path: str | os.PathLike[str]) -> bool:
    """Return whether :func:`load` reads a file, that is, whether it is not a package.

    The first bytes decide; for a file that cannot be read, a suffix other than ``.flm``.
    """
    try:
        with safe_open.opened(path) as stream:
            return not filetypes.is_package(stream.read(filetypes.PEEK_BYTES))
    except (OSError, InvalidFile):
        return Path(path).suffix.lower() != ".flm"


def load(
    path: str | os.PathLike[str],
    *,
    trust: Trust = (),
    sha256: str | None = None,
    input_schema: Mapping[str, Any] | None = None,
    qualified_name: str | None = None,
    version_mismatch: VersionMismatches = "warn",
    runtime: compiling.Choice | None = None,
    n_jobs: int = 1,
) -> BareModel:
    """Read a model file of any name, without building the model.

    :param trust: names allowed beyond the allow-list: classes and functions, a whole package as
        ``"skrub.*"``, or ``"all"``.
    :param sha256: the file's expected SHA-256 in hexadecimal digits. It implies ``trust="all"``.
    :param input_schema: replaces the schema inferred from the model.
    :param qualified_name: replaces the file's name.
    :param version_mismatch: how to handle a file written by another scikit-learn, see
        :func:`mlmodel.load`.
    :param runtime: what predicts, see :data:`mlmodel.frameworks.sklearn.onnx.runtime.Choice`.
    :param n_jobs: see :func:`mlmodel.load`.
    :raises VersionMismatch: if the versions differ and ``version_mismatch`` is ``"error"``.
    :raises InvalidFile: if it is a package or not a model file; the message advises what to do.
    :raises InvalidModel: if ``qualified_name`` is invalid.
    :raises Untrusted: if building the model could run code that is not trusted.
    :raises WrongHash: if the file does not have the expected SHA-256.
    :raises MissingFramework: if the framework is not installed.
    """
    filetypes.check_folder(path)
    return BareModel(
        path,
        trust=trust,
        sha256=sha256,
        input_schema=input_schema,
        qualified_name=qualified_name,
        version_mismatch=version_mismatch,
        runtime=runtime,
        n_jobs=n_jobs,
    )


class BareModel(PackagedModel):
    """A model in a file without metadata. :func:`load` creates it."""

    def __init__(self, path: str | os.PathLike[str], **asked: Any) -> None:
        super().__init__(path, limit_bytes=None, **asked)

    @property
    def metadata(self) -> dict[str, Any]:
        """The installed framework, the versions, and the file's SHA-256 and size."""
        return {
            "framework": self._title,
            "versions": self._compared_versions(),
            "sha256": self._found_sha256,
            "size_bytes": self._size_bytes,
            **self._runtime_told(),
        }

    def _open(self) -> None:
        """Read the file, and reject it if it references names that are not trusted."""
        content = self._read()
        self._kind = filetypes.recognize(content, self._path.name)
        if self._kind is Kind.PACKAGE:
            raise InvalidFile("it is a package: load it with mlmodel.load")
        release = _release(self._kind, content)
        self._check_versions({} if release is None else {"scikit-learn": release})
        with self._naming_versions():
            self._check_names(content)
        lib = LIBS[self._kind]
        version = frameworks.adapter(lib).version()
        self._title = _title(self._kind, lib, version)
        self.meta = Meta("", "", Framework("ml", lib, version), Described(""), capabilities=None)
        self._describe({})
        self._content, self._size_bytes = content, len(content)
        self._found_sha256 = hashlib.sha256(content).hexdigest()
        self.artifacts = {}
        self._remove_artifacts = lambda: None

    @property
    def _is_pickle(self) -> bool:
        return self._kind is Kind.PICKLE

    def _check_names(self, content: bytes) -> None:
        if self._is_pickle:
            pickles.check(content, self._trust)
        elif self._kind is Kind.SKOPS:
            skops.check(compression.expanded(content), self._trust)

    def _try_first(self, content: bytes) -> None:
        super()._try_first(content)
        if self._kind is Kind.SKOPS:
            first_look.look(compression.expanded(content), self._trust)

    def _build(self, content: bytes) -> Any:
        model = self._read_model(content)
        lib = frameworks.detect(model)
        if lib == self.meta.framework.lib:
            return model
        title = frameworks.title(lib)
        raise InvalidModel(f"{self._path.name} has a model of {title}; package it with `dump`")

    def _read_model(self, content: bytes) -> Any:
        if self._is_pickle:
            return self._adapter.loads(content, self._trust)
        content = compression.expanded(content)
        if self._kind is Kind.SKOPS:
            release = self._versions.get("scikit-learn")
            return _built_by_skops(content, self._trust, release)
        if self._kind in BOOSTED:
            return _boosters().load(self._kind, content)
        return self._adapter.loads(content, self._trust)


def _release(kind: Kind, content: bytes) -> str | None:
    """Return the version of scikit-learn that wrote a file, if one did."""
    if kind is Kind.PICKLE:
        return sklearn_release(compression.expanded(content))
    return skops.release(compression.expanded(content)) if kind is Kind.SKOPS else None


def _title(kind: Kind, lib: str, version: str) -> str:
    """Return the name and version of the library of a kind of file."""
    if kind in BOOSTED:
        return str(_boosters().version(kind))
    return f"{frameworks.title(lib)} {version}"


def _boosters() -> Any:
    # This imports scikit-learn, as late as its adapter would.
    from mlmodel.frameworks.sklearn import boosters  # noqa: PLC0415

    return boosters


def _built_by_skops(content: bytes, trust: Trust, release: str | None) -> Any:
    # This imports scikit-learn as late as its adapter would.
    from mlmodel.frameworks.sklearn.adapter import built  # noqa: PLC0415

    if trust != "all":
        first_look.look(content, trust)
    return built(lambda: skops.build(content, trust), release)
