"""Labels, units and other hints from an output schema, for the script that shows predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.web.pages import labels
from app.web.pages.forms.fields import as_json
from mlmodel.schema.shape import ManyShapesError, Schema, constants, escaped, fold

#: Deepest level of values in the legend.
MAX_DEPTH = 8
#: Most values in a legend, and most classes of one value.
MAX_VALUES = 500
#: Pointer step for all items of a list, or all additional members of an object.
EACH = "*"
#: A number from 0 to 1 with this in its name is shown in per cent.
LIKELY = "probabilit"

Words = dict[str, Any]


def legend(schema: Schema | None) -> dict[str, Words]:
    """Return the display hints of each value of a prediction, by JSON Pointer.

    ``label`` and ``unit`` are text. ``media`` is the media type of base64 content, as declared by
    the schema. ``names`` maps the JSON of constants to their titles. ``share`` is true for a
    probability. ``order`` lists the members of an object of numbers, or the classes that name them.
    """
    root = schema if isinstance(schema, Mapping) else {}
    told = {}
    for pointer, words in _within(root, root, "", ""):
        if len(told) == MAX_VALUES:
            break
        told[pointer] = words
    return told


def _within(
    schema: Any,
    root: Schema,
    pointer: str,
    key: str,
    *,
    classes: Sequence[str] = (),
    refs: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, Words]]:
    """Yield the hints of a value and of those in it; ``classes`` are the choices of a sibling."""
    try:
        folded = fold(schema, root, refs)
    except ManyShapesError:
        if isinstance(schema, Mapping):
            yield pointer, _words(schema, key, pointer)
        return
    plain, refs = folded.schema, folded.refs
    members = plain.get("properties", {})
    words = _words(plain, key, pointer)
    order = _numbers(members) or (classes if plain.get("type") == "object" and not members else ())
    yield pointer, words | ({"order": list(order[:MAX_VALUES])} if order else {})
    if pointer.count("/") == MAX_DEPTH:
        return
    classes = next(filter(None, (_classes(member, root, refs) for member in members.values())), ())
    for name, member in members.items():
        inner = f"{pointer}/{escaped(name)}"
        yield from _within(member, root, inner, name, classes=classes, refs=refs)
    for word in ("items", "additionalProperties"):
        if isinstance(plain.get(word), Mapping):
            yield from _within(plain[word], root, f"{pointer}/{EACH}", "", refs=refs)


def _words(schema: Schema, key: str, pointer: str) -> Words:
    title = schema.get("title")
    label = title.strip() if isinstance(title, str) and key else ""
    is_base64 = schema.get("contentEncoding") == "base64"
    words = {
        "label": label or (labels.readable(key) if key else ""),
        "unit": _text(schema.get("x-unit")),
        "media": _text(schema.get("contentMediaType", "application/octet-stream"))
        if is_base64
        else "",
        "names": _names(schema),
        "share": (schema.get("minimum"), schema.get("maximum")) == (0, 1)
        and LIKELY in f"{pointer} {label}".lower(),
    }
    return {name: said for name, said in words.items() if said}


def _names(schema: Schema) -> dict[str, str]:
    """Return the titles of a schema's constants, by their JSON."""
    titles = {as_json(part["const"]): _text(part.get("title")) for part in constants(schema)}
    return {value: title for value, title in titles.items() if title}


def _numbers(members: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of an object's members if there are several and all are numbers."""
    numbers = [
        name
        for name, member in members.items()
        if isinstance(member, Mapping) and member.get("type") in ("number", "integer")
    ]
    return tuple(numbers) if len(numbers) == len(members) > 1 else ()


def _classes(schema: Any, root: Schema, refs: frozenset[str]) -> tuple[str, ...]:
    """Return the choices of a value, as member names of an object."""
    try:
        plain = fold(schema, root, refs).schema
    except ManyShapesError:
        return ()
    parts = [part["const"] for part in constants(plain)]
    values = parts or plain.get("enum", ())
    return tuple(value if isinstance(value, str) else as_json(value) for value in values)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
