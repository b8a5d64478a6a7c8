"""Inspect and load models in ``.flm`` files."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from mlmodel import frameworks
from mlmodel.bounded import compression, filetypes, safe_open, sizes
from mlmodel.bounded.metadata import Meta
from mlmodel.errors import (
    BadMetadata,
    BrokenModel,
    FlmError,
    InvalidInput,
    InvalidModel,
    Untrusted,
    WrongHash,
)
from mlmodel.files.flm import artifacts as files
from mlmodel.files.flm import container as flm
from mlmodel.frameworks import labels, versions
from mlmodel.frameworks.sklearn.onnx import runtime as compiling
from mlmodel.frameworks.sklearn.parallelism import limit_jobs
from mlmodel.model import MLModel, Row, checked_name
from mlmodel.schema.formats import with_local_times
from mlmodel.trust import Trust, pickles, pytorch
from mlmodel.trust.trial import bounded_fork, first_look

if TYPE_CHECKING:
    from mlmodel.frameworks.sklearn.onnx.choose import Compiled

logger = logging.getLogger(__name__)

#: How to handle versions that differ from the packaged ones.
VersionMismatches = Literal["warn", "error"]

#: Maximum rows of one call of a model. More would only take more memory.
SLICE_ROWS = 8192

#: Members of ``model.info`` that hold a network's weights in files written by Flama.
WEIGHTS = frozenset({"parameters", "state"})

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Inspection:
    """The result of :func:`inspect`.

    ``container`` is ``"zlib"``, ``"tar"``, ``"protocol 1"`` or ``"protocol 2"``. ``artifacts``
    has the compressed size of each artifact in bytes (in a tar: the original size).
    """

    container: str
    compression: str
    size_bytes: int
    sha256: str
    meta: Meta
    artifacts: dict[str, int]


def inspect(path: str | os.PathLike[str], *, limit_bytes: int | None = None) -> Inspection:
    """Return the metadata of a file. Safe on any file: it builds no model and writes no files.

    :param limit_bytes: as for :func:`load`.
    :raises InvalidFile: if it is not a readable ``.flm`` file.
    """
    content = safe_open.content(path)
    found = flm.read(content, compression.budget(len(content), limit_bytes))
    return Inspection(
        container=found.container,
        compression=found.compression,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        meta=found.meta,
        artifacts={name: len(section.packed) for name, section in found.artifacts.items()},
    )


def load(
    path: str | os.PathLike[str],
    *,
    trust: Trust = (),
    sha256: str | None = None,
    limit_bytes: int | None = None,
    input_schema: Mapping[str, Any] | None = None,
    qualified_name: str | None = None,
    version_mismatch: VersionMismatches = "warn",
    runtime: compiling.Choice | None = None,
    n_jobs: int = 1,
) -> PackagedModel:
    """Read and verify a file of any release of Flama, without building the model.

    A pickle may only reference names on the allow-list or in ``trust``.

    :param trust: names allowed beyond the allow-list: classes and functions, a whole package as
        ``"skrub.*"``, or ``"all"``.
    :param sha256: the file's expected SHA-256 in hexadecimal digits. It implies ``trust="all"``.
    :param limit_bytes: how far the whole file may expand; by default
        :data:`~mlmodel.bounded.compression.EXPANSION` times its size, but at least 64 MiB.
    :param input_schema: replaces the file's schema or the one inferred from the model.
    :param qualified_name: replaces the name in the file's metadata or the file's own name.
    :param version_mismatch: whether versions that differ from the packaged ones are logged or
        raise an error.
    :param runtime: what predicts, see :data:`mlmodel.frameworks.sklearn.onnx.runtime.Choice`; by
        default the runtime for which the file was packaged.
    :param n_jobs: threads or processes for one call of a scikit-learn model, overriding the value
        it was fitted with; -1 for all cores.
    :raises VersionMismatch: if versions differ and ``version_mismatch`` is ``"error"``.
    :raises InvalidFile: if it is not a readable ``.flm`` file or has another SHA-256.
    :raises Untrusted: if building the model could run code that is not trusted.
    :raises InvalidModel: if ``qualified_name`` is invalid.
    """
    return PackagedModel(
        path,
        trust=trust,
        sha256=sha256,
        limit_bytes=limit_bytes,
        input_schema=input_schema,
        qualified_name=qualified_name,
        version_mismatch=version_mismatch,
        runtime=runtime,
        n_jobs=n_jobs,
    )


class PackagedModel(MLModel):
    """A model in a file. :func:`load` creates it.

    ``meta`` is the file's metadata. ``artifacts`` has the paths of the files packaged with the
    model: they are removed with this object, by :meth:`unload`, and when the process ends.
    """

    answers_json = True
    predicts_at_load = True
    replaces_missing = True

    meta: Meta
    artifacts: dict[str, Path]

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        trust: Trust,
        sha256: str | None,
        limit_bytes: int | None,
        input_schema: Mapping[str, Any] | None,
        qualified_name: str | None,
        version_mismatch: VersionMismatches = "warn",
        runtime: compiling.Choice | None = None,
        n_jobs: int = 1,
    ) -> None:
        self._path = Path(path)
        self._asked_trust = trust
        # A caller that pins the file by its hash has already reviewed it.
        self._trust: Trust = trust if sha256 is None else "all"
        self._graph: bytes | None = None
        self._sha256 = sha256
        self._limit_bytes = limit_bytes
        self._asked_schema = input_schema
        self._asked_name = qualified_name
        self._version_mismatch = version_mismatch
        self._asked_runtime = runtime
        self._n_jobs = n_jobs
        self._runtime: compiling.Runtime | None = None
        self._compiled: Compiled | None = None
        self._lock = threading.RLock()
        self._model: Any = None
        self._found: frameworks.Schemas | None = None
        self._predict: frameworks.Predict | None = None
        self._is_row_wise = False
        self._content: bytes | None = None
        self._open()

    @property
    def model(self) -> Any:
        """The framework's own model, built on first access.

        :raises UnsupportedFramework: if no adapter builds such a model.
        :raises MissingFramework: if its framework is not installed.
        :raises BrokenModel: if the framework cannot build it.
        """
        with self._lock:
            if self._model is None:
                if self._content is None:
                    self._open()
                content = self._content or b""
                with self._naming_versions():
                    model = self._build(content)
                if self.meta.framework.lib == "sklearn":
                    limit_jobs(model, self._n_jobs)
                    self._found = self._found or self._found_before(model, content)
                self._model, self._content = model, None
            return self._model

    @property
    def metadata(self) -> dict[str, Any]:
        """The file's metadata, the compared versions, and its artifacts' names and sizes."""
        framework, model = self.meta.framework, self.meta.model
        return {
            "id": self.meta.id,
            "timestamp": self.meta.timestamp,
            "framework": f"{frameworks.title(framework.lib)} {framework.version}",
            "class": model.obj,
            "info": _without_weights(model.info),
            "versions": self._compared_versions(),
            "params": model.params,
            "metrics": model.metrics,
            "extra": self.meta.extra,
            "artifacts": [
                {"name": name, "size_bytes": path.stat().st_size}
                for name, path in self.artifacts.items()
            ],
            **self._runtime_told(),
        }

    @property
    def survives_fork(self) -> bool:  # type: ignore[override]
        """Whether models of its framework do. Importing ONNX Runtime starts a thread."""
        framework = frameworks.FRAMEWORKS.get(self.meta.framework.lib)
        if self._n_jobs != 1:
            return False  # a pool of processes or threads does not survive a fork
        return framework is None or (framework.survives_fork and self._wanted_runtime == "native")

    @property
    def input_schema(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        """The caller's schema, the file's, or one inferred from the model, which builds it."""
        return self._schema if self._schema is not None else self._inferred().input

    @property
    def output_schema(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        """The file's schema, or one inferred from the model, which builds it."""
        if self._answer_schema is not None:
            return self._answer_schema
        own = self._inferred().output
        return own if self._labels is None or own is None else labels.with_words(own, self._labels)

    @property
    def notes(self) -> Sequence[str]:  # type: ignore[override]
        """Doubts about the schemas: the file's notes, or those on the inferred schemas."""
        if self._notes is not None:
            return self._notes
        return () if self._schema is not None else self._inferred().notes

    @property
    def ends_soon(self) -> bool:  # type: ignore[override]
        """Whether every call is short: with a compiled graph, or a simple native model."""
        return bool(getattr(self._predict, "ends_soon", False))

    @property
    def is_row_wise(self) -> bool:  # type: ignore[override]
        """Whether a row's prediction is the same, to the last digit, in every batch."""
        return self._is_row_wise

    def predict(self, row: Row) -> Any:
        """Return the prediction for one row, see :meth:`predict_rows`."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Row]) -> list[Any]:
        """Return predictions for rows, calling the model once for each :data:`SLICE_ROWS` rows.

        Each has a ``prediction`` and, if the classifier provides them, ``probabilities``.
        """
        if self._predict is None:
            self.load()
        predict = cast(frameworks.Predict, self._predict)
        return predict(rows) if len(rows) <= SLICE_ROWS else _in_slices(predict, rows)

    def before_fork(self) -> None:
        """Try to build a pickle in another process, as :meth:`load` would.

        Raises the errors of :attr:`model`.
        """
        with self._lock:
            if self._trust != "all" and self._content is not None:
                self._try_first(self._content)

    def build(self) -> None:
        """Build the model, and infer its schemas in another process.

        Raises the errors of :attr:`model`.
        """
        _ = self.model

    def _try_first(self, content: bytes) -> None:
        if self._is_pickle:
            pickles.try_first(content, self._trust)

    def load(self) -> None:
        """Build the model and prepare it to predict, once.

        After :meth:`unload`, read and verify the file again. Raises the errors of :func:`load` and
        :attr:`model`.

        :raises InvalidModel: if the input schema does not match the data the model was fitted on.
        """
        with self._lock:
            if self._predict is None:
                sizes.check_schema("input_schema", self.input_schema)
                model = self.model
                with self._naming_versions():
                    native = self._adapter.predictor(
                        model, members(self.input_schema), self._outputs
                    )
                    self._is_row_wise = bool(getattr(native, "is_row_wise", False))
                    self._predict = self._chosen(
                        _predicting(native, self.examples, is_guess=self._schema is None)
                    )
                if self._labels is not None:
                    self._predict = labels.Labelled(self._predict, self._labels)

    def unload(self) -> None:
        """Drop the model and its artifacts."""
        with self._lock:
            self._model = self._content = self._found = self._predict = None
            self._runtime = self._compiled = None
            self.artifacts = {}
            self._remove_artifacts()

    @property
    def _wanted_runtime(self) -> compiling.Choice:
        return self._asked_runtime or ("native" if self._graph is None else "onnx")

    def _chosen(self, native: frameworks.Predict) -> frameworks.Predict:
        """Return what predicts: the native model or its graph. Keep the facts on the runtime."""
        asked = self._wanted_runtime
        if asked == "native":
            return native
        if self.meta.framework.lib != "sklearn":
            self._runtime = self._uncompiled(asked)
            return native
        from mlmodel.frameworks.sklearn import adapter  # noqa: PLC0415  already imported

        chosen = adapter.chosen(self.model, native, asked, self.examples, self._graph)
        self._runtime, self._compiled = chosen.runtime, chosen.compiled
        if chosen.runtime.reason:
            logger.warning("%s is not compiled: %s", self._path.name, chosen.runtime.reason)
        return chosen.predict

    def _uncompiled(self, asked: compiling.Choice) -> compiling.Runtime:
        title = frameworks.title(self.meta.framework.lib)
        reason = f"only models of scikit-learn are compiled, this one is of {title}"
        return compiling.Runtime(asked, f"{title} {self._adapter.version()}", reason=reason)

    def _compared_versions(self) -> list[dict[str, Any]]:
        return [
            {**asdict(each), "drifted": each.drifted} for each in versions.compare(self._versions)
        ]

    def _runtime_told(self) -> dict[str, Any]:
        return {} if self._runtime is None else {"runtime": self._runtime.document()}

    @property
    def _adapter(self) -> frameworks.Adapter:
        return frameworks.adapter(self.meta.framework.lib)

    def _found_before(self, model: Any, content: bytes) -> frameworks.Schemas | None:
        """Return schemas inferred in another process, so that this one need not call the model."""
        if None not in (self._schema, self._answer_schema, self._notes):
            return None
        found = None
        if self._is_pickle and not self._outputs:
            found = pickles.schemas(content, self._trust)
        if found is None:
            infer = partial(self._adapter.schemas, model, outputs=self._outputs)
            found = first_look.inferred(lambda: bounded_fork.as_json(infer()), len(content))
        if found is None:
            return None
        input_schema, output_schema, examples, notes = found
        return frameworks.Schemas(input_schema, output_schema, tuple(examples), tuple(notes))

    def _inferred(self) -> frameworks.Schemas:
        with self._lock:
            model = self.model  # building it may set _found
            if self._found is None:
                with self._naming_versions():
                    self._found = self._adapter.schemas(model, outputs=self._outputs)
            return self._found

    @contextmanager
    def _naming_versions(self) -> Iterator[None]:
        """Add the packaged and the running versions to an error that they may explain.

        Such errors come from building a model, or from a trial prediction.
        """
        try:
            yield
        except (BrokenModel, InvalidModel, Untrusted) as error:
            advice = versions.advice(self._versions) if _may_be_of_versions(error) else ""
            if not advice:
                raise
            if isinstance(error, Untrusted) and not error.types:
                raise Untrusted(f"{error}; {advice}") from error
            summary = error.summary if isinstance(error, BrokenModel) else str(error)
            words = str(error).removeprefix(summary).removeprefix(": ")
            raise BrokenModel(f"{summary}; {advice}", words) from error

    def _open(self) -> None:
        """Read and verify the file. Artifacts are unpacked last, so a rejected file leaves none."""
        content = self._read()
        budget = compression.budget(len(content), self._limit_bytes)
        found = flm.read(content, budget)
        self._content = flm.unpack_model(found, budget)
        self.meta = found.meta
        self._check_versions(_packaged_with(found.meta))
        with self._naming_versions():
            self._check_trust(self._content)
        self._describe(found.meta.extra or {})
        folder, self.artifacts = files.unpack(found.artifacts, budget)
        self._graph = _graph(self.meta, self._content, self.artifacts)
        # A bound method would keep this object, and so the folder, alive until the process ends.
        self._remove_artifacts: Callable[[], Any] = weakref.finalize(
            self, files.remove, folder, os.getpid()
        )

    @property
    def _is_pickle(self) -> bool:
        return self.meta.framework.lib == "sklearn"

    def _check_trust(self, content: bytes) -> None:
        if self._is_pickle:
            pickles.check(content, self._trust)
        elif self.meta.framework.lib == "torch":
            pytorch.check(self._trust)

    def _check_versions(self, packaged: Mapping[str, str]) -> None:
        self._versions = packaged
        if self._version_mismatch == "error":
            versions.check(self._versions)
        for each in versions.compare(self._versions):
            if each.drifted:
                then, now = each.packaged, each.running or "not installed"
                logger.warning("%s: %s was %s, is %s", self._path.name, each.package, then, now)

    def _read(self) -> bytes:
        """Return the file's bytes after checking their hash."""
        content = safe_open.content(self._path)
        _check_hash(content, self._sha256)
        return content

    def _build(self, content: bytes) -> Any:
        model = self._adapter.loads(content, self._trust)
        frameworks.detect(model)
        return model

    def _describe(self, extra: dict[str, Any]) -> None:
        """Set the names, schemas and examples from ``extra``, unless the caller overrides them."""
        self.qualified_name = checked_name(self._asked_name or _name(extra, self._path))
        self.display_name = _text(extra, "display_name")
        self.description = _text(extra, "description", "model_description")
        self.version = _text(extra, "version", "model_version")
        self.examples = _member(extra, "examples", list, "a list") or ()
        schema: Mapping[str, Any] | None = _member(extra, "input_schema", dict, "an object")
        own = schema and with_local_times(schema)
        self._schema = own if self._asked_schema is None else self._asked_schema
        self._answer_schema: Mapping[str, Any] | None = _member(
            extra, "output_schema", dict, "an object"
        )
        self._notes: Sequence[str] | None = _member(extra, "schema_notes", list, "a list")
        self._outputs: Sequence[str] = _member(extra, "outputs", list, "a list") or ()
        self._labels: Sequence[Any] | None = _member(extra, labels.KEY, list, "a list")


def _predicting(
    native: frameworks.Predict, examples: Sequence[Row], *, is_guess: bool
) -> frameworks.Predict:
    """Return the predictor, prepared with the first example that works.

    :raises InvalidModel: if the model does not predict for any example.
    """
    with_example = getattr(native, "with_example", None)
    if with_example is None:
        return native
    return cast(frameworks.Predict, with_example(examples, is_guess=is_guess))


def _may_be_of_versions(error: FlmError) -> bool:
    """Return whether a difference of versions may have caused an error."""
    if isinstance(error, Untrusted):
        # The author's own classes need trust under any version.
        names = {name.partition(".")[0] for name in error.types}
        return not names or not names.isdisjoint(("_loss", "sklearn"))
    cause = error.__cause__
    return isinstance(error, BrokenModel) or not isinstance(cause, FlmError | None)


def _in_slices(predict: frameworks.Predict, rows: Sequence[Row]) -> list[Any]:
    answers: list[Any] = []
    for start in range(0, len(rows), SLICE_ROWS):
        try:
            answers += predict(rows[start : start + SLICE_ROWS])
        except InvalidInput as error:
            raise error.moved(start) from error
    return answers


def members(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the schemas of a row's members, as far as its schema names them."""
    properties = (schema or {}).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _graph(meta: Meta, model: bytes, artifacts: Mapping[str, Path]) -> bytes | None:
    """Return the graph in a file; ``None`` if there is none or it belongs to another model."""
    told = (meta.extra or {}).get(compiling.KEY)
    path = artifacts.get(compiling.ARTIFACT)
    if not isinstance(told, Mapping) or path is None:
        return None
    graph = path.read_bytes()
    if compiling.origin(model, graph).items() <= told.items():
        return graph
    logger.warning("%s in the file was not made of its model, and is not used", path.name)
    return None


def _packaged_with(meta: Meta) -> dict[str, str]:
    """Return the packaged versions; files written by Flama have only the framework's."""
    named = (meta.extra or {}).get(versions.KEY)
    if isinstance(named, dict) and all(isinstance(text, str) for text in named.values()):
        return named
    framework = frameworks.FRAMEWORKS.get(meta.framework.lib)
    known = framework.distributions[:1] if framework else ()
    return dict.fromkeys(known, meta.framework.version)


def _without_weights(info: Any) -> Any:
    """Return a framework's ``info`` on a model, without the weights that Flama stores there."""
    if not isinstance(info, Mapping):
        return info
    return {key: value for key, value in info.items() if key not in WEIGHTS}


def _check_hash(content: bytes, expected: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    if expected is not None and expected.lower() != found:
        raise WrongHash(expected, found)


def _name(extra: dict[str, Any], path: Path) -> str:
    """Return the name in the file's metadata, or one derived from the file's name."""
    given = extra.get("qualified_name")
    if given is None:
        return _UNSAFE.sub("-", filetypes.stem(path))[:100].strip("_.-") or "model"
    try:
        return checked_name(given)
    except InvalidModel as error:
        raise BadMetadata(f"extra.{error}") from error


def _text(extra: dict[str, Any], *keys: str) -> str:
    """Return the first member that is present, as text: a version may be a number."""
    return next((str(extra[key]) for key in keys if extra.get(key) is not None), "")


def _member(extra: dict[str, Any], key: str, kind: type, title: str) -> Any:
    value = extra.get(key)
    if value is None or isinstance(value, kind):
        return value
    raise BadMetadata(f"extra.{key} must be {title}, got {value!r:.60}")
