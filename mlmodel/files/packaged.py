"""Load models from files, and predict with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlmodel import frameworks
from mlmodel.bounded.metadata import Meta
from mlmodel.errors import InvalidInput
from mlmodel.files import reading
from mlmodel.files.description import FileDescription, LoadOptions, VersionMismatches
from mlmodel.files.state import PackageState
from mlmodel.frameworks.sklearn.onnx.runtime import RuntimeName
from mlmodel.model import MLModel, Row
from mlmodel.reference.profile import Profile
from mlmodel.trust import Trust

#: Maximum rows of one call of a model. More would only take more memory.
SLICE_ROWS = 8192


def load(
    path: str | os.PathLike[str],
    *,
    trust: Trust = (),
    sha256: str | None = None,
    limit_bytes: int | None = None,
    input_schema: Mapping[str, Any] | None = None,
    qualified_name: str | None = None,
    version_mismatch: VersionMismatches = "warn",
    runtime: RuntimeName | None = None,
    n_jobs: int = 1,
) -> PackagedModel:
    """Read and verify a model file of any kind, without building the model.

    It may be a package of any release of Flama, a file of a framework, or a folder that MLflow
    wrote. A pickle may only reference names on the allow-list or in ``trust``.

    :param trust: names allowed beyond the allow-list: classes and functions, a whole package as
        ``"skrub.*"``, or ``"all"``.
    :param sha256: the file's expected SHA-256 in hexadecimal digits. It implies ``trust="all"``.
    :param limit_bytes: how far a whole package may expand; by default
        :data:`~mlmodel.bounded.compression.EXPANSION` times its size, but at least 64 MiB.
    :param input_schema: replaces the file's schema or the one inferred from the model.
    :param qualified_name: replaces the name in the file's metadata or the file's own name.
    :param version_mismatch: whether versions that differ from the packaged ones are logged or
        raise an error.
    :param runtime: what predicts, see
        :data:`mlmodel.frameworks.sklearn.onnx.runtime.RuntimeName`; by default the
        runtime for which the file was packaged.
    :param n_jobs: threads or processes for one call of a scikit-learn model, overriding the value
        it was fitted with; -1 for all cores.
    :raises VersionMismatch: if versions differ and ``version_mismatch`` is ``"error"``.
    :raises InvalidFile: if it is not a model file, or cannot be read.
    :raises WrongHash: if the file does not have the expected SHA-256.
    :raises Untrusted: if building the model could run code that is not trusted.
    :raises InvalidModel: if ``qualified_name`` is invalid.
    :raises MissingFramework: if the framework of a file without metadata is not installed.
    """
    options = LoadOptions(
        trust=trust,
        sha256=sha256,
        limit_bytes=limit_bytes,
        input_schema=input_schema,
        qualified_name=qualified_name,
        version_mismatch=version_mismatch,
        runtime=runtime,
        n_jobs=n_jobs,
    )
    read = reading.read_bare if reading.is_bare(path) else reading.read_package
    return PackagedModel(PackageState(partial(read, path, options), options))


class _Described:
    """An attribute with the value in the description of the file, as it was last read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: PackagedModel | None, owner: type) -> Any:
        return self if model is None else getattr(model.state.package.description, self._name)


def _described() -> Any:
    return _Described()


class PackagedModel(MLModel):
    """A model in a file. :func:`load` creates it. Thread safe."""

    returns_json = True
    predicts_at_load = True
    replaces_missing = True

    qualified_name: str = _described()
    display_name: str = _described()
    description: str = _described()
    version: str = _described()
    examples: Sequence[Any] = _described()
    example_names: Sequence[str] = _described()
    #: The reference profile in the file; ``None`` if it has none.
    profile: Profile | None = _described()

    def __init__(self, state: PackageState) -> None:
        #: The file, and what was built from it so far.
        self.state = state

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, or of all files of a folder, in hexadecimal digits."""
        return self.state.package.sha256

    @property
    def meta(self) -> Meta:
        """The file's metadata."""
        return self.state.package.meta

    @property
    def artifacts(self) -> dict[str, Path]:  # type: ignore[override]
        """The paths of the files packaged with the model, by name.

        They are removed with this object, by :meth:`unload`, and when the process ends.
        """
        return self.state.package.artifacts.paths

    @property
    def model(self) -> Any:
        """The framework's own model, built on first access.

        :raises UnsupportedFramework: if no adapter builds such a model.
        :raises MissingFramework: if its framework is not installed.
        :raises BrokenModel: if the framework cannot build it.
        """
        return self.state.get_model()

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The caller's schema, the file's, or one inferred from the model, which builds it."""
        return self.state.get_input_schema()

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The file's schema, or one inferred from the model, which builds it."""
        declared = self._description.output_schema
        return self.state.get_inferred().output if declared is None else declared

    @property
    def schemas_need_load(self) -> bool:
        """Whether the file lacks a schema, which is then inferred from the model."""
        declared = self._description
        return declared.input_schema is None or declared.output_schema is None

    @property
    def notes(self) -> Sequence[str]:  # type: ignore[override]
        """Doubts about the schemas: the file's notes, or those on the inferred schemas."""
        declared = self._description
        if declared.notes is not None:
            return declared.notes
        return () if declared.input_schema is not None else self.state.get_inferred().notes

    @property
    def metadata(self) -> dict[str, Any]:  # type: ignore[override]
        """The facts in the file, the compared versions, and the runtime once it is chosen."""
        predictor = self.state.predictor
        facts = self.state.package.metadata
        if predictor is None or predictor.runtime is None:
            return facts
        return {**facts, "runtime": predictor.runtime.document()}

    @property
    def survives_fork(self) -> bool:  # type: ignore[override]
        """Whether it predicts in forked processes; see :attr:`PackageState.survives_fork`."""
        return self.state.survives_fork

    @property
    def ends_soon(self) -> bool:  # type: ignore[override]
        """Whether every call is short: with a compiled graph, or a simple native model."""
        predictor = self.state.predictor
        return predictor is not None and bool(getattr(predictor.predict, "ends_soon", False))

    @property
    def is_row_wise(self) -> bool:  # type: ignore[override]
        """Whether a row's prediction is the same, to the last digit, in every batch."""
        predictor = self.state.predictor
        return predictor is not None and predictor.is_row_wise

    def predict(self, row: Row) -> Any:
        """Return the prediction for one row, see :meth:`predict_rows`."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Row]) -> list[Any]:
        """Return predictions for rows, calling the model once for each :data:`SLICE_ROWS` rows.

        Each has a ``prediction`` and, if the classifier provides them, ``probabilities``.
        """
        predict = (self.state.predictor or self.state.get_predictor()).predict
        return predict(rows) if len(rows) <= SLICE_ROWS else _predict_slices(predict, rows)

    def before_fork(self) -> None:
        """Try to build a pickle in another process, as :meth:`load` would.

        Raises the errors of :attr:`model`.
        """
        self.state.try_build()

    def build(self) -> None:
        """Build the model, and infer its schemas in another process.

        Raises the errors of :attr:`model`.
        """
        self.state.get_model()

    def load(self) -> None:
        """Build the model and prepare it to predict, once.

        After :meth:`unload`, read and verify the file again. Raises the errors of :func:`load` and
        :attr:`model`.

        :raises InvalidModel: if the input schema does not match the data the model was fitted on.
        """
        self.state.get_predictor()

    def unload(self) -> None:
        """Drop the model and its artifacts."""
        self.state.drop()

    @property
    def _description(self) -> FileDescription:
        return self.state.package.description


def _predict_slices(predict: frameworks.Predict, rows: Sequence[Row]) -> list[Any]:
    predictions: list[Any] = []
    for start in range(0, len(rows), SLICE_ROWS):
        try:
            predictions += predict(rows[start : start + SLICE_ROWS])
        except InvalidInput as error:
            raise error.shift_rows(start) from error
    return predictions
