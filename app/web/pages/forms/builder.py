"""The builder of a form from a JSON Schema: objects, lists, and values of several shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.web.pages.display import labels
from app.web.pages.forms.alternatives import Alternatives
from app.web.pages.forms.conditions import get_members
from app.web.pages.forms.controls import (
    UNNAMED_ITEM,
    build_field,
    choice_field,
    is_choice,
    json_field,
    list_text_field,
    scalar_field,
)
from app.web.pages.forms.fields import Choice, Field, Place
from mlmodel.schema.shape import NoSingleShapeError, Schema, Shape

#: Maximum nesting of groups; deeper values get a JSON field.
MAX_DEPTH = 6
#: Maximum number of fields in a form; values after them get a JSON field.
MAX_FIELDS = 500
#: A list of a fixed length up to this one gets a field for each item.
MAX_FIXED = 16


@dataclass
class _Form:
    """A form while it is built.

    ``remaining`` is the number of fields that it may still get. ``templates`` are the fields that a
    user may add, by their schemas; ``None`` for one that is being built.
    """

    root: Shape
    remaining: int = MAX_FIELDS
    templates: dict[str, Field | None] = field(default_factory=dict)

    def reserve(self, count: int, place: Place) -> None:
        """Reserve a number of fields for a group, a list or alternatives.

        :raises NoSingleShapeError: if the form would have too many fields, or too deep ones.
        """
        if place.depth >= MAX_DEPTH or count > self.remaining:
            raise NoSingleShapeError
        self.remaining -= count


def build(schema: Schema | None, example: Any = None) -> Field:
    """Return the form for one row.

    :param example: a row to take hints from.
    """
    shape = Shape.of(schema)
    # Templates are built as if no reference led to them.
    form = _Form(replace(shape, refs=frozenset()))
    row = _build(form, shape, Place(example=example))
    return replace(row, templates=tuple(filter(None, form.templates.values())))


# A function below raises NoSingleShapeError if only a JSON field can hold the value.


def _build(form: _Form, shape: Shape, place: Place) -> Field:
    """Return the field for a shape; the JSON field if no other can hold the value."""
    if not shape.is_simple:
        return json_field(shape.schema, place)
    # If null is allowed but the training sample has none, a blank field does not mean null.
    was_seen = not place.is_required or shape.schema.get("x-seen-missing") is not False
    place = replace(place, is_nullable=shape.is_nullable and was_seen)
    try:
        field = _build_simple(form, shape, place)
    except NoSingleShapeError:
        return json_field(shape.schema, place)
    return field if was_seen else replace(field, nullable=shape.is_nullable)


def _build_simple(form: _Form, shape: Shape, place: Place) -> Field:
    if shape.recursion:
        return _build_recursive(form, shape, place)
    if shape.alternatives:
        return _build_one_of(form, shape, place)
    if is_choice(shape.schema):
        return choice_field(shape.schema, place)
    if shape.type == "object":
        return _build_object(form, shape, place)
    if shape.type == "array":
        return _build_array(form, shape, place)
    return scalar_field(shape.schema, place)


def _build_object(form: _Form, shape: Shape, place: Place) -> Field:
    """Return the field of an object: its named members, and those that a user may add."""
    schema, additional = shape.schema, _additional_schema(shape.schema)
    # Counted first: shapes of many members take long to build.
    if len(schema.get("properties", ())) > form.remaining:
        raise NoSingleShapeError
    members = get_members(shape)
    if not members:
        return _build_map(form, schema, additional, shape, place)
    form.reserve(len(members), place)
    place = place.with_default(schema)
    fields = [
        _build(form, each.shape, place.member(each.key, each.is_required, each.condition))
        for each in members
    ]
    if additional:
        inner = place.additional_members([each.key for each in members])
        fields.append(_build_map(form, {"title": "More members"}, additional, shape, inner))
    return build_field(schema, place, "group", "group", fields=tuple(fields))


def _build_map(form: _Form, schema: Schema, additional: Any, shape: Shape, place: Place) -> Field:
    """Return the field of the members of an object that the user names.

    :param schema: the keywords for the labels of the field.
    """
    if additional is None and schema.get("additionalProperties") is False:
        return build_field(schema, place, "group", "group")
    template = _add_template(form, additional)
    place = place.with_default(schema)
    names = list(place.default) if isinstance(place.default, Mapping) else []
    form.reserve(len(names), place)
    member = shape.inner(additional)
    fields = tuple(
        replace(_build(form, member, place.named_member(index, name)), key=name)
        for index, name in enumerate(names)
    )
    return build_field(schema, place, "map", "list", fields=fields, template=template)


def _build_array(form: _Form, shape: Shape, place: Place) -> Field:
    """Return the field of a list: a text, checkboxes for choices, or a field for each item."""
    schema = shape.schema
    item = schema.get("items", True)
    items = schema.get("prefixItems", item if isinstance(item, list) else [])
    length = int(schema.get("maxItems", 0))
    if not items and length == schema.get("minItems") and length <= MAX_FIXED:
        items = [item] * length
    if items:
        return _build_tuple(form, shape, items, place)
    single = _build_single(shape.inner(item))
    text = _build_list_text(schema, single, place) if single else None
    return text or _build_list(form, shape, item, place)


def _build_list_text(schema: Schema, single: Field, place: Place) -> Field | None:
    """Return the single field that holds a list of simple values, ``None`` for other lists.

    :param single: the field of one item.
    """
    if single.kind == "choice" and schema.get("uniqueItems"):
        return build_field(
            schema,
            place,
            "multiselect",
            "checkboxes",
            type="any of these choices",
            choices=single.choices,
        )
    if single.kind == "number" and not single.nullable:
        format_hint = "separated by commas or spaces"
        return list_text_field(schema, place, "numbers", format_hint, single.bounds)
    if single.kind == "text" and single.attributes.get("type") == "text":
        return list_text_field(schema, place, "lines", "one per line", single.bounds)
    return None


def _build_single(item: Shape) -> Field | None:
    """Return the field of a list's item if the item is a single value, else ``None``."""
    has_parts = item.alternatives or item.recursion or item.type in ("object", "array")
    if has_parts or not item.is_simple:
        return None
    place = Place(is_nullable=item.is_nullable)
    build = choice_field if is_choice(item.schema) else scalar_field
    return build(item.schema, place)


def _build_list(form: _Form, shape: Shape, item: Any, place: Place) -> Field:
    """Return the field of a list to which a user may add items."""
    schema, inner = shape.schema, shape.inner(item)
    template = _add_template(form, item, is_numbered=True)
    place = place.with_default(schema)
    count = int(schema.get("minItems", 0)) if place.is_required else 0
    if isinstance(place.default, list):
        count = len(place.default)
    form.reserve(count, place)
    fields = tuple(_build(form, inner, place.item(index)) for index in range(count))
    bounds = labels.bounds(schema)
    return build_field(
        schema, place, "list", "list", fields=fields, template=template, bounds=bounds
    )


def _build_tuple(form: _Form, shape: Shape, items: Sequence[Any], place: Place) -> Field:
    """Return the field of a list with a field for each item."""
    schema = shape.schema
    form.reserve(len(items), place)
    place = place.with_default(schema)
    required = schema.get("minItems", len(items))
    fields = tuple(
        _without_number(_build(form, shape.inner(item), place.item(index, index < required)))
        for index, item in enumerate(items)
    )
    return build_field(schema, place, "tuple", "group", fields=fields)


def _build_recursive(form: _Form, shape: Shape, place: Place) -> Field:
    """Return the field of a recursive value, which the user adds level by level."""
    schema = {"$ref": shape.recursion}
    template = _add_template(form, schema)
    fields: tuple[Field, ...] = ()
    if place.default is not None:
        form.reserve(0, place)
        target = replace(shape, refs=shape.refs - {shape.recursion}).inner(schema)
        fields = (_build(form, target, replace(place.alternative(0), is_item=True)),)
    return build_field(shape.schema, place, "recursive", "list", fields=fields, template=template)


def _build_one_of(form: _Form, shape: Shape, place: Place) -> Field:
    """Return the field of a value of several shapes: a choice, and a field for each shape."""
    form.reserve(len(shape.alternatives), place)
    place = place.with_default(shape.schema)
    alternatives = Alternatives(shape)
    selected = alternatives.find(place.default)
    like_example = alternatives.find(place.example)
    fields = []
    for index, alternative in enumerate(alternatives.shapes):
        inner = place.alternative(index)
        default = inner.default if index == selected else None
        example = inner.example if index == like_example else None
        fields.append(_build(form, alternative, replace(inner, default=default, example=example)))
    if all(field.kind == "json" for field in fields):
        raise NoSingleShapeError
    fields = alternatives.label(fields)
    return build_field(
        shape.schema,
        place,
        "one_of",
        "one_of",
        type=" or ".join(dict.fromkeys(field.type for field in fields)),
        fields=tuple(fields),
        choices=tuple(Choice(field.label, str(index)) for index, field in enumerate(fields)),
        value="" if selected is None else str(selected),
    )


def _add_template(form: _Form, schema: Any, is_numbered: bool = False) -> str:
    """Return the name of the field that a user may add repeatedly, built on first use.

    :raises NoSingleShapeError: if it would be a JSON field: one JSON field then holds all of them.
    """
    key = json.dumps([schema, is_numbered], sort_keys=True)
    is_new = key not in form.templates
    # Set before it is built, as a recursive schema adds itself.
    form.templates.setdefault(key, None)
    name = str(list(form.templates).index(key))
    if is_new:
        place = Place(path=f"@{name}", pointer=f"@{name}", is_item=True, number=int(is_numbered))
        form.templates[key] = replace(_build(form, form.root.inner(schema), place), template=name)
    field = form.templates[key]
    if field and field.kind == "json":
        raise NoSingleShapeError
    return name


def _additional_schema(schema: Schema) -> Any:
    """Return the schema of the members that a user may add to an object, else ``None``.

    A schema that allows anything does not count.
    """
    patterns = list(schema.get("patternProperties", {}).values())
    for more in [schema.get("additionalProperties"), *(patterns if len(patterns) == 1 else [])]:
        if isinstance(more, Mapping) and more:
            return more
    return None


def _without_number(field: Field) -> Field:
    """Return the field of an item, without its number if the item has a title."""
    return field if field.label == UNNAMED_ITEM else replace(field, number=0)
