"""Tensors of a response from predictions, named as MLServer's scikit-learn runtime does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from app.serving.errors import InvalidTensor
from app.serving.json_text import to_json
from app.serving.tensors.content_types import (
    CONTENT_TYPE,
    JSON,
    LABELS,
    get_datatype,
    get_kinds,
    read_schema,
)
from app.serving.tensors.datatypes import BYTES
from app.serving.tensors.tensor import Tensor
from mlmodel.schema.messages import to_short_json
from mlmodel.schema.rows import Table, get_values
from mlmodel.schema.subschemas import JSON_TYPES, JsonSchema, Subschemas

#: The output of a prediction itself, and that of a classifier's probabilities.
PREDICT, PROBABILITIES = "predict", "predict_proba"
#: Names of outputs by members of the prediction of a packaged model.
OUTPUTS = {"prediction": PREDICT, "probabilities": PROBABILITIES}
FP64, INT64 = "FP64", "INT64"
#: The range of INT64.
INTEGERS = range(-(2**63), 2**63)


def to_tensors(
    predictions: Sequence[Any], schema: Subschemas, requested: Iterable[str]
) -> list[Tensor]:
    """Return the requested outputs of predictions; by default ``predict``, or else all.

    :param schema: of a prediction.
    :raises InvalidTensor: if the model has no such output.
    """
    columns = _get_columns(predictions, schema)
    names = list(requested) or ([PREDICT] if PREDICT in columns else list(columns))
    for name in names:
        if name not in columns:
            raise InvalidTensor(
                f"the outputs are {', '.join(columns)}; got a request for {to_short_json(name)}"
            )
    return [_to_tensor(name, *columns[name]) for name in names]


def describe_outputs(schema: JsonSchema | None) -> list[dict[str, Any]]:
    """Return the metadata of a model's outputs."""
    columns = _get_columns((), read_schema(schema))
    tensors = [_to_tensor(name, *column) for name, column in columns.items()]
    return [
        {**each.describe(), "shape": [-1, *(size or -1 for size in each.shape[1:])]}
        for each in tensors
    ]


def _get_columns(
    predictions: Sequence[Any], schema: Subschemas
) -> Mapping[str, tuple[list[Any], Subschemas]]:
    """Return the values of each output, and their schemas, by its name."""
    names = dict.fromkeys(schema.names)
    if predictions:
        if set(map(type, predictions)) != {dict}:
            return {PREDICT: (list(predictions), schema)}
        is_table = isinstance(predictions, Table)
        found = dict.fromkeys(predictions[0] if is_table else chain.from_iterable(predictions))
        names = {name: None for name in names if name in found} | found
    if not names:
        return {PREDICT: ([], schema)}
    renamed = OUTPUTS if "prediction" in names and not OUTPUTS.values() & names.keys() else {}
    return {
        renamed.get(name, name): (get_values(predictions, name), schema.member(name))
        for name in names
    }


def _to_tensor(name: str, values: list[Any], schema: Subschemas) -> Tensor:
    """Return values as an array if they have one shape and type, else as JSON texts."""
    labels = _get_labels(values, schema)
    if labels:
        shape: tuple[int, ...] = (len(values), len(labels))
        columns = (get_values(values, label) for label in labels)
        flat = list(chain.from_iterable(zip(*columns, strict=True)))
        kinds = set(chain.from_iterable(get_kinds(schema.member(label)) for label in labels))
    else:
        shape, flat, kinds = _flatten(values, schema)
    types = set(map(type, flat))
    kinds |= {JSON_TYPES[each] for each in types}
    datatype, content_type = get_datatype(kinds)
    if content_type == JSON or not _fits(datatype, flat):
        texts = [to_json(value) for value in values]
        return Tensor(name, BYTES, (len(values), 1), texts, {CONTENT_TYPE: JSON})
    parameters = {CONTENT_TYPE: content_type}
    if labels:
        parameters[LABELS] = to_json(labels)
    if datatype == FP64 and types != {float}:
        flat = [None if value is None else float(value) for value in flat]
    return Tensor(name, datatype, shape, flat, parameters)


def _get_labels(values: Sequence[Any], schema: Subschemas) -> list[str]:
    """Return the names of the members that all values have; empty if they are not such objects."""
    if not values:
        return list(schema.names) if get_kinds(schema) == {"object"} else []
    if not isinstance(values, Table) and not _have_same_members(values):
        return []
    names = [name for name in schema.names if name in values[0]]
    return names + [name for name in values[0] if name not in schema.names]


def _have_same_members(values: Sequence[Any]) -> bool:
    if set(map(type, values)) != {dict}:
        return False
    return all(map(values[0].keys().__eq__, map(dict.keys, values)))


def _flatten(values: list[Any], schema: Subschemas) -> tuple[tuple[int, ...], list[Any], set[str]]:
    """Return the shape of values, the elements, and the types that the schema names for these.

    The shape of an unknown size, that of no lists, is 0.
    """
    shape, flat = [len(values)], values
    while flat and _is_regular(flat):
        shape.append(len(flat[0]))
        flat, schema = list(chain.from_iterable(flat)), schema.item(0)
    if not values and get_kinds(schema) == {"array"}:
        return (0, 0), [], get_kinds(schema.item(0))
    return tuple(shape) if len(shape) > 1 else (*shape, 1), flat, get_kinds(schema)


def _is_regular(values: Sequence[Any]) -> bool:
    """Return whether values are lists of the same length, which is not 0."""
    is_list = isinstance(values[0], list) and bool(values[0])
    return is_list and all(
        isinstance(value, list) and len(value) == len(values[0]) for value in values
    )


def _fits(datatype: str, values: Sequence[Any]) -> bool:
    """Return whether the datatype represents all values exactly."""
    if datatype == INT64:
        return all(value in INTEGERS for value in values)
    if datatype != FP64 or int not in set(map(type, values)):
        return True
    return all(value is None or float(value) == value for value in values)
