"""Convert the schemas that foreign classes declare to JSON Schemas.

They declare classes of pydantic 1 or 2, or objects of the package ``schema``. Each is recognized
by its methods, so that none of these packages is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlmodel.errors import InvalidModel
from mlmodel.foreign.schema_package import WORDS, document_of
from mlmodel.schema.refs import DATA_KEYWORDS, NAMED_SCHEMAS

#: Formats that JSON Schema checks more strictly than pydantic, as RFC 3339 requires a time zone,
#: and an example of each.
TIMES = {"date-time": "2026-01-31T14:30:00Z", "time": "14:30:00Z"}
#: The description that pydantic 1 writes for an Enum without one.
NO_DESCRIPTION = "An enumeration."

#: Keywords that restrict a value. A schema without any already allows null.
RESTRICTIONS = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"})

#: A function that returns a changed copy of a JSON Schema.
Change = Callable[[dict[str, Any]], dict[str, Any]]


class Declaration:
    """A declared schema. This class handles a JSON Schema or ``None``."""

    def __init__(self, declared: Any) -> None:
        self.declared = declared

    def of_rows(self) -> dict[str, Any] | None:
        """Return the JSON Schema of a row; ``None`` if any row is valid."""
        return None if self.declared is None else dict(self.declared)

    def of_answers(self) -> dict[str, Any] | None:
        """Return the JSON Schema of a prediction as serialized to JSON."""
        return self.of_rows()

    def read(self, row: Any) -> Any:
        """Convert a row to the object that the model's ``predict`` takes.

        :raises Exception: the package's own, if the row violates the schema.
        """
        return row

    def judge(self, row: Any) -> None:
        """Validate a row with the declaring package itself.

        :raises Exception: the package's own, if the row violates the schema.
        """
        self.read(row)

    def with_members(self) -> Declaration:
        """Return a declaration whose :meth:`read` returns objects that also work as a dict."""
        return self


class _Pydantic(Declaration):
    """The common part of both versions of pydantic."""

    def with_members(self) -> Declaration:
        name, metaclass = self.declared.__name__, type(self.declared)
        members = {"__module__": self.declared.__module__, "__doc__": self.declared.__doc__}
        return type(self)(metaclass(name, (_Members, self.declared), members))


class _Pydantic2(_Pydantic):
    """A class of pydantic 2."""

    def of_rows(self) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.model_json_schema(mode="validation")
        return _changed(document, _fitted)

    def of_answers(self) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.model_json_schema(mode="serialization")
        return _changed(document, lambda schema: _with_null_defaults(_fitted(schema)))

    def read(self, row: Any) -> Any:
        # From JSON: in strict mode, pydantic accepts a string for a date only there.
        return self.declared.model_validate_json(json.dumps(row))


class _Pydantic1(_Pydantic):
    """A class of pydantic 1, or of ``pydantic.v1``."""

    def of_rows(self) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.schema()
        definitions = document.get("definitions", {})
        for each in _classes_within(self.declared, []):
            properties = definitions.get(each.__name__, document).get("properties", {})
            for field in each.__fields__.values():
                # pydantic 1 does not write null into the schema of a nullable field.
                if field.allow_none and field.alias in properties:
                    properties[field.alias] = _or_null(properties[field.alias])
        return _changed(document, _fitted)

    def read(self, row: Any) -> Any:
        return self.declared.parse_obj(row)


class _SchemaPackage(Declaration):
    """An object of the package ``schema``."""

    def of_rows(self) -> dict[str, Any]:
        return document_of(self.declared)

    def judge(self, row: Any) -> None:
        self.declared.validate(row)


def declaration_of(declared: Any) -> Declaration:
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
        "a schema must be a class of pydantic, a schema.Schema, a JSON Schema or None, "
        f"got {declared!r:.80}"
    )


def _changed(schema: dict[str, Any], change: Change) -> dict[str, Any]:
    """Return a JSON Schema with a change applied to it and to each schema inside it."""
    inner: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in NAMED_SCHEMAS:
            inner[keyword] = {name: _changed_value(part, change) for name, part in value.items()}
        elif keyword in DATA_KEYWORDS or keyword == "example":
            inner[keyword] = value
        else:
            inner[keyword] = _changed_value(value, change)
    return change(inner)


def _changed_value(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_changed_value(item, change) for item in value]
    return _changed(value, change) if isinstance(value, dict) else value


def _fitted(schema: dict[str, Any]) -> dict[str, Any]:
    """Return one schema of pydantic's in terms of 2020-12, no stricter than its class."""
    fitted = dict(schema)
    # Its references break in another document, and alternatives differ by constants anyway.
    fitted.pop("discriminator", None)
    if "example" in fitted:
        fitted.setdefault("examples", [fitted.pop("example")])
    if fitted.get("format") in TIMES:
        fitted.setdefault("examples", [TIMES[fitted.pop("format")]])
    if fitted.get("description") == NO_DESCRIPTION:
        del fitted["description"]
    if isinstance(fitted.get("items"), list):
        fitted["prefixItems"] = fitted.pop("items")
    return fitted


def _with_null_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow null for members whose default is null: pydantic 2 does not validate defaults."""
    properties = {
        name: _or_null(part) if part.get("default", ...) is None else part
        for name, part in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    if null in schema.get("anyOf", []) or not RESTRICTIONS.intersection(schema):
        return schema
    kept = {key: value for key, value in schema.items() if key in WORDS}
    rest = {key: value for key, value in schema.items() if key not in WORDS}
    return {**kept, "anyOf": [rest, null]}


def _classes_within(model: Any, found: list[Any]) -> list[Any]:
    """Return a class of pydantic 1 and, recursively, the classes of its fields."""
    if model not in found:
        found.append(model)
        for field in model.__fields__.values():
            for inner in _types_of(field):
                _classes_within(inner, found)
    return found


def _types_of(field: Any) -> Iterator[Any]:
    if hasattr(field.type_, "__fields__"):
        yield field.type_
    for inner in field.sub_fields or ():
        yield from _types_of(inner)


class _Members:
    """Mixin that makes ``**data`` and ``data["x"]`` work on a pydantic object."""

    def keys(self) -> Any:
        return _as_dict(self).keys()

    def __getitem__(self, name: str) -> Any:
        return _as_dict(self)[name]


def _as_dict(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json.loads(value.json(by_alias=True, exclude_unset=True))
