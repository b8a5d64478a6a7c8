"""Reading of a form posted without JavaScript: its row, or the form with violations.

With JavaScript, static/row.js and static/rows.js do the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import current_app
from werkzeug.exceptions import BadRequest

from app.web.api.strict_json import parse
from app.web.pages.forms import conditions
from app.web.pages.forms.controls import NESTED
from app.web.pages.forms.drawing import Typed
from app.web.pages.forms.fields import Field
from mlmodel.errors import Violation
from mlmodel.numerals import parse_number
from mlmodel.schema.shape import escaped, unescaped

#: Separators of numbers in a list, besides commas alone.
GAPS = re.compile(r",?[\s;]+,?")
#: Ambiguous: one number with commas between thousands, or several numbers of three digits.
GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)

#: The value of a field that the row omits.
MISSING = object()


def read(field: Field) -> Any:
    """Return the value of a field; ``MISSING`` if the row omits it."""
    if field.kind in NESTED:
        return _NESTED[field.kind](field)
    if field.value == "":
        return _blank(field, "" if field.kind == "text" else [])
    return _TEXTS[field.kind](field.value)


def refused(form: Field, violations: Iterable[Violation]) -> Field:
    """Return a form with each violation beside the field that it points to."""
    for violation in violations:
        steps = [unescaped(step) for step in violation.pointer.split("/")[1:]]
        form = _marked(form, steps, violation.detail)
    return form


def changed(typed: Typed, change: str) -> dict[str, list[str]]:
    """Return the posted texts after one change of a list: an item added, removed or moved.

    :param change: the value of a form's button, action and spot: ``add /items``,
        ``remove /items/1``, ``up /items/1``, ``down /items/1``. Other values change nothing.
    """
    texts = {name: list(values) for name, values in typed.items()}
    what, _, spot = change.partition(" ")
    list_spot, _, step = spot.rpartition("/")
    if what == "add":
        texts[spot or "row"] = [str(_count(texts, spot) + 1)]
        return texts
    place = int(re.sub(r"\D", "", step)[:4] or 0)
    order = list(range(_count(texts, list_spot)))
    if what not in ("remove", "up", "down") or place not in order:
        return texts
    order.remove(place)
    if what != "remove":
        order.insert(max(0, place + (-1 if what == "up" else 1)), place)
    return _in_order(texts, list_spot, order, step.rstrip("0123456789"))


def _count(texts: Typed, spot: str) -> int:
    said = next(iter(texts.get(spot or "row", ())), "")
    return int(said[:4]) if said.isdecimal() else 0


def _in_order(
    texts: dict[str, list[str]], spot: str, order: Sequence[int], sign: str
) -> dict[str, list[str]]:
    """Return the posted texts with a list's items in the given order."""
    item = re.compile(re.escape(f"{spot}/{sign}") + r"(\d{1,4})(?=$|[/~])")
    made = {name: values for name, values in texts.items() if not item.match(name)}
    for name, values in texts.items():
        found = item.match(name)
        if found and int(found[1]) in order:
            place = order.index(int(found[1]))
            made[f"{spot}/{sign}{place}{name[found.end() :]}"] = values
    return made | {spot or "row": [str(len(order))]}


def _blank(field: Field, empty: Any) -> Any:
    return {"omit": MISSING, "null": None, "empty": empty}[field.blank]


def _group(field: Field) -> Any:
    if field.blank != "empty" and not _is_said(field):
        return _blank(field, {})
    row: dict[str, Any] = {}
    # Conditions refer to other members: read unconditional members first.
    for inner in sorted(field.fields, key=lambda each: bool(each.when)):
        value = read(inner)
        if value is MISSING or not conditions.is_met(inner.when, row):
            continue
        row |= {inner.key: value} if not inner.spot.endswith("/~m") else value
    return row


def _tuple(field: Field) -> Any:
    if field.blank != "empty" and not _is_said(field):
        return _blank(field, [])
    items = [read(inner) for inner in field.fields]
    while items and items[-1] is MISSING:
        items.pop()
    return [None if item is MISSING else item for item in items]


def _list(field: Field) -> Any:
    return [_item(inner) for inner in field.fields] or _blank(field, [])


def _map(field: Field) -> Any:
    return {inner.key: _item(inner) for inner in field.fields} or _blank(field, {})


def _later(field: Field) -> Any:
    return _item(field.fields[0]) if field.fields else _blank(field, None)


def _variant(field: Field) -> Any:
    shape = _shape(field)
    return read(shape) if shape else _blank(field, None)


def _shape(field: Field) -> Field | None:
    is_known = field.value.isdecimal() and int(field.value[:4]) < len(field.fields)
    return field.fields[int(field.value[:4])] if is_known else None


def _item(field: Field) -> Any:
    value = read(field)
    return None if value is MISSING else value


_NESTED: Mapping[str, Callable[[Field], Any]] = {
    "group": _group,
    "tuple": _tuple,
    "list": _list,
    "map": _map,
    "later": _later,
    "variant": _variant,
}


def _is_said(field: Field) -> bool:
    """Return whether the user changed a text in an object, or a list in it has items."""
    return any(
        inner.value != inner.first or (inner.control == "list" and bool(inner.fields))
        for inner in field.within()
    )


def _number(text: str) -> Any:
    """Return a text as a number if it is one, else unchanged."""
    number = parse_number(text.strip())
    return text if number is None else number


def _numbers(text: str) -> list[Any]:
    parts = [part for part in GAPS.split(text.strip(" ,;\t\r\n")) if part]
    if len(parts) == 1 and not GROUPED.fullmatch(parts[0]):
        parts = [part for part in parts[0].split(",") if part]
    # A comma in a part may separate decimals or thousands: keep the text, which validation rejects.
    return [part if "," in part else _number(part) for part in parts]


def _any(text: str) -> Any:
    """Return the value of a JSON text; if it is invalid, the text, which validation rejects."""
    try:
        return parse(text.encode(), current_app.config["MAX_DEPTH"])
    except (ValueError, BadRequest):
        return text


_TEXTS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "file": str,
    "moment": str,
    "local": str,
    "number": _number,
    "choice": _any,
    "fixed": _any,
    "json": _any,
    "checks": _any,
    "lines": lambda text: text.removesuffix("\n").split("\n"),
    "numbers": _numbers,
}


def _marked(field: Field, steps: list[str], detail: str) -> Field:
    """Return a field with an error added, to itself or to the inner field at ``steps``."""
    for place, inner in enumerate(field.fields):
        rest = _steps_within(field, place, steps)
        if rest is not None:
            fields = list(field.fields)
            fields[place] = _marked(inner, rest, detail)
            return replace(field, fields=tuple(fields))
    where = "/".join(map(escaped, steps))
    return replace(field, errors=(*field.errors, f"{where}: {detail}" if where else detail))


def _steps_within(field: Field, place: int, steps: list[str]) -> list[str] | None:
    """Return the steps that remain within an inner field, ``None`` if they do not lead into it."""
    inner = field.fields[place]
    if field.kind == "variant":
        return steps if inner is _shape(field) else None
    if field.kind == "later":
        return steps
    if inner.spot.endswith("/~m"):
        return steps if steps and any(each.key == steps[0] for each in inner.fields) else None
    return steps[1:] if steps and inner.key == steps[0] else None
