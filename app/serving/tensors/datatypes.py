"""The datatypes of tensors, and their values in JSON and in bytes.

Source: Open Inference Protocol v2, "Tensor Data Types", and Triton, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, isinf, isnan, nan
from typing import Any

from app.serving.errors import InvalidTensor
from mlmodel.schema.messages import to_short_json

#: A datatype whose elements are texts, each with its length in four bytes before it.
BYTES = "BYTES"
#: The types of JSON values by kind of datatype.
JSON_TYPES: dict[str, set[type]] = {
    "number": {int, float},
    "integer": {int, float},
    "boolean": {bool},
}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Datatype:
    """A datatype of elements of one size.

    :param code: its code in :mod:`struct`.
    :param kind: the JSON type of its values.
    """

    name: str
    code: str
    kind: str

    @property
    def size_bytes(self) -> int:
        """The size of an element."""
        return struct.calcsize(f"<{self.code}")


DATATYPES = {
    name: Datatype(name, code, kind)
    for name, code, kind in (
        ("BOOL", "?", "boolean"),
        ("UINT8", "B", "integer"),
        ("UINT16", "H", "integer"),
        ("UINT32", "I", "integer"),
        ("UINT64", "Q", "integer"),
        ("INT8", "b", "integer"),
        ("INT16", "h", "integer"),
        ("INT32", "i", "integer"),
        ("INT64", "q", "integer"),
        ("FP16", "e", "number"),
        ("FP32", "f", "number"),
        ("FP64", "d", "number"),
    )
}
NAMES = (*DATATYPES, BYTES)


def from_json(datatype: str, values: Sequence[Any]) -> list[Any]:
    """Return the elements of a tensor from flat JSON values.

    A number is rounded to the precision of its datatype. ``None`` stays.

    :raises InvalidTensor: if a value does not have the datatype, or is outside its range.
    """
    # Faster than to look for it, which compares each value.
    has_missing = type(None) in set(map(type, values))
    given = [value for value in values if value is not None] if has_missing else values
    if datatype == BYTES:
        _check_types(datatype, given, {str})
        return list(values)
    kind = DATATYPES[datatype].kind
    _check_types(datatype, given, JSON_TYPES[kind])
    if kind == "integer":
        given = [_to_integer(datatype, value) for value in given]
    elements = from_bytes(datatype, memoryview(_pack(datatype, given)))
    if not has_missing:
        return elements
    rest = iter(elements)
    return [None if value is None else next(rest) for value in values]


def from_bytes(datatype: str, content: memoryview) -> list[Any]:
    """Return the elements of a tensor from bytes. NaN becomes ``None``.

    :raises InvalidTensor: if the bytes do not end with an element, or an element is infinite, or
        a text that is not UTF-8.
    """
    if datatype == BYTES:
        return list(_texts(content))
    kind = DATATYPES[datatype]
    count, rest = divmod(len(content), kind.size_bytes)
    if rest:
        raise InvalidTensor(
            f"expected a multiple of {kind.size_bytes} bytes for {datatype}, got {len(content):,}"
        )
    elements = list(struct.unpack(f"<{count}{kind.code}", content))
    # The sum is finite only if all elements are, and faster than to look at each.
    if kind.kind != "number" or isfinite(sum(elements)):
        return elements
    return [_to_number(each) for each in elements]


def to_bytes(datatype: str, elements: Sequence[Any]) -> bytes:
    """Return the bytes of elements that have the datatype. ``None`` becomes NaN."""
    if datatype == BYTES:
        encoded = [text.encode() for text in elements]
        return b"".join(part for each in encoded for part in (_LENGTH.pack(len(each)), each))
    numbers = [nan if element is None else element for element in elements]
    return struct.pack(f"<{len(numbers)}{DATATYPES[datatype].code}", *numbers)


def _check_types(datatype: str, values: Sequence[Any], allowed: set[type]) -> None:
    if set(map(type, values)) <= allowed:
        return
    wrong = next(value for value in values if type(value) not in allowed)
    raise InvalidTensor(f"expected values of {datatype}, got {to_short_json(wrong)}")


def _to_integer(datatype: str, value: float) -> int:
    if value != int(value):
        raise InvalidTensor(f"expected values of {datatype}, got {to_short_json(value)}")
    return int(value)


def _pack(datatype: str, values: Sequence[Any]) -> bytes:
    code = DATATYPES[datatype].code
    try:
        return struct.pack(f"<{len(values)}{code}", *values)
    except (struct.error, OverflowError):
        pass
    for value in values:
        try:
            struct.pack(f"<{code}", value)
        except (struct.error, OverflowError):
            break
    raise InvalidTensor(f"{to_short_json(value)} is outside the range of {datatype}")


def _to_number(element: float) -> float | None:
    if isinf(element):
        raise InvalidTensor("expected finite numbers, or NaN for a missing value; got infinity")
    return None if isnan(element) else element


def _texts(content: memoryview) -> Iterator[str]:
    at = 0
    while at < len(content):
        start = at + _LENGTH.size
        if start > len(content):
            raise InvalidTensor("the bytes end within the length of an element")
        at = start + _LENGTH.unpack_from(content, at)[0]
        if at > len(content):
            raise InvalidTensor("the bytes end within an element")
        try:
            yield str(content[start:at], "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidTensor(
                "an element is not text in UTF-8; send other bytes as base64 text, with the "
                "content_type 'base64'"
            ) from error
