"""Resolve the references of a JSON Schema, all within its own document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from mlmodel.errors import InvalidSchema

#: A JSON Schema as ``json.loads`` returns it.
JsonSchema = Mapping[str, Any] | bool

#: Keywords that hold data, not schemas: a ``$ref`` inside them is not a reference.
DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
#: Keywords whose member names the author chooses; they may equal keywords.
NAMED_SCHEMAS = frozenset(
    {
        "$defs",
        "definitions",
        "dependencies",
        "dependentSchemas",
        "patternProperties",
        "properties",
    }
)
#: Keywords that refer to another schema.
REFERENCES = frozenset({"$dynamicRef", "$recursiveRef", "$ref"})


def dialect_of(document: JsonSchema) -> Any:
    """Return the validator class of a document's draft, by default 2020-12.

    :raises InvalidSchema: if the document is not a schema, or its draft is unknown.
    """
    if not isinstance(document, Mapping | bool):
        raise InvalidSchema(f"a JSON Schema is an object or a boolean, got {document!r:.80}")
    if isinstance(document, bool) or "$schema" not in document:
        return Draft202012Validator
    named = document["$schema"]
    dialect = validator_for(document, default=None) if isinstance(named, str) else None
    if dialect is None:
        raise InvalidSchema(f"$schema names no known draft: {named!r:.80}")
    return dialect


def resolve(reference: str, document: JsonSchema) -> Any:
    """Return the part of a document that a ``$ref`` in it refers to.

    :raises InvalidSchema: if the target is outside the document or does not exist.
    """
    if not reference.startswith("#"):
        raise InvalidSchema(f"$ref must stay inside its document (#/...), got {reference!r:.80}")
    dialect = dialect_of(document)
    specification = specification_with(dialect.ID_OF(dialect.META_SCHEMA))
    registry: Registry[Any] = Registry().with_resource("", specification.create_resource(document))
    try:
        target = registry.resolver().lookup(reference).contents
    # A name as a step into a list or a text raises one of the others.
    except (Unresolvable, AttributeError, TypeError, ValueError) as error:
        raise InvalidSchema(f"$ref {reference!r:.80} leads nowhere") from error
    if not isinstance(target, Mapping | bool):
        raise InvalidSchema(f"$ref {reference!r:.80} must lead to a schema, got {target!r:.80}")
    return target


def applied_with(
    schema: Any, document: JsonSchema, keywords: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """Yield a schema, its ``$ref`` targets, and the subschemas that ``keywords`` apply in place.

    :param keywords: keywords whose value is a list of schemas: ``allOf``, ``anyOf``, ``oneOf``.
    :raises InvalidSchema: if a ``$ref`` target is outside the document or does not exist.
    """
    waiting, seen = [schema], set[int]()
    while waiting:
        part = waiting.pop(0)
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if "$ref" in part:
            waiting.append(resolve(part["$ref"], document))
        for keyword in keywords:
            waiting += part.get(keyword, [])


def schemas_of(document: JsonSchema) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each schema in a document with its place, including all reference targets.

    :raises InvalidSchema: if a target is outside the document or does not exist.
    """
    pending: list[tuple[str, Any]] = [("", document)]
    known: set[str] = set()
    while pending:
        for place, schema in _within(*pending.pop()):
            yield place, schema
            for reference in _references_in(schema):
                if reference not in known:
                    known.add(reference)
                    pending.append((reference, resolve(reference, document)))


def _within(place: str, node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _within(f"{place}/{index}", item)
    if not isinstance(node, Mapping):
        return
    yield place, node
    for keyword, value in node.items():
        if keyword in NAMED_SCHEMAS and isinstance(value, Mapping):
            for name, schema in value.items():
                yield from _within(f"{place}/{keyword}/{name}", schema)
        elif keyword not in DATA_KEYWORDS:
            yield from _within(f"{place}/{keyword}", value)


def _references_in(schema: Mapping[str, Any]) -> Iterator[str]:
    found = (schema.get(keyword) for keyword in sorted(REFERENCES))
    return (reference for reference in found if isinstance(reference, str))
