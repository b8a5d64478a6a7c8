"""Fill in a JSON Schema's defaults for members that a valid value leaves out.

Source: JSON Schema Validation 2020-12, section 9.2: ``default`` is an annotation, and its use is
up to the application.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mlmodel.schema.refs import JsonSchema, applied_with


def filling(
    document: JsonSchema, *, is_null_left: bool, unfit: Collection[str] = ()
) -> Callable[[Any], Any] | None:
    """Return a function that fills in defaults; ``None`` if the schema has none.

    Defaults inside alternatives (``anyOf``, ``oneOf``) are ignored.

    :param unfit: members of a row whose default violates its own schema and is not filled in.
    :param is_null_left: do not fill in nullable members. A packaged model replaces missing
        values itself.
    """
    return _Filling(document, is_null_left, unfit).fill if _has_default(document) else None


class _Filling:
    def __init__(self, document: JsonSchema, is_null_left: bool, unfit: Collection[str]) -> None:
        self._document = document
        self._unfit = unfit
        self._is_null_left = is_null_left

    def fill(self, value: Any) -> Any:
        filled = self._within(value, [self._document])
        for name in self._unfit:
            if name not in value:
                filled.pop(name, None)
        return filled

    def _within(self, value: Any, schemas: list[Any]) -> Any:
        nodes = [node for schema in schemas for node in _certain(schema, self._document)]
        if isinstance(value, Mapping):
            return self._object(value, nodes)
        if isinstance(value, list):
            return [
                self._within(each, [_item(node, at) for node in nodes])
                for at, each in enumerate(value)
            ]
        return value

    def _object(self, value: Mapping[str, Any], nodes: list[Mapping[str, Any]]) -> dict[str, Any]:
        schemas: dict[str, list[Any]] = {}
        for node in nodes:
            for name, schema in node.get("properties", {}).items():
                schemas.setdefault(name, []).append(schema)
        made = {**self._defaults(value, schemas), **value}
        # Members in the order of the schema, then the others.
        return {
            name: self._within(made[name], schemas.get(name, []))
            for name in [*(name for name in schemas if name in made), *made]
        }

    def _defaults(
        self, value: Mapping[str, Any], schemas: Mapping[str, list[Any]]
    ) -> dict[str, Any]:
        found = {}
        for name in schemas.keys() - value.keys():
            nodes = [node for each in schemas[name] for node in _certain(each, self._document)]
            told = [node["default"] for node in nodes if "default" in node]
            if told and not (self._is_null_left and any(map(_takes_null, nodes))):
                found[name] = copy.deepcopy(told[0])
        return found


def _certain(schema: Any, document: JsonSchema) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and those that always apply with it."""
    return applied_with(schema, document, ("allOf",))


def _item(node: Mapping[str, Any], at: int) -> Any:
    first = node.get("prefixItems", [])
    return first[at] if at < len(first) else node.get("items", True)


def _takes_null(node: Mapping[str, Any]) -> bool:
    types = node.get("type", [])
    if "null" in ([types] if isinstance(types, str) else types):
        return True
    parts = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    return any(_takes_null(part) for part in parts if isinstance(part, Mapping))


def _has_default(document: Any) -> bool:
    if isinstance(document, Mapping):
        return "default" in document or any(map(_has_default, document.values()))
    return isinstance(document, list) and any(map(_has_default, document))
