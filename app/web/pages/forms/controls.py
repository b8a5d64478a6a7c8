"""Fields of a single value: a line of text, a choice, a text area, a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from app.web.pages.display import labels as wording
from app.web.pages.forms.fields import Choice, Field, Place, as_json
from mlmodel.schema.shape import Schema, constants, is_number
from mlmodel.schema.texts.numerals import to_unambiguous

#: Longer examples or defaults get a text area, and are not shown as an example.
LONG_TEXT = 60
#: Number of examples from which on a field offers them as suggestions.
SEVERAL = 2
#: A text with a larger ``maxLength`` gets a text area.
LONG_LIMIT = 250

#: The ``inputmode`` (keyboard of a phone) for a string's ``format``. Not an input of that type: a
#: browser would trim its text.
KEYBOARDS = {"email": "email", "uri": "url"}

#: The placeholder of a blank field that is sent as an empty text. static/row.js has the same.
EMPTY_TEXT = "(empty text)"

#: Label of list items without a title.
UNNAMED_ITEM = "Item"

#: The input type of a picker for a string's ``format``: a browser shows it in the user's locale.
PICKERS = {"date": "date", "date-time-local": "datetime-local", "time-local": "time"}

#: The dtype of a column of dates and times with a zone, in pandas or (with quotes) in Polars.
ZONED = re.compile(r"datetime64\[\w+, *'?([^\]']+)'?\]")

#: Kinds whose value is in inner fields.
NESTED = frozenset({"group", "tuple", "list", "map", "recursive", "one_of"})
#: Kinds of lists, which may be empty.
LISTS = frozenset({"lines", "numbers", "multiselect"})
#: Kinds whose blank field has no empty value: a choice of one, or a value that may be added.
WITHOUT_EMPTY = frozenset({"one_of", "recursive"})


def build_field(schema: Schema, place: Place, kind: str, control: str, **shape: Any) -> Field:
    """Build a field of that kind, with labels from the schema and the place."""
    blank = _blank(kind, schema, place)
    field = Field(
        pointer=place.pointer,
        path=place.path,
        key=place.key,
        label=_clean(schema.get("title")) or _label(place),
        kind=kind,
        control=control,
        type=shape.pop("type", wording.kind(schema)),
        description=_clean(schema.get("description")),
        example=_example(kind, schema, place),
        unit=_clean(schema.get("x-unit")),
        section=_clean(schema.get("x-group")),
        required=place.is_required,
        nullable=place.is_nullable,
        blank=blank,
        attributes=_with_placeholder(shape.pop("attributes", {}), kind, blank),
        blank_label=shape.pop("blank_label", _blank_label(place) if kind == "one_of" else ""),
        number=place.number,
        condition=place.condition,
        **shape,
    )
    if kind in NESTED:
        return field
    if place.is_nullable and blank == "null" and not field.blank_label:
        format_hint = f"{field.format_hint}, may be left blank".removeprefix(", ")
        field = replace(field, format_hint=format_hint)
    default = place.with_default(schema).default
    value = field.value if field.value or default is None else _to_text(kind, default)
    return replace(field, value=value)


def json_field(schema: Schema, place: Place) -> Field:
    """Return a field for any value: a text area for its JSON."""
    attributes = {"rows": "4", "spellcheck": "false"}
    return build_field(
        schema, place, "json", "textarea", format_hint="as JSON", attributes=attributes
    )


def is_choice(schema: Schema) -> bool:
    """Return whether a schema lists the allowed values."""
    return "const" in schema or "enum" in schema or bool(constants(schema))


def choice_field(schema: Schema, place: Place) -> Field:
    """Return the field of a value with a constant or an enumeration in its schema."""
    choices = _choices(schema)
    if any(each.value == "null" for each in choices):
        # Null is a choice like the others then, and not the value of a field without a choice.
        place = replace(place, is_nullable=False)
    if "const" in schema and place.is_required and not place.is_nullable:
        return build_field(
            schema,
            place,
            "fixed",
            "fixed",
            type="constant",
            value=choices[0].value,
            choices=choices,
        )
    blank_label = _blank_label(place)
    return build_field(
        schema, place, "choice", "select", type="choice", choices=choices, blank_label=blank_label
    )


def _boolean(schema: Schema, place: Place) -> Field:
    choices = (Choice("Yes", "true"), Choice("No", "false"))
    blank_label = "" if place.is_required and not place.is_nullable else _blank_label(place)
    return build_field(schema, place, "choice", "radios", choices=choices, blank_label=blank_label)


def _number(schema: Schema, place: Place) -> Field:
    lowest = first_not_none(schema.get("minimum"), schema.get("exclusiveMinimum"))
    keyboard = "numeric" if schema["type"] == "integer" else "decimal"
    if not is_number(lowest) or lowest < 0:
        # The numeric keyboards of some phones have no minus sign.
        keyboard = "text"
    return _line(schema, place, "number", type="text", inputmode=keyboard, autocomplete="off")


def _string(schema: Schema, place: Place) -> Field:
    form = schema.get("format", "")
    if schema.get("contentEncoding") == "base64":
        return _file(schema, place)
    if form == "date-time":
        line = _line(schema, place, "datetime", type="datetime-local", step="1")
        return replace(line, time_zone=_time_zone(schema))
    if form in PICKERS:
        seconds = {} if form == "date" else {"step": "1"}
        return _line(schema, place, "local", type=PICKERS[form], **seconds)
    if _is_long(schema, place):
        rows = {"rows": "4"}
        bounds = wording.bounds(schema)
        return build_field(schema, place, "text", "textarea", bounds=bounds, attributes=rows)
    keyboard = KEYBOARDS.get(form, "text")
    return _line(schema, place, "text", type="text", inputmode=keyboard, autocomplete="off")


#: JSON Schema's scalar types, and the functions that build their fields.
SCALARS: dict[str, Callable[[Schema, Place], Field]] = {
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
    "string": _string,
    "null": lambda schema, place: choice_field({**schema, "const": None}, place),
}


def scalar_field(schema: Schema, place: Place) -> Field:
    """Return the field of a string, a number or a boolean; the JSON field for other types."""
    return SCALARS.get(schema.get("type", ""), json_field)(schema, place)


def _time_zone(schema: Schema) -> str:
    """Return the time zone of the column that the model was fitted on, or ``""``."""
    found = ZONED.fullmatch(_clean(schema.get("x-dtype")))
    return found[1] if found else ""


def _file(schema: Schema, place: Place) -> Field:
    accept = _clean(schema.get("contentMediaType"))
    return build_field(
        schema,
        place,
        "file",
        "file",
        type="file",
        bounds=f"type {accept}" if accept else "",
        attributes={"accept": accept} if accept else {},
    )


def _line(schema: Schema, place: Place, kind: str, **attributes: str) -> Field:
    format_hint = ""
    choices = _suggestions(kind, schema)
    if choices and kind == "text":
        format_hint = "choose or type a value"
    return build_field(
        schema,
        place,
        kind,
        "input",
        format_hint=format_hint,
        bounds=wording.bounds(schema, has_example=bool(_example(kind, schema, place))),
        choices=choices,
        attributes=attributes,
    )


def _suggestions(kind: str, schema: Schema) -> tuple[Choice, ...]:
    """Return the schema's examples as suggestions, if there are several."""
    examples = schema.get("examples", ())
    if kind not in ("text", "number") or len(examples) < SEVERAL:
        return ()
    return tuple(Choice(wording.label(value), _to_text(kind, value)) for value in examples)


def list_text_field(schema: Schema, place: Place, kind: str, format_hint: str, each: str) -> Field:
    """Return the field of a list typed as one text; ``each`` describes the limits of an item."""
    bounds = ", ".join(filter(None, [wording.bounds(schema), each and f"each {each}"]))
    attributes = {"rows": "2", "spellcheck": "false"}
    return build_field(
        schema,
        place,
        kind,
        "textarea",
        format_hint=format_hint,
        bounds=bounds,
        attributes=attributes,
    )


def _choices(schema: Schema) -> tuple[Choice, ...]:
    """Return a schema's choices; values with the same label, as 1 and "1", are shown as JSON."""
    parts = constants(schema)
    values = [part["const"] for part in parts] or schema.get("enum", [schema.get("const")])
    titles = [_clean(part.get("title")) for part in parts] or [""] * len(values)
    labels = [title or wording.label(value) for title, value in zip(titles, values, strict=True)]
    texts = [as_json(value) for value in values]
    return tuple(
        Choice(label if labels.count(label) == 1 else text, text)
        for label, text in zip(labels, texts, strict=True)
    )


def _blank_label(place: Place) -> str:
    if not place.is_required:
        return "Not given"
    return "None" if place.is_nullable else "Choose …"


def _blank(kind: str, schema: Schema, place: Place) -> str:
    if place.is_item and not (place.is_nullable and kind in NESTED):
        # An added item counts, even if its field is blank.
        return "empty" if kind in (NESTED | LISTS | {"text"}) - WITHOUT_EMPTY else "null"
    if not place.is_required or not place.pointer:
        return "empty" if kind in NESTED and not place.pointer else "omit"
    if place.is_nullable:
        return "null"
    if kind == "text":
        # A blank field is an empty text only if the schema allows that explicitly.
        known = [schema.get("default"), *schema.get("examples", ())]
        return "empty" if schema.get("minLength") == 0 or "" in known else "omit"
    return "empty" if kind in (NESTED | LISTS) - WITHOUT_EMPTY else "omit"


def _with_placeholder(attributes: dict[str, str], kind: str, blank: str) -> dict[str, str]:
    is_empty_text = (kind, blank) == ("text", "empty")
    return {**attributes, "placeholder": EMPTY_TEXT} if is_empty_text else attributes


def _label(place: Place) -> str:
    if place.number:
        return UNNAMED_ITEM
    if not place.pointer:
        return "Row"
    return wording.readable(place.key) if place.key or not place.is_item else "Value"


def _example(kind: str, schema: Schema, place: Place) -> str:
    """Return an example to show at the field: the schema's first, else the example row's."""
    value = first_not_none(*schema.get("examples", ()), place.example)
    if value is None or kind not in ("number", "text", "local", "numbers"):
        return ""
    text = _to_text(kind, value)
    if kind == "local":
        return text.replace("T", " ")
    return text if len(text) <= LONG_TEXT and "\n" not in text else ""


def _to_text(kind: str, value: Any) -> str:
    """Return a value as a user types it into a field of that kind."""
    if kind in ("text", "local", "datetime", "file") and isinstance(value, str):
        return value
    if kind == "lines" and isinstance(value, list):
        return "\n".join(map(str, value))
    if kind == "numbers" and isinstance(value, list):
        return ", ".join(
            to_unambiguous(as_json(item)) for item in wording.with_short_numbers(value)
        )
    if kind == "number":
        return to_unambiguous(as_json(wording.with_short_numbers(value)))
    return json.dumps(value, ensure_ascii=False, indent=2) if kind == "json" else as_json(value)


def _is_long(schema: Schema, place: Place) -> bool:
    """Return whether a text may need several lines."""
    values: Sequence[Any] = [place.example, schema.get("default"), *schema.get("examples", ())]
    texts = [text for text in values if isinstance(text, str)]
    return (
        "contentMediaType" in schema
        or schema.get("maxLength", 0) > LONG_LIMIT
        or any(len(text) > LONG_TEXT or "\n" in text for text in texts)
    )


def _clean(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def first_not_none(*values: Any) -> Any:
    """Return the first value that is not ``None``, or ``None``."""
    return next((value for value in values if value is not None), None)
