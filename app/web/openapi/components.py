"""A model's own JSON Schema as components of an OpenAPI 3.1 document, or of another document.

OpenAPI 3.1 uses JSON Schema 2020-12: keywords of older drafts are converted, and references are
rewritten to point into the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from mlmodel.schema.shape import escape, unescape
from mlmodel.schema.subschemas import DATA_KEYWORDS, NAMED_SCHEMAS

#: Keywords that give a schema a dialect, an id or an anchor: dropped from components.
ADDRESSES = frozenset({"$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"})
DEFINITIONS = ("$defs", "definitions")
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
#: Below this, each integer is exact as a float.
MAX_INTEGER = 2**53
PREFIX = "#/components/schemas/"


def build_components(
    name: str, document: Mapping[str, Any], prefix: str = PREFIX
) -> dict[str, Any]:
    """Return a schema and its definitions as components: ``name``, and ``name.<definition>``.

    :param document: a schema whose references all point into itself.
    :param prefix: what references to a component begin with.
    """
    names = _ComponentNames(name, document, prefix)
    own = {key: value for key, value in document.items() if key not in DEFINITIONS}
    components = {name: names.rewrite(own)}
    for (keyword, key), component in names.components.items():
        components[component] = names.rewrite(document[keyword][key])
    return components


class _ComponentNames:
    """Mapping of a schema's definitions to component names, to rewrite its references."""

    def __init__(self, name: str, document: Mapping[str, Any], prefix: str) -> None:
        self._name = name
        self._prefix = prefix
        self._anchors = dict(_anchors(document, ()))
        self.components: dict[tuple[str, ...], str] = {}
        for keyword in DEFINITIONS:
            for key in document.get(keyword, {}):
                self.components[keyword, key] = self._get_name(key)

    def rewrite(self, node: Any) -> Any:
        """Return a schema rewritten for the OpenAPI document."""
        if isinstance(node, list):
            return [self.rewrite(item) for item in node]
        if not isinstance(node, Mapping):
            return node
        schema = _with_plain_enum(_to_2020_12(node))
        members = {key: self._rewrite_member(key, value) for key, value in schema.items()}
        return {key: value for key, value in members.items() if key not in ADDRESSES}

    def _rewrite_member(self, keyword: str, value: Any) -> Any:
        if keyword in DATA_KEYWORDS:
            return value
        if keyword in NAMED_SCHEMAS and isinstance(value, Mapping):
            return {name: self.rewrite(member) for name, member in value.items()}
        if keyword == "$ref" and isinstance(value, str):
            return self._rewrite_reference(value)
        return self.rewrite(value)

    def _rewrite_reference(self, reference: str) -> str:
        fragment = unquote(reference.removeprefix("#"))
        if fragment and not fragment.startswith("/"):
            steps = self._anchors.get(fragment, ())
        else:
            steps = tuple(unescape(step) for step in fragment.split("/")[1:])
        component = self.components.get(steps[:2])
        target, rest = (component, steps[2:]) if component else (self._name, steps)
        return self._prefix + "/".join([target, *(quote(escape(step), safe="~$") for step in rest)])

    def _get_name(self, definition: str) -> str:
        # Component names allow fewer characters than the members of $defs.
        preferred = f"{self._name}.{re.sub(r'[^A-Za-z0-9._-]', '_', definition)}"
        taken, number = set(self.components.values()), 2
        component = preferred
        while component in taken:
            component, number = f"{preferred}_{number}", number + 1
        return component


def _anchors(node: Any, place: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each anchor in a schema with its path, as keys from the root."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _anchors(item, (*place, str(index)))
    if not isinstance(node, Mapping):
        return
    for keyword, value in node.items():
        if keyword in {"$anchor", "$dynamicAnchor"} and isinstance(value, str):
            yield value, place
        elif keyword not in DATA_KEYWORDS:
            yield from _anchors(value, (*place, keyword))


def _to_2020_12(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with keywords of older drafts replaced by those of 2020-12."""
    schema = dict(node)
    for keyword in REFERENCES[1:]:
        if keyword in schema:
            schema.setdefault("$ref", schema.pop(keyword))
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = schema.pop("items")
        if "additionalItems" in schema:
            schema["items"] = schema.pop("additionalItems")
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive):
            schema[exclusive] = schema.pop(limit, 0)
    return schema


def _with_plain_enum(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an equivalent schema without booleans and, if possible, floats in ``enum``.

    Generators of clients skip models with them: openapi-python-client supports texts and integers.
    """
    values = schema.get("enum")
    if not isinstance(values, list):
        return schema
    if values in ([False, True], [True, False]) and all(isinstance(each, bool) for each in values):
        del schema["enum"]
        return schema | {"type": "boolean"}
    return schema | {"enum": [_to_integer(value) for value in values]}


def _to_integer(value: Any) -> Any:
    is_exact = isinstance(value, float) and value.is_integer() and abs(value) < MAX_INTEGER
    return int(value) if is_exact else value
