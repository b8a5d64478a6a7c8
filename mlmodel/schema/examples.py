"""Generate an example value for a schema."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mlmodel.schema.subschemas import JsonSchema, resolve

#: Maximum depth of a generated example, for schemas that refer to themselves.
DEPTH = 8
#: Maximum minLength or minItems that a generated example meets.
LENGTH = 1000

#: Example values by JSON Schema ``format``.
FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T14:30:00Z",
    "date-time-local": "2026-01-31T14:30:00",
    "duration": "P3D",
    "email": "someone@example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "14:30:00Z",
    "uri": "https://example.org/",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def build_example(document: JsonSchema) -> Any:
    """Return the schema's own example, or a value generated from its keywords.

    A generated value may violate a combination of keywords; the caller validates it.
    """
    return _example(document, document, DEPTH)


def _example(schema: JsonSchema, document: JsonSchema, depth: int) -> Any:
    if isinstance(schema, bool) or depth == 0:
        return None
    given = [
        *schema.get("examples", ()),
        *_only(schema, "default", "const"),
        *schema.get("enum", ()),
    ]
    if given:
        return given[0]
    if "$ref" in schema:
        return _example(resolve(schema["$ref"], document), document, depth - 1)
    for alternatives in _only(schema, "anyOf", "oneOf", "allOf"):
        return _example(alternatives[0], document, depth - 1)
    return _of_type(schema, document, depth)


def _only(schema: Mapping[str, Any], *keywords: str) -> list[Any]:
    return [schema[keyword] for keyword in keywords if keyword in schema]


def _of_type(schema: Mapping[str, Any], document: JsonSchema, depth: int) -> Any:
    types = schema.get("type", "object" if "properties" in schema else "null")
    kind = types if isinstance(types, str) else types[0]
    if kind == "object":
        return _object(schema, document, depth)
    if kind == "array":
        return _array(schema, document, depth)
    make = _SCALARS.get(kind)
    return make(schema) if make else None


def _object(schema: Mapping[str, Any], document: JsonSchema, depth: int) -> dict[str, Any]:
    members = schema.get("properties", {})
    return {
        name: _example(members[name], document, depth - 1)
        for name in schema.get("required", ())
        if name in members
    }


def _array(schema: Mapping[str, Any], document: JsonSchema, depth: int) -> list[Any]:
    items = schema.get("items", True)
    # Drafts before 2020-12 write prefixItems as a list in items.
    first = schema.get("prefixItems", items if isinstance(items, list) else [])
    rest = True if isinstance(items, list) else items
    count = max(min(int(schema.get("minItems", 1)), LENGTH), len(first))
    schemas = [*first, *[rest] * (count - len(first))]
    return [_example(each, document, depth - 1) for each in schemas]


def _number(schema: Mapping[str, Any]) -> float:
    low: float | None = schema.get("minimum", schema.get("exclusiveMinimum"))
    high: float | None = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return (low + high) / 2
    if low is not None:
        return low + 1
    return high - 1 if high is not None else 1.0


def _string(schema: Mapping[str, Any]) -> str:
    text = FORMATS.get(schema.get("format", ""), "text")
    text = text.ljust(min(int(schema.get("minLength", 0)), LENGTH), "x")
    return text[: int(schema.get("maxLength", len(text)))]


_SCALARS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "boolean": lambda schema: True,
    "integer": lambda schema: math.ceil(_number(schema)),
    "number": _number,
    "string": _string,
}
