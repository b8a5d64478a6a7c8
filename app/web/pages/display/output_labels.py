"""Labels, units and other hints from an output schema, for the script that shows predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from app.web.pages.display import labels
from app.web.pages.forms.fields import as_json
from mlmodel.reference.main_value import CLUSTER
from mlmodel.schema.shape import Shape, escape

#: Deepest level of values with labels.
MAX_DEPTH = 8
#: Maximum number of values with labels, and of classes of one value.
MAX_VALUES = 500
#: Pointer step for all items of a list, or all additional members of an object.
EACH = "*"
#: A number from 0 to 1 with this in its name is shown in per cent.
LIKELY = "probabilit"

Words = dict[str, Any]


def get_output_labels(prediction: Shape) -> dict[str, Words]:
    """Return the display hints of each value of a prediction, by JSON Pointer.

    ``label`` and ``unit`` are text. ``media`` is the media type of base64 content, as declared by
    the schema. ``names`` maps the JSON of constants to their titles. ``class`` is true for a class
    or the number of a cluster, ``share`` for a probability. ``order`` lists the members of an
    object of numbers, or the classes that name them.
    """
    return dict(islice(_within(prediction, "", ""), MAX_VALUES))


def _within(
    shape: Shape, pointer: str, key: str, classes: Sequence[str] = ()
) -> Iterator[tuple[str, Words]]:
    """Yield the hints of a value and of those in it; ``classes`` are the choices of a sibling."""
    if not shape.is_simple:
        if shape.schema:
            yield pointer, _words(shape, key, pointer)
        return
    members = shape.members
    order = _numbers(shape) or (classes if shape.type == "object" and not members else ())
    yield (
        pointer,
        _words(shape, key, pointer) | ({"order": list(order[:MAX_VALUES])} if order else {}),
    )
    if pointer.count("/") == MAX_DEPTH:
        return
    classes = next(filter(None, map(_classes, members.values())), ())
    for name, member in members.items():
        yield from _within(member, f"{pointer}/{escape(name)}", name, classes)
    for each in filter(None, (shape.items, shape.other_members)):
        yield from _within(each, f"{pointer}/{EACH}", "")


def _words(shape: Shape, key: str, pointer: str) -> Words:
    label = shape.text("title") if key else ""
    is_base64 = shape.schema.get("contentEncoding") == "base64"
    media = shape.text("contentMediaType") or "application/octet-stream"
    bounds = shape.schema.get("minimum"), shape.schema.get("maximum")
    words = {
        "label": label or (labels.readable(key) if key else ""),
        "unit": shape.text("x-unit"),
        "media": media if is_base64 else "",
        "names": {as_json(each.value): each.title for each in shape.constants if each.title},
        "class": bool(shape.constants) or shape.text("title") == CLUSTER,
        "share": bounds == (0, 1) and LIKELY in f"{pointer} {label}".lower(),
    }
    return {name: value for name, value in words.items() if value}


def _numbers(shape: Shape) -> tuple[str, ...]:
    """Return the names of an object's members if there are several and all are numbers."""
    members = shape.members
    numbers = tuple(
        name
        for name, member in members.items()
        if member.type in ("number", "integer") and not member.is_nullable
    )
    return numbers if len(numbers) == len(members) > 1 else ()


def _classes(shape: Shape) -> tuple[str, ...]:
    """Return the choices of a value, as member names of an object."""
    is_choice = shape.is_simple and "const" not in shape.schema
    values = [each.value for each in shape.constants] if is_choice else []
    return tuple(value if isinstance(value, str) else as_json(value) for value in values)
