"""What an output schema says of each value of a prediction, for the script that draws it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.web.pages import labels
from app.web.pages.forms.fields import as_json
from mlmodel.schema.shape import ManyShapesError, Schema, constants, escaped, fold

#: Levels to which an answer's values are told of.
MAX_DEPTH = 8
#: Values that are told of at most, and classes of one of them.
MAX_VALUES = 500
#: A step of a pointer that stands for every item of a list, and every member without a name.
EACH = "*"
#: What a number from 0 to 1 is called that is read as per cent.
LIKELY = "probabilit"

Words = dict[str, Any]


def legend(schema: Schema | None) -> dict[str, Words]:
    """Return what is known of each value by JSON Pointer.

    ``label`` and ``unit`` are words. ``media`` is the media type of what base64 says, as the schema
    names it. ``names`` are those of constants, by their JSON. ``share`` is true for a probability.
    ``order`` are the members of an object of numbers, or the classes that its members stand for.
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
    """Yield what is known of a value and of those in it; ``classes`` are those that are beside."""
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
    """Return what the constants of a schema are called, by their JSON."""
    titles = {as_json(part["const"]): _text(part.get("title")) for part in constants(schema)}
    return {value: title for value, title in titles.items() if title}


def _numbers(members: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of an object's members, where all are numbers and there are several."""
    numbers = [
        name
        for name, member in members.items()
        if isinstance(member, Mapping) and member.get("type") in ("number", "integer")
    ]
    return tuple(numbers) if len(numbers) == len(members) > 1 else ()


def _classes(schema: Any, root: Schema, refs: frozenset[str]) -> tuple[str, ...]:
    """Return the choices of a value, as an object names its members by them."""
    try:
        plain = fold(schema, root, refs).schema
    except ManyShapesError:
        return ()
    parts = [part["const"] for part in constants(plain)]
    values = parts or plain.get("enum", ())
    return tuple(value if isinstance(value, str) else as_json(value) for value in values)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
