"""The JSON Schema of a model's predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sklearn.base import is_clusterer, is_outlier_detector

from mlmodel.errors import InvalidModel
from mlmodel.frameworks.sklearn.traits import (
    MOST_NAMED,
    feature_names,
    has_several,
    has_tag,
    labels_of,
)
from mlmodel.frameworks.tensors import object_schema
from mlmodel.schema.subschemas import JSON_TYPES

NUMBER: Mapping[str, Any] = {"type": "number"}
#: The predictions of an outlier detector.
VERDICTS: Mapping[str, Any] = {
    "oneOf": [{"const": 1, "title": "inlier"}, {"const": -1, "title": "outlier"}]
}


def prediction_schema(
    model: Any, outputs: Sequence[str] = (), example: Any = None
) -> dict[str, Any]:
    """Return the JSON Schema of a model's predictions.

    :param example: one of them, with outputs named by position, for what the model itself does not
        define. Without it, the schema is less strict.
    :raises InvalidModel: if the number of ``outputs`` is not the model's.
    """
    members = _rename(example, outputs) if example else {"prediction": None}
    if not hasattr(model, "predict"):
        return object_schema({"prediction": _transformed_schema(model, members["prediction"])})
    schemas = {"prediction": _prediction_schema(model, members["prediction"])}
    for name, value in members.items():
        if name not in schemas:
            schemas[name] = MEMBERS[name](model, value)
    if example is None and labels_of(model) and hasattr(model, "predict_proba"):
        schemas["probabilities"] = {"type": "object"}
        return {**object_schema(schemas), "required": ["prediction"]}
    return object_schema(schemas)


def _prediction_schema(model: Any, prediction: Any) -> dict[str, Any]:
    labels = labels_of(model)
    if has_tag(is_outlier_detector, model):
        return dict(VERDICTS)
    if isinstance(prediction, dict):
        return object_schema(
            {
                name: _enum(_labels_of_output(labels, at)) if labels else _of_type(value)
                for at, (name, value) in enumerate(prediction.items())
            }
        )
    if labels and (prediction is not None or not has_several(model)):
        return _enum(labels)
    if has_tag(is_clusterer, model):
        return {"type": "integer", "title": "Cluster"}
    return {} if labels else _of_type(prediction)


def _labels_of_output(labels: list[Any], at: int) -> list[Any]:
    """Return the labels of one output; 0 and 1 for an output of a multilabel model."""
    return labels[at] if isinstance(labels[at], list) else [0, 1]


def _enum(labels: list[Any]) -> dict[str, Any]:
    kinds = {JSON_TYPES.get(type(label)) for label in labels}
    return {"type": kinds.pop(), "enum": labels} if len(kinds) == 1 else {"enum": labels}


def _of_type(value: Any) -> dict[str, Any]:
    """Return the schema of values of the same type as the given one."""
    if isinstance(value, str):
        return {"type": "string"}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if value is None:
        return {"type": ["number", "string", "boolean", "object"]}
    return dict(NUMBER)


def _transformed_schema(model: Any, prediction: Any) -> dict[str, Any]:
    if prediction is None:
        return {}
    if isinstance(prediction, list):
        return {"type": "array", "items": {"type": ["number", "string", "boolean", "null"]}}
    if not isinstance(prediction, dict):
        return _or_null(_of_type(prediction))
    if _gives_sparse(model, prediction):
        return {"type": "object", "additionalProperties": NUMBER}
    return object_schema({name: _or_null(_of_type(value)) for name, value in prediction.items()})


def _gives_sparse(model: Any, prediction: dict[str, Any]) -> bool:
    """Return whether an object leaves out zeros, because it would have too many members."""
    names = feature_names(model)
    counted = [f"y{at}" for at in range(len(prediction))]
    return len(names) > MOST_NAMED or (not names and list(prediction) != counted)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    types = schema["type"]
    return {"type": [*(types if isinstance(types, list) else [types]), "null"]}


def _numbers_like(_model: Any, value: Any) -> dict[str, Any]:
    """Return the schema of named numbers, nested as in the prediction."""
    if isinstance(value, dict):
        return object_schema({name: _numbers_like(_model, inner) for name, inner in value.items()})
    return dict(NUMBER)


def _scores_schema(model: Any, value: Any) -> dict[str, Any]:
    schema = _numbers_like(model, value)
    labels = labels_of(model)
    if len(value) == 1 and not isinstance(labels[0], list):
        words = f"Above 0 it is {labels[1]}, below it is {labels[0]}."
        schema["description"] = words
    return schema


#: The possible members in addition to a prediction, and their schemas.
MEMBERS: Mapping[str, Callable[[Any, Any], dict[str, Any]]] = {
    "probabilities": _numbers_like,
    "scores": _scores_schema,
    "distances": lambda model, value: {
        **_numbers_like(model, value),
        "description": "The distance to the centre of each cluster.",
    },
    "is_outlier": lambda _model, _value: {"type": "boolean", "title": "Outlier"},
    "score": lambda _model, _value: {
        **NUMBER,
        "description": "A value below 0 means an outlier; the lower, the more abnormal.",
    },
}


def _rename(example: dict[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """Return a prediction with the given names instead of the outputs' positions."""
    prediction = example["prediction"]
    own = list(prediction) if isinstance(prediction, dict) else [""]
    if not outputs:
        return example
    if len(outputs) != len(own):
        raise InvalidModel(f"the model has {len(own)} outputs, but {len(outputs)} names for them")
    return {
        name: dict(zip(outputs, value.values(), strict=True))
        if isinstance(value, dict) and list(value) == own
        else value
        for name, value in example.items()
    }
