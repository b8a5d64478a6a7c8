"""The shapes of the values that a JSON Schema allows, for people and for programs that show them.

A shape is a simplified schema: references are resolved, ``allOf`` is merged, and alternatives that
only allow null become :attr:`Shape.is_nullable`. Inner shapes are built when they are first read,
so a schema may refer to itself. It is an approximation: a value that fits a shape may violate the
schema. What must be exact, such as conversion, reads :class:`mlmodel.schema.subschemas.Subschemas`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mlmodel.errors import InvalidSchema
from mlmodel.schema.subschemas import JsonSchema, resolve

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

#: Formats of text that is not prose.
FORMATS = ("date", "date-time", "time", "date-time-local", "time-local", "uuid", "email", "uri")

#: Maximum number of schemas visited while one schema is folded.
MAX_STEPS = 64


class NoSingleShapeError(Exception):
    """The schema has no simple shape, or a ``$ref`` refers to itself or to nothing."""


@dataclass(frozen=True)
class Constant:
    """One of the values that a schema lists, and its title, or an empty text."""

    value: Any
    title: str = ""


@dataclass(frozen=True)
class Shape:
    """A schema of one shape, or the annotations of several.

    ``schema`` holds its keywords, with a single ``type`` or none. ``refs`` are the references
    resolved on the way from the root of ``document``. ``alternatives`` are schemas, one for each
    shape. ``conditions`` are schemas with ``if``. ``recursion`` is the reference that leads back to
    a schema above; then ``schema`` holds only the keywords beside it. If ``is_simple`` is false,
    the schema has no such shape, and ``schema`` holds its keywords unchanged.
    """

    schema: Schema
    document: Schema = field(repr=False, compare=False)
    is_nullable: bool = False
    refs: frozenset[str] = field(default_factory=frozenset)
    alternatives: tuple[Any, ...] = ()
    conditions: tuple[Schema, ...] = ()
    recursion: str = ""
    is_simple: bool = True

    @classmethod
    def of(cls, document: JsonSchema | None) -> Shape:
        """Return the shape of a document; without keywords if it allows any value."""
        root = document if isinstance(document, Mapping) else {}
        return cls(root, root).inner(root)

    def inner(self, schema: Any) -> Shape:
        """Return the shape of a schema within this one."""
        try:
            return _Simplifier(self.document, self.refs).simplify(schema, self.refs)
        except NoSingleShapeError:
            plain = schema if isinstance(schema, Mapping) else {}
            return Shape(plain, self.document, refs=self.refs, is_simple=False)

    @property
    def type(self) -> str:
        """The only type of the values; empty if any or several are allowed."""
        kind = self.schema.get("type", "")
        return kind if isinstance(kind, str) else ""

    @cached_property
    def members(self) -> Mapping[str, Shape]:
        """The shapes of an object's named members, in the order of the schema."""
        named = self.schema.get("properties", {}) if self.is_simple else {}
        return {name: self.inner(schema) for name, schema in named.items()}

    def title_of(self, member: str) -> str:
        """Return the title beside a member's name; empty if only its reference leads to one."""
        schema = self.schema["properties"][member]
        return _text(schema.get("title")) if isinstance(schema, Mapping) else ""

    @cached_property
    def items(self) -> Shape | None:
        """The shape of a list's items; ``None`` if the schema has none for all of them."""
        return self._inner_of("items")

    @cached_property
    def other_members(self) -> Shape | None:
        """The shape of an object's members without a name in the schema, if it has one."""
        return self._inner_of("additionalProperties")

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """The values that the schema lists, if it allows no others."""
        parts = constants(self.schema)
        if parts:
            return tuple(Constant(part["const"], _text(part.get("title"))) for part in parts)
        if "const" in self.schema:
            return (Constant(self.schema["const"]),)
        return tuple(map(Constant, self.schema.get("enum", ())))

    def text(self, keyword: str) -> str:
        """Return the text of a keyword such as ``title``; empty if it is missing or no text."""
        return _text(self.schema.get(keyword))

    def number(self, keyword: str) -> float | None:
        """Return the number of a keyword such as ``minimum``; ``None`` if it has none."""
        value = self.schema.get(keyword)
        return value if is_number(value) else None

    def find_text(self) -> str | None:
        """Return the member of a row that consists of one text; ``""`` if the row is that text.

        ``None`` for other rows. A date, an encoded picture or one of several constants is no text.
        """
        only = len(self.members) == 1
        name, value = next(iter(self.members.items())) if only else ("", self)
        is_prose = not value.constants and value.text("format") not in FORMATS
        is_text = value.type == "string" and is_prose and "contentEncoding" not in value.schema
        return name if is_text else None

    def _inner_of(self, keyword: str) -> Shape | None:
        schema = self.schema.get(keyword) if self.is_simple else None
        return self.inner(schema) if isinstance(schema, Mapping) else None


def constants(schema: Schema) -> Sequence[Schema]:
    """Return the alternatives of a schema if each is a constant, else an empty sequence."""
    parts = schema.get("oneOf") or schema.get("anyOf") or []
    if all(isinstance(part, Mapping) and "const" in part for part in parts):
        return parts
    return []


def escape(key: str) -> str:
    """Return a member's name as a step of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def unescape(step: str) -> str:
    """Return the member's name that a step of a JSON Pointer stands for."""
    return step.replace("~1", "/").replace("~0", "~")


def remarks(schema: Schema) -> dict[str, Any]:
    """Return the annotations of a schema."""
    return {word: value for word, value in schema.items() if _is_remark(word)}


class _Simplifier:
    """Simplifies one schema of a document; ``above`` are the references that led to it."""

    def __init__(self, root: Schema, above: frozenset[str]) -> None:
        self.root = root
        self.above = above
        self.steps = MAX_STEPS

    def simplify(self, schema: Any, refs: frozenset[str]) -> Shape:
        self.steps -= 1
        if not isinstance(schema, Mapping) or self.steps < 0:
            raise NoSingleShapeError
        if "$ref" in schema:
            return self.referred(schema, refs)
        if "allOf" in schema:
            return self.joined(schema, refs)
        for word in ("anyOf", "oneOf"):
            if word in schema and not constants(schema):
                return self.alternatives(schema, word, refs)
        return self.of_one_type(schema, refs)

    def referred(self, schema: Schema, refs: frozenset[str]) -> Shape:
        """Simplify the target of ``$ref``, combined with the keywords beside it."""
        ref, beside = schema["$ref"], _without(schema, "$ref")
        if ref in self.above:
            return Shape(beside, self.root, refs=refs, recursion=ref)
        if ref in refs:
            raise NoSingleShapeError
        return self.simplify(_over(beside, self.target(ref)), refs | {ref})

    def joined(self, schema: Schema, refs: frozenset[str]) -> Shape:
        """Simplify ``allOf`` by merging its parts."""
        parts = []
        for part in [*schema["allOf"], _without(schema, "allOf")]:
            shape = self.simplify(part, refs)
            # Passed on, so that parts that refer to each other twice cannot double without end.
            refs = shape.refs
            parts.append(shape)
        whole = _merge([part.schema for part in parts])
        conditions = tuple(each for part in parts for each in part.conditions)
        recursion = _only([part.recursion for part in parts if part.recursion], "")
        several = _only([part.alternatives for part in parts if part.alternatives], ())
        if recursion:
            return Shape(remarks(whole), self.root, refs=refs, recursion=recursion)
        if several:
            base = {"allOf": [_constraints(whole), *conditions]}
            return self.several(whole, base, several, refs)
        is_nullable = all(part.is_nullable or "type" not in part.schema for part in parts)
        plain = self.of_one_type(whole, refs)
        return replace(
            plain,
            is_nullable=plain.is_nullable or (is_nullable and any(p.is_nullable for p in parts)),
            conditions=conditions,
        )

    def alternatives(self, schema: Schema, word: str, refs: frozenset[str]) -> Shape:
        """Simplify alternatives. Null only sets nullability; those without a shape are ignored."""
        beside = _without(schema, word)
        parts = [part for part in schema[word] if not _is_null(part)]
        nullable = len(parts) < len(schema[word])
        if parts and all(_is_shapeless(part) for part in parts):
            return self.simplify(beside, refs)
        if all(_is_plain_number(part) for part in parts) and len(parts) > 1:
            parts = [{"type": "number"}]
        if len(parts) == 1 and isinstance(parts[0], Mapping):
            shape = self.simplify(_over(beside, parts[0]), refs)
        elif parts:
            shape = self.several(beside, _constraints(beside), parts, refs)
        else:
            raise NoSingleShapeError
        return replace(shape, is_nullable=shape.is_nullable or nullable)

    def several(
        self, annotated: Schema, base: Schema, parts: Sequence[Any], refs: frozenset[str]
    ) -> Shape:
        """Return a schema of several shapes, each combined with ``base``."""
        whole = [_within(base, part) if isinstance(part, Mapping) else part for part in parts]
        return Shape(remarks(annotated), self.root, refs=refs, alternatives=tuple(whole))

    def of_one_type(self, schema: Schema, refs: frozenset[str]) -> Shape:
        """Return the schema with a single ``type``, or without one if it implies no type."""
        schema, conditions = _unconditional(schema)
        if "enum" in schema or "const" in schema or constants(schema):
            return Shape(schema, self.root, refs=refs, conditions=conditions)
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
            return Shape(remarks(schema), self.root, nullable, refs, alternatives)
        only = {"type": (kinds or types)[0]} if types else {}
        return Shape({**schema, **only}, self.root, nullable, refs, conditions=conditions)

    def target(self, ref: str) -> Schema:
        """Return the schema that a reference leads to."""
        try:
            found = resolve(ref, self.root)
        except InvalidSchema as error:
            raise NoSingleShapeError from error
        if not isinstance(found, Mapping):
            raise NoSingleShapeError
        return found


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


def _merge(schemas: Sequence[Schema]) -> Schema:
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


def _unconditional(schema: Schema) -> tuple[Schema, tuple[Schema, ...]]:
    """Split a schema into its unconditional part and schemas with ``if``."""
    conditions = []
    if isinstance(schema.get("if"), Mapping):
        conditions.append({word: schema[word] for word in CONDITIONAL[:3] if word in schema})
    for key, part in schema.get("dependentSchemas", {}).items():
        conditions.append({"if": {"required": [key]}, "then": part})
    return _without(schema, *CONDITIONAL), tuple(conditions)


def _only(found: Sequence[Any], default: Any) -> Any:
    if len(found) > 1:
        raise NoSingleShapeError
    return found[0] if found else default


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number; a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    return {word: value for word, value in schema.items() if not _is_remark(word)}


def _without(schema: Schema, *words: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in words}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
