"""Convert the numbers of a valid value to the types that its schema names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlmodel.schema.refs import JsonSchema, resolve
from mlmodel.schema.regex import matches

#: Keywords whose subschemas apply to the same value as the schema that contains them.
SAME_VALUE_LISTS = ("allOf", "anyOf", "oneOf")
SAME_VALUE = ("if", "then", "else")
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
NO_NUMBERS = frozenset({bool, str, type(None)})
#: The ``x-dtype`` of a column of numpy integers, which have no missing value.
WHOLE = re.compile(r"u?int(8|16|32|64)")
#: Keywords whose schema applies to members that no other keyword names.
OTHER_MEMBERS = ("additionalProperties", "unevaluatedProperties")


class Conversion:
    """Converts the numbers of a valid value to the schema's types.

    Places in the schema are resolved when a value first reaches them, and cached.
    """

    def __init__(self, document: JsonSchema) -> None:
        self._document = document
        self._places: dict[frozenset[int], _Place] = {}
        self._root = self.place([document])
        #: Types that need no conversion anywhere in a value.
        self._settled = NO_NUMBERS if _names_integers(document) else NO_NUMBERS | {float}

    def __call__(self, value: Any) -> Any:
        """Return the converted value; the given one is not modified."""
        if type(value) is dict and self._settled.issuperset(map(type, value.values())):
            return value
        return _converted(value, self._root)

    def place(self, schemas: Iterable[Any]) -> _Place:
        """Return the place to which all these schemas apply."""
        nodes: dict[int, Mapping[str, Any]] = {}
        for schema in schemas:
            self._collect(schema, nodes)
        key = frozenset(nodes)
        if key not in self._places:
            self._places[key] = _Place(list(nodes.values()), self)
        return self._places[key]

    def _collect(self, schema: Any, nodes: dict[int, Mapping[str, Any]]) -> None:
        if not isinstance(schema, Mapping) or id(schema) in nodes:
            return
        nodes[id(schema)] = schema
        for same in _same_value(schema):
            self._collect(same, nodes)
        for keyword in REFERENCES:
            if keyword in schema:
                self._collect(resolve(schema[keyword], self._document), nodes)


class _Place:
    """The types that a set of schemas requires of the numbers in one place and below it."""

    def __init__(self, nodes: list[Mapping[str, Any]], conversion: Conversion) -> None:
        self._nodes = nodes
        self._conversion = conversion
        self._members: dict[str | tuple[str, ...], _Place] = {}
        self._items: dict[int | None, _Place] = {}
        self._named = {name for node in nodes for name in node.get("properties", ())}
        self._patterns = {text for node in nodes for text in node.get("patternProperties", ())}
        self._first_items = max((len(_first_items(node)) for node in nodes), default=0)
        types = {kind for node in nodes for kind in _types(node)}
        # Numbers in object and integer columns stay as written: a double holds 53 integer bits.
        dtypes = {str(node.get("x-dtype", "")) for node in nodes}
        is_as_written = "object" in dtypes or any(map(WHOLE.fullmatch, dtypes))
        self.to_float = "number" in types and "integer" not in types and not is_as_written
        self.to_int = "integer" in types and "number" not in types

    def member(self, name: str) -> _Place:
        if name in self._named and name in self._members:
            return self._members[name]
        # Unnamed members that match the same patterns share a place: clients choose their names.
        patterns = tuple(sorted(text for text in self._patterns if matches(text, name)))
        key = name if name in self._named else patterns
        if key not in self._members:
            self._members[key] = self._conversion.place(self._schemas_of_member(name))
        return self._members[key]

    def item(self, index: int) -> _Place:
        key = index if index < self._first_items else None
        if key not in self._items:
            self._items[key] = self._conversion.place(self._schemas_of_item(key))
        return self._items[key]

    def _schemas_of_member(self, name: str) -> Iterator[Any]:
        for node in self._nodes:
            properties, patterns = node.get("properties", {}), node.get("patternProperties", {})
            matching = [patterns[text] for text in patterns if matches(text, name)]
            yield from matching
            if name in properties:
                yield properties[name]
            elif not matching:
                yield from (node.get(keyword) for keyword in OTHER_MEMBERS)

    def _schemas_of_item(self, index: int | None) -> Iterator[Any]:
        for node in self._nodes:
            first = _first_items(node)
            if index is None or index >= len(first):
                yield _other_items(node)
            else:
                yield first[index]


def _names_integers(document: Any) -> bool:
    """Return whether the string "integer" occurs anywhere in a schema."""
    if isinstance(document, Mapping):
        return any(map(_names_integers, document.values()))
    if isinstance(document, list):
        return any(map(_names_integers, document))
    return bool(document == "integer")


def _converted(value: Any, place: _Place) -> Any:
    if isinstance(value, dict):
        return {
            name: member if type(member) in NO_NUMBERS else _converted(member, place.member(name))
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_converted(item, place.item(index)) for index, item in enumerate(value)]
    if place.to_float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if place.to_int and type(value) is float and value.is_integer():
        return int(value)
    return value


def _same_value(schema: Mapping[str, Any]) -> Iterator[Any]:
    for keyword in SAME_VALUE_LISTS:
        yield from schema.get(keyword, ())
    for keyword in SAME_VALUE:
        yield schema.get(keyword)
    yield from schema.get("dependentSchemas", {}).values()


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _first_items(schema: Mapping[str, Any]) -> list[Any]:
    # Drafts before 2020-12 write prefixItems as a list in items.
    items = schema.get("items")
    first: list[Any] = schema.get("prefixItems", items if isinstance(items, list) else [])
    return first


def _other_items(schema: Mapping[str, Any]) -> Any:
    items = schema.get("items")
    return schema.get("additionalItems") if isinstance(items, list) else items
