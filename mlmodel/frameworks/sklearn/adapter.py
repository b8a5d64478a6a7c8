"""scikit-learn: estimators, pipelines, and all classes derived from them.

An adapter, see :class:`mlmodel.frameworks.Adapter`. A model is pickled, and built under the rules
of :mod:`mlmodel.trust`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import sklearn
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.feature_extraction import FeatureHasher
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from mlmodel.bounded import compression
from mlmodel.bounded.metadata import parse
from mlmodel.errors import BrokenModel, FlmError, InvalidModel
from mlmodel.frameworks import Predict, Rows, Schemas
from mlmodel.frameworks.sklearn import inference, releases
from mlmodel.frameworks.sklearn.boosters import as_estimator, raw_booster
from mlmodel.frameworks.sklearn.onnx import runtime, selection
from mlmodel.frameworks.sklearn.onnx.selection import Selection
from mlmodel.frameworks.sklearn.parallelism import limit_jobs
from mlmodel.frameworks.sklearn.predict.column_values import converter
from mlmodel.frameworks.sklearn.predict.predictor import SklearnPredictor
from mlmodel.frameworks.sklearn.schemas.probe import caught_warnings
from mlmodel.frameworks.sklearn.structure import steps_of
from mlmodel.trust import Trust, pickles
from mlmodel.trust.scan import sklearn_release

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def version() -> str:
    """Return the version of scikit-learn."""
    return str(sklearn.__version__)


def dumps(model: Any, sample: Any = None) -> bytes:
    """Pickle a fitted model.

    :raises InvalidModel: if it cannot be pickled, is not fitted, or has parts of a notebook.
    """
    _check_fitted(model)
    _check_hasher(model)
    return pickles.dumps(raw_booster(model))


def loads(content: bytes, trust: Trust = ()) -> Any:
    """Build a model from its pickle, plain or written by joblib. Log its warnings.

    A model of another scikit-learn release predicts as it did there, or is not built.
    """
    release = sklearn_release(compression.expand(content))
    return build_model(lambda: _unpickle(content, trust), release)


def adapt_model(model: Any, release: str | None) -> Any:
    """Convert a new model to an estimator that predicts as in the release that wrote it.

    :param release: the scikit-learn that wrote it, if known.
    """
    if release not in (None, version()):
        releases.adapt(model, release)
    return as_estimator(model)


def schemas_of_built(model: Any, release: str | None) -> Schemas:
    """Infer the schemas of a model that was just built, with one thread."""
    estimator = adapt_model(model, release)
    limit_jobs(estimator)
    return schemas(estimator)


def build_model(build: Callable[[], Any], release: str | None = None) -> Any:
    """Return the model that a function builds. Log its warnings.

    :param release: the scikit-learn that wrote it, if known.
    :raises FlmError: if the function raises it; :class:`BrokenModel` for any other error.
    """
    with caught_warnings() as caught:
        model = _build_guarded(lambda: adapt_model(build(), release))
    for warning in caught:
        # The differing releases are reported once for the whole file.
        if not isinstance(warning.message, InconsistentVersionWarning):
            logger.warning("%s", warning.message)
    return model


def _unpickle(content: bytes, trust: Trust) -> Any:
    try:
        return pickles.build(content, trust)
    except (AttributeError, ImportError, ValueError):
        if trust != "all":
            raise
        # A trusted pickle is built unchanged, and may have names that only another release has.
        try:
            return pickles.build(content, ())
        except Exception as error:
            logger.info("the file cannot be built without trust either: %s", error)
        raise


def describe(model: Any) -> Any:
    """Return the model's parameters, with ``None`` for those that are not JSON."""
    if not hasattr(model, "get_params"):
        return None
    return parse(json.dumps(model.get_params(), default=lambda _: None, skipkeys=True).encode())


def schemas(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return the schemas inferred from the model and a sample."""
    model = as_estimator(model)
    _check_hasher(model)
    return _build_guarded(lambda: inference.infer(model, sample, outputs))


def predictor(model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()) -> Predict:
    """Return the function that predicts all rows in one call of the model.

    It raises :class:`~mlmodel.errors.InvalidInput` for a value that scikit-learn rejects.

    :raises InvalidModel: if the columns are not the model's, or have an unknown type.
    """
    model = as_estimator(model)
    _check_hasher(model)
    _check_dtypes(columns)
    return _build_guarded(lambda: inference.predictor(model, columns, outputs))


def select_runtime(
    model: Any,
    native: Predict,
    requested: runtime.RuntimeName,
    rows: Rows,
    stored: bytes | None = None,
) -> Selection:
    """Choose what predicts rows: the model itself or its ONNX graph, see :mod:`.onnx`.

    :param native: the result of :func:`predictor`.
    :param rows: examples.
    :param stored: the model's graph, if it was converted before.
    """
    own = cast(SklearnPredictor, native)
    title = f"scikit-learn {version()}"
    return selection.select_runtime(model, own, requested, rows, title=title, stored=stored)


def _check_fitted(model: Any) -> None:
    """Reject an unfitted estimator of scikit-learn; those of other libraries are not checked."""
    last = model[-1] if isinstance(model, Pipeline) and len(model) else model
    if not type(last).__module__.startswith("sklearn."):
        return
    try:
        check_is_fitted(last)
    except NotFittedError as error:
        raise InvalidModel(f"{type(last).__name__} is not fitted: call fit first") from error
    if isinstance(last, BaseSearchCV) and not hasattr(last, "best_estimator_"):
        raise InvalidModel(
            f"{type(last).__name__} has no fitted model, because of refit=False: fit it with "
            "refit=True, or dump the estimator fitted with search.best_params_"
        )


def _check_dtypes(columns: Mapping[str, Any]) -> None:
    """Reject a column whose ``x-dtype`` pandas lacks, or cannot convert such values to."""
    for name, schema in columns.items():
        dtype = schema.get("x-dtype") if isinstance(schema, Mapping) else None
        if dtype is None:
            continue
        try:
            converter(schema)([])
        except (TypeError, ValueError) as error:
            raise InvalidModel(
                f"the input schema's member {name!r} has x-dtype {dtype!r}, which is not a pandas "
                "type for such values; remove it, or use 'category', 'object', 'Int64', 'float32', "
                "'datetime64[ns]' or another type of pandas"
            ) from error


def _check_hasher(model: Any) -> None:
    """Reject a model that takes arbitrary objects or lists, for which no schema can be inferred."""
    steps = steps_of(model)
    if steps:
        _check_hasher(steps[0])
    elif isinstance(model, FeatureHasher):
        raise InvalidModel(
            "FeatureHasher accepts objects with any members and stores no names, so no schema can "
            "be inferred; use a DictVectorizer instead"
        )


def _build_guarded(build: Callable[[], _Result]) -> _Result:
    """Return the result of a function on a model that may lack any of its parts."""
    try:
        return build()
    except FlmError:
        raise
    except Exception as error:
        known = isinstance(error, ImportError | AttributeError) and pickles.describe_missing(error)
        if known:
            raise BrokenModel(known) from error
        summary = f"scikit-learn {version()} cannot build the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error
