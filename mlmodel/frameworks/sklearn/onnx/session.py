"""Predictions of a graph: one run of its tensors, and the resulting arrays as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmodel.errors import BrokenModel
from mlmodel.frameworks import Predict
from mlmodel.frameworks.onnx import loads as open_session
from mlmodel.frameworks.sklearn.onnx.conversion import NUMBERS, TEXTS, Inputs, Uncompilable
from mlmodel.frameworks.sklearn.onnx.feeds import UnsupportedRow, build_feed
from mlmodel.frameworks.sklearn.predict.predictions import build_predict
from mlmodel.frameworks.sklearn.traits import labels_of

#: The output arrays of one run, in the graph's order.
Arrays = Sequence[NDArray[Any]]


def graph_predictor(
    inputs: Inputs, model: Any, outputs: Sequence[str], example: Any, graph: bytes
) -> Predict:
    """Return the function that predicts for rows with a graph.

    It raises :class:`UnsupportedRow` or another error for rows that the model itself must handle.

    :param example: a prediction of the model, which shows the shape.
    :raises Uncompilable: if ONNX Runtime cannot compute the graph, or its columns differ.
    """
    try:
        session = open_session(graph)
    except BrokenModel as error:
        reason = str(error).splitlines()[0]
        raise Uncompilable(f"ONNX Runtime cannot compute its graph ({reason:.160})") from error
    _check_inputs(session, inputs)
    to_predictions = _formatter(model, outputs, example)
    names = [each.name for each in session.get_outputs()]
    types = {each.name: each.type for each in session.get_inputs()}
    feed = build_feed(inputs, np.float32 if types.get(NUMBERS) == "tensor(float)" else np.float64)
    # InferenceSession.run would validate the names at each call.
    run = session._sess.run

    return lambda rows: to_predictions(run(names, feed(rows), None))


def _check_inputs(session: Any, inputs: Inputs) -> None:
    expected = {NUMBERS: len(inputs.numbers), TEXTS: len(inputs.texts)}
    found = {each.name: each.shape[-1] for each in session.get_inputs()}
    if found != {name: count for name, count in expected.items() if count}:
        raise Uncompilable("its graph has other columns than the model")


def _formatter(model: Any, outputs: Sequence[str], example: Any) -> Callable[[Arrays], list[Any]]:
    """Return the function from arrays to predictions in the shape of the model's own."""
    prediction = example["prediction"]
    if set(example) == {"prediction"} and type(prediction) is float:
        return _to_numbers
    if set(example) == {"prediction", "probabilities"} and not isinstance(prediction, dict):
        return _class_formatter(labels_of(model), list(example["probabilities"]))
    predict = build_predict(_GraphEstimator(model), outputs)
    return lambda arrays: predict(_RunResult(arrays))


def _to_numbers(arrays: Arrays) -> list[Any]:
    values = arrays[0].ravel().tolist()
    if not all(map(math.isfinite, values)):
        raise UnsupportedRow("a prediction is not a finite number")
    return [{"prediction": value} for value in values]


def _class_formatter(labels: Sequence[Any], names: Sequence[str]) -> Callable[[Arrays], list[Any]]:
    """Return the function from labels and probabilities to predictions."""
    by_value = _labels_by_value(labels)

    def to_predictions(arrays: Arrays) -> list[Any]:
        values, probabilities = arrays[0].tolist(), arrays[1].tolist()
        if not math.isfinite(math.fsum(map(sum, probabilities))):
            raise UnsupportedRow("a prediction is not a finite number")
        return [
            {"prediction": by_value[value], "probabilities": dict(zip(names, row, strict=True))}
            for value, row in zip(values, probabilities, strict=True)
        ]

    return to_predictions


def _labels_by_value(labels: Sequence[Any]) -> dict[Any, Any]:
    """Return the labels by their value in a graph: texts and whole numbers."""
    by_value = {each if isinstance(each, str) else int(each): each for each in labels}
    if len(by_value) != len(labels):
        raise Uncompilable("its labels are neither strings nor integers")
    return by_value


class _RunResult:
    """The arrays of one run, in place of a model's input."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])


class _GraphEstimator:
    """A stand-in for a model that reads its predictions from the arrays of a run."""

    def __init__(self, model: Any) -> None:
        self._model = model
        labels = labels_of(model)
        is_flat = bool(labels) and not isinstance(labels[0], list)
        self._labels = _labels_by_value(labels) if is_flat else None

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._model, name)
        return getattr(self, f"_{name}") if name in _COMPUTED else own

    def _predict(self, result: _RunResult) -> NDArray[Any]:
        values = result.arrays[0]
        if self._labels is None or (values.ndim > 1 and values.shape[1] > 1):
            return values
        labels = [self._labels[each] for each in values.ravel().tolist()]
        return np.array(labels, dtype=np.asarray(self._model.classes_).dtype)

    def _predict_proba(self, result: _RunResult) -> NDArray[Any]:
        return result.arrays[1]

    def _decision_function(self, result: _RunResult) -> NDArray[Any]:
        scores = result.arrays[1]
        is_binary = self._labels is not None and len(self._labels) == 2  # noqa: PLR2004
        return scores[:, -1] if is_binary and scores.ndim > 1 else scores

    def _transform(self, result: _RunResult) -> NDArray[Any]:
        return result.arrays[-1]


#: The methods of a model whose results are read from a run.
_COMPUTED = frozenset({"predict", "predict_proba", "decision_function", "transform"})
