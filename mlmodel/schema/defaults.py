"""Fill in a JSON Schema's defaults for members that a valid value leaves out.

Source: JSON Schema Validation 2020-12, section 9.2: ``default`` is an annotation, and its use is
up to the application.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from mlmodel.schema.subschemas import JsonSchema, Subschemas, types_of


def build_filler(
    document: JsonSchema, *, is_null_left: bool, invalid: Collection[str] = ()
) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """Return a function that fills defaults into values; ``None`` if the schema has none.

    Defaults inside alternatives (``anyOf``, ``oneOf``) are ignored.

    :param invalid: members of a row whose default violates its own schema and is not filled in.
    :param is_null_left: do not fill in nullable members. A packaged model replaces missing
        values itself.
    """
    return _Defaults(document, is_null_left, invalid).fill_all if _has_default(document) else None


class _Defaults:
    def __init__(self, document: JsonSchema, is_null_left: bool, invalid: Collection[str]) -> None:
        self._root = Subschemas(document, ("allOf",))
        self._invalid = invalid
        self._is_null_left = is_null_left

    def fill_all(self, values: Sequence[Any]) -> Sequence[Any]:
        return values if self._are_complete(values) else list(map(self.fill_in, values))

    def _are_complete(self, values: Sequence[Any]) -> bool:
        """Return whether all values are objects that have each member with a default."""
        names = self._top_names
        return names is not None and all(
            type(value) is dict and value.keys() >= names for value in values
        )

    @cached_property
    def _top_names(self) -> set[str] | None:
        """The members of a row that have a default; ``None`` if inner ones may have one."""
        found = set()
        for name in self._root.names:
            nodes = self._root.member(name).nodes
            if any(_has_default(list(node.values())) for node in nodes):
                return None
            if any("default" in node for node in nodes):
                found.add(name)
        return found

    def fill_in(self, value: Any) -> Any:
        filled = self._within(value, self._root)
        for name in self._invalid:
            if name not in value:
                filled.pop(name, None)
        return filled

    def _within(self, value: Any, schemas: Subschemas) -> Any:
        if isinstance(value, list):
            return [self._within(each, schemas.item(at)) for at, each in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        whole = {**self._missing(value, schemas), **value}
        named = [name for name in schemas.names if name in whole]
        # Members in the order of the schema, then the others.
        return {name: self._within(whole[name], schemas.member(name)) for name in named} | {
            name: member for name, member in whole.items() if name not in schemas.names
        }

    def _missing(self, value: Mapping[str, Any], schemas: Subschemas) -> dict[str, Any]:
        found = {}
        for name in schemas.names:
            nodes = [] if name in value else schemas.member(name).nodes
            defaults = [node["default"] for node in nodes if "default" in node]
            if defaults and not (self._is_null_left and any(map(_is_nullable, nodes))):
                found[name] = copy.deepcopy(defaults[0])
        return found


def _is_nullable(node: Mapping[str, Any]) -> bool:
    if "null" in types_of(node):
        return True
    parts = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    return any(_is_nullable(part) for part in parts if isinstance(part, Mapping))


def _has_default(document: Any) -> bool:
    if isinstance(document, Mapping):
        return "default" in document or any(map(_has_default, document.values()))
    return isinstance(document, list) and any(map(_has_default, document))
