"""A form for a JSON Schema: the tree of fields that a page draws and a script reads.

Whatever follows from the schema is settled here, so that the template only shows, and the script
only reads and writes values. What no field can hold becomes a text area for its JSON. A form never
refuses what was typed: whether a row is right is for the server's own check to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from app.web import wording
from app.web.folding import ManyShapesError, Schema, constants, escaped, fold, unescaped

#: Groups within groups that are drawn; what lies deeper is asked for as JSON.
MAX_DEPTH = 6
#: Fields of one form; what comes after them is asked for as JSON.
MAX_FIELDS = 500
#: Characters above which a text gets several lines, and is no example to show.
LONG_TEXT = 60
#: Examples from which on they are offered while one types.
SEVERAL = 2
#: Characters that a text may have at most and still gets one line.
LONG_LIMIT = 250

#: The keyboard that a phone shows for a text's ``format``. Not the inputs of that type: a browser
#: would trim what was typed into them.
KEYBOARDS = {"email": "email", "uri": "url"}


@dataclass(frozen=True)
class Choice:
    """One of the values that a field may have; ``value`` is its JSON."""

    label: str
    value: str


@dataclass(frozen=True)
class Field:
    """One value of a row: what to ask, how to draw it and how to read it.

    ``pointer`` is the value's JSON Pointer within the row, ``key`` its name in its object.

    ``kind`` says how text becomes JSON: ``text`` as it is, ``number`` as typed, ``moment`` from
    local time; ``choice``, ``fixed`` and ``json`` are JSON already; ``lines``, ``numbers`` and
    ``checks`` are lists; ``group`` is an object of ``fields``.

    ``blank`` is what no text at all becomes: ``omit``, ``null``, or ``empty`` for the empty value
    of the kind. ``unset`` is how a choice names that.

    ``choices`` are all the values that it may have, or some of them to choose from while typing.

    ``bounds`` is what the value may be and ``typing`` how to type it, both in words.
    """

    pointer: str
    key: str
    label: str
    kind: str
    control: str
    type: str
    description: str = ""
    bounds: str = ""
    example: str = ""
    typing: str = ""
    unit: str = ""
    required: bool = False
    nullable: bool = False
    blank: str = "omit"
    unset: str = ""
    value: str = ""
    choices: tuple[Choice, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()

    @property
    def id(self) -> str:
        """Return the field's ``id`` in a page: of safe characters, and no other field's."""
        return "field" + quote(self.pointer, safe="").replace(".", "%2E").replace("%", ".")

    @property
    def name(self) -> str:
        """Return the pointer, or ``row`` for the row itself: a nameless control is not posted."""
        return self.pointer or "row"

    @property
    def path(self) -> str:
        """Return where the value is, to read: ``address.city``."""
        return ".".join(map(unescaped, self.pointer.split("/")[1:]))

    @property
    def range(self) -> str:
        """Return what a value may be, in words: ``from 0.1 to 8, e.g. 5.1``."""
        return ", ".join(filter(None, [self.bounds, self.example and f"e.g. {self.example}"]))

    @property
    def hint(self) -> str:
        """Return what to type, in words."""
        hint = ", ".join(filter(None, [self.typing, self.range]))
        return hint[:1].upper() + hint[1:]

    @property
    def is_wide(self) -> bool:
        """Tell whether the field takes a line of its own."""
        return self.control in ("textarea", "checks", "group")

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return what is ticked from the start, each as JSON."""
        return tuple(map(_as_json, json.loads(self.value))) if self.value else ()

    def within(self) -> Iterator[Field]:
        """Yield the fields within this one, each before those within it."""
        for inner in self.fields:
            yield inner
            yield from inner.within()


def build(schema: Schema | None, example: Any = None) -> Field:
    """Return the form for one row; ``example`` is a row to take hints from."""
    root = schema if isinstance(schema, Mapping) else {}
    return _Drawing(root).field(root, _Place(example=example))


@dataclass(frozen=True)
class _Place:
    """Where in the row a schema is drawn, and what is known about the value there."""

    pointer: str = ""
    key: str = ""
    is_required: bool = True
    is_nullable: bool = False
    example: Any = None
    default: Any = None
    depth: int = 0
    refs: frozenset[str] = frozenset()

    def member(self, key: str, is_required: bool) -> _Place:
        """Return the place of an object's member."""
        return replace(
            self,
            pointer=f"{self.pointer}/{escaped(key)}",
            key=key,
            is_required=is_required,
            is_nullable=False,
            example=_member(self.example, key),
            default=_member(self.default, key),
            depth=self.depth + 1,
        )


class _Drawing:
    """One form while it is drawn: the document to refer into, and how many fields are left."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.left = MAX_FIELDS

    def field(self, schema: Any, place: _Place) -> Field:
        """Return the field for a schema; the JSON field where no other fits."""
        plain = schema if isinstance(schema, Mapping) else {}
        try:
            folded = fold(schema, self.root, place.refs)
            plain = folded.schema
            place = replace(place, is_nullable=folded.is_nullable, refs=folded.refs)
            return self.shaped(plain, place)
        except ManyShapesError:
            return _json(plain, place)

    def shaped(self, schema: Schema, place: _Place) -> Field:
        """Return the field for a folded schema.

        :raises ManyShapesError: for what no field but the JSON field can hold.
        """
        if "const" in schema or "enum" in schema or constants(schema):
            return _choice(schema, place)
        kind = schema.get("type", "")
        if kind == "object":
            return self.group(schema, place)
        if kind == "array":
            return self.items(schema, place)
        return SCALARS.get(kind, _json)(schema, place)

    def group(self, schema: Schema, place: _Place) -> Field:
        """Return the fields of an object whose members are known."""
        properties = schema.get("properties", {})
        if not properties or place.depth >= MAX_DEPTH or len(properties) > self.left:
            raise ManyShapesError
        self.left -= len(properties)
        place = replace(place, default=_known(schema.get("default"), place.default))
        fields = tuple(
            self.field(part, place.member(key, key in schema.get("required", ())))
            for key, part in properties.items()
            if part is not False
        )
        return _field(schema, place, kind="group", control="group", fields=fields)

    def items(self, schema: Schema, place: _Place) -> Field:
        """Return the field of a list of scalars: one text, or a box to tick for each choice."""
        if "prefixItems" in schema:
            raise ManyShapesError
        item = self.field(schema.get("items"), replace(place, example=None, default=None))
        if item.kind == "choice" and schema.get("uniqueItems"):
            type_words = "any of these choices"
            return _field(schema, place, "checks", "checks", type=type_words, choices=item.choices)
        if item.kind == "number":
            return _list(schema, place, "numbers", "with commas or spaces between them")
        texts = [json.loads(choice.value) for choice in item.choices]
        if item.kind == "text" or (texts and all(isinstance(text, str) for text in texts)):
            among = f"each one of {', '.join(texts)}" if texts else ""
            return _list(schema, place, "lines", "one on each line", among)
        raise ManyShapesError


def _field(schema: Schema, place: _Place, kind: str, control: str, **shape: Any) -> Field:
    """Return a field of that shape, with the schema's words and the place's."""
    made = Field(
        pointer=place.pointer,
        key=place.key,
        label=_text(schema.get("title")) or wording.readable(place.key) or "Row",
        kind=kind,
        control=control,
        type=shape.pop("type", wording.kind(schema)),
        description=_text(schema.get("description")),
        example=_example(kind, schema, place),
        unit=_text(schema.get("x-unit")),
        required=place.is_required,
        nullable=place.is_nullable,
        blank=_blank(kind, schema, place),
        **shape,
    )
    if made.blank == "null" and not made.unset and kind != "group":
        made = replace(made, typing=f"{made.typing}, blank for none".removeprefix(", "))
    default = _known(schema.get("default"), place.default)
    return made if made.value or default is None else replace(made, value=_typed(kind, default))


def _json(schema: Schema, place: _Place) -> Field:
    attributes = {"rows": "4", "spellcheck": "false"}
    return _field(schema, place, "json", "textarea", typing="as JSON", attributes=attributes)


def _choice(schema: Schema, place: _Place) -> Field:
    choices = _choices(schema)
    if "const" in schema and place.is_required and not place.is_nullable:
        return _field(
            schema,
            place,
            "fixed",
            "fixed",
            type="always the same",
            value=choices[0].value,
            choices=choices,
        )
    unset = _unset(place)
    return _field(schema, place, "choice", "select", type="choice", choices=choices, unset=unset)


def _boolean(schema: Schema, place: _Place) -> Field:
    choices = (Choice("Yes", "true"), Choice("No", "false"))
    unset = "" if place.is_required and not place.is_nullable else _unset(place)
    return _field(schema, place, "choice", "radios", choices=choices, unset=unset)


def _number(schema: Schema, place: _Place) -> Field:
    lowest = _known(schema.get("minimum"), schema.get("exclusiveMinimum"))
    keyboard = "numeric" if schema["type"] == "integer" else "decimal"
    if not wording.is_number(lowest) or lowest < 0:
        # Some phones show no minus sign on their keyboards for numbers.
        keyboard = "text"
    return _line(schema, place, "number", type="text", inputmode=keyboard, autocomplete="off")


def _string(schema: Schema, place: _Place) -> Field:
    form = schema.get("format", "")
    if form == "date-time":
        return _line(schema, place, "moment", type="datetime-local", step="1")
    if form == "date":
        return _line(schema, place, "text", type="date")
    if _is_long(schema, place):
        rows = {"rows": "4"}
        bounds = wording.bounds(schema)
        return _field(schema, place, "text", "textarea", bounds=bounds, attributes=rows)
    keyboard = KEYBOARDS.get(form, "text")
    return _line(schema, place, "text", type="text", inputmode=keyboard, autocomplete="off")


#: JSON Schema's scalar types, and who draws them.
SCALARS: dict[str, Callable[[Schema, _Place], Field]] = {
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
    "string": _string,
    "null": lambda schema, place: _choice({**schema, "const": None}, place),
}


def _line(schema: Schema, place: _Place, kind: str, **attributes: str) -> Field:
    typing = "in your local time" if kind == "moment" else ""
    choices = _suggestions(kind, schema)
    if choices and kind == "text":
        typing = "choose from the list or type another"
    return _field(
        schema,
        place,
        kind,
        "input",
        typing=typing,
        bounds=wording.bounds(schema),
        choices=choices,
        attributes=attributes,
    )


def _suggestions(kind: str, schema: Schema) -> tuple[Choice, ...]:
    """Return the schema's examples, to choose from while typing, where there are several."""
    examples = schema.get("examples", ())
    if kind not in ("text", "number") or len(examples) < SEVERAL:
        return ()
    return tuple(Choice(wording.label(value), _typed(kind, value)) for value in examples)


def _list(schema: Schema, place: _Place, kind: str, typing: str, bounds: str = "") -> Field:
    attributes = {"rows": "2", "spellcheck": "false"}
    return _field(
        schema, place, kind, "textarea", typing=typing, bounds=bounds, attributes=attributes
    )


def _choices(schema: Schema) -> tuple[Choice, ...]:
    """Return what may be chosen; values that read alike, as 1 and "1", are shown as JSON."""
    parts = constants(schema)
    values = [part["const"] for part in parts] or schema.get("enum", [schema.get("const")])
    titles = [_text(part.get("title")) for part in parts] or [""] * len(values)
    labels = [title or wording.label(value) for title, value in zip(titles, values, strict=True)]
    texts = [_as_json(value) for value in values]
    return tuple(
        Choice(label if labels.count(label) == 1 else text, text)
        for label, text in zip(labels, texts, strict=True)
    )


def _unset(place: _Place) -> str:
    if not place.is_required:
        return "Not given"
    return "None" if place.is_nullable else "Choose …"


def _blank(kind: str, schema: Schema, place: _Place) -> str:
    if not place.is_required or not place.pointer:
        return "empty" if kind == "group" and not place.pointer else "omit"
    if place.is_nullable:
        return "null"
    if kind == "text":
        # An empty text is an answer only where the schema says so; else it was forgotten.
        return "empty" if schema.get("minLength") == 0 or schema.get("default") == "" else "omit"
    return "empty" if kind in ("group", "lines", "numbers", "checks") else "omit"


def _example(kind: str, schema: Schema, place: _Place) -> str:
    """Return a value to show beside the field: the schema's first, else the example row's."""
    value = _known(*schema.get("examples", ()), place.example)
    if value is None or kind not in ("number", "text", "numbers"):
        return ""
    text = _typed(kind, value)
    return text if len(text) <= LONG_TEXT and "\n" not in text else ""


def _typed(kind: str, value: Any) -> str:
    """Return a value as a person would type it into a field of that kind."""
    if kind == "group":
        return ""
    if kind in ("text", "moment") and isinstance(value, str):
        return value
    if kind == "lines" and isinstance(value, list):
        return "\n".join(map(str, value))
    if kind == "numbers" and isinstance(value, list):
        return ", ".join(map(_as_json, wording.short(value)))
    if kind == "number":
        return _as_json(wording.short(value))
    return json.dumps(value, ensure_ascii=False, indent=2) if kind == "json" else _as_json(value)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_long(schema: Schema, place: _Place) -> bool:
    """Tell whether a text may need several lines."""
    known: Sequence[Any] = [place.example, schema.get("default"), *schema.get("examples", ())]
    texts = [text for text in known if isinstance(text, str)]
    return (
        "contentMediaType" in schema
        or schema.get("maxLength", 0) > LONG_LIMIT
        or any(len(text) > LONG_TEXT or "\n" in text for text in texts)
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
