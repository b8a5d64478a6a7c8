"""Convert the schemas that authors declare to JSON Schemas, and rows to objects of their classes.

An author declares a JSON Schema, a class of pydantic 1 or 2, a dataclass, or an object of the
package ``schema``. Each is recognized by its methods, so that pydantic and ``schema`` are not
imported here.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from operator import methodcaller
from typing import Any, Literal

import msgspec

from mlmodel.declarations.generated import (
    allow_null,
    normalize,
    transform,
    with_null_defaults,
    with_numeric_decimals,
)
from mlmodel.declarations.schema_package import to_json_schema
from mlmodel.declarations.violations import is_about_row, to_invalid_input
from mlmodel.errors import InvalidModel

#: Annotations of a method that takes the row itself.
_MAPPING = re.compile(r"([\w.]+\.)?(dict|Dict|Mapping|MutableMapping)\b")

Parser = Callable[[Any], Any]


class Declaration:
    """A declared schema. This class handles a JSON Schema or ``None``."""

    #: Whether :meth:`parse` returns an object of a class, not the row itself.
    has_objects = False

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

    def get_parser(self, method: Callable[..., Any]) -> Parser | None:
        """Return :meth:`parse`, as a method needs it; ``None`` if it takes the row itself.

        The method takes an object of the declared class unless its first parameter is annotated
        as a mapping. Without an annotation, an object of pydantic also works as a dict.
        """
        if not self.has_objects:
            return None
        parameters = list(inspect.signature(method).parameters.values())
        annotation = parameters[0].annotation if parameters else inspect.Parameter.empty
        if annotation is inspect.Parameter.empty:
            return self.with_mapping_access().parse
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        return None if _MAPPING.match(text) else self.parse


class _Pydantic(Declaration):
    """The common part of both versions of pydantic."""

    has_objects = True

    def with_mapping_access(self) -> Declaration:
        name, metaclass = self.declared.__name__, type(self.declared)
        members = {"__module__": self.declared.__module__, "__doc__": self.declared.__doc__}
        return type(self)(metaclass(name, (_MappingAccess, self.declared), members))


class _Pydantic2(_Pydantic):
    """A class of pydantic 2."""

    def get_input_schema(self) -> dict[str, Any]:
        return transform(self._generate("validation"), normalize)

    def get_output_schema(self) -> dict[str, Any]:
        document = self._generate("serialization")
        return transform(document, lambda schema: with_null_defaults(normalize(schema)))

    def parse(self, row: Any) -> Any:
        # From JSON: in strict mode, pydantic accepts a string for a date only there.
        return self.declared.model_validate_json(json.dumps(row))

    def _generate(self, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        document: dict[str, Any] = self.declared.model_json_schema(mode=mode)
        return document


class _PydanticDataclass(_Pydantic2):
    """A dataclass of pydantic 2."""

    def __init__(self, declared: Any) -> None:
        super().__init__(declared)
        # The class was made by pydantic, so this import loads nothing new.
        self._adapter: Any = importlib.import_module("pydantic").TypeAdapter(declared)

    def parse(self, row: Any) -> Any:
        return self._adapter.validate_json(json.dumps(row))

    def with_mapping_access(self) -> Declaration:
        return self

    def _generate(self, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        document: dict[str, Any] = self._adapter.json_schema(mode=mode)
        return document


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
                    properties[field.alias] = allow_null(properties[field.alias])
        return transform(document, normalize)

    def parse(self, row: Any) -> Any:
        return self.declared.parse_obj(row)


class _Dataclass(Declaration):
    """A dataclass. msgspec generates its schema and builds its objects."""

    has_objects = True

    def get_input_schema(self) -> dict[str, Any]:
        return transform(msgspec.json.schema(self.declared), with_numeric_decimals)

    def parse(self, row: Any) -> Any:
        return msgspec.convert(row, self.declared)


class _SchemaPackage(Declaration):
    """An object of the package ``schema``."""

    def get_input_schema(self) -> dict[str, Any]:
        return to_json_schema(self.declared)

    def validate(self, row: Any) -> None:
        self.declared.validate(row)


def to_declaration(declared: Any) -> Declaration:
    """Return the declaration of an ``input_schema`` or ``output_schema``.

    :raises InvalidModel: if it is not of a supported type.
    """
    if declared is None or isinstance(declared, Mapping):
        return Declaration(declared)
    if isinstance(declared, type):
        declaration_class = _find_class(declared)
        if declaration_class is not None:
            return declaration_class(declared)
    elif hasattr(declared, "json_schema") and hasattr(declared, "validate"):
        return _SchemaPackage(declared)
    raise InvalidModel(
        "a schema must be a JSON Schema (a dict), a class of pydantic, a dataclass, an object of "
        f"the package 'schema', or None, got {declared!r:.80}"
    )


def to_input_schema(declared: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of a row; ``None`` if any row is valid.

    :raises InvalidModel: if the declared schema is not of a supported type, or has no JSON form.
    """
    return _generate(declared, methodcaller("get_input_schema"))


def to_output_schema(declared: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of a prediction; ``None`` if any is valid.

    :raises InvalidModel: if the declared schema is not of a supported type, or has no JSON form.
    """
    return _generate(declared, methodcaller("get_output_schema"))


def get_parser(method: Callable[..., Any], declared: Any) -> Parser | None:
    """Return the function that converts a row to the argument of a method of a model.

    It raises ``InvalidInput`` if the declared class rejects the row. ``None`` if the method takes
    rows as they are, because a JSON Schema or nothing is declared.

    :raises InvalidModel: if the declared schema is not of a supported type.
    """
    declaration = to_declaration(declared)
    if declared is None or isinstance(declared, Mapping):
        return None
    convert = declaration.get_parser(method)

    def parse(row: Any) -> Any:
        try:
            if convert is not None:
                return convert(row)
            declaration.validate(row)
            return row
        except Exception as error:  # an author's own validators may raise anything
            if is_about_row(error):
                raise to_invalid_input(error, row) from error
            raise

    return parse


def _find_class(declared: type) -> type[Declaration] | None:
    if hasattr(declared, "model_json_schema"):
        return _Pydantic2
    if hasattr(declared, "__fields__") and hasattr(declared, "parse_obj"):
        return _Pydantic1
    if dataclasses.is_dataclass(declared):
        return _PydanticDataclass if hasattr(declared, "__pydantic_validator__") else _Dataclass
    return None


def _generate(declared: Any, get_schema: methodcaller) -> dict[str, Any] | None:
    declaration = to_declaration(declared)
    try:
        document: dict[str, Any] | None = get_schema(declaration)
    except Exception as error:  # an author's own class may raise anything
        name = getattr(declared, "__name__", repr(declared))
        reason = " ".join(str(error).split())
        raise InvalidModel(f"{name:.80} has no JSON Schema: {reason:.300}") from error
    return document


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
        return value.model_dump(mode="json", by_alias=True)
    return json.loads(value.json(by_alias=True))
