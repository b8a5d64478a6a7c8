"""Building of a form from a JSON Schema: objects, lists, and values of several shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.web.pages import labels
from app.web.pages.forms import alternatives, conditions
from app.web.pages.forms.controls import (
    UNNAMED_ITEM,
    choice,
    json_text,
    known,
    list_text,
    made,
    scalar,
)
from app.web.pages.forms.fields import Choice, Field, Place
from mlmodel.schema.shape import Folded, ManyShapesError, Schema, constants, fold

#: Maximum nesting of groups; deeper values get a JSON field.
MAX_DEPTH = 6
#: Maximum number of fields in a form; values after them get a JSON field.
MAX_FIELDS = 500
#: A list of a fixed length up to this one gets a field for each item.
MAX_FIXED = 16


def build(schema: Schema | None, example: Any = None) -> Field:
    """Return the form for one row.

    :param example: a row to take hints from.
    """
    root = schema if isinstance(schema, Mapping) else {}
    drawing = _Drawing(root)
    form = drawing.field(root, Place(example=example))
    return replace(form, shapes=drawing.shapes())


class _Drawing:
    """One form while it is built: the root schema for references, and the remaining fields."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.left = MAX_FIELDS
        self._shapes: dict[str, Field | None] = {}

    def shapes(self) -> tuple[Field, ...]:
        """Return the fields that a user may add, by their number in ``Field.shape``."""
        return tuple(field for field in self._shapes.values() if field)

    def field(self, schema: Any, place: Place) -> Field:
        """Return the field for a schema; the JSON field if no other fits."""
        plain = schema if isinstance(schema, Mapping) else {}
        try:
            folded = fold(schema, self.root, place.refs)
            plain = folded.schema
            # If null is allowed but the training sample has none, a blank field does not mean null.
            was_seen = not place.is_required or plain.get("x-seen-missing") is not False
            is_nullable = folded.is_nullable
            place = replace(place, is_nullable=is_nullable and was_seen, refs=folded.refs)
            drawn = self.folded(folded, place)
            return drawn if was_seen else replace(drawn, nullable=is_nullable)
        except ManyShapesError:
            return json_text(plain, place)

    def folded(self, folded: Folded, place: Place) -> Field:
        """Return the field for a folded schema.

        :raises ManyShapesError: if only the JSON field can hold the value.
        """
        schema = folded.schema
        if folded.recursion:
            return self.later(folded, place)
        if folded.alternatives:
            return self.variant(folded, place)
        if "const" in schema or "enum" in schema or constants(schema):
            return choice(schema, place)
        kind = schema.get("type", "")
        if kind == "object":
            return self.group(folded, place)
        if kind == "array":
            return self.items(schema, place)
        return scalar(schema, place)

    def reserve(self, count: int, place: Place) -> None:
        """Reserve a number of fields for a group, a list or shapes.

        :raises ManyShapesError: if the form may not have as many fields or as deep ones.
        """
        if place.depth >= MAX_DEPTH or count > self.left:
            raise ManyShapesError
        self.left -= count

    def group(self, folded: Folded, place: Place) -> Field:
        """Return the field of an object: its named members, and those that a user may add."""
        schema, more = folded.schema, _more(folded.schema)
        members = conditions.members(folded, self.root, place.refs)
        if not members:
            return self.map(schema, more, place)
        self.reserve(len(members), place)
        place = replace(place, default=known(place.default, schema.get("default")))
        fields = [
            self.field(each.schema, place.member(each.key, each.is_required, each.when))
            for each in members
        ]
        if more:
            inner = replace(
                place.member("", False),
                pointer=place.pointer,
                spot=f"{place.spot}/~m",
                default=_others(place.default, [each.key for each in members]),
            )
            fields.append(self.map({"title": "More members"}, more, inner))
        return made(schema, place, "group", "group", fields=tuple(fields))

    def map(self, schema: Schema, more: Any, place: Place) -> Field:
        """Return the field of an object whose members the user names."""
        if more is None and schema.get("additionalProperties") is False:
            return made(schema, place, "group", "group")
        shape = self.shape(more)
        default = known(place.default, schema.get("default"))
        place = replace(place, default=default if isinstance(default, Mapping) else {})
        names = list(place.default)[:MAX_FIELDS]
        self.reserve(len(names), place)
        fields = tuple(
            replace(self.field(more, place.added(index, name)), key=name)
            for index, name in enumerate(names)
        )
        return made(schema, place, "map", "list", fields=fields, shape=shape)

    def items(self, schema: Schema, place: Place) -> Field:
        """Return the field of a list: a text, checkboxes for choices, or a field for each item."""
        item = schema.get("items", True)
        first = schema.get("prefixItems", item if isinstance(item, list) else [])
        if first:
            return self.tuple(schema, first, place)
        length = int(schema.get("maxItems", 0))
        if length == schema.get("minItems") and 0 < length <= MAX_FIXED:
            return self.tuple(schema, [item] * length, place)
        single = self.single(item, place)
        if single and single.kind == "choice" and schema.get("uniqueItems"):
            type_words = "any of these choices"
            return made(schema, place, "checks", "checks", type=type_words, choices=single.choices)
        if single and single.kind == "number" and not single.nullable:
            typing = "with commas or spaces between them"
            return list_text(schema, place, "numbers", typing, single.bounds)
        if single and single.kind == "text" and single.attributes.get("type") == "text":
            return list_text(schema, place, "lines", "one on each line", single.bounds)
        return self.list(schema, item, place)

    def single(self, schema: Any, place: Place) -> Field | None:
        """Return the field of a list's item if the item is a single value, else ``None``."""
        try:
            folded = fold(schema, self.root, place.refs)
        except ManyShapesError:
            return None
        plain = folded.schema
        if folded.alternatives or folded.recursion or plain.get("type") in ("object", "array"):
            return None
        inner = Place(is_nullable=folded.is_nullable)
        is_choice = "const" in plain or "enum" in plain or constants(plain)
        return choice(plain, inner) if is_choice else scalar(plain, inner)

    def list(self, schema: Schema, item: Any, place: Place) -> Field:
        """Return the field of a list to which a user may add items."""
        shape = self.shape(item, is_numbered=True)
        default = known(place.default, schema.get("default"))
        place = replace(place, default=default)
        needed = int(schema.get("minItems", 0)) if place.is_required else 0
        count = min(len(default) if isinstance(default, list) else needed, MAX_FIELDS)
        self.reserve(count, place)
        fields = tuple(self.field(item, place.item(index)) for index in range(count))
        bounds = labels.bounds(schema)
        return made(schema, place, "list", "list", fields=fields, shape=shape, bounds=bounds)

    def tuple(self, schema: Schema, items: Sequence[Any], place: Place) -> Field:
        """Return the field of a list with a field for each item."""
        self.reserve(len(items), place)
        place = replace(place, default=known(place.default, schema.get("default")))
        needed = schema.get("minItems", len(items))
        fields = tuple(
            _unnumbered(self.field(item, place.item(index, index < needed)))
            for index, item in enumerate(items)
        )
        return made(schema, place, "tuple", "group", fields=fields)

    def later(self, folded: Folded, place: Place) -> Field:
        """Return the field of a recursive value, built only when the user adds it."""
        schema = {"$ref": folded.recursion}
        shape = self.shape(schema)
        place = replace(place, refs=place.refs - {folded.recursion})
        fields: tuple[Field, ...] = ()
        if place.default is not None:
            if place.depth >= MAX_DEPTH:
                raise ManyShapesError
            fields = (self.field(schema, replace(place.shape(0, True), is_item=True)),)
        return made(folded.schema, place, "later", "list", fields=fields, shape=shape)

    def variant(self, folded: Folded, place: Place) -> Field:
        """Return the field of a value of several shapes: a choice, and a field for each shape."""
        self.reserve(len(folded.alternatives), place)
        default = known(place.default, folded.schema.get("default"))
        place = replace(place, default=default)
        shapes = alternatives.folded(folded.alternatives, self.root, place.refs)
        chosen = alternatives.fitting(shapes, default)
        exemplary = alternatives.fitting(shapes, place.example)
        tag = alternatives.tag(shapes)
        fields = []
        for index, schema in enumerate(folded.alternatives):
            inner = place.shape(index, is_given=False)
            if index == chosen:
                inner = replace(inner, default=default)
            if index == exemplary:
                inner = replace(inner, example=place.example)
            fields.append(alternatives.tagged(self.field(schema, inner), tag))
        if all(field.kind == "json" for field in fields):
            raise ManyShapesError
        names = alternatives.names(folded.alternatives, shapes, fields, tag)
        return made(
            folded.schema,
            place,
            "variant",
            "variant",
            type=" or ".join(dict.fromkeys(field.type for field in fields)),
            fields=tuple(
                replace(field, label=name) for field, name in zip(fields, names, strict=True)
            ),
            choices=tuple(Choice(name, str(index)) for index, name in enumerate(names)),
            value="" if chosen is None else str(chosen),
        )

    def shape(self, schema: Any, is_numbered: bool = False) -> str:
        """Return the name of a field that a user may add repeatedly.

        :raises ManyShapesError: if it would be a JSON field: one JSON field then holds all of them.
        """
        key = json.dumps([schema, is_numbered], sort_keys=True)
        number = str(list(self._shapes).index(key) if key in self._shapes else len(self._shapes))
        if key not in self._shapes:
            self._shapes[key] = None
            place = Place(spot=f"@{number}", pointer=f"@{number}", is_item=True)
            place = replace(place, number=int(is_numbered))
            self._shapes[key] = replace(self.field(schema, place), shape=number)
        field = self._shapes[key]
        if field and field.kind == "json":
            raise ManyShapesError
        return number


def _more(schema: Schema) -> Any:
    """Return the schema of the members that a user may add to an object, else ``None``.

    A schema that allows anything does not count.
    """
    patterns = list(schema.get("patternProperties", {}).values())
    for more in [schema.get("additionalProperties"), *(patterns if len(patterns) == 1 else [])]:
        if isinstance(more, Mapping) and more:
            return more
    return None


def _others(value: Any, names: Sequence[str]) -> dict[str, Any]:
    there = value if isinstance(value, Mapping) else {}
    return {key: inner for key, inner in there.items() if key not in names}


def _unnumbered(field: Field) -> Field:
    """Return the field of an item, without its number if the item has a title."""
    return field if field.label == UNNAMED_ITEM else replace(field, number=0)
