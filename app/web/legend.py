"""What an output schema says of each value of an answer, for the script that draws it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.web import wording
from app.web.folding import ManyShapesError, Schema, escaped, fold

#: Levels to which an answer's values are told of.
MAX_DEPTH = 8
#: Values that are told of at most.
MAX_VALUES = 500
#: A step of a pointer that stands for every item of a list, and every member without a name.
EACH = "*"

Words = dict[str, str]


def legend(schema: Schema | None) -> dict[str, Words]:
    """Return the words for each value by JSON Pointer: ``label``, ``unit``, and ``media``.

    ``media`` is the media type of what base64 says, as the schema names it.
    """
    root = schema if isinstance(schema, Mapping) else {}
    told = {}
    for pointer, words in _within(root, root, "", "", frozenset()):
        if len(told) == MAX_VALUES:
            break
        told[pointer] = words
    return told


def _within(
    schema: Any, root: Schema, pointer: str, key: str, refs: frozenset[str]
) -> Iterator[tuple[str, Words]]:
    try:
        folded = fold(schema, root, refs)
    except ManyShapesError:
        if isinstance(schema, Mapping):
            yield pointer, _words(schema, key)
        return
    plain, refs = folded.schema, folded.refs
    yield pointer, _words(plain, key)
    if pointer.count("/") == MAX_DEPTH:
        return
    for name, member in plain.get("properties", {}).items():
        yield from _within(member, root, f"{pointer}/{escaped(name)}", name, refs)
    for word in ("items", "additionalProperties"):
        if isinstance(plain.get(word), Mapping):
            yield from _within(plain[word], root, f"{pointer}/{EACH}", "", refs)


def _words(schema: Schema, key: str) -> Words:
    title = schema.get("title")
    label = title.strip() if isinstance(title, str) and key else ""
    is_base64 = schema.get("contentEncoding") == "base64"
    words = {
        "label": label or (wording.readable(key) if key else ""),
        "unit": _text(schema.get("x-unit")),
        "media": _text(schema.get("contentMediaType", "application/octet-stream"))
        if is_base64
        else "",
    }
    return {name: text for name, text in words.items() if text}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
