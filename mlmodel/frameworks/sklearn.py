"""scikit-learn: estimators, pipelines, and whatever derives from its classes.

An adapter, see :class:`mlmodel.frameworks.Adapter`. A model is pickled, so building one runs code
that the file brings.
"""

from __future__ import annotations

import json
import logging
import pickle
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import is_regressor

from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.metadata import parse
from mlmodel.model import Row

#: The protocol that every release of Flama wrote, so that equal models give equal files.
PICKLE_PROTOCOL = 4

logger = logging.getLogger(__name__)

# Catching warnings changes a global: two threads at once would leave it changed.
_catching_warnings = threading.RLock()


def version() -> str:
    """Return the version of scikit-learn."""
    return str(sklearn.__version__)


def dumps(model: Any) -> bytes:
    """Pickle a model."""
    try:
        return pickle.dumps(model, protocol=PICKLE_PROTOCOL)
    except Exception as error:
        raise InvalidModel(f"{type(model).__name__} cannot be pickled: {error}") from error


def loads(content: bytes) -> Any:
    """Build a model from its pickle. Its warnings go to the log."""
    with _catching_warnings, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _unpickle(content)
    for warning in caught:
        logger.warning("%s", warning.message)
    return model


def describe(model: Any) -> Any:
    """Return the model's parameters, with ``None`` for those that are not JSON."""
    if not hasattr(model, "get_params"):
        return None
    return parse(json.dumps(model.get_params(), default=lambda _: None, skipkeys=True).encode())


def input_schema(model: Any) -> dict[str, Any] | None:
    """Return a required number for each column that the model was fitted on."""
    names = _columns(model)
    if not names:
        return None
    return {
        "type": "object",
        "properties": {name: {"type": "number"} for name in names},
        "required": names,
        "additionalProperties": False,
    }


def output_schema(model: Any) -> dict[str, Any] | None:
    """Return a classifier's labels, or a regressor's number."""
    if hasattr(model, "classes_"):
        return _classifier_schema(model)
    return _regressor_schema(model) if _is_regressor(model) else None


def predict_rows(model: Any, rows: Sequence[Row], columns: Sequence[str]) -> list[Any]:
    """Ask the model once for all rows.

    A classifier's answers have ``probabilities`` if it can tell them. They are asked for beside
    the labels: the likeliest label is not always the one that a classifier chooses.
    """
    if not rows:
        return []
    inputs = _inputs(model, rows, columns)
    predictions = _by_output(model.predict(inputs))
    if not hasattr(model, "classes_") or not hasattr(model, "predict_proba"):
        return [{"prediction": prediction} for prediction in predictions]
    probabilities = _probabilities(model.predict_proba(inputs), _labels(model), predictions)
    return [
        {"prediction": prediction, "probabilities": by_label}
        for prediction, by_label in zip(predictions, probabilities, strict=True)
    ]


def _unpickle(content: bytes) -> Any:
    try:
        return pickle.loads(content)  # noqa: S301
    except ModuleNotFoundError as error:
        raise BrokenModel(
            f"the model needs the module {error.name!r}, which is not installed"
        ) from error
    except Exception as error:
        summary = f"scikit-learn {version()} cannot build the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error


def _columns(model: Any) -> list[str]:
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    return [f"x{at}" for at in range(getattr(model, "n_features_in_", 0))]


def _inputs(model: Any, rows: Sequence[Row], columns: Sequence[str]) -> Any:
    """Return what the model was fitted on: named columns, bare columns, or one list of texts."""
    if hasattr(model, "feature_names_in_"):
        return pd.DataFrame({name: _column(rows, name) for name in _columns(model)})
    columns = columns or _columns(model)
    table = [[_or_nan(row.get(column)) for column in columns] for row in rows]
    if len(columns) == 1 and not hasattr(model, "n_features_in_"):
        # A vectorizer of texts is the one kind of first step that counts no columns.
        return [value for (value,) in table]
    has_text = any(isinstance(value, str) for values in table for value in values)
    return np.array(table, dtype=object if has_text else float)


def _column(rows: Sequence[Row], name: str) -> Any:
    values = [row.get(name) for row in rows]
    if all(value is None for value in values):
        # As a column of floats it would not fit an encoder that was fitted on texts.
        return np.full(len(values), np.nan, dtype=object)
    return [_or_nan(value) for value in values]


def _or_nan(value: Any) -> Any:
    return np.nan if value is None else value


def _by_output(predicted: Any) -> list[Any]:
    """Return plain values; of several outputs an object, named by their place."""
    values = np.asarray(predicted)
    if values.ndim == 1:
        return list(values.tolist())
    if values.shape[1] == 1:
        return list(values[:, 0].tolist())
    return [_named(outputs) for outputs in values.tolist()]


def _named(outputs: Sequence[Any]) -> dict[str, Any]:
    return {f"y{at}": output for at, output in enumerate(outputs)}


def _probabilities(shares: Any, labels: list[Any], predictions: list[Any]) -> list[Any]:
    """Return each row's share of each label, by output where there are several.

    Some models of several outputs tell the shares of all labels of each, some only how likely
    each output is on.
    """
    if isinstance(shares, list):
        outputs = [_by_label(*output) for output in zip(shares, labels, strict=True)]
        return [_named(output) for output in zip(*outputs, strict=True)]
    if isinstance(predictions[0], dict):
        return [_named(row) for row in np.asarray(shares).tolist()]
    return _by_label(shares, labels)


def _by_label(shares: Any, labels: Sequence[Any]) -> list[dict[str, Any]]:
    names = [str(label) for label in labels]
    return [dict(zip(names, row, strict=True)) for row in np.asarray(shares).tolist()]


def _labels(model: Any) -> list[Any]:
    """Return plain labels, or a list of them for each of several outputs."""
    if isinstance(model.classes_, list):
        return [np.asarray(labels).tolist() for labels in model.classes_]
    return list(np.asarray(model.classes_).tolist())


def _classifier_schema(model: Any) -> dict[str, Any]:
    prediction, shares = _label_schemas(model)
    if not hasattr(model, "predict_proba"):
        return _members({"prediction": prediction})
    return _members({"prediction": prediction, "probabilities": shares})


def _label_schemas(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schemas of a prediction and of its probabilities."""
    labels = _labels(model)
    if _is_multilabel(_last_step(model)):
        return {"type": "object"}, {"type": "object"}
    if isinstance(model.classes_, list):
        prediction = _members(_named([{"enum": output} for output in labels]))
        return prediction, _members(_named([{"type": ["object", "number"]}] * len(labels)))
    return {"enum": labels}, _members({str(label): {"type": "number"} for label in labels})


def _regressor_schema(model: Any) -> dict[str, Any]:
    # A regressor of one output and one of several may be of one class, and not tell which.
    outputs = getattr(_last_step(model), "n_outputs_", None)
    return _members({"prediction": {"type": "number" if outputs == 1 else ["number", "object"]}})


def _members(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _is_regressor(model: Any) -> bool:
    try:
        return bool(is_regressor(model))
    except AttributeError:
        # A class of the mixin alone, without BaseEstimator, has no tags to ask.
        return False


def _is_multilabel(estimator: Any) -> bool:
    """Say whether a model's ``classes_`` are not the labels of one output, but its outputs."""
    is_network = getattr(estimator, "out_activation_", None) == "logistic"
    is_multilabel = getattr(estimator, "multilabel_", False)
    return bool(is_multilabel or (is_network and estimator.n_outputs_ > 1))


def _last_step(model: Any) -> Any:
    """Return the estimator that answers, out of a search or a pipeline."""
    if hasattr(model, "best_estimator_"):
        return _last_step(model.best_estimator_)
    if hasattr(model, "steps"):
        return _last_step(model.steps[-1][1])
    return model
