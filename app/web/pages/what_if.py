"""The fields of a row that a user can vary to see how the prediction changes (What if)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

from app.web.pages.display import labels as wording
from app.web.pages.forms.controls import LONG_TEXT, SEVERAL
from mlmodel.schema.coercion import WHOLE
from mlmodel.schema.shape import Constant, Shape, escape, is_number

#: Deepest nesting of objects whose fields are axes.
MAX_DEPTH = 4
#: Most axes of a schema.
MAX_AXES = 300
#: Most schemas searched for axes.
MAX_SCHEMAS = 1_000
#: Length of ``x-range``.
BOTH = 2


@dataclass(frozen=True)
class Axis:
    """One field of a row and its values: from ``low`` to ``high``, or one of ``choices``.

    ``choices`` are pairs of label and JSON, empty for a number. Of a text, they are the known
    values, and others may be valid too. ``None`` means that the schema
    has no such limit. ``open_low`` and ``open_high`` exclude the limits themselves. ``is_usual``
    means that usual values are in the range, which is then ``x-range``.
    """

    pointer: str
    label: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    is_usual: bool = False
    step: float | None = None
    choices: tuple[tuple[str, str], ...] = ()


def get_axes(row: Shape) -> list[Axis]:
    """Return the fields that hold a number, a choice or a text with suggestions, in order."""
    visited = islice(_within(row, "", ()), MAX_SCHEMAS)
    return list(islice((axis for axis in visited if axis), MAX_AXES))


def _within(shape: Shape, pointer: str, labels: tuple[str, ...]) -> Iterator[Axis | None]:
    """Yield the axes of a shape and its members; ``None`` for each shape that is not an axis."""
    axis = _axis(shape, pointer, " / ".join(labels)) if shape.is_simple else None
    yield axis
    if not axis and shape.type == "object" and len(labels) < MAX_DEPTH:
        for key, member in shape.members.items():
            label = shape.title_of(key) or wording.readable(key)
            yield from _within(member, f"{pointer}/{escape(key)}", (*labels, label))


def _axis(shape: Shape, pointer: str, label: str) -> Axis | None:
    """Return a shape as an axis; ``None`` if its values are neither numbers nor choices."""
    unit = shape.schema.get("x-unit")
    words = {
        "pointer": pointer,
        "label": label or "The row",
        "unit": unit if isinstance(unit, str) else "",
    }
    choices = _choices(shape)
    if len(choices) > 1:
        return Axis(**words, choices=choices)
    if choices or shape.type not in {"integer", "number"}:
        return None
    return Axis(**words, **_range(shape))


def _choices(shape: Shape) -> tuple[tuple[str, str], ...]:
    constants = shape.constants
    if not constants and shape.type == "boolean":
        constants = (Constant(True), Constant(False))
    elif not constants and shape.type == "string":
        constants = tuple(map(Constant, _suggestions(shape.schema)))
    return tuple(
        (each.title or wording.label(each.value), json.dumps(each.value, ensure_ascii=False))
        for each in constants
    )


def _suggestions(schema: Mapping[str, Any]) -> Sequence[str]:
    """Return the short texts that the form suggests for a text; empty if there are not several."""
    examples: Sequence[Any] = schema.get("examples", ())
    is_plain = not {"format", "contentEncoding", "contentMediaType"} & schema.keys()
    are_short = all(isinstance(each, str) and len(each) <= LONG_TEXT for each in examples)
    return examples if is_plain and are_short and len(examples) >= SEVERAL else ()


def _range(shape: Shape) -> dict[str, Any]:
    """Return the range of a number: the usual one (``x-range``), else the allowed one."""
    low, open_low = _end(shape, "minimum", "exclusiveMinimum", max)
    high, open_high = _end(shape, "maximum", "exclusiveMaximum", min)
    usual = shape.schema.get("x-range")
    is_usual = isinstance(usual, list) and len(usual) == BOTH and all(map(is_number, usual))
    if is_usual:
        open_low, open_high = open_low and usual[0] == low, open_high and usual[1] == high
        low, high = usual
    step = shape.number("multipleOf")
    # A column of integers accepts other numbers too, but What if offers integers only.
    if shape.type == "integer" or WHOLE.fullmatch(str(shape.schema.get("x-dtype", ""))):
        # The least integer that is a multiple: 5 for 2.5.
        step = Fraction(str(step or 1)).numerator
    return {
        "low": low,
        "high": high,
        "open_low": open_low,
        "open_high": open_high,
        "is_usual": is_usual,
        "step": step,
    }


def _end(shape: Shape, closed: str, opened: str, tighter: Any) -> tuple[Any, bool]:
    """Return one limit of the range, and whether the limit itself is excluded."""
    at, beyond = shape.number(closed), shape.number(opened)
    if at is None or beyond is None:
        return (beyond, beyond is not None) if at is None else (at, False)
    return tighter(at, beyond), tighter(at, beyond) == beyond
