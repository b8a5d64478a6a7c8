"""Words for the labels of a classifier that was fitted on encoded integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlmodel.errors import InvalidModel
from mlmodel.frameworks import Predict, Rows

#: The member of a file's ``extra`` that holds the words.
KEY = "labels"
#: Members of a prediction with a number for each label.
BY_LABEL = ("probabilities", "scores")


def to_labels(labels: Any) -> list[Any]:
    """Return the words of a ``LabelEncoder`` or a sequence, in plain Python.

    :raises InvalidModel: if they are not distinct texts, numbers or booleans.
    """
    words = getattr(labels, "classes_", labels)
    words = words.tolist() if hasattr(words, "tolist") else list(words)
    if not all(isinstance(word, str | int | float) for word in words):
        raise InvalidModel(f"labels must be strings or numbers, got {words!r:.100}")
    if len(set(map(str, words))) < len(words):
        raise InvalidModel(f"labels must be unique, got {words!r:.100}")
    return words


def check(words: Sequence[Any], output_schema: Mapping[str, Any] | None) -> None:
    """Check that there is a label for each integer that a classifier predicts.

    :param output_schema: the classifier's own.
    :raises InvalidModel: if it does not predict the integers from 0 to ``len(words) - 1``.
    """
    members = (output_schema or {}).get("properties", {})
    own = members.get("prediction", {}).get("enum")
    if own is None:
        raise InvalidModel("labels require a classifier with one output")
    if own != list(range(len(words))):
        raise InvalidModel(
            f"expected a label for each integer that the classifier predicts, {own!r:.100}, "
            f"got {len(words)}: {list(words)!r:.100}"
        )


def with_labels(schema: Mapping[str, Any], words: Sequence[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a classifier's predictions with words in place of integers."""
    members = dict(schema["properties"])
    types = {str: "string", bool: "boolean", int: "integer", float: "number"}
    kinds = {types[type(word)] for word in words}
    kept = {key: value for key, value in members["prediction"].items() if key != "type"}
    typed = {"type": kinds.pop()} if len(kinds) == 1 else {}
    members["prediction"] = {**typed, **kept, "enum": list(words)}
    for name in BY_LABEL:
        if "properties" in members.get(name, {}):
            members[name] = _rename(members[name], words)
    return {**schema, "properties": members}


class LabelledPredictor:
    """Predictor that replaces a classifier's integers by words."""

    def __init__(self, predict: Predict, words: Sequence[Any]) -> None:
        self._predict = predict
        self._words = list(words)
        self._names = _names(words)
        self.ends_soon = bool(getattr(predict, "ends_soon", False))

    def __call__(self, rows: Rows) -> list[Any]:
        """Return the predictions for rows, in their order."""
        return list(map(self._add_label, self._predict(rows)))

    def _add_label(self, prediction: Mapping[str, Any]) -> dict[str, Any]:
        labelled = {**prediction, "prediction": self._words[int(prediction["prediction"])]}
        for name in BY_LABEL:
            if name in labelled:
                labelled[name] = {
                    self._names[key]: value for key, value in prediction[name].items()
                }
        return labelled


def _names(words: Sequence[Any]) -> dict[str, str]:
    """Return the words by the labels as text: integers, and the equal booleans and floats."""
    names = {str(kind(at)): str(word) for at, word in enumerate(words) for kind in (int, float)}
    return {**names, **dict(zip(("false", "true"), map(str, words), strict=False))}


def _rename(schema: Mapping[str, Any], words: Sequence[Any]) -> dict[str, Any]:
    names = _names(words)
    properties = {names[key]: each for key, each in schema["properties"].items()}
    renamed = {**schema, "properties": properties, "required": list(properties)}
    if len(words) == 2 and "description" in schema:  # noqa: PLR2004
        renamed["description"] = f"Above 0 it is {words[1]}, below it is {words[0]}."
    return renamed
