"""Simplify JSON Schemas: resolve references and alternatives that only allow null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]

#: The type of a schema without ``type``, by keywords that apply to one type only.
IMPLIED_TYPES = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
    "multipleOf": "number",
    "pattern": "string",
    "format": "string",
    "contentEncoding": "string",
    "maxLength": "string",
}

#: Annotations: keywords without effect on validity.
REMARKS = frozenset({"title", "description", "default", "examples", "discriminator", "$comment"})

#: Keywords of an alternative that has no shape of its own.
SHAPELESS = REMARKS | {"required", "not", "dependentRequired"}

#: Keywords that apply to some rows only.
CONDITIONAL = ("if", "then", "else", "dependentSchemas")

#: Maximum number of schemas visited while one schema is folded.
MAX_STEPS = 64


class ManyShapesError(Exception):
    """The schema has no simple shape, or a ``$ref`` leads to itself or to nothing."""


@dataclass(frozen=True)
class Folded:
    """A schema of one shape, or the annotations of several.

    ``refs`` are the references resolved on the way. ``alternatives`` are schemas not folded yet,
    one for each shape. ``conditions`` are schemas with ``if``. ``recursion`` is the reference that
    leads back to a schema above; then ``schema`` holds only the keywords beside it.
    """

    schema: Schema
    is_nullable: bool = False
    refs: frozenset[str] = field(default_factory=frozenset)
    alternatives: tuple[Any, ...] = ()
    conditions: tuple[Schema, ...] = ()
    recursion: str = ""


def fold(schema: Any, root: Schema, refs: frozenset[str] = frozenset()) -> Folded:
    """Return the shape, or the shapes, of a schema within the document ``root``.

    The result is an approximation for drawing forms: a value that fits it may violate the schema.

    :param refs: the references resolved on the way here; meeting one again is recursion.
    :raises ManyShapesError: if the schema has no such shape.
    """
    return _Folding(root, refs).fold(schema, refs)


def constants(schema: Schema) -> Sequence[Schema]:
    """Return the alternatives of a schema if each is a constant, else an empty sequence."""
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


def remarks(schema: Schema) -> dict[str, Any]:
    """Return the annotations of a schema."""
    return {word: said for word, said in schema.items() if _is_remark(word)}


class _Folding:
    """The state of folding one schema: its document, and the references that led to it."""

    def __init__(self, root: Schema, above: frozenset[str]) -> None:
        self.root = root
        self.above = above
        self.steps = MAX_STEPS

    def fold(self, schema: Any, refs: frozenset[str]) -> Folded:
        self.steps -= 1
        if not isinstance(schema, Mapping) or self.steps < 0:
            raise ManyShapesError
        if "$ref" in schema:
            return self.referred(schema, refs)
        if "allOf" in schema:
            return self.joined(schema, refs)
        for word in ("anyOf", "oneOf"):
            if word in schema and not constants(schema):
                return self.alternatives(schema, word, refs)
        return _of_one_type(schema, refs)

    def referred(self, schema: Schema, refs: frozenset[str]) -> Folded:
        """Fold the target of ``$ref``, combined with the keywords beside it."""
        ref, beside = schema["$ref"], _without(schema, "$ref")
        if ref in self.above:
            return Folded(beside, refs=refs, recursion=ref)
        if ref in refs:
            raise ManyShapesError
        return self.fold(_over(beside, _at(self.root, ref)), refs | {ref})

    def joined(self, schema: Schema, refs: frozenset[str]) -> Folded:
        """Fold ``allOf`` by merging its parts."""
        parts = []
        for part in [*schema["allOf"], _without(schema, "allOf")]:
            folded = self.fold(part, refs)
            # Passed on, so that parts that refer to each other twice cannot double without end.
            refs = folded.refs
            parts.append(folded)
        whole = _merged([part.schema for part in parts])
        conditions = tuple(each for part in parts for each in part.conditions)
        recursion = _only([part.recursion for part in parts if part.recursion], "")
        several = _only([part.alternatives for part in parts if part.alternatives], ())
        if recursion:
            return Folded(remarks(whole), refs=refs, recursion=recursion)
        if several:
            base = {"allOf": [_constraints(whole), *conditions]}
            return replace(_several(whole, base, several), refs=refs)
        is_nullable = all(part.is_nullable or "type" not in part.schema for part in parts)
        plain = _of_one_type(whole, refs)
        return replace(
            plain,
            is_nullable=plain.is_nullable or (is_nullable and any(p.is_nullable for p in parts)),
            conditions=conditions,
        )

    def alternatives(self, schema: Schema, word: str, refs: frozenset[str]) -> Folded:
        """Fold alternatives. Null only sets nullability; those without a shape are ignored."""
        beside = _without(schema, word)
        parts = [part for part in schema[word] if not _is_null(part)]
        nullable = len(parts) < len(schema[word])
        if parts and all(_is_shapeless(part) for part in parts):
            return self.fold(beside, refs)
        if all(_is_plain_number(part) for part in parts) and len(parts) > 1:
            parts = [{"type": "number"}]
        if len(parts) == 1 and isinstance(parts[0], Mapping):
            folded = self.fold(_over(beside, parts[0]), refs)
        elif parts:
            folded = replace(_several(beside, _constraints(beside), parts), refs=refs)
        else:
            raise ManyShapesError
        return replace(folded, is_nullable=folded.is_nullable or nullable)


def _several(said: Schema, base: Schema, parts: Sequence[Any]) -> Folded:
    """Return a schema of several shapes, each combined with ``base``."""
    whole = [_within(base, part) if isinstance(part, Mapping) else part for part in parts]
    return Folded(remarks(said), alternatives=tuple(whole))


def _within(base: Schema, part: Schema) -> Schema:
    if not base:
        return part
    # The name under which a form offers this alternative; ``allOf`` would hide it.
    title = {"title": _name_of(part)} if _name_of(part) else {}
    return {"allOf": [base, part], **title}


def _name_of(part: Schema) -> str:
    return str(part.get("title") or part.get("$ref", "").rpartition("/")[2])


def _over(words: Schema, schema: Schema) -> Schema:
    """Return a schema combined with the keywords beside the reference or alternatives."""
    clash = {word for word in words if word in schema and not _is_remark(word)}
    return {"allOf": [schema, words]} if clash else {**schema, **words}


def _merged(schemas: Sequence[Schema]) -> Schema:
    whole: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for schema in schemas:
        whole |= schema
        required += schema.get("required", [])
        for key, part in schema.get("properties", {}).items():
            known = properties.get(key)
            if isinstance(known, Mapping) and isinstance(part, Mapping):
                properties[key] = {**known, **part}
            else:
                properties[key] = part
    if properties:
        whole |= {"properties": properties}
    return whole | ({"required": list(dict.fromkeys(required))} if required else {})


def _of_one_type(schema: Schema, refs: frozenset[str]) -> Folded:
    """Return the schema with a single ``type``, or without one if it implies no type."""
    schema, conditions = _unconditional(schema)
    if "enum" in schema or "const" in schema or constants(schema):
        return Folded(schema, refs=refs, conditions=conditions)
    types: Any = schema.get("type") or next(
        (kind for word, kind in IMPLIED_TYPES.items() if word in schema), []
    )
    types = [types] if isinstance(types, str) else types
    kinds = [kind for kind in types if kind != "null"]
    if set(kinds) == {"integer", "number"}:
        kinds = ["number"]
    nullable = "null" in types and bool(kinds)
    if len(kinds) > 1:
        alternatives = tuple({**_constraints(schema), "type": kind} for kind in kinds)
        return Folded(remarks(schema), nullable, refs, alternatives)
    only = {"type": (kinds or types)[0]} if types else {}
    return Folded({**schema, **only}, nullable, refs, conditions=conditions)


def _unconditional(schema: Schema) -> tuple[Schema, tuple[Schema, ...]]:
    """Split a schema into its unconditional part and schemas with ``if``."""
    conditions = []
    if isinstance(schema.get("if"), Mapping):
        conditions.append({word: schema[word] for word in CONDITIONAL[:3] if word in schema})
    for key, part in schema.get("dependentSchemas", {}).items():
        conditions.append({"if": {"required": [key]}, "then": part})
    return _without(schema, *CONDITIONAL), tuple(conditions)


def _at(root: Schema, ref: str) -> Schema:
    """Return the target of a reference, which must be within the document."""
    found: Any = root
    if not ref.startswith("#") or ref[1:2] not in ("", "/"):
        raise ManyShapesError
    for step in map(unescaped, unquote(ref[1:]).split("/")[1:]):
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise ManyShapesError
    return found


def _only(found: Sequence[Any], default: Any) -> Any:
    if len(found) > 1:
        raise ManyShapesError
    return found[0] if found else default


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (
        schema.get("type") == "null" or ("const" in schema and schema["const"] is None)
    )


def _is_shapeless(schema: Any) -> bool:
    return isinstance(schema, Mapping) and set(schema) <= SHAPELESS


def _is_plain_number(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema in ({"type": "integer"}, {"type": "number"})


def _is_remark(word: str) -> bool:
    return word in REMARKS or word.startswith("x-")


def _constraints(schema: Schema) -> dict[str, Any]:
    return {word: said for word, said in schema.items() if not _is_remark(word)}


def _without(schema: Schema, *words: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in words}
