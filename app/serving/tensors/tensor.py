"""A tensor of a request or a response, and its form in JSON and in bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from typing import Any

from app.serving.errors import InvalidTensor
from app.serving.tensors import datatypes
from app.serving.tensors.content_types import CONTENT_TYPE, decode
from mlmodel.schema.messages import to_short_json

#: The parameter with the size of a tensor's bytes, which follow the JSON.
BINARY_SIZE = "binary_data_size"
#: More dimensions than any model's input has.
MAX_DIMENSIONS = 16


@dataclass(frozen=True)
class Tensor:
    """A named array of values in row-major order, ``None`` where a value is missing."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Sequence[Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return the tensor's members in JSON, without its data."""
        members = {"name": self.name, "shape": self.shape, "datatype": self.datatype}
        return members | ({"parameters": self.parameters} if self.parameters else {})

    def nested(self) -> list[Any]:
        """Return the elements as lists nested by the shape."""
        nested: list[Any] = list(self.elements)
        for size in reversed(self.shape[1:]):
            nested = [nested[at : at + size] for at in range(0, len(nested), size)]
        return nested


class TensorReader:
    """Reads tensors from JSON and the bytes that follow it.

    :param content: the bytes after the JSON, which the tensors share in their order.
    :param content_type: that of tensors without one; empty if the values stay as they are.
    :param role: what the tensors are, in messages.
    """

    def __init__(self, content: memoryview, content_type: str, role: str = "input") -> None:
        self._role = role
        self._content = content
        self._content_type = content_type

    def read(self, item: Any) -> Tensor:
        """Return the tensor of an item of ``inputs`` or ``outputs``.

        :raises InvalidTensor: if it has mistakes.
        """
        name = get_text(item, "name")
        try:
            return self._read(name, item)
        except InvalidTensor as error:
            raise InvalidTensor(f"{self._role} {to_short_json(name)}: {error}") from error

    def finish(self) -> None:
        """Check that the tensors have used all bytes.

        :raises InvalidTensor: if bytes are left.
        """
        if len(self._content):
            raise InvalidTensor(f"{len(self._content):,} bytes follow those of the last input")

    def _read(self, name: str, item: Mapping[str, Any]) -> Tensor:
        datatype = get_text(item, "datatype")
        if datatype not in datatypes.NAMES:
            known = ", ".join(datatypes.NAMES)
            raise InvalidTensor(f"datatype must be one of {known}, got {to_short_json(datatype)}")
        shape = _to_shape(item.get("shape"))
        parameters = get_parameters(item)
        if item.get("data") is None and BINARY_SIZE in parameters:
            elements = datatypes.from_bytes(datatype, self._take(parameters[BINARY_SIZE]))
            _check_count(shape, len(elements))
        else:
            elements = datatypes.from_json(datatype, _flatten(item.get("data"), shape))
        content_type = parameters.get(CONTENT_TYPE) or self._content_type
        return Tensor(name, datatype, shape, decode(content_type, datatype, elements))

    def _take(self, size: Any) -> memoryview:
        if type(size) is not int or not 0 <= size <= len(self._content):
            raise InvalidTensor(
                f"{BINARY_SIZE} must be at most the {len(self._content):,} bytes that are left "
                f"after the JSON, got {to_short_json(size)}"
            )
        taken, self._content = self._content[:size], self._content[size:]
        return taken


def get_text(item: Any, key: str) -> str:
    """Return a member of an object, which must be text.

    :raises InvalidTensor: if it is not.
    """
    if not isinstance(item, Mapping):
        raise InvalidTensor(f"expected an object, got {to_short_json(item)}")
    text = item.get(key)
    if not isinstance(text, str):
        raise InvalidTensor(f"{key} must be text, got {to_short_json(text)}")
    return text


def get_parameters(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a request or of an item in it.

    :raises InvalidTensor: if they are not an object.
    """
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise InvalidTensor(f"parameters must be an object, got {to_short_json(parameters)}")
    return parameters


def _to_shape(shape: Any) -> tuple[int, ...]:
    is_list = isinstance(shape, list) and 0 < len(shape) <= MAX_DIMENSIONS
    if not is_list or not all(type(size) is int and size >= 0 for size in shape):
        detail = f"shape must be a list of 1 to {MAX_DIMENSIONS} sizes, the number of rows first"
        raise InvalidTensor(f"{detail}, got {to_short_json(shape)}")
    if 0 in shape[1:]:
        raise InvalidTensor(f"only the number of rows may be 0, got the shape {shape}")
    return tuple(shape)


def _flatten(data: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return data that is flat, or nested as the shape, as a flat list."""
    if not isinstance(data, list):
        raise InvalidTensor(f"data must be a list, got {to_short_json(data)}")
    flat: list[Any] = data
    if list not in set(map(type, data)):
        _check_count(shape, len(data))
        return flat
    _check_count(shape[:1], len(data))
    for size in shape[1:]:
        if not all(isinstance(part, list) and len(part) == size for part in flat):
            raise InvalidTensor(f"the lists in data must be nested as the shape {list(shape)}")
        flat = list(chain.from_iterable(flat))
    return flat


def _check_count(shape: tuple[int, ...], count: int) -> None:
    if prod(shape) != count:
        raise InvalidTensor(f"the shape {list(shape)} needs {prod(shape):,} values, got {count:,}")
