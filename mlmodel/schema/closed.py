"""Closed schemas, which name all members of all objects in a value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mlmodel.schema.subschemas import (
    COMBINATIONS,
    JSON_TYPES,
    OTHER_MEMBERS,
    REFERENCES,
    JsonSchema,
    schemas_of,
    types_of,
)


def is_closed(document: JsonSchema, *, by_properties: bool = False) -> bool:
    """Return whether no object in a valid value has members that the schema does not name.

    False if that is not certain.

    :param by_properties: whether ``properties`` name all members of an object, unless the schema
        describes others.
    """
    if document is True:
        return False
    return all(_is_closed(schema, by_properties) for _, schema in schemas_of(document))


def _is_closed(schema: Mapping[str, Any], by_properties: bool) -> bool:
    if True in _inner_schemas(schema):
        return False
    types = _types_of(schema)
    others = [schema[keyword] for keyword in OTHER_MEMBERS if keyword in schema]
    is_listed = False in others or (by_properties and not others and "properties" in schema)
    if "object" in types and not is_listed:
        return False
    items = schema.get("items", True)
    return "array" not in types or isinstance(items, Mapping) or items is False


def _types_of(schema: Mapping[str, Any]) -> Collection[str]:
    """Return the types of the values that a schema allows in addition to its inner schemas."""
    types = types_of(schema)
    if types:
        return types
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema.get("const")]
        return {JSON_TYPES.get(type(value), "") for value in values}
    if not schema.keys().isdisjoint((*COMBINATIONS, *REFERENCES)):
        return ()
    is_of_objects = not schema.keys().isdisjoint(("properties", *OTHER_MEMBERS))
    return ("object",) if is_of_objects else ("object", "array")


def _inner_schemas(schema: Mapping[str, Any]) -> Iterator[Any]:
    for keyword in ("properties", "patternProperties"):
        yield from schema.get(keyword, {}).values()
    for keyword in ("prefixItems", *COMBINATIONS):
        yield from schema.get(keyword, ())
