"""Several shapes of a value: the shape of a given value, the tag, and the shapes' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.web.pages import labels
from app.web.pages.forms.fields import Field, as_json
from mlmodel.schema.shape import Folded, ManyShapesError, Schema, fold


def folded(schemas: Sequence[Any], root: Schema, refs: frozenset[str]) -> list[Folded | None]:
    """Fold each schema to one shape; ``None`` for a schema without a simple shape."""
    found: list[Folded | None] = []
    for schema in schemas:
        try:
            found.append(fold(schema, root, refs))
        except ManyShapesError:
            found.append(None)
    return found


def fitting(shapes: Sequence[Folded | None], value: Any) -> int | None:
    """Return the index of the first shape whose types and constants fit a value, else ``None``."""
    if value is None:
        return None
    fits = (index for index, shape in enumerate(shapes) if shape and _fits(shape.schema, value))
    return next(fits, None)


def tag(shapes: Sequence[Folded | None]) -> str:
    """Return the member with a different constant in each shape (the tag), or ``""``."""
    constants = [_constants(shape.schema) if shape else {} for shape in shapes]
    for key in constants[0]:
        values = {as_json(each[key]) for each in constants if key in each}
        if len(values) == len(shapes):
            return key
    return ""


def tagged(field: Field, tag: str) -> Field:
    """Return an object's field with its tag fixed: the choice of the shape sets the tag."""
    return replace(
        field,
        fields=tuple(
            _settled(inner) if tag and inner.key == tag else inner for inner in field.fields
        ),
    )


def names(
    schemas: Sequence[Any], shapes: Sequence[Folded | None], fields: Sequence[Field], tag: str
) -> list[str]:
    """Return the names of the shapes, unique within the choice."""
    found = [
        _name(schema, shape, field, tag)
        for schema, shape, field in zip(schemas, shapes, fields, strict=True)
    ]
    return [
        name if found.count(name) == 1 else f"{name} ({found[:place].count(name) + 1})"
        for place, name in enumerate(found)
    ]


def _fits(schema: Schema, value: Any) -> bool:
    if not labels.is_of_type(value, schema.get("type", "")):
        return False
    if not isinstance(value, Mapping):
        return True
    fixed = _constants(schema)
    return set(schema.get("required", ())) <= set(value) and all(
        value.get(key, constant) == constant for key, constant in fixed.items()
    )


def _constants(schema: Schema) -> dict[str, Any]:
    return {
        key: part["const"]
        for key, part in schema.get("properties", {}).items()
        if isinstance(part, Mapping) and "const" in part
    }


def _settled(field: Field) -> Field:
    value = field.choices[0].value
    return replace(field, kind="fixed", control="hidden", required=True, value=value)


def _name(schema: Any, shape: Folded | None, field: Field, tag: str) -> str:
    """Return a shape's title, the constant of its tag, its name in ``$ref``, or its type."""
    said = schema if isinstance(schema, Mapping) else {}
    ref = said.get("$ref", "").rpartition("/")[2]
    constant = next((inner.choices[0].label for inner in field.fields if inner.key == tag), "")
    title = said.get("title") or (ref and shape and shape.schema.get("title"))
    return str(title or (tag and constant) or labels.readable(ref or field.type))
