"""A model behind the Open Inference Protocol, version 2: Triton, KServe, MLServer and others."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any
from urllib.parse import quote

from app.serving.errors import InvalidTensor, RemoteFailed
from app.serving.json_text import parse
from app.serving.remote.about import About
from app.serving.remote.http_client import HttpClient
from app.serving.tensors import datatypes
from app.serving.tensors.content_types import (
    CONTENT_TYPE,
    JSON,
    LABELS,
    NUMERIC,
    TEXT,
    get_datatype,
    get_kinds,
    read_schema,
)
from app.serving.tensors.inputs import MATRIX
from app.serving.tensors.tensor import Tensor, TensorReader, get_parameters, get_text
from mlmodel.errors import InvalidInput
from mlmodel.schema.rows import build_rows
from mlmodel.schema.subschemas import JsonSchema

#: Bits of the datatypes of integers.
BITS = {f"INT{bits}": bits for bits in (8, 16, 32, 64)}
#: First sizes of a tensor whose first axis is that of the rows: any number of rows, or one.
ROW_COUNTS = (-1, 1)


class InferenceApi:
    """The API of a model on a server of the Open Inference Protocol."""

    def __init__(self, client: HttpClient, model: str) -> None:
        self._client = client
        name, _, version = model.partition("@")
        self._path = f"/v2/models/{quote(name)}"
        if version:
            self._path += f"/versions/{quote(version)}"
        self._inputs: Sequence[Tensor] = ()

    def describe(self) -> About:
        """Return the schemas that the tensors in the server's metadata define.

        :raises ServingError: if the model is not available, or the response is unusable.
        """
        response = self._client.get(self._path)
        if not response.is_ok:
            raise response.build_error()
        if not isinstance(response.document, Mapping):
            raise RemoteFailed("the remote server describes the model in an unknown form")
        try:
            self._inputs = _read_metadata(response.document.get("inputs"))
            outputs = _read_metadata(response.document.get("outputs"))
        except InvalidTensor as error:
            raise RemoteFailed(f"the metadata of the remote server: {error}") from error
        return About(
            input_schema=_to_schema(self._inputs),
            output_schema=_to_schema(outputs, is_output=True),
        )

    def predict(self, rows: Sequence[Any], schema: JsonSchema | None) -> list[Any]:
        """Return the predictions for rows that are valid under a schema: objects of the outputs.

        A model whose tensors have one row gets a request for each, all within one time limit.

        :raises InvalidInput: if the server rejects the rows.
        :raises ServingError: if the request fails, or the response is unusable.
        """
        has_one_row = any(each.shape[0] == 1 for each in self._inputs)
        parts = [[row] for row in rows] if has_one_row else [rows]
        ends_at = time.monotonic() + self._client.seconds
        return [each for part in parts for each in self._infer(part, schema, ends_at)]

    def _infer(self, rows: Sequence[Any], schema: JsonSchema | None, ends_at: float) -> list[Any]:
        tensors = self._to_inputs(rows, schema)
        inputs = [{**each.describe(), "data": each.elements} for each in tensors]
        body = json.dumps({"inputs": inputs}, allow_nan=False).encode()
        response = self._client.post(f"{self._path}/infer", body, ends_at)
        if response.is_rejection:
            raise InvalidInput(response.text)
        if not response.is_ok:
            raise response.build_error()
        try:
            return _read_predictions(response.document, len(rows))
        except InvalidTensor as error:
            raise RemoteFailed(f"the response of the remote server: {error}") from error

    def _to_inputs(self, rows: Sequence[Any], schema: JsonSchema | None) -> list[Tensor]:
        """Return columns by the names of the server's inputs, or else one matrix."""
        names = tuple(read_schema(schema).names)
        if not all(isinstance(row, Mapping) for row in rows):
            raise InvalidInput("the remote server needs rows that are objects")
        described = {each.name: each for each in self._inputs}
        if names and described.keys().isdisjoint(names) and len(described) <= 1:
            if not described and not _are_numbers(names, schema):
                return [_to_column(name, rows, schema) for name in names]
            default = Tensor(MATRIX, "FP64", (-1, len(names)), ())
            matrix = next(iter(described.values()), default)
            elements = [row.get(name) for row in rows for name in names]
            return [Tensor(matrix.name, matrix.datatype, (len(rows), len(names)), elements)]
        return [_to_tensor(each, rows) for each in self._inputs]


def _read_metadata(items: Any) -> list[Tensor]:
    """Return the tensors of metadata, without elements. A size of -1 may vary."""
    if not isinstance(items, list | None):
        raise InvalidTensor("inputs and outputs must be lists")
    tensors = [_read_described(item) for item in items or ()]
    for each in tensors:
        if each.shape[0] not in ROW_COUNTS:
            raise InvalidTensor(
                f"the first axis of {each.name!r:.80} must be that of the rows, with the size -1 "
                f"or 1, got {each.shape[0]}"
            )
    return tensors


def _read_described(item: Any) -> Tensor:
    name, datatype = get_text(item, "name"), get_text(item, "datatype")
    if datatype not in datatypes.NAMES:
        raise InvalidTensor(f"the tensor {name!r:.80} has an unsupported datatype")
    shape = item.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(size) is int for size in shape):
        raise InvalidTensor(f"the tensor {name!r:.80} has no shape")
    return Tensor(name, datatype, tuple(shape), (), get_parameters(item))


def _to_schema(tensors: Sequence[Tensor], *, is_output: bool = False) -> dict[str, Any] | None:
    """Return the schema of an object with a member for each tensor or label; ``None`` for none."""
    if not tensors:
        return None
    labels = _get_labels(tensors[0]) if len(tensors) == 1 and not is_output else ()
    members = (
        dict.fromkeys(labels, _to_value_schema(tensors[0]))
        if labels
        else {each.name: _to_member_schema(each) for each in tensors}
    )
    schema = {"type": "object", "properties": members, "required": list(members)}
    return schema if is_output else {**schema, "additionalProperties": False}


def _to_member_schema(tensor: Tensor) -> dict[str, Any]:
    schema = _to_value_schema(tensor)
    labels = _get_labels(tensor)
    if labels:
        return {"type": "object", "properties": dict.fromkeys(labels, schema)}
    sizes = tensor.shape[1:]
    for size in reversed(() if sizes == (1,) else sizes):
        bounds = {"minItems": size, "maxItems": size} if size > 0 else {}
        schema = {"type": "array", "items": schema, **bounds}
    return schema


def _to_value_schema(tensor: Tensor) -> dict[str, Any]:
    if tensor.parameters.get(CONTENT_TYPE) == JSON:
        return {}
    if tensor.datatype == datatypes.BYTES:
        return {"type": "string"}
    kind = datatypes.DATATYPES[tensor.datatype].kind
    if kind != "integer":
        return {"type": kind}
    is_signed = tensor.datatype in BITS
    bits = BITS[tensor.datatype] - 1 if is_signed else BITS[tensor.datatype[1:]]
    return {"type": "integer", "minimum": -(2**bits) if is_signed else 0, "maximum": 2**bits - 1}


def _get_labels(tensor: Tensor) -> Sequence[str]:
    """Return the names of a matrix's columns, if they are as many as those."""
    text = tensor.parameters.get(LABELS)
    try:
        labels = parse(text.encode()) if isinstance(text, str) else ()
    except ValueError:
        return ()
    if not isinstance(labels, list) or not all(isinstance(each, str) for each in labels):
        return ()
    is_fitting = tensor.shape[1:] == (len(labels),) and len(set(labels)) == len(labels)
    return labels if is_fitting else ()


def _are_numbers(names: Sequence[str], schema: JsonSchema | None) -> bool:
    row = read_schema(schema)
    kinds = [get_kinds(row.member(name)) - {"null"} for name in names]
    return all(each and each <= NUMERIC for each in kinds)


def _to_column(name: str, rows: Sequence[Any], schema: JsonSchema | None) -> Tensor:
    """Return the scalars of a member whose tensor the server does not describe."""
    datatype, content_type = get_datatype(get_kinds(read_schema(schema).member(name)) - {"null"})
    if content_type == JSON:
        raise InvalidInput("the remote server describes no input of this type", f"/{name}")
    values = [row.get(name) for row in rows]
    return Tensor(name, datatype, (len(rows), 1), values, {CONTENT_TYPE: content_type})


def _to_tensor(described: Tensor, rows: Sequence[Any]) -> Tensor:
    """Return the values of rows in the form that the server describes."""
    values: list[Any] = [row.get(described.name) for row in rows]
    parameters = {}
    if described.datatype == datatypes.BYTES:
        is_json = described.parameters.get(CONTENT_TYPE) == JSON
        parameters = {CONTENT_TYPE: JSON if is_json else TEXT}
        if is_json:
            texts = [json.dumps(value, allow_nan=False) for value in values]
            return Tensor(described.name, datatypes.BYTES, (len(rows), 1), texts, parameters)
    shape = [len(rows)]
    for _ in described.shape[1:] if described.shape[1:] != (1,) else ():
        sizes = {len(value) if isinstance(value, list) else -1 for value in values}
        if len(sizes) != 1 or sizes & {-1, 0}:
            raise InvalidInput(
                "the remote server needs lists of the same length, which is not 0",
                f"/{described.name}",
            )
        shape.append(sizes.pop())
        values = list(chain.from_iterable(values))
    if described.shape[1:] == (1,):
        shape.append(1)
    return Tensor(described.name, described.datatype, tuple(shape), values, parameters)


def _read_predictions(document: Any, count: int) -> list[Any]:
    """Return an object of the outputs for each row.

    :raises InvalidTensor: if an output is not valid, or is not one value for each row.
    """
    items = document.get("outputs") if isinstance(document, Mapping) else None
    if not isinstance(items, list) or not items:
        raise InvalidTensor("expected a list of outputs")
    reader = TensorReader(memoryview(b""), "", "output")
    columns = {}
    for item in items:
        tensor = reader.read(item)
        if tensor.shape[0] != count:
            raise InvalidTensor(
                f"expected {count} rows in {tensor.name!r:.80}, got {tensor.shape[0]}"
            )
        columns[tensor.name] = _to_values(tensor, _get_labels(_read_described(item)))
    if len(columns) < len(items):
        raise InvalidTensor("two outputs have the same name")
    return build_rows(count, columns.items())


def _to_values(tensor: Tensor, labels: Sequence[str]) -> list[Any]:
    if labels:
        return [dict(zip(labels, row, strict=True)) for row in tensor.nested()]
    is_scalar = prod(tensor.shape[1:]) == 1 and len(tensor.shape) <= 2  # noqa: PLR2004  [n], [n, 1]
    return list(tensor.elements) if is_scalar else tensor.nested()
