"""Reject ONNX graphs with external tensors, which ONNX Runtime would read from other files.

The protobuf fields are parsed only as far as the tensors, so the ``onnx`` package need not be
installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlmodel.errors import BrokenModel

#: Session option that makes ONNX Runtime read the bytes as ONNX, the format that is checked here.
AS_READ = ("session.load_model_format", "ONNX")

#: Messages that may contain tensors, with the numbers of the fields that lead to them. Source:
#: onnx.proto.
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
#: Runs of numeric attributes, of which the nodes of a forest have millions.
_NUMBERS = re.compile(rb"(?:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f])++", re.DOTALL)

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


def check(content: bytes) -> None:
    """Reject a graph that has a tensor in another file, or in the memory of the process.

    :raises BrokenModel: with the name of the tensor, or if the content is not valid protobuf.
    """
    messages = [("model", 0, len(content))]
    while messages:
        kind, start, end = messages.pop()
        if kind == "tensor":
            _check_tensor(content, start, end)
            continue
        within = _FIELDS[kind]
        messages.extend(
            (within[number], at, value)
            for number, wire, at, value in _fields(content, start, end, kind == "attribute")
            if wire == _LENGTH and number in within
        )


def _check_tensor(content: bytes, start: int, end: int) -> None:
    name, is_external = b"", False
    for number, wire, at, value in _fields(content, start, end):
        if number == _NAME and wire == _LENGTH:
            name = content[at:value]
        elif number == _DATA_LOCATION:
            is_external |= wire != _VARINT or value != 0
        elif number == _EXTERNAL_DATA:
            is_external = True
    if is_external:
        title = name[:80].decode(errors="replace")
        raise BrokenModel(
            f"its tensor {title!r} is in another file, which is not read; "
            "save the model with all of its tensors inside"
        )


def _fields(
    content: bytes, at: int, end: int, has_numbers: bool = False
) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, start, and end of each field; for a number, its value as the end."""
    while at < end:
        if has_numbers and (run := _NUMBERS.match(content, at, end)):
            at = run.end()
            continue
        tag, at = _varint(content, at, end)
        number, wire = tag >> 3, tag & 7
        if not number or tag >> 32:
            raise _unreadable()
        start = at
        if wire == _VARINT:
            value, at = _varint(content, at, end)
        elif wire == _LENGTH:
            size, start = _varint(content, at, end)
            value = at = start + size
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            value = at = at + (8 if wire == _EIGHT_BYTES else 4)
        else:
            raise _unreadable()
        if at > end:
            raise _unreadable()
        yield number, wire, start, value


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a varint and the position after it."""
    value = 0
    for place, byte in enumerate(content[at : min(at + _LONGEST_VARINT, end)]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004
            return value, at + place + 1
    raise _unreadable()


def _unreadable() -> BrokenModel:
    return BrokenModel("it is not an ONNX graph, or it is damaged")
