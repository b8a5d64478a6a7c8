"""A graph that answers rows: rows to its two tensors, one run, and its arrays to JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlmodel.compiling.graph import (
    LARGEST,
    NAN_TEXT,
    NO_TEXT,
    NUMBERS,
    TEXTS,
    Input,
    Inputs,
    Uncompilable,
)
from mlmodel.frameworks import Predict
from mlmodel.inference.answering import answering
from mlmodel.inference.traits import labels_of
from mlmodel.model import Row

#: Arrays of one run: those of the graph's outputs, in their order.
Arrays = Sequence[NDArray[Any]]


class NotTaken(ValueError):
    """Rows have a value that the graph does not take, or that it answers with no number."""


def opened(graph: bytes) -> onnxruntime.InferenceSession:
    """Return a session on the CPU that keeps no threads, so that it survives a fork.

    :raises Uncompilable: if ONNX Runtime cannot compute the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # What it says of a row that it does not take, the model itself says better.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        words = str(error).strip().splitlines() or [""]
        raise Uncompilable(f"ONNX Runtime cannot compute its graph ({words[0]:.160})") from error


def asking(
    inputs: Inputs, model: Any, outputs: Sequence[str], answer: Any, graph: bytes
) -> Predict:
    """Return the function that answers rows by a graph.

    It raises :class:`NotTaken`, or anything else, at rows that are for the model itself.

    :param answer: one of the model's own, which shows their shape.
    :raises Uncompilable: if ONNX Runtime cannot compute the graph, or it is of other columns.
    """
    session = opened(graph)
    _check_inputs(session, inputs)
    tell = _telling(model, outputs, answer)
    names = [each.name for each in session.get_outputs()]
    types = {each.name: each.type for each in session.get_inputs()}
    narrow = types.get(NUMBERS) == "tensor(float)"
    feed_one, feed_many = _feeding(inputs, np.float32 if narrow else np.float64)
    # Its own method would look at each call whether the names are there.
    run = session._sess.run

    def ask(rows: Sequence[Row]) -> list[Any]:
        feed = feed_one(rows[0]) if len(rows) == 1 else feed_many(rows)
        return tell(run(names, feed, None))

    return ask


def _check_inputs(session: Any, inputs: Inputs) -> None:
    wanted = {NUMBERS: len(inputs.numbers), TEXTS: len(inputs.texts)}
    found = {each.name: each.shape[-1] for each in session.get_inputs()}
    if found != {name: count for name, count in wanted.items() if count}:
        raise Uncompilable("its graph is of other columns than the model")


def _feeding(
    inputs: Inputs, dtype: type[np.floating[Any]]
) -> tuple[Callable[[Row], dict[str, Any]], Callable[[Sequence[Row]], dict[str, Any]]]:
    """Return what makes the tensors of one row, and of many.

    One row is looked at in Python: each call of numpy takes longer than a few comparisons.
    """
    numbers, texts = [each.name for each in inputs.numbers], [each.name for each in inputs.texts]
    pick_numbers, pick_texts = _picking(numbers), _picking(texts)
    whole = [at for at, each in enumerate(inputs.numbers) if each.is_whole]
    known = [each.known for each in inputs.texts]
    array, empty, least = np.array, np.empty, -LARGEST

    def many(rows: Sequence[Row]) -> dict[str, Any]:
        feed: dict[str, Any] = {}
        if numbers:
            feed[NUMBERS] = _checked(_table(rows, inputs.numbers), inputs.numbers).astype(dtype)
        if texts:
            table = empty((len(rows), len(texts)), dtype=object)
            for at, column in enumerate(inputs.texts):
                table[:, at] = [_text(row, column) for row in rows]
            feed[TEXTS] = table
        return feed

    def one(row: Row) -> dict[str, Any]:
        feed: dict[str, Any] = {}
        try:
            if numbers:
                values = pick_numbers(row)
                if not (least <= min(values) and max(values) <= LARGEST):
                    return many([row])
                for at in whole:
                    if type(values[at]) is not int:
                        return many([row])
                feed[NUMBERS] = array([values], dtype=dtype)
            if texts:
                words = pick_texts(row)
                for word, choices in zip(words, known, strict=True):
                    if not _is_plain(word) if choices is None else word not in choices:
                        return many([row])
                table = empty((1, len(words)), dtype=object)
                table[0] = words
                feed[TEXTS] = table
        except (KeyError, TypeError):  # something is missing
            return many([row])
        return feed

    has_fillers = any(each.filler is not None for each in (*inputs.numbers, *inputs.texts))
    return (lambda row: many([row])) if has_fillers else one, many


def _picking(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        (name,) = names
        return lambda row: (row[name],)
    return itemgetter(*names) if names else lambda row: ()


def _table(rows: Sequence[Row], columns: Sequence[Input]) -> NDArray[Any]:
    names = [each.name for each in columns]
    table = [[row.get(name) for name in names] for row in rows]
    for at, filler in [
        (at, each.filler) for at, each in enumerate(columns) if each.filler is not None
    ]:
        for values in table:
            values[at] = filler
    # numpy reads None as NaN where it makes floats.
    return np.array(table, dtype=float).reshape(len(rows), len(names))


def _checked(table: NDArray[Any], columns: Sequence[Input]) -> NDArray[Any]:
    """Return a table of numbers that the graph takes.

    :raises NotTaken: if there are others.
    """
    missing = np.isnan(table)
    if missing.any() and missing[:, [each.absent is None for each in columns]].any():
        raise NotTaken("a number is missing")
    if not (missing | (np.abs(table) <= LARGEST)).all():
        raise NotTaken("a number is too large")
    whole = [at for at, each in enumerate(columns) if each.is_whole]
    if whole and not (missing | (table == np.rint(table)))[:, whole].all():
        raise NotTaken("a number is not whole")
    return table


def _text(row: Row, column: Input) -> str:
    if column.filler is not None:
        return str(column.filler)
    value = row.get(column.name)
    if value is None and column.absent is not None:
        return str(column.absent)
    if _is_plain(value) if column.known is None else value in column.known:
        return str(value)
    raise NotTaken("a text is missing, or none that is taken")


def _is_plain(value: Any) -> bool:
    """Tell whether a value is a text that is read to its end, and means itself."""
    return type(value) is str and "\0" not in value and value not in (NO_TEXT, NAN_TEXT)


def _telling(model: Any, outputs: Sequence[str], answer: Any) -> Callable[[Arrays], list[Any]]:
    """Return what makes answers of arrays, of the shape of the model's own."""
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
    """Return what makes answers of labels and shares."""
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
    """Return labels by what a graph makes of them: texts and whole numbers."""
    known = {each if isinstance(each, str) else int(each): each for each in labels}
    if len(known) != len(labels):
        raise Uncompilable("its labels are neither texts nor whole numbers")
    return known


class _Results:
    """The arrays of one run, in place of what a model takes."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])


class _Computed:
    """A model that reads its answers from the arrays of a run, and is else the one it stands for."""

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
        if self._known is None or found.ndim > 1 and found.shape[1] > 1:
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


#: The methods of a model that are read from a run.
_COMPUTED = frozenset({"predict", "predict_proba", "decision_function", "transform"})
