"""Several shapes of a value: the shape of a given value, the tag, and the shapes' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.web.pages.display import labels
from app.web.pages.forms.fields import Field, as_json
from mlmodel.schema.shape import Schema, Shape


class Alternatives:
    """The alternatives of a shape, of which a value has one."""

    def __init__(self, shape: Shape) -> None:
        self._schemas = shape.alternatives
        self.shapes = [shape.inner(schema) for schema in shape.alternatives]
        self._tag = _find_tag(self.shapes)

    def find(self, value: Any) -> int | None:
        """Return the index of the first alternative whose types and constants match a value."""
        if value is None:
            return None
        for index, shape in enumerate(self.shapes):
            if shape.is_simple and _is_match(shape.schema, value):
                return index
        return None

    def label(self, fields: Sequence[Field]) -> list[Field]:
        """Return the fields of the alternatives with unique labels, and with their tags fixed."""
        fields = [_with_fixed_member(field, self._tag) for field in fields]
        names = [
            _get_name(schema, shape, field, self._tag)
            for schema, shape, field in zip(self._schemas, self.shapes, fields, strict=True)
        ]
        return [
            replace(field, label=name if names.count(name) == 1 else f"{name} ({number})")
            for index, (field, name) in enumerate(zip(fields, names, strict=True))
            for number in [names[:index].count(name) + 1]
        ]


def _find_tag(shapes: Sequence[Shape]) -> str:
    """Return the member with a different constant in each shape (the tag), or ``""``."""
    constants = [_get_constants(shape.schema) if shape.is_simple else {} for shape in shapes]
    for key in constants[0]:
        values = {as_json(each[key]) for each in constants if key in each}
        if len(values) == len(shapes):
            return key
    return ""


def _is_match(schema: Schema, value: Any) -> bool:
    if not labels.is_of_type(value, schema.get("type", "")):
        return False
    if not isinstance(value, Mapping):
        return True
    return set(schema.get("required", ())) <= set(value) and all(
        value.get(key, constant) == constant for key, constant in _get_constants(schema).items()
    )


def _get_constants(schema: Schema) -> dict[str, Any]:
    return {
        key: part["const"]
        for key, part in schema.get("properties", {}).items()
        if isinstance(part, Mapping) and "const" in part
    }


def _with_fixed_member(field: Field, key: str) -> Field:
    """Return an object's field whose tag is fixed: the choice of the alternative sets the tag."""
    if not key:
        return field
    fields = (_to_hidden(inner) if inner.key == key else inner for inner in field.fields)
    return replace(field, fields=tuple(fields))


def _to_hidden(field: Field) -> Field:
    value = field.choices[0].value
    return replace(field, kind="fixed", control="hidden", required=True, value=value)


def _get_name(schema: Any, shape: Shape, field: Field, tag: str) -> str:
    """Return a shape's title, the constant of its tag, its name in ``$ref``, or its type."""
    plain = schema if isinstance(schema, Mapping) else {}
    ref = plain.get("$ref", "").rpartition("/")[2]
    constant = next((inner.choices[0].label for inner in field.fields if inner.key == tag), "")
    title = plain.get("title") or (ref and shape.is_simple and shape.schema.get("title"))
    return str(title or (tag and constant) or labels.readable(ref or field.type))
