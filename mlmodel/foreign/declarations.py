"""Convert the schemas that foreign classes declare to JSON Schemas.

They declare classes of pydantic 1 or 2, or objects of the package ``schema``. Each is recognized
by its methods, so that none of these packages is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlmodel.errors import InvalidModel
from mlmodel.foreign.schema_package import ANNOTATIONS, to_json_schema
from mlmodel.schema.subschemas import DATA_KEYWORDS, NAMED_SCHEMAS

#: Formats that JSON Schema checks more strictly than pydantic, as RFC 3339 requires a time zone,
#: and an example of each.
_TIMES = {"date-time": "2026-01-31T14:30:00Z", "time": "14:30:00Z"}
#: The description that pydantic 1 writes for an Enum without one.
_NO_DESCRIPTION = "An enumeration."

#: Keywords that restrict a value. A schema without any already allows null.
_RESTRICTIONS = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"})

#: A function that returns a changed copy of a JSON Schema.
Change = Callable[[dict[str, Any]], dict[str, Any]]


class Declaration:
    """A declared schema. This class handles a JSON Schema or ``None``."""

    def __init__(self, declared: Any) -> None:
        self.declared = declared

    def get_input_schema(self) -> dict[str, Any] | None:
        """Return the JSON Schema of a row; ``None`` if any row is valid."""
        return None if self.declared is None else dict(self.declared)

    def get_output_schema(self) -> dict[str, Any] | None:
        """Return the JSON Schema of a prediction as serialized to JSON."""
        return self.get_input_schema()

    def parse(self, row: Any) -> Any:
        """Convert a row to the object that the model's ``predict`` takes.

        :raises Exception: the package's own, if the row violates the schema.
        """
        return row

    def validate(self, row: Any) -> None:
        """Validate a row with the declaring package itself.

        :raises Exception: the package's own, if the row violates the schema.
        """
        self.parse(row)

    def with_mapping_access(self) -> Declaration:
        """Return a declaration whose :meth:`parse` returns objects that also work as a dict."""
        return self


class _Pydantic(Declaration):
    """The common part of both versions of pydantic."""

    def with_mapping_access(self) -> Declaration:
        name, metaclass = self.declared.__name__, type(self.declared)
        members = {"__module__": self.declared.__module__, "__doc__": self.declared.__doc__}
        return type(self)(metaclass(name, (_MappingAccess, self.declared), members))


class _Pydantic2(_Pydantic):
    """A class of pydantic 2."""

    def get_input_schema(self) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.model_json_schema(mode="validation")
        return _transform(document, _normalize)

    def get_output_schema(self) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.model_json_schema(mode="serialization")
        return _transform(document, lambda schema: _with_null_defaults(_normalize(schema)))

    def parse(self, row: Any) -> Any:
        # From JSON: in strict mode, pydantic accepts a string for a date only there.
        return self.declared.model_validate_json(json.dumps(row))


class _Pydantic1(_Pydantic):
    """A class of pydantic 1, or of ``pydantic.v1``."""

    def get_input_schema(self) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.schema()
        definitions = document.get("definitions", {})
        for each in _collect_classes(self.declared, []):
            properties = definitions.get(each.__name__, document).get("properties", {})
            for field in each.__fields__.values():
                # pydantic 1 does not write null into the schema of a nullable field.
                if field.allow_none and field.alias in properties:
                    properties[field.alias] = _allow_null(properties[field.alias])
        return _transform(document, _normalize)

    def parse(self, row: Any) -> Any:
        return self.declared.parse_obj(row)


class _SchemaPackage(Declaration):
    """An object of the package ``schema``."""

    def get_input_schema(self) -> dict[str, Any]:
        return to_json_schema(self.declared)

    def validate(self, row: Any) -> None:
        self.declared.validate(row)


def to_declaration(declared: Any) -> Declaration:
    """Return the declaration of a class's ``input_schema`` or ``output_schema``.

    :raises InvalidModel: if it is not of a supported type.
    """
    if declared is None or isinstance(declared, Mapping):
        return Declaration(declared)
    if hasattr(declared, "model_json_schema"):
        return _Pydantic2(declared)
    if hasattr(declared, "__fields__") and hasattr(declared, "parse_obj"):
        return _Pydantic1(declared)
    if hasattr(declared, "json_schema") and hasattr(declared, "validate"):
        return _SchemaPackage(declared)
    raise InvalidModel(
        "expected a class of pydantic, a schema.Schema, a JSON Schema or None as a schema, "
        f"got {declared!r:.80}"
    )


def _transform(schema: dict[str, Any], change: Change) -> dict[str, Any]:
    """Return a JSON Schema with a change applied to it and to each schema inside it."""
    inner: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in NAMED_SCHEMAS:
            inner[keyword] = {name: _transform_value(part, change) for name, part in value.items()}
        elif keyword in DATA_KEYWORDS or keyword == "example":
            inner[keyword] = value
        else:
            inner[keyword] = _transform_value(value, change)
    return change(inner)


def _transform_value(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_transform_value(item, change) for item in value]
    return _transform(value, change) if isinstance(value, dict) else value


def _normalize(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of pydantic in terms of 2020-12, no stricter than its class."""
    normalized = dict(schema)
    # Its references break in another document, and alternatives differ by constants anyway.
    normalized.pop("discriminator", None)
    if "example" in normalized:
        normalized.setdefault("examples", [normalized.pop("example")])
    if normalized.get("format") in _TIMES:
        normalized.setdefault("examples", [_TIMES[normalized.pop("format")]])
    if normalized.get("description") == _NO_DESCRIPTION:
        del normalized["description"]
    if isinstance(normalized.get("items"), list):
        normalized["prefixItems"] = normalized.pop("items")
    return normalized


def _with_null_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow null for members whose default is null: pydantic 2 does not validate defaults."""
    properties = {
        name: _allow_null(part) if part.get("default", ...) is None else part
        for name, part in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


def _allow_null(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    if null in schema.get("anyOf", []) or not _RESTRICTIONS.intersection(schema):
        return schema
    kept = {key: value for key, value in schema.items() if key in ANNOTATIONS}
    rest = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
    return {**kept, "anyOf": [rest, null]}


def _collect_classes(model: Any, found: list[Any]) -> list[Any]:
    """Return a class of pydantic 1 and, recursively, the classes of its fields."""
    if model not in found:
        found.append(model)
        for field in model.__fields__.values():
            for inner in _inner_classes(field):
                _collect_classes(inner, found)
    return found


def _inner_classes(field: Any) -> Iterator[Any]:
    if hasattr(field.type_, "__fields__"):
        yield field.type_
    for inner in field.sub_fields or ():
        yield from _inner_classes(inner)


class _MappingAccess:
    """Mixin that makes ``**data`` and ``data["x"]`` work on a pydantic object."""

    def keys(self) -> Any:
        return _as_dict(self).keys()

    def __getitem__(self, name: str) -> Any:
        return _as_dict(self)[name]


def _as_dict(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json.loads(value.json(by_alias=True, exclude_unset=True))
