"""The fields of a row that a user can vary to see how the prediction changes (What if)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from app.web.pages import labels as wording
from mlmodel.schema.coercion import WHOLE
from mlmodel.schema.shape import ManyShapesError, Schema, constants, escaped, fold

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

    ``choices`` are pairs of label and JSON, empty for a number. ``None`` means that the schema
    has no such limit. ``open_low`` and ``open_high`` exclude the limits themselves.
    """

    pointer: str
    label: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    step: float | None = None
    choices: tuple[tuple[str, str], ...] = ()


def axes(schema: Schema | None) -> list[Axis]:
    """Return the fields of a row that hold a number or a choice, in the order of the schema."""
    root = schema if isinstance(schema, Mapping) else {}
    looked_at = islice(_within(root, root, "", (), frozenset()), MAX_SCHEMAS)
    return list(islice((axis for axis in looked_at if axis), MAX_AXES))


def _within(
    schema: Any, root: Schema, pointer: str, labels: tuple[str, ...], refs: frozenset[str]
) -> Iterator[Axis | None]:
    """Yield the axes of a schema and its members; ``None`` for each schema that is not an axis."""
    try:
        folded = fold(schema, root, refs)
    except ManyShapesError:
        yield None
        return
    plain = folded.schema
    axis = _axis(plain, pointer, " / ".join(labels))
    yield axis
    if not axis and plain.get("type") == "object" and len(labels) < MAX_DEPTH:
        for key, member in plain.get("properties", {}).items():
            title = member.get("title") if isinstance(member, Mapping) else None
            label = title.strip() if isinstance(title, str) else ""
            inner = f"{pointer}/{escaped(key)}"
            words = (*labels, label or wording.readable(key))
            yield from _within(member, root, inner, words, folded.refs)


def _axis(schema: Schema, pointer: str, label: str) -> Axis | None:
    """Return a schema as an axis; ``None`` if its values are neither numbers nor choices."""
    unit = schema.get("x-unit")
    words = {
        "pointer": pointer,
        "label": label or "The row",
        "unit": unit if isinstance(unit, str) else "",
    }
    choices = _choices(schema)
    if len(choices) > 1:
        return Axis(**words, choices=choices)
    if choices or schema.get("type") not in {"integer", "number"}:
        return None
    return Axis(**words, **_range(schema))


def _choices(schema: Schema) -> tuple[tuple[str, str], ...]:
    parts = constants(schema)
    if parts:
        titles = [part.get("title") for part in parts]
        values = [part["const"] for part in parts]
    else:
        values = [True, False] if schema.get("type") == "boolean" else schema.get("enum", [])
        values = [schema["const"]] if "const" in schema else values
        titles = [None] * len(values)
    return tuple(
        (
            title if isinstance(title, str) and title.strip() else wording.label(value),
            json.dumps(value, ensure_ascii=False),
        )
        for title, value in zip(titles, values, strict=True)
    )


def _range(schema: Schema) -> dict[str, Any]:
    """Return the range of a number: the usual one (``x-range``), else the allowed one."""
    low, open_low = _end(schema, "minimum", "exclusiveMinimum", max)
    high, open_high = _end(schema, "maximum", "exclusiveMaximum", min)
    usual = schema.get("x-range")
    if isinstance(usual, list) and len(usual) == BOTH and all(map(wording.is_number, usual)):
        low, high, open_low, open_high = *usual, open_low and usual[0] == low, False
    step = schema.get("multipleOf") if wording.is_number(schema.get("multipleOf")) else None
    # A column of integers accepts other numbers too, but What if offers integers only.
    is_whole = schema.get("type") == "integer" or WHOLE.fullmatch(str(schema.get("x-dtype", "")))
    return {
        "low": low,
        "high": high,
        "open_low": open_low,
        "open_high": open_high,
        "step": max(step or 1, 1) if is_whole else step,
    }


def _end(schema: Schema, closed: str, opened: str, tighter: Any) -> tuple[Any, bool]:
    """Return one limit of the range, and whether the limit itself is excluded."""
    at, beyond = (
        value if wording.is_number(value) else None
        for value in (schema.get(closed), schema.get(opened))
    )
    if at is None or beyond is None:
        return (beyond, beyond is not None) if at is None else (at, False)
    return tighter(at, beyond), tighter(at, beyond) == beyond
