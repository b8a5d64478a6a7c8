"""Write models to ``.flm`` files."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlmodel import frameworks
from mlmodel.bounded.compression import get_codec
from mlmodel.bounded.metadata import FrameworkMetadata, Meta, ModelMetadata, to_json
from mlmodel.errors import BadArtifact, BadMetadata, InvalidModel
from mlmodel.files import profiling
from mlmodel.files.flm import container
from mlmodel.frameworks import labels as label_words
from mlmodel.frameworks import versions
from mlmodel.frameworks.sklearn.onnx import runtime as compiling
from mlmodel.reference.caution import with_hints
from mlmodel.reference.profile import KEY as REFERENCE
from mlmodel.reference.profile import MIN_ROWS, Profile
from mlmodel.schema.shape import Shape
from mlmodel.schema.subschemas import members_of
from mlmodel.schema.validator import Schema
from mlmodel.trust import pickles

logger = logging.getLogger(__name__)


def dump(
    model: Any,
    path: str | os.PathLike[str],
    compression: str = "zstd",
    *,
    model_id: str | uuid.UUID | None = None,
    timestamp: datetime | None = None,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
    protocol: int = 2,
    sample: Any = None,
    y: Any = None,
    reference: bool = True,
    outputs: Iterable[str] = (),
    labels: Any = None,
    runtime: compiling.RuntimeName = "native",
) -> None:
    """Write a fitted model to a file that :func:`.load` and Flama read.

    Names that a server must trust explicitly are logged as YAML for the model's entry in
    ``models.yaml``.

    The file is replaced atomically: if this fails, an existing file stays. With ``model_id`` and
    ``timestamp`` given, equal arguments write equal bytes.

    :param compression: ``"bz2"``, ``"lzma"``, ``"zlib"`` or ``"zstd"``.
    :param params: training parameters, as JSON. Like ``metrics`` and ``extra``, they may contain
        numpy scalars and arrays.
    :param extra: further metadata. :func:`.load` uses ``qualified_name``, ``display_name``,
        ``description``, ``version``, ``input_schema``, ``output_schema`` and ``examples``, which
        override those inferred from the sample.
    :param artifacts: files to include, by their names within the file.
    :param protocol: 2, or 1 for Flama 1.12.
    :param sample: rows like those the model was fitted on: a frame, array, series or list. The
        schemas inferred from it and three of its rows go into ``extra``, unless given there.
        Doubts about them are logged and go into ``extra.schema_notes``. Without a sample,
        :func:`.load` infers the schemas from the model.
    :param y: the true values of the sample's rows, described in the reference profile.
    :param reference: whether a sample of 20 rows or more yields a reference profile, which has
        the distribution of each column and of the predictions, but no row. It goes into
        ``extra.reference``, and serves caution, explanations and drift.
    :param outputs: names of the model's outputs, if it has several: ``y.columns``.
    :param labels: labels of a classifier fitted on encoded integers: the ``LabelEncoder``, or its
        labels in order. Predictions, probabilities and schemas use them.
    :param runtime: ``"onnx"`` adds an ONNX graph of a scikit-learn model, which predicts faster
        and is compared with it here; ``"auto"`` adds it only if that is possible and faster.
    :raises UnsupportedFramework: if no adapter writes such a model.
    :raises InvalidModel: if the framework cannot write the model, it is not fitted, it rejects
        the sample or the input schema in extra, it cannot be compiled, or y has another length
        than the sample or labels that a classifier does not predict.
    :raises BadMetadata: if params, metrics or extra are not JSON.
    :raises InvalidSchema: if a schema in extra is invalid.
    :raises BadArtifact: if an artifact's name is not a plain ASCII file name.
    """
    if runtime not in compiling.RUNTIMES:
        choices = ", ".join(compiling.RUNTIMES)
        raise InvalidModel(f"runtime must be one of {choices}, got {runtime!r}")
    codec = get_codec(compression)
    _check_path(Path(path))
    sample = _as_pandas(sample)
    profiling.check_target(sample, y)
    lib = frameworks.detect(model)
    adapter = frameworks.adapter(lib)
    content = adapter.dumps(model, sample)
    found, inferred = _infer_extra(
        adapter,
        model,
        sample,
        [str(name) for name in outputs],
        None if labels is None else label_words.to_labels(labels),
        own_schema=(_object(extra, "extra") or {}).get("input_schema"),
    )
    meta = Meta(
        id=str(model_id or uuid.uuid4()),
        timestamp=(timestamp or datetime.now(UTC)).isoformat(),
        framework=FrameworkMetadata("ml", lib, adapter.version()),
        model=ModelMetadata(
            obj=type(model).__name__,
            info=adapter.describe(model),
            params=_object(params, "params"),
            metrics=_object(metrics, "metrics"),
        ),
        extra={
            versions.KEY: versions.installed_versions(frameworks.distributions(lib, model)),
            **to_json(inferred, "extra"),
            **(_object(extra, "extra") or {}),
        },
    )
    _check_schemas(adapter, model, extra or {}, inferred.get("outputs", ()))
    if reference:
        words = inferred.get(label_words.KEY, ())
        truths = None if y is None else profiling.to_truths(y, Shape.of(found.output), words)
        profile = profiling.build_profile(adapter, model, found, meta.extra or {}, truths)
        has_own_schema = "input_schema" in (extra or {})
        can_have = y is not None or bool(found.columns)
        meta = _with_reference(meta, profile, has_own_schema=has_own_schema, can_have=can_have)
    if lib == "sklearn":
        _log_untrusted(content)
    included = {name: Path(source).read_bytes() for name, source in (artifacts or {}).items()}
    if runtime != "native":
        if compiling.ARTIFACT in included:
            raise BadArtifact(f"the artifact name {compiling.ARTIFACT!r} is reserved for the graph")
        compiled, graph = _compile(model, lib, runtime, meta.extra or {}, content)
        meta = replace(meta, extra={**(meta.extra or {}), **compiled})
        included |= graph
    _write_atomically(Path(path), container.write(meta, content, included, codec, protocol))


def _check_path(path: Path) -> None:
    """Reject a path that cannot be a package's, before the work begins."""
    if path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
        raise InvalidModel(
            f"dump writes .flm files, got {str(path)!r}; name it {path.with_suffix('.flm').name!r}"
        )
    if not path.parent.is_dir():
        raise InvalidModel(f"the folder {str(path.parent)!r} does not exist; create it first")


def _as_pandas(sample: Any) -> Any:
    """Convert a polars frame or series to pandas; return any other sample unchanged."""
    if not type(sample).__module__.startswith("polars."):
        return sample
    import pandas as pd  # noqa: PLC0415  large and optional

    if hasattr(sample, "collect"):
        sample = sample.collect()
    columns = sample.get_columns() if hasattr(sample, "get_columns") else [sample]
    return pd.DataFrame({each.name: _column(each, pd) for each in columns})


def _column(series: Any, pd: Any) -> Any:
    # polars' own to_pandas requires pyarrow.
    values = series.to_list()
    kind = str(series.dtype)
    if kind.startswith("Enum"):
        return pd.Categorical(values, categories=series.dtype.categories.to_list())
    if kind.startswith("Categorical"):
        return pd.Categorical(values)
    if kind.startswith("Datetime"):
        return pd.to_datetime(pd.Series(values))
    return pd.Series(values)


def _infer_extra(
    adapter: frameworks.Adapter,
    model: Any,
    sample: Any,
    outputs: Sequence[str],
    words: Sequence[Any] | None,
    *,
    own_schema: Any,
) -> tuple[frameworks.Schemas, dict[str, Any]]:
    """Return what a sample shows, and its schemas and examples as members of ``extra``; log doubts.

    :param own_schema: the author's input schema, if any: then no doubt is logged, and the rows
        have its members.
    """
    declared: dict[str, Any] = {"outputs": outputs} if outputs else {}
    found = adapter.schemas(model, sample, outputs)
    if words is not None:
        label_words.check(words, found.output)
        found = replace(found, output=label_words.with_labels(found.output or {}, words))
        declared[label_words.KEY] = words
    if own_schema is not None:
        found = profiling.rename(found, list(members_of(own_schema)))
    else:
        for note in found.notes:
            logger.warning("%s", note)
    if sample is None:
        return found, declared
    schemas = {"input_schema": found.input, "output_schema": found.output}
    return found, {
        **{key: schema for key, schema in schemas.items() if schema is not None},
        "examples": found.examples,
        "schema_notes": found.notes,
        **declared,
    }


def _with_reference(
    meta: Meta, profile: Profile | None, *, has_own_schema: bool, can_have: bool
) -> Meta:
    """Return the metadata with a profile, unless the author gives one, and an inferred schema
    with its ranges, which are rounded: the ends of the sample's own may be those of one person.

    :param can_have: whether the author gives named columns or true values: then the lack of a
        profile is noted.
    """
    if profile is None and can_have and REFERENCE not in (meta.extra or {}):
        note = (
            "the file has no reference profile, and so no caution, explanation or drift: expected "
            f"a sample of at least {MIN_ROWS} rows with named columns"
        )
        logger.warning("%s", note)
        notes = [*(meta.extra or {}).get("schema_notes", ()), note]
        return replace(meta, extra={**(meta.extra or {}), "schema_notes": notes})
    if profile is None:
        return meta
    extra = {REFERENCE: profile.to_json(), **(meta.extra or {})}
    if not has_own_schema and "input_schema" in extra:
        extra["input_schema"] = with_hints(extra["input_schema"], profile)
    return replace(meta, extra=extra)


def _log_untrusted(content: bytes) -> None:
    """Log the names that a model's entry must trust, before a server rejects the file."""
    names = pickles.inspect(content).untrusted
    if names:
        logger.warning(
            "the model references names outside the allow-list; to trust them, add this to its "
            "entry in models.yaml:\ntrust:\n%s",
            "\n".join(f"  - {name}" for name in names),
        )


def _compile(
    model: Any, lib: str, runtime: compiling.RuntimeName, extra: Mapping[str, Any], content: bytes
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the entry in ``extra`` for a model's graph, and the graph as an artifact.

    :raises InvalidModel: if the model cannot be compiled and ``runtime`` is ``"onnx"``, or if it
        is not of scikit-learn.
    """
    if lib != "sklearn":
        raise InvalidModel(f"expected a scikit-learn model to compile, got {type(model).__name__}")
    from mlmodel.frameworks.sklearn import adapter as sklearn  # noqa: PLC0415  already imported

    outputs = extra.get("outputs", ())
    schema = extra.get("input_schema") or sklearn.schemas(model, outputs=outputs).input
    native = sklearn.predictor(model, members_of(schema), outputs)
    chosen = sklearn.select_runtime(model, native, runtime, extra.get("examples") or ())
    if chosen.compiled is None:
        message = f"{type(model).__name__} is not compiled: {chosen.runtime.reason}"
        if runtime == "onnx":
            raise InvalidModel(message)
        logger.warning("%s", message)
        return {}, {}
    graph = chosen.compiled.graph
    entry = {
        "runtime": chosen.runtime.title,
        **compiling.get_digests(content, graph),
        "parity": dict(chosen.runtime.parity),
    }
    return {compiling.KEY: entry}, {compiling.ARTIFACT: graph}


def _check_schemas(
    adapter: frameworks.Adapter, model: Any, extra: Mapping[str, Any], outputs: Sequence[str]
) -> None:
    """Reject schemas for which :func:`.load` would reject the file."""
    schemas = {key: extra[key] for key in ("input_schema", "output_schema") if extra.get(key)}
    for key, schema in schemas.items():
        Schema(_object(schema, f"extra.{key}") or {})
    if extra.get(REFERENCE) is not None:
        Profile.from_json(_object(extra[REFERENCE], f"extra.{REFERENCE}"))
    if "input_schema" in schemas:
        adapter.predictor(model, members_of(schemas["input_schema"]), outputs)


def _write_atomically(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{uuid.uuid4().hex}.draft")
    try:
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _object(value: Mapping[str, Any] | None, place: str) -> dict[str, Any] | None:
    if value is None:
        return None
    document = to_json(value, place)
    if isinstance(document, dict):
        return document
    raise BadMetadata(f"{place} must be an object, got {value!r}")
