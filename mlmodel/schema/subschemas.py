"""The subschemas of a JSON Schema and its references, all within its own document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from mlmodel.errors import InvalidSchema
from mlmodel.schema.texts.regex import matches

#: A JSON Schema as ``json.loads`` returns it.
JsonSchema = Mapping[str, Any] | bool

#: The JSON types of Python's types.
JSON_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
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
#: Keywords whose schema applies to members that no other keyword names.
OTHER_MEMBERS = ("additionalProperties", "unevaluatedProperties")
#: Keywords of schemas of which some or all apply to the same value.
COMBINATIONS = ("allOf", "anyOf", "oneOf")


def get_dialect(document: JsonSchema) -> Any:
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
        raise InvalidSchema(f"unknown draft in $schema: {named!r:.80}")
    return dialect


def resolve(reference: str, document: JsonSchema) -> Any:
    """Return the part of a document that a ``$ref`` in it refers to.

    :raises InvalidSchema: if the target is outside the document or does not exist.
    """
    if not reference.startswith("#"):
        raise InvalidSchema(f"$ref must stay inside its document (#/...), got {reference!r:.80}")
    dialect = get_dialect(document)
    specification = specification_with(dialect.ID_OF(dialect.META_SCHEMA))
    registry: Registry[Any] = Registry().with_resource("", specification.create_resource(document))
    try:
        target = registry.resolver().lookup(reference).contents
    # A name as a step into a list or a text raises one of the others.
    except (Unresolvable, AttributeError, TypeError, ValueError) as error:
        raise InvalidSchema(f"the target of $ref {reference!r:.80} does not exist") from error
    if not isinstance(target, Mapping | bool):
        raise InvalidSchema(f"$ref {reference!r:.80} must refer to a schema, got {target!r:.80}")
    return target


class Subschemas:
    """The schemas of a document that apply to one value, as ``nodes``.

    :meth:`member` and :meth:`item` return those of an inner value. They are found when a value
    first needs them, and kept, so a schema may refer to itself.

    :param keywords: keywords whose schemas apply, or may apply, to the same value: ``allOf``.
    """

    def __init__(
        self,
        document: JsonSchema,
        keywords: Sequence[str],
        nodes: Sequence[Mapping[str, Any]] | None = None,
        known: dict[frozenset[int], Any] | None = None,
    ) -> None:
        self._document = document
        self._keywords = keywords
        self._known = {} if known is None else known
        self.nodes = self._collect([document]) if nodes is None else nodes
        #: Names of members, in the order of the schemas.
        self.names = dict.fromkeys(name for node in self.nodes for name in _get_mapping(node))
        self._patterns = {
            name for node in self.nodes for name in _get_mapping(node, "patternProperties")
        }
        self._first_items = max((len(_first_items(node)) for node in self.nodes), default=0)
        self._members: dict[str | tuple[str, ...], Self] = {}
        self._items: dict[int | None, Self] = {}

    def member(self, name: str) -> Self:
        """Return the schemas that apply to an object's member."""
        if name in self.names and name in self._members:
            return self._members[name]
        # Unnamed members that match the same patterns share schemas: clients choose their names.
        patterns = tuple(sorted(text for text in self._patterns if matches(text, name)))
        key = name if name in self.names else patterns
        if key not in self._members:
            self._members[key] = self._inner(self._schemas_of_member(name))
        return self._members[key]

    def item(self, index: int) -> Self:
        """Return the schemas that apply to a list's item."""
        key = index if index < self._first_items else None
        if key not in self._items:
            self._items[key] = self._inner(self._schemas_of_item(key))
        return self._items[key]

    def _inner(self, schemas: Iterable[Any]) -> Self:
        nodes = self._collect(schemas)
        key = frozenset(map(id, nodes))
        if key not in self._known:
            self._known[key] = type(self)(self._document, self._keywords, nodes, self._known)
        inner: Self = self._known[key]
        return inner

    def _collect(self, schemas: Iterable[Any]) -> list[Mapping[str, Any]]:
        """Return schemas, the targets of their references, and the schemas of the keywords."""
        waiting, found = deque(schemas), dict[int, Mapping[str, Any]]()
        while waiting:
            node = waiting.popleft()
            if not isinstance(node, Mapping) or id(node) in found:
                continue
            found[id(node)] = node
            waiting += [resolve(reference, self._document) for reference in _references_in(node)]
            for keyword in self._keywords:
                waiting += _schemas_in(keyword, node.get(keyword))
        return list(found.values())

    def _schemas_of_member(self, name: str) -> Iterator[Any]:
        for node in self.nodes:
            named, patterns = _get_mapping(node), _get_mapping(node, "patternProperties")
            matching = [patterns[text] for text in patterns if matches(text, name)]
            if name in named:
                yield named[name]
            elif not matching:
                yield from (node.get(keyword) for keyword in OTHER_MEMBERS)
            yield from matching

    def _schemas_of_item(self, index: int | None) -> Iterator[Any]:
        for node in self.nodes:
            first = _first_items(node)
            if index is not None and index < len(first):
                yield first[index]
            else:
                is_list = isinstance(node.get("items"), list)
                yield node.get("additionalItems" if is_list else "items")


def required_members(document: JsonSchema) -> set[str]:
    """Return the names of the members that each object must have that satisfies a schema.

    Of ``anyOf`` and ``oneOf``, these are the ones that all alternatives require.
    """
    known: dict[int, set[str]] = {}

    def find(node: Any) -> set[str]:
        if not isinstance(node, Mapping):
            return set()
        if id(node) not in known:
            known[id(node)] = set()  # for a schema that refers to itself
            targets = [resolve(reference, document) for reference in _references_in(node)]
            found = set(node.get("required", ())).union(*map(find, node.get("allOf", ())))
            for alternatives in filter(None, map(node.get, ("anyOf", "oneOf"))):
                found |= set.intersection(*map(find, alternatives))
            known[id(node)] = found.union(*map(find, targets))
        return known[id(node)]

    return find(document)


def types_of(schema: Mapping[str, Any]) -> Sequence[str]:
    """Return the types that a schema names, without those of its subschemas."""
    types: str | list[str] = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def members_of(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the schemas of an object's members, as far as its schema names them."""
    named = (schema or {}).get("properties")
    return named if isinstance(named, Mapping) else {}


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


def _schemas_in(keyword: str, value: Any) -> Iterable[Any]:
    if isinstance(value, list):
        return value
    return value.values() if keyword in NAMED_SCHEMAS and value else [value]


def _get_mapping(schema: Mapping[str, Any], keyword: str = "properties") -> Mapping[str, Any]:
    named: Mapping[str, Any] = schema.get(keyword, {})
    return named


def _first_items(schema: Mapping[str, Any]) -> list[Any]:
    # Drafts before 2020-12 write prefixItems as a list in items.
    items = schema.get("items")
    first: list[Any] = schema.get("prefixItems", items if isinstance(items, list) else [])
    return first
