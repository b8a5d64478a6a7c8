"""A fitted estimator as an ONNX graph of two tensors: one of numbers, one of texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mlmodel.frameworks.sklearn.predict.column_values import keyword
from mlmodel.frameworks.sklearn.predict.frames import Cells
from mlmodel.frameworks.sklearn.schemas.column import ModelInput
from mlmodel.frameworks.sklearn.schemas.dtypes import TEXT
from mlmodel.frameworks.sklearn.structure import column_parts, is_passthrough, steps_of
from mlmodel.schema.messages import to_short_json

NUMBERS, TEXTS = "numbers", "texts"
#: Larger numbers go to the model: not all estimators accept them, and their sums differ.
LARGEST = 1e15
#: Stand-ins for missing texts, which ONNX does not have: ``None`` and NaN. Users do not type them.
NO_TEXT = "\ue000None"
NAN_TEXT = "\ue000NaN"

#: Operators that always compute in four bytes: a label near a decision boundary may change.
SINGLE = frozenset({"SVMClassifier"})


class Uncompilable(Exception):
    """A model or column that no graph can represent; the message names the reason."""


@dataclass(frozen=True)
class Input:
    """One column of a tensor, and the values that the graph accepts in it.

    ``absent`` replaces ``None``; if it is ``None`` itself, the graph rejects missing values.
    ``known`` are all values of a column of choices. A ``filler`` replaces any value of a column
    that the model does not read. A column with ``is_whole`` accepts only whole numbers.
    """

    name: str
    absent: Any = None
    known: frozenset[str] | None = None
    filler: Any = None
    is_whole: bool = False


@dataclass(frozen=True)
class Inputs:
    """The columns of both tensors, in order."""

    numbers: tuple[Input, ...]
    texts: tuple[Input, ...]


def arrange_columns(
    model: Any, model_input: ModelInput | None, cells: Sequence[Cells], members: Mapping[str, Any]
) -> tuple[Any, Inputs]:
    """Return a model that takes its columns in the order of the tensors, and these columns.

    It shares the fitted state of the given model.

    :param members: the schemas of a row's members.
    :raises Uncompilable: if a column holds neither numbers nor texts, or the order is impossible.
    """
    if model_input is None or model_input.layout != "columns":
        raise Uncompilable("its input is not a table of columns")
    model = _without_passthrough(model)
    transformer = _first_column_transformer(model)
    order = list(range(len(cells))) if transformer is None else _columns_read(transformer)
    kinds = {at: _kind(cells[at]) for at in order}
    if transformer is None and TEXTS in kinds.values():
        raise Uncompilable(
            "it has columns of strings, and its first step is not a ColumnTransformer"
        )
    numbers = [at for at in order if kinds[at] is NUMBERS]
    texts = [at for at in order if kinds[at] is TEXTS]
    if transformer is not None:
        places = {at: place for place, at in enumerate([*numbers, *texts])}
        model = _reorder(model, places, len(numbers))
    return model, Inputs(
        tuple(_input(cells[at], members.get(cells[at].name)) for at in numbers),
        tuple(_input(cells[at], members.get(cells[at].name)) for at in texts),
    )


def convert(model: Any, inputs: Inputs, *, is_double: bool = True) -> bytes:
    """Return the graph of an arranged model.

    :param is_double: whether it computes in eight bytes instead of four.
    :raises Uncompilable: if neither skl2onnx nor the project's converters can write it.
    """
    # Import skl2onnx only here: it is large, and nothing else needs it.
    try:
        from skl2onnx import convert_sklearn  # noqa: PLC0415
        from skl2onnx.common.data_types import (  # noqa: PLC0415
            DoubleTensorType,
            FloatTensorType,
            StringTensorType,
        )

        from mlmodel.frameworks.sklearn.onnx import converters  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Uncompilable(
            f"{error.name} is not installed: pip install 'modelhost[compiled]'"
        ) from error
    types = [
        (name, kind([None, len(columns)]))
        for name, kind, columns in (
            (NUMBERS, DoubleTensorType if is_double else FloatTensorType, inputs.numbers),
            (TEXTS, StringTensorType, inputs.texts),
        )
        if columns
    ]
    failure: Exception | None = None
    for options in _options(model):
        # skl2onnx passes on any error, including that of an option unknown to an estimator.
        try:
            graph = convert_sklearn(
                model,
                "model",  # skl2onnx would generate a random name
                initial_types=types,
                target_opset=dict(converters.VERSIONS),
                options=options,
                custom_conversion_functions=dict(converters.CONVERTERS),
                custom_shape_calculators=dict(converters.SHAPES),
            )
        except NameError:
            continue  # the estimator does not have this option
        except Exception as error:
            failure = failure or error
        else:
            _check_precision(graph)
            return bytes(converters.with_tree_version(graph).SerializeToString(deterministic=True))
    raise Uncompilable(f"skl2onnx cannot convert it ({_summary(failure)})") from failure


def _check_precision(graph: Any) -> None:
    if any(node.op_type in SINGLE for node in graph.graph.node):
        raise Uncompilable("ONNX Runtime computes support vectors in single precision")


def _options(model: Any) -> Iterator[dict[int, dict[str, Any]] | None]:
    """Yield the converter options to try, in order."""
    if hasattr(model, "classes_") or hasattr(model, "predict_proba"):
        for raw in [] if hasattr(model, "predict_proba") else [{"raw_scores": True}]:
            yield {id(model): {"zipmap": False, **raw}}
            yield {id(model): raw}
        yield {id(model): {"zipmap": False}}
    yield None


def _summary(error: Exception | None) -> str:
    lines = str(error or "").strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]:.160}"


def _kind(cell: Cells) -> str:
    """Return the tensor that a column belongs to."""
    try:
        column = cell.convert([cell.plain])
    except (TypeError, ValueError, OverflowError) as error:
        raise Uncompilable(
            f"its column {to_short_json(cell.name)} has values of several types"
        ) from error
    dtype = column.dtype if isinstance(column, np.ndarray) else None
    if dtype is not None and (dtype.kind in "iub" or dtype == np.float64):
        return NUMBERS
    if dtype is not None and dtype.kind == "O" and type(column[0]) in (int, float):
        return NUMBERS
    is_text = column.dtype == TEXT or (dtype is not None and dtype.kind == "O")
    if is_text and isinstance(column[0], str):
        return TEXTS
    name = to_short_json(cell.name)
    raise Uncompilable(f"its column {name} contains neither numbers nor strings")


def _input(cell: Cells, schema: Any) -> Input:
    schema = schema if isinstance(schema, Mapping) else {}
    parts = [schema, *schema.get("anyOf", ())]
    is_nullable = any(
        part.get("type") == "null" or "null" in part.get("type", ()) for part in parts
    )
    choices = keyword(schema, "enum")
    if _kind(cell) is NUMBERS:
        kind = cell.convert([cell.plain]).dtype.kind
        missing = np.nan if is_nullable and kind != "b" else None
        return Input(cell.name, missing, filler=cell.filler, is_whole=kind in "iu")
    absent = NO_TEXT if cell.convert([None])[0] is None else NAN_TEXT
    known = frozenset(each for each in choices if isinstance(each, str)) if choices else None
    return Input(cell.name, absent if is_nullable else None, known, cell.filler)


def _first_column_transformer(model: Any) -> Any:
    """Return the column transformer that receives a model's columns first, if there is one."""
    while model is not None:
        if hasattr(model, "transformers_"):
            return model
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            steps = steps_of(model)
            model = steps[0] if steps else None
    return None


def _columns_read(transformer: Any) -> list[int]:
    """Return the indices of the columns that a column transformer reads, each once."""
    parts = [places or () for _, places in column_parts(transformer)]
    return list(dict.fromkeys(at for places in parts for at in places))


def _without_passthrough(model: Any) -> Any:
    """Return a pipeline without its passthrough steps, which skl2onnx does not support."""
    if steps_of(model) is None:
        return model
    steps = [
        (name, _without_passthrough(step)) for name, step in model.steps if not is_passthrough(step)
    ]
    if not steps:
        return model
    shortened = copy.copy(model)
    shortened.steps = steps
    return shortened


def _reorder(model: Any, places: Mapping[int, int], numbers: int) -> Any:
    """Return a model whose first column transformer finds its columns at their new indices."""
    reordered = copy.copy(model)
    if hasattr(model, "transformers_"):
        names = [name for name, part, _ in model.transformers_ if not _is_drop(part)]
        reordered.transformers_ = [
            (name, part, _checked_places([places[at] for at in of_part], numbers, len(places)))
            for name, (part, of_part) in zip(names, column_parts(model), strict=True)
            if of_part
        ]
    elif hasattr(model, "best_estimator_"):
        reordered.best_estimator_ = _reorder(model.best_estimator_, places, numbers)
    else:
        (name, step), *more = model.steps
        reordered.steps = [(name, _reorder(step, places, numbers)), *more]
    return reordered


def _checked_places(places: list[int], numbers: int, count: int) -> list[int]:
    """Return the indices of one transformer's columns, if skl2onnx passes them in this order.

    skl2onnx groups the columns of a tensor, and passes a whole tensor in its own order.
    """
    is_number = [at < numbers for at in places]
    changes = sum(one is not other for one, other in pairwise(is_number))
    of_numbers = [at for at in places if at < numbers]
    of_texts = [at for at in places if at >= numbers]
    for part, whole in ((of_numbers, range(numbers)), (of_texts, range(numbers, count))):
        if len(part) == len(whole) and part != list(whole):
            raise Uncompilable("two of its transformers read all columns, in different orders")
    if changes > 1:
        raise Uncompilable(
            "one of its transformers reads columns of numbers and strings alternately"
        )
    return places


def _is_drop(part: Any) -> bool:
    return isinstance(part, str) and part == "drop"
