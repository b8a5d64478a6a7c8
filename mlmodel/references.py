"""`$ref` in a JSON Schema: only inside its own document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from mlmodel.errors import InvalidSchema

#: A JSON Schema as Python reads it from JSON.
JsonSchema = Mapping[str, Any] | bool

#: Keywords that hold data, not schemas: a "$ref" inside them refers to nothing.
DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
#: Keywords whose members have names of the author's choice, which may be those of keywords.
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


def dialect_of(document: JsonSchema) -> Any:
    """Return the validator class of a document's draft, 2020-12 without ``$schema``.

    :raises InvalidSchema: if it is no schema at all, or of a draft that nobody knows.
    """
    if not isinstance(document, Mapping | bool):
        raise InvalidSchema(f"a JSON Schema is an object or a boolean, got {document!r:.80}")
    if isinstance(document, bool) or "$schema" not in document:
        return Draft202012Validator
    dialect = validator_for(document, default=None)
    if dialect is None:
        raise InvalidSchema(f"$schema names no known draft: {document['$schema']!r:.80}")
    return dialect


def resolve(reference: str, document: JsonSchema) -> Any:
    """Return the part of a document that a ``$ref`` in it refers to.

    :raises InvalidSchema: if it leads outside the document, or nowhere.
    """
    if not reference.startswith("#"):
        raise InvalidSchema(f"$ref must stay inside its document (#/...), got {reference!r:.80}")
    dialect = dialect_of(document)
    specification = specification_with(dialect.ID_OF(dialect.META_SCHEMA))
    registry: Registry[Any] = Registry().with_resource("", specification.create_resource(document))
    try:
        return registry.resolver().lookup(reference).contents
    except Unresolvable as error:
        raise InvalidSchema(f"$ref {reference!r:.80} leads nowhere") from error


def references_in(node: Any) -> Iterator[str]:
    """Yield each ``$ref`` in a schema and in the schemas inside it."""
    if isinstance(node, list):
        for item in node:
            yield from references_in(item)
    if not isinstance(node, Mapping):
        return
    for keyword, value in node.items():
        if keyword in {"$ref", "$dynamicRef"} and isinstance(value, str):
            yield value
        elif keyword in NAMED_SCHEMAS and isinstance(value, Mapping):
            yield from references_in(list(value.values()))
        elif keyword not in DATA_KEYWORDS:
            yield from references_in(value)
