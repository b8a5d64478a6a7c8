"""JSON Schemas made plain: without references, and without alternatives that only allow null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]

#: The type that a schema without ``type`` means, by a word that says nothing of any other.
IMPLIED_TYPES = {
    "properties": "object",
    "items": "array",
    "minimum": "number",
    "maximum": "number",
    "pattern": "string",
    "maxLength": "string",
}


class ManyShapesError(Exception):
    """A schema allows values of more than one shape, or refers to itself or to nothing."""


@dataclass(frozen=True)
class Folded:
    """A schema of one shape; ``refs`` are the references that led to it."""

    schema: Schema
    is_nullable: bool = False
    refs: frozenset[str] = field(default_factory=frozenset)


def fold(schema: Any, root: Schema, refs: frozenset[str] = frozenset()) -> Folded:
    """Return the one shape of a schema within the document ``root``.

    It is near enough to draw from, and no more: a value that fits it may break the schema.

    :param refs: the references that led here; to meet one of them again is recursion.
    :raises ManyShapesError: if there is no such shape.
    """
    if not isinstance(schema, Mapping):
        raise ManyShapesError
    if "$ref" in schema:
        return _referred(schema, root, refs)
    if "allOf" in schema:
        return _joined(schema, root, refs)
    for word in ("anyOf", "oneOf"):
        if word in schema and "properties" not in schema and not constants(schema):
            return _only_alternative(schema, word, root, refs)
    return _of_one_type(Folded(schema, refs=refs))


def constants(schema: Schema) -> Sequence[Schema]:
    """Return the alternatives of a schema if each of them is one constant, else none."""
    parts = schema.get("oneOf") or schema.get("anyOf") or []
    if all(isinstance(part, Mapping) and "const" in part for part in parts):
        return parts
    return []


def escaped(key: str) -> str:
    """Return a member's name as a step of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def unescaped(step: str) -> str:
    """Return the member's name that a step of a JSON Pointer stands for."""
    return step.replace("~1", "/").replace("~0", "~")


def _referred(schema: Schema, root: Schema, refs: frozenset[str]) -> Folded:
    """Fold what ``$ref`` names, under the words beside it."""
    ref = schema["$ref"]
    if ref in refs:
        raise ManyShapesError
    return fold({**_at(root, ref), **_without(schema, "$ref")}, root, refs | {ref})


def _at(root: Schema, ref: str) -> Schema:
    """Return the schema that a reference names, which must lie within the document."""
    found: Any = root
    if not ref.startswith("#") or ref[1:2] not in ("", "/"):
        raise ManyShapesError
    for step in map(unescaped, unquote(ref[1:]).split("/")[1:]):
        found = found.get(step) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise ManyShapesError
    return found


def _joined(schema: Schema, root: Schema, refs: frozenset[str]) -> Folded:
    """Fold ``allOf`` by laying its parts over each other."""
    whole: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for part in [*schema["allOf"], _without(schema, "allOf")]:
        folded = fold(part, root, refs)
        # Handed on, so that parts that name each other twice cannot double without end.
        refs = folded.refs
        whole |= folded.schema
        properties |= folded.schema.get("properties", {})
        required += folded.schema.get("required", [])
    if properties:
        whole |= {"properties": properties, "required": required}
    return _of_one_type(Folded(whole, refs=refs))


def _only_alternative(schema: Schema, word: str, root: Schema, refs: frozenset[str]) -> Folded:
    """Fold the one alternative that is not null, under the words beside it."""
    parts = [part for part in schema[word] if not _is_null(part)]
    if len(parts) != 1 or not isinstance(parts[0], Mapping):
        raise ManyShapesError
    folded = fold({**parts[0], **_without(schema, word)}, root, refs)
    return replace(folded, is_nullable=folded.is_nullable or len(schema[word]) > 1)


def _is_null(schema: Any) -> bool:
    return schema in ({"type": "null"}, {"const": None})


def _of_one_type(folded: Folded) -> Folded:
    """Return the schema with a single ``type``, or with none if it says nothing of types."""
    schema = folded.schema
    types = schema.get("type") or next(
        (kind for word, kind in IMPLIED_TYPES.items() if word in schema), []
    )
    types = [types] if isinstance(types, str) else types
    kinds = [kind for kind in types if kind != "null"]
    if set(kinds) == {"integer", "number"}:
        kinds = ["number"]
    if len(kinds) > 1:
        raise ManyShapesError
    nullable = folded.is_nullable or ("null" in types and bool(kinds))
    only = {"type": (kinds or types)[0]} if types else {}
    return Folded({**schema, **only}, nullable, folded.refs)


def _without(schema: Schema, word: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != word}
