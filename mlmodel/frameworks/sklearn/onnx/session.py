"""Predictions of a graph: one run of its tensors, and the resulting arrays as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlmodel.errors import BrokenModel
from mlmodel.frameworks import Predict
from mlmodel.frameworks.sklearn.onnx.convert import NUMBERS, TEXTS, Inputs, Uncompilable
from mlmodel.frameworks.sklearn.onnx.feed import NotTaken, feeding
from mlmodel.frameworks.sklearn.predict.answers import answering
from mlmodel.frameworks.sklearn.schemas.traits import labels_of
from mlmodel.trust import graphs

#: The output arrays of one run, in the graph's order.
Arrays = Sequence[NDArray[Any]]


def opened(graph: bytes) -> onnxruntime.InferenceSession:
    """Return a session on the CPU that computes in the caller's thread.

    :raises Uncompilable: if ONNX Runtime cannot compute the graph, or a tensor is in another file.
    """
    try:
        graphs.check(graph)
    except BrokenModel as error:
        raise Uncompilable(f"ONNX Runtime may not compute its graph ({error})") from error
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(*graphs.AS_READ)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Log nothing about rejected rows: the model itself reports them better.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        words = str(error).strip().splitlines() or [""]
        raise Uncompilable(f"ONNX Runtime cannot compute its graph ({words[0]:.160})") from error


def asking(
    inputs: Inputs, model: Any, outputs: Sequence[str], answer: Any, graph: bytes
) -> Predict:
    """Return the function that predicts for rows with a graph.

    It raises :class:`NotTaken` or another error for rows that the model itself must handle.

    :param answer: a prediction of the model, which shows the shape.
    :raises Uncompilable: if ONNX Runtime cannot compute the graph, or its columns differ.
    """
    session = opened(graph)
    _check_inputs(session, inputs)
    tell = _telling(model, outputs, answer)
    names = [each.name for each in session.get_outputs()]
    types = {each.name: each.type for each in session.get_inputs()}
    narrow = types.get(NUMBERS) == "tensor(float)"
    feed = feeding(inputs, np.float32 if narrow else np.float64)
    # InferenceSession.run would validate the names at each call.
    run = session._sess.run

    return lambda rows: tell(run(names, feed(rows), None))


def _check_inputs(session: Any, inputs: Inputs) -> None:
    wanted = {NUMBERS: len(inputs.numbers), TEXTS: len(inputs.texts)}
    found = {each.name: each.shape[-1] for each in session.get_inputs()}
    if found != {name: count for name, count in wanted.items() if count}:
        raise Uncompilable("its graph is of other columns than the model")


def _telling(model: Any, outputs: Sequence[str], answer: Any) -> Callable[[Arrays], list[Any]]:
    """Return the function from arrays to predictions in the shape of the model's own."""
    prediction = answer["prediction"]
    if set(answer) == {"prediction"} and type(prediction) is float:
        return _numbers
    if set(answer) == {"prediction", "probabilities"} and not isinstance(prediction, dict):
        return _classes(labels_of(model), list(answer["probabilities"]))
    tell = answering(_Computed(model), outputs)
    return lambda arrays: tell(_Results(arrays))


def _numbers(arrays: Arrays) -> list[Any]:
    values = arrays[0].ravel().tolist()
    if not all(map(math.isfinite, values)):
        raise NotTaken("an answer is not a finite number")
    return [{"prediction": value} for value in values]


def _classes(labels: Sequence[Any], names: Sequence[str]) -> Callable[[Arrays], list[Any]]:
    """Return the function from labels and probabilities to predictions."""
    known = _by_graph(labels)

    def tell(arrays: Arrays) -> list[Any]:
        chosen, shares = arrays
        table = shares.tolist()
        if not math.isfinite(math.fsum(map(sum, table))):
            raise NotTaken("an answer is not a finite number")
        return [
            {
                "prediction": known[label],
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for label, row in zip(chosen.tolist(), table, strict=True)
        ]

    return tell


def _by_graph(labels: Sequence[Any]) -> dict[Any, Any]:
    """Return the labels by their value in a graph: texts and whole numbers."""
    known = {each if isinstance(each, str) else int(each): each for each in labels}
    if len(known) != len(labels):
        raise Uncompilable("its labels are neither texts nor whole numbers")
    return known


class _Results:
    """The arrays of one run, in place of a model's input."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])


class _Computed:
    """A stand-in for a model that reads its predictions from the arrays of a run."""

    def __init__(self, model: Any) -> None:
        self._model = model
        labels = labels_of(model)
        is_flat = bool(labels) and not isinstance(labels[0], list)
        self._known = _by_graph(labels) if is_flat else None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return getattr(self, f"_{name}") if name in _COMPUTED else found

    def _predict(self, results: _Results) -> NDArray[Any]:
        found = results.arrays[0]
        if self._known is None or (found.ndim > 1 and found.shape[1] > 1):
            return found
        values = [self._known[each] for each in found.ravel().tolist()]
        return np.array(values, dtype=np.asarray(self._model.classes_).dtype)

    def _predict_proba(self, results: _Results) -> NDArray[Any]:
        return results.arrays[1]

    def _decision_function(self, results: _Results) -> NDArray[Any]:
        scores = results.arrays[1]
        is_pair = self._known is not None and len(self._known) == 2  # noqa: PLR2004
        return scores[:, -1] if is_pair and scores.ndim > 1 else scores

    def _transform(self, results: _Results) -> NDArray[Any]:
        return results.arrays[-1]


#: The methods of a model whose results are read from a run.
_COMPUTED = frozenset({"predict", "predict_proba", "decision_function", "transform"})
