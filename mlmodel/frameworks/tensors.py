"""Convert rows to the tensors that a model takes, and its output tensors to predictions.

Shared by PyTorch, Keras and ONNX. The first axis of a tensor counts rows. A model that takes one
short vector has a field for each of its numbers, any other model has a field for each tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.frameworks import Predict, Rows, Schemas
from mlmodel.model import Row

#: The longest vector that has a field for each of its numbers.
LONGEST_VECTOR = 100
#: Maximum number of examples taken from a sample, and of values in one example.
EXAMPLES, LARGEST_EXAMPLE = 3, 1000
#: Rows of a sample on which the model's own predictions are described.
MOST_EVEN_ROWS = 2000

#: Maps tensors, in the order of the model's inputs, to a prediction for each row.
ModelCall = Callable[[list[NDArray[Any]]], list[Any]]

#: JSON types by numpy's kind; all other kinds are numbers.
_TYPES = {"b": "boolean", "i": "integer", "u": "integer", "O": "string"}


@dataclass(frozen=True)
class Tensor:
    """A tensor as its model describes it.

    ``dtype`` is numpy's name of its type, ``"object"`` for texts. ``shape`` is that of one row,
    with ``None`` for an axis of any length, or ``None`` if it is unknown. ``rows`` is the number of
    rows, if it is fixed.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None = None
    rows: int | None = None

    @property
    def known_shape(self) -> tuple[int, ...] | None:
        """The shape of one row, if the length of every axis is known."""
        known = [axis for axis in self.shape or () if axis is not None]
        return tuple(known) if self.shape is not None and len(known) == len(self.shape) else None

    @property
    def is_scalar(self) -> bool:
        """Whether a row has one value, which may be a vector of length one."""
        return self.shape in {(), (1,)}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of one row: a value, or nested arrays of fixed lengths."""
        if self.shape is None or self.is_scalar:
            return {} if self.shape is None else self.value_schema()
        schema = self.value_schema()
        for axis in reversed(self.shape):
            length = {} if axis is None else {"minItems": axis, "maxItems": axis}
            schema = {"type": "array", "items": schema, **length}
        return schema

    def value_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of one value. Small integers have the limits of their type."""
        dtype = np.dtype(self.dtype)
        schema: dict[str, Any] = {"type": _TYPES.get(dtype.kind, "number")}
        if dtype.kind not in "iu" or dtype.itemsize == np.dtype("int64").itemsize:
            return schema
        limits = np.iinfo(dtype)
        return {**schema, "minimum": int(limits.min), "maximum": int(limits.max)}

    def array(self, values: list[Any]) -> NDArray[Any]:
        """Return the tensor of these values, one for each row.

        :raises InvalidInput: if an integer is too large for the tensor.
        :raises ValueError: if their shapes differ from the tensor's, or from each other.
        """
        try:
            array = np.array(values, dtype=self.dtype)
        except OverflowError as error:
            raise InvalidInput(f"a number is too large for {self.dtype}") from error
        if self.known_shape is None:
            return array
        return array.reshape((len(values), *self.known_shape))


class Fields:
    """The members of a row, and how they fill the tensors that a model takes.

    :param names: of the members, for a model that takes one tensor.
    :raises InvalidModel: if the model takes no tensor, or not as many numbers as there are names.
    """

    def __init__(self, tensors: Sequence[Tensor], names: Sequence[str] = ()) -> None:
        if not tensors:
            raise InvalidModel("the model has no input tensors")
        self.tensors = tuple(tensors)
        self.names = tuple(names) if names and len(tensors) == 1 else self._own_names()
        width = self._width()
        if self.is_spread and width not in {None, len(self.names)}:
            raise InvalidModel(f"expected {width} fields, got {len(self.names)}")

    @property
    def is_spread(self) -> bool:
        """Whether each member is one number of a vector."""
        return len(self.names) > len(self.tensors)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a row, of which every member is required."""
        if self.is_spread:
            schemas = [self.tensors[0].value_schema() for _ in self.names]
        else:
            schemas = [_input_schema(tensor) for tensor in self.tensors]
        schema = object_schema(dict(zip(self.names, schemas, strict=True)))
        return {**schema, "additionalProperties": False}

    def arrays(self, rows: Rows) -> list[NDArray[Any]]:
        """Return the tensors filled from rows; raises the errors of :meth:`Tensor.array`."""
        if self.is_spread:
            return [self.tensors[0].array([[row.get(name) for name in self.names] for row in rows])]
        return [
            tensor.array([row.get(name) for row in rows])
            for name, tensor in zip(self.names, self.tensors, strict=True)
        ]

    def predictor(self, call: ModelCall) -> Predict:
        """Return the function that predicts rows with as few calls of the model as possible."""
        size = next((tensor.rows for tensor in self.tensors if tensor.rows), None)
        if size is not None:
            return lambda rows: self._predict_in_parts(call, rows, size)
        return lambda rows: self._predict_at_once(call, rows) if rows else []

    def schemas(self, output: dict[str, Any] | None, sample: Any) -> Schemas:
        """Return the schemas of a model, with the first rows of a sample as examples.

        :param output: the schema of a prediction, if it is known.
        :raises InvalidModel: if the tensor cannot hold the sample's rows.
        """
        is_shown = sample is not None and len(self.tensors) == 1
        if not is_shown:
            return Schemas(self.schema(), output)
        examples = self._examples(sample)
        columns = self._columns(sample) if self.is_spread else {}
        rows = [dict(zip(columns, row, strict=True)) for row in _even_rows(columns)]
        return Schemas(self.schema(), output, examples, columns=columns, rows=rows)

    def _columns(self, sample: Any) -> dict[str, Any]:
        """Return the numbers of a sample by member."""
        array = np.asarray(sample).reshape(-1, len(self.names))
        return dict(zip(self.names, array.T, strict=True))

    def _examples(self, sample: Any) -> tuple[Row, ...]:
        """Return the first rows of a sample as examples, for a model with one tensor.

        Large ones, such as photographs, are left out: they would go into the file as text.
        """
        [tensor] = self.tensors
        try:
            rows = tensor.array(np.asarray(sample)[:EXAMPLES].tolist()).tolist()
        except (TypeError, ValueError) as error:
            raise InvalidModel(f"expected sample rows of the shape {tensor.shape}") from error
        if np.size(rows[:1]) > LARGEST_EXAMPLE:
            return ()
        if self.is_spread:
            return tuple(dict(zip(self.names, row, strict=True)) for row in rows)
        return tuple({self.names[0]: row[0] if tensor.shape == (1,) else row} for row in rows)

    def _own_names(self) -> tuple[str, ...]:
        width = self._width() or 0
        is_vector = len(self.tensors[0].shape or ()) == 1
        if len(self.tensors) == 1 and is_vector and 1 < width <= LONGEST_VECTOR:
            return tuple(f"x{at}" for at in range(width))
        return tuple(tensor.name for tensor in self.tensors)

    def _width(self) -> int | None:
        shape = self.tensors[0].known_shape
        return None if shape is None else math.prod(shape)

    def _predict_at_once(self, call: ModelCall, rows: Rows) -> list[Any]:
        try:
            arrays = self.arrays(rows)
        except ValueError:
            if len(rows) == 1:
                raise
            # Rows with an axis of any length fit into one array only if their lengths are equal.
            return [each for row in rows for each in call(self.arrays([row]))]
        return call(arrays)

    def _predict_in_parts(self, call: ModelCall, rows: Rows, size: int) -> list[Any]:
        predictions = []
        for at in range(0, len(rows), size):
            part = list(rows[at : at + size])
            filled = part + part[-1:] * (size - len(part))
            predictions += call(self.arrays(filled))[: len(part)]
        return predictions


def _even_rows(columns: Mapping[str, Any]) -> Any:
    """Return some of the rows of columns, evenly spaced."""
    table = np.column_stack(list(columns.values())) if columns else np.empty((0, 0))
    return table[:: -(-len(table) // MOST_EVEN_ROWS) or 1].tolist()


def column_names(sample: Any) -> list[str]:
    """Return the names of a frame's columns; of any other sample none."""
    return [str(name) for name in getattr(sample, "columns", ())]


def zeros(tensors: Sequence[Tensor], rows: int = 2) -> list[NDArray[Any]] | None:
    """Return tensors of zeros to try a model with, or ``None`` if a shape is unknown."""
    if any(tensor.known_shape is None for tensor in tensors):
        return None
    return [
        np.full(
            (tensor.rows or rows, *(tensor.known_shape or ())),
            "" if tensor.dtype == "object" else 0,
            dtype=tensor.dtype,
        )
        for tensor in tensors
    ]


def to_values(tensor: Any) -> list[Any]:
    """Return the values of each row of any framework's tensor, a vector of one as its value.

    NaN and the infinities, which JSON lacks, become ``None``.
    """
    values = tensor[:, 0] if tuple(tensor.shape[1:]) == (1,) else tensor
    rows = list(values.tolist())
    is_finite = "float" not in str(values.dtype) or bool((values - values == 0).all())
    return rows if is_finite else with_nulls(rows)


def with_nulls(value: Any) -> Any:
    """Return a number or nested lists of numbers, with ``None`` for those that JSON lacks."""
    if isinstance(value, list):
        return [with_nulls(item) for item in value]
    return value if math.isfinite(value) else None


def to_predictions(outputs: Mapping[str, Sequence[Any]], names: Sequence[str] = ()) -> list[Any]:
    """Return a prediction for each row. With several outputs, it is an object of their values.

    :param outputs: the values of each row, by the model's own names of its outputs.
    :param names: used instead if there is one for each output.
    """
    outputs = _with_names(outputs, names)
    rows = zip(*outputs.values(), strict=True)
    if len(outputs) == 1:
        return [{"prediction": value} for (value,) in rows]
    return [{"prediction": dict(zip(outputs, row, strict=True))} for row in rows]


def prediction_schema(outputs: Mapping[str, Tensor], names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of such a prediction."""
    schemas = {name: _output_schema(tensor) for name, tensor in _with_names(outputs, names).items()}
    prediction = object_schema(schemas) if len(schemas) > 1 else next(iter(schemas.values()))
    return object_schema({"prediction": prediction})


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object in which all of these members are required."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _with_names(outputs: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """Return a model's outputs under other names, if there is a name for each."""
    if len(names) != len(outputs):
        return outputs
    return dict(zip(names, outputs.values(), strict=True))


def _output_schema(tensor: Tensor) -> dict[str, Any]:
    if tensor.shape != (None,):
        return tensor.schema()
    # A vector of any length may have length one, and is then a value.
    value = tensor.value_schema()
    return {**value, "type": [value["type"], "array"], "items": value}


def _input_schema(tensor: Tensor) -> dict[str, Any]:
    """Return a field's schema, with its shape as the description if it has more than one value."""
    if tensor.is_scalar:
        return tensor.schema()
    if tensor.shape is None:
        return {"type": "array", "description": f"{tensor.dtype}, unknown shape"}
    axes = " x ".join("any" if axis is None else str(axis) for axis in tensor.shape)
    return {**tensor.schema(), "description": f"{tensor.dtype}, {axes}"}
