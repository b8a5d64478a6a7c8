"""Changes to the JSON Schemas that packages generate from classes.

The result means the same in 2020-12, and is no stricter than the class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlmodel.declarations.schema_package import ANNOTATIONS
from mlmodel.schema.subschemas import DATA_KEYWORDS, NAMED_SCHEMAS

#: Formats that JSON Schema checks more strictly than pydantic, as RFC 3339 requires a time zone,
#: and an example of each.
_TIMES = {"date-time": "2026-01-31T14:30:00Z", "time": "14:30:00Z"}
#: The description that pydantic 1 writes for an Enum without one.
_NO_DESCRIPTION = "An enumeration."

#: Keywords that restrict a value. A schema without any already allows null.
_RESTRICTIONS = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"})

#: A function that returns a changed copy of a JSON Schema.
Change = Callable[[dict[str, Any]], dict[str, Any]]


def transform(schema: dict[str, Any], change: Change) -> dict[str, Any]:
    """Return a JSON Schema with a change applied to it and to each schema inside it."""
    inner: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in NAMED_SCHEMAS:
            inner[keyword] = {name: _transform_value(part, change) for name, part in value.items()}
        elif keyword in DATA_KEYWORDS or keyword == "example":
            inner[keyword] = value
        else:
            inner[keyword] = _transform_value(value, change)
    return change(inner)


def _transform_value(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_transform_value(item, change) for item in value]
    return transform(value, change) if isinstance(value, dict) else value


def normalize(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of pydantic in terms of 2020-12, no stricter than its class."""
    normalized = dict(schema)
    # Its references break in another document, and alternatives differ by constants anyway.
    normalized.pop("discriminator", None)
    if "example" in normalized:
        normalized.setdefault("examples", [normalized.pop("example")])
    if normalized.get("format") in _TIMES:
        normalized.setdefault("examples", [_TIMES[normalized.pop("format")]])
    if normalized.get("description") == _NO_DESCRIPTION:
        del normalized["description"]
    if isinstance(normalized.get("items"), list):
        normalized["prefixItems"] = normalized.pop("items")
    return normalized


def with_null_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow null for members whose default is null: pydantic 2 does not validate defaults."""
    properties = {
        name: allow_null(part) if part.get("default", ...) is None else part
        for name, part in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


def with_numeric_decimals(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow numbers for a decimal, which msgspec writes as text, and which the host does not."""
    if schema.get("format") != "decimal":
        return schema
    rest = {key: value for key, value in schema.items() if key != "format"}
    return {**rest, "type": ["number", "string"]}


def allow_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that also allows null."""
    null = {"type": "null"}
    if null in schema.get("anyOf", []) or not _RESTRICTIONS.intersection(schema):
        return schema
    kept = {key: value for key, value in schema.items() if key in ANNOTATIONS}
    rest = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
    return {**kept, "anyOf": [rest, null]}
