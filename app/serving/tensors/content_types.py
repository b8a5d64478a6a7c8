"""Content types: what the elements of a tensor stand for.

Source: MLServer 1.7.1, "Content Types (and Codecs)".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.serving.errors import InvalidTensor
from app.serving.json_text import parse
from app.serving.tensors.datatypes import BYTES
from mlmodel.schema.messages import to_short_json
from mlmodel.schema.subschemas import COMBINATIONS, JSON_TYPES, JsonSchema, Subschemas, types_of

#: The parameter with the content type of a request or a tensor.
CONTENT_TYPE = "content_type"
#: The parameter with the names of a matrix's columns, as JSON text: values must be scalars.
LABELS = "labels"
#: Of a request: one tensor for each column of a table.
TABLE = "pd"
#: Of a tensor: numbers, text, and text that holds a value as JSON.
NUMBERS, TEXT, JSON = "np", "str", "pd_json"
NUMERIC = frozenset({"integer", "number"})
#: Datatypes and content types by the JSON types of values.
DATATYPES: Mapping[frozenset[str], tuple[str, str]] = {
    frozenset({"boolean"}): ("BOOL", NUMBERS),
    frozenset({"integer"}): ("INT64", NUMBERS),
    frozenset({"number"}): ("FP64", NUMBERS),
    frozenset({"string"}): (BYTES, TEXT),
    NUMERIC: ("FP64", NUMBERS),
}


def decode(content_type: Any, datatype: str, elements: Sequence[Any]) -> Sequence[Any]:
    """Return the values that elements stand for.

    :raises InvalidTensor: if the content type is unknown or does not fit.
    """
    if content_type in {"", NUMBERS, TABLE}:
        return elements
    if not isinstance(content_type, str) or content_type not in DECODERS:
        known = ", ".join((NUMBERS, TABLE, *DECODERS))
        got = to_short_json(content_type)
        raise InvalidTensor(f"{CONTENT_TYPE} must be one of {known}, got {got}")
    if datatype != BYTES:
        raise InvalidTensor(f"the {CONTENT_TYPE} {content_type!r} needs {BYTES}, got {datatype}")
    decode_text = DECODERS[content_type]
    return [None if element is None else decode_text(element) for element in elements]


def _check_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTensor(f"expected base64 text, got {to_short_json(text)}") from error
    return text


def _check_datetime(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidTensor(f"expected a date in ISO 8601, got {to_short_json(text)}") from error
    return text


def _from_json(text: str) -> Any:
    try:
        return parse(text.encode())
    except ValueError as error:
        raise InvalidTensor(f"expected a value as JSON, got {to_short_json(text)}") from error


DECODERS: Mapping[str, Callable[[str], Any]] = {
    TEXT: str,
    "base64": _check_base64,
    "datetime": _check_datetime,
    JSON: _from_json,
}


def read_schema(schema: JsonSchema | None) -> Subschemas:
    """Return a schema with its references, alternatives and parts."""
    return Subschemas(True if schema is None else schema, COMBINATIONS)


def get_kinds(value: Subschemas) -> set[str]:
    """Return the JSON types that the schemas of a value name; empty if they name none."""
    kinds: set[str] = set()
    for node in value.nodes:
        kinds.update(types_of(node))
        constants = [*node.get("enum", ()), *([node["const"]] if "const" in node else [])]
        kinds.update(JSON_TYPES[type(constant)] for constant in constants)
    return kinds


def get_datatype(kinds: Collection[str]) -> tuple[str, str]:
    """Return the datatype and the content type of a tensor for values of JSON types.

    Only floating-point numbers have a value for null, NaN. Other values with null are JSON texts.
    """
    known = frozenset(kinds) - {"null"}
    if known and known <= NUMERIC and "null" in kinds:
        return "FP64", NUMBERS
    return DATATYPES.get(frozenset(kinds), (BYTES, JSON))
