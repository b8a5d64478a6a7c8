"""Rows of a model from the tensors of a request, by the model's input schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.serving.errors import InvalidTensor, TooManyRows
from app.serving.json_text import to_json
from app.serving.tensors.content_types import (
    CONTENT_TYPE,
    JSON,
    LABELS,
    NUMBERS,
    NUMERIC,
    get_datatype,
    get_kinds,
    read_schema,
)
from app.serving.tensors.inference_request import InferenceRequest
from app.serving.tensors.tensor import Tensor
from mlmodel.schema.messages import join_first
from mlmodel.schema.rows import Table
from mlmodel.schema.subschemas import JsonSchema, Subschemas

#: The name of a matrix in metadata, as MLflow and MLServer name an input without a name.
MATRIX = "input-0"
#: Names that a message lists at most.
MOST_NAMES = 10


def to_rows(request: InferenceRequest, row: Subschemas, max_rows: int) -> list[Any]:
    """Return the rows of a request, one for each index of the tensors' first axis.

    Inputs are columns if the request is a table, or the schema names them; a single input is
    otherwise a matrix with a column for each member, in the order of the schema. If rows are not
    objects, each is the part of the single input at its index.

    :param row: the schema of a row.
    :raises InvalidTensor: if the inputs differ in the number of rows, or do not fit the schema.
    :raises TooManyRows: if there are more than ``max_rows``.
    """
    count = request.inputs[0].shape[0]
    if count > max_rows:
        raise TooManyRows(max_rows, count)
    for tensor in request.inputs:
        if tensor.shape[0] != count:
            raise InvalidTensor(
                f"expected {count} rows in each input, got {tensor.shape[0]} in {tensor.name!r}"
            )
    if request.is_table or _are_columns(request.inputs, row):
        return _from_columns(request.inputs, row)
    if len(request.inputs) > 1:
        names = join_first((each.name for each in request.inputs), MOST_NAMES)
        raise InvalidTensor(f"{_describe_expected(row)}, got {names}")
    return _from_matrix(request.inputs[0], row)


def describe_inputs(schema: JsonSchema | None) -> list[dict[str, Any]]:
    """Return the metadata of a model's inputs: a matrix if all members are numbers, else columns.

    It is empty if the schema names no members.
    """
    row = read_schema(schema)
    kinds = {name: get_kinds(row.member(name)) for name in row.names}
    if kinds and all(each - {"null"} and each - {"null"} <= NUMERIC for each in kinds.values()):
        matrix = _describe(MATRIX, "FP64", NUMBERS, len(kinds))
        matrix["parameters"][LABELS] = to_json(list(kinds))
        return [matrix]
    return [_describe_column(name, row.member(name)) for name in row.names]


def _describe_column(name: str, value: Subschemas) -> dict[str, Any]:
    kinds = get_kinds(value)
    if kinds == {"array"}:
        datatype, content_type = get_datatype(get_kinds(value.item(0)))
        if content_type != JSON:
            return _describe(name, datatype, content_type, -1)
    if kinds == {"string", "null"}:
        kinds = {"string"}  # a request in JSON may hold null
    return _describe(name, *get_datatype(kinds), 1)


def _describe(name: str, datatype: str, content_type: str, size: int) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": [-1, size],
        "parameters": {CONTENT_TYPE: content_type},
    }


def _are_columns(tensors: Sequence[Tensor], row: Subschemas) -> bool:
    if row.names:
        return all(tensor.name in row.names for tensor in tensors)
    kinds = get_kinds(row)
    return "object" in kinds or (not kinds and len(tensors) > 1)


def _from_columns(tensors: Sequence[Tensor], row: Subschemas) -> list[Any]:
    columns = {each.name: _to_column(each, row.member(each.name)) for each in tensors}
    return Table.build(tensors[0].shape[0], columns)


def _to_column(tensor: Tensor, member: Subschemas) -> Sequence[Any]:
    is_flat = len(tensor.shape) == 1
    if is_flat or (tensor.shape[1:] == (1,) and get_kinds(member) != {"array"}):
        return tensor.elements
    return tensor.nested()


def _from_matrix(tensor: Tensor, row: Subschemas) -> list[Any]:
    if not row.names:
        kinds = get_kinds(row)
        is_scalar = tensor.shape[1:] == (1,) and kinds and "array" not in kinds
        return list(tensor.elements) if is_scalar else tensor.nested()
    width = len(row.names)
    if tensor.shape[1:] != (width,) and not (width == 1 and len(tensor.shape) == 1):
        raise InvalidTensor(f"{_describe_expected(row)}, got the shape {list(tensor.shape)}")
    columns = {name: tensor.elements[at::width] for at, name in enumerate(row.names)}
    return Table.build(tensor.shape[0], columns)


def _describe_expected(row: Subschemas) -> str:
    if not row.names:
        return "expected one input"
    names = join_first(row.names, MOST_NAMES)
    matrix = f"one input of the shape [n, {len(row.names)}] with these columns"
    return f"expected an input for each of {names}, or {matrix}"
