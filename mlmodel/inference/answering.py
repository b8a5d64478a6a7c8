"""A model's answers in plain JSON, and the schema that they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_clusterer, is_outlier_detector

from mlmodel.errors import InvalidModel
from mlmodel.inference.knowledge import plain
from mlmodel.inference.reading import steps_of

#: Members of a transformed row above which they are a list instead of an object with names.
MOST_NAMED = 1000

NUMBER: Mapping[str, Any] = {"type": "number"}
#: What a detector of outliers says.
VERDICTS: Mapping[str, Any] = {
    "oneOf": [{"const": 1, "title": "inlier"}, {"const": -1, "title": "outlier"}]
}

#: From what a model takes to one object for each row.
Answering = Callable[[Any], list[dict[str, Any]]]


class NotFiniteError(ValueError):
    """The model's answer is no number."""


def answering(model: Any, outputs: Sequence[str] = ()) -> Answering:
    """Return the function that asks a model and gives an answer for each row.

    It raises :class:`NotFiniteError` for a number that JSON cannot say, and whatever the model
    raises.

    :param outputs: names of the outputs, where there are several.
    :raises InvalidModel: if the model can say nothing about rows that it was not fitted on.
    """
    if hasattr(model, "predict"):
        return _Teller(model, outputs)
    if hasattr(model, "transform"):
        return _Transformer(model, outputs)
    raise InvalidModel(
        f"{type(model).__name__} has neither predict nor transform: it cannot answer new rows"
    )


def answer_schema(model: Any, outputs: Sequence[str] = (), answer: Any = None) -> dict[str, Any]:
    """Return the JSON Schema of a model's answers.

    :param answer: one of them, which shows what the model itself does not tell, with outputs that
        are called by their place. Without one, the schema promises less.
    :raises InvalidModel: if ``outputs`` are not as many as the model has.
    """
    members = _renamed(answer, outputs) if answer else {"prediction": None}
    if not hasattr(model, "predict"):
        return _members({"prediction": _transformed_schema(model, members["prediction"])})
    schemas = {"prediction": _prediction_schema(model, members["prediction"])}
    for name, value in members.items():
        if name not in schemas:
            schemas[name] = MEMBERS[name](model, value)
    if answer is None and _labels(model) and hasattr(model, "predict_proba"):
        schemas["probabilities"] = {"type": "object"}
        return {**_members(schemas), "required": ["prediction"]}
    return _members(schemas)


class _Teller:
    """Asks for predictions, and for whatever else there is to say of them."""

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        self._model = model
        self._outputs = outputs
        self._labels = _labels(model)
        self._more = self._members()

    def __call__(self, inputs: Any) -> list[dict[str, Any]]:
        predictions = self._by_output(_finite(self._model.predict(inputs)))
        members = {"prediction": predictions}
        for name, told in self._more.items():
            values = told(inputs, predictions)
            if values is not None:
                members[name] = values
        return [
            dict(zip(members, values, strict=True))
            for values in zip(*members.values(), strict=True)
        ]

    def _members(self) -> dict[str, Callable[[Any, list[Any]], list[Any] | None]]:
        """Return what there is beside the prediction.

        Probabilities are asked for beside the labels: the likeliest label is not always the one
        that a classifier chooses.
        """
        has = _offers(self._model)
        if _says(is_outlier_detector, self._model):
            scores = {"score": self._outlier_scores} if has("decision_function") else {}
            return {"is_outlier": self._outliers, **scores}
        if has("predict_proba"):
            return {"probabilities": self._probabilities}
        if self._labels and has("decision_function"):
            return {"scores": self._scores}
        if _centres(self._model) and has("transform"):
            return {"distances": self._distances}
        return {}

    def _by_output(self, predicted: Any) -> list[Any]:
        """Return plain values; of several outputs an object with their names."""
        values = _dense(predicted)
        if values.ndim == 1:
            return list(values.tolist())
        if values.shape[1] == 1:
            return list(values[:, 0].tolist())
        return [self._named(row) for row in values.tolist()]

    def _named(self, values: Sequence[Any]) -> dict[str, Any]:
        names = self._outputs or [f"y{at}" for at in range(len(values))]
        return dict(zip(names, values, strict=True))

    def _probabilities(self, inputs: Any, predictions: list[Any]) -> list[Any]:
        """Return each row's share of each label, by output where there are several.

        Some models of several outputs tell the shares of all labels of each, some only how likely
        each output is on.
        """
        shares = self._model.predict_proba(inputs)
        if isinstance(shares, list):
            parts = [
                _by_label(_finite(part), labels)
                for part, labels in zip(shares, self._labels, strict=True)
            ]
            return [self._named(row) for row in zip(*parts, strict=True)]
        shares = _dense(_finite(shares))
        if isinstance(predictions[0], dict):
            return [self._named(row) for row in shares.tolist()]
        return _by_label(shares, self._labels or range(shares.shape[1]))

    def _scores(self, inputs: Any, predictions: list[Any]) -> list[Any] | None:
        """Return each row's score for each label; of two labels for the second alone."""
        scores = self._model.decision_function(inputs)
        if isinstance(scores, list):
            return None
        scores = _dense(_finite(scores))
        if isinstance(predictions[0], dict):
            is_by_output = scores.shape == (len(predictions), len(predictions[0]))
            return [self._named(row) for row in scores.tolist()] if is_by_output else None
        if scores.ndim == 1:
            return _by_label(scores[:, np.newaxis], self._labels[1:])
        return _by_label(scores, self._labels) if scores.shape[1] == len(self._labels) else None

    def _distances(self, inputs: Any, _predictions: list[Any]) -> list[Any] | None:
        distances = _finite(self._model.transform(inputs))
        count = _centres(self._model)
        return _by_label(distances, range(count)) if distances.shape[1] == count else None

    def _outliers(self, _inputs: Any, predictions: list[Any]) -> list[Any]:
        return [prediction == -1 for prediction in predictions]

    def _outlier_scores(self, inputs: Any, _predictions: list[Any]) -> list[Any]:
        return list(_finite(self._model.decision_function(inputs)).ravel().tolist())


class _Transformer:
    """Gives what a transformer makes of a row as the prediction."""

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        self._model = model
        self._names = list(outputs) or _feature_names(model)

    def __call__(self, inputs: Any) -> list[dict[str, Any]]:
        made = self._model.transform(inputs)
        if hasattr(made, "tocsr") and made.shape[1] > MOST_NAMED:
            return [{"prediction": self._set(row)} for row in made.tocsr()]
        if hasattr(made, "columns"):
            return [{"prediction": self._shaped(row)} for row in made.to_numpy(dtype=object)]
        return [{"prediction": self._shaped(row)} for row in _dense(made)]

    def _set(self, row: Any) -> dict[str, Any]:
        """Return what is not zero in a sparse row."""
        pairs = zip(row.indices, row.data, strict=True)
        return {
            self._name(at): plain(value) for at, value in sorted(pairs, key=lambda each: each[0])
        }

    def _shaped(self, row: Any) -> Any:
        if np.ndim(row) == 0:
            return plain(row)
        values = [plain(value) for value in row]
        if len(values) == 1:
            return values[0]
        if len(values) > MOST_NAMED:
            return values
        return {self._name(at): value for at, value in enumerate(values)}

    def _name(self, at: int) -> str:
        return self._names[at] if at < len(self._names) else f"y{at}"


def _prediction_schema(model: Any, prediction: Any) -> dict[str, Any]:
    labels = _labels(model)
    if _says(is_outlier_detector, model):
        return dict(VERDICTS)
    if isinstance(prediction, dict):
        return _members(
            {
                name: _enum(_labels_of_output(labels, at)) if labels else _of_type(value)
                for at, (name, value) in enumerate(prediction.items())
            }
        )
    if labels and (prediction is not None or not _has_several(model)):
        return _enum(labels)
    if _says(is_clusterer, model):
        return {"type": "integer", "title": "Cluster"}
    return {} if labels else _of_type(prediction)


def _labels_of_output(labels: list[Any], at: int) -> list[Any]:
    """Return one output's labels; an output that is only on or off has none of its own."""
    return labels[at] if isinstance(labels[at], list) else [0, 1]


def _enum(labels: list[Any]) -> dict[str, Any]:
    types = {bool: "boolean", int: "integer", float: "number", str: "string"}
    kinds = {types.get(type(label)) for label in labels}
    return {"type": kinds.pop(), "enum": labels} if len(kinds) == 1 else {"enum": labels}


def _of_type(value: Any) -> dict[str, Any]:
    """Return the schema of values of the type of one of them."""
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
    return _members({name: _or_null(_of_type(value)) for name, value in prediction.items()})


def _gives_sparse(model: Any, prediction: dict[str, Any]) -> bool:
    """Say whether an object leaves out what is zero, because it would have too many members."""
    names = _feature_names(model)
    counted = [f"y{at}" for at in range(len(prediction))]
    return len(names) > MOST_NAMED or (not names and list(prediction) != counted)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    types = schema["type"]
    return {"type": [*(types if isinstance(types, list) else [types]), "null"]}


def _numbers_like(_model: Any, value: Any) -> dict[str, Any]:
    """Return the schema of numbers by name, in objects as deep as an answer's."""
    if isinstance(value, dict):
        return _members({name: _numbers_like(_model, inner) for name, inner in value.items()})
    return dict(NUMBER)


def _scores_schema(model: Any, value: Any) -> dict[str, Any]:
    schema = _numbers_like(model, value)
    labels = _labels(model)
    if len(value) == 1 and not isinstance(labels[0], list):
        words = f"Above 0 it is {labels[1]}, below it is {labels[0]}."
        schema["description"] = words
    return schema


#: What may stand beside a prediction, and the schema of it.
MEMBERS: Mapping[str, Callable[[Any, Any], dict[str, Any]]] = {
    "probabilities": _numbers_like,
    "scores": _scores_schema,
    "distances": lambda model, value: {
        **_numbers_like(model, value),
        "description": "How far it is to the centre of each cluster.",
    },
    "is_outlier": lambda _model, _value: {"type": "boolean", "title": "Outlier"},
    "score": lambda _model, _value: {
        **NUMBER,
        "description": "Below 0 it is an outlier: the lower, the stranger.",
    },
}


def _members(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _renamed(answer: dict[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """Return an answer with the names of its outputs, which were called by their place."""
    prediction = answer["prediction"]
    own = list(prediction) if isinstance(prediction, dict) else [""]
    if not outputs:
        return answer
    if len(outputs) != len(own):
        raise InvalidModel(f"the model has {len(own)} outputs, but {len(outputs)} names for them")
    return {
        name: dict(zip(outputs, value.values(), strict=True))
        if isinstance(value, dict) and list(value) == own
        else value
        for name, value in answer.items()
    }


def _labels(model: Any) -> list[Any]:
    """Return a classifier's plain labels, or a list of them for each of several outputs."""
    classes = getattr(model, "classes_", None)
    if classes is None or len(classes) == 0:
        return []
    if isinstance(classes, list):
        return [np.asarray(labels).tolist() for labels in classes]
    return list(np.asarray(classes).tolist())


def _by_label(values: Any, labels: Any) -> list[dict[str, Any]]:
    names = [str(label) for label in labels]
    return [dict(zip(names, row, strict=True)) for row in _dense(values).tolist()]


def _finite(values: Any) -> Any:
    """Return an array that JSON can say.

    :raises NotFiniteError: if it holds NaN or an infinity.
    """
    array = _dense(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NotFiniteError("the model's answer is not a finite number")
    return array


def _dense(values: Any) -> Any:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def _offers(model: Any) -> Callable[[str], bool]:
    return lambda name: hasattr(model, name)


def _says(question: Callable[[Any], bool], model: Any) -> bool:
    # A class without BaseEstimator has no tags to ask.
    try:
        return bool(question(model))
    except AttributeError:
        return False


def _centres(model: Any) -> int:
    """Return how many clusters a model knows the centres of."""
    return len(getattr(_last(model), "cluster_centers_", ()))


def _has_several(model: Any) -> bool:
    """Say whether a classifier's ``classes_`` may be its outputs instead of its labels."""
    last = _last(model)
    return bool(
        getattr(last, "multilabel_", False)
        or getattr(last, "out_activation_", "") == "logistic"
        or isinstance(model.classes_, list)
    )


def _last(model: Any) -> Any:
    """Return the estimator that answers, out of a search or a pipeline."""
    if hasattr(model, "best_estimator_"):
        return _last(model.best_estimator_)
    steps = steps_of(model)
    return _last(steps[-1]) if steps else model


def _feature_names(model: Any) -> list[str]:
    # Transformers of others may raise anything when they have no names to give.
    try:
        return [str(name) for name in model.get_feature_names_out()]
    except Exception:
        return []
