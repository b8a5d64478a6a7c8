"""Caution about a row: values that differ from everything that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mlmodel.reference.distributions import (
    MOST_CHARACTERS,
    Choices,
    Distribution,
    Numbers,
    key,
)
from mlmodel.reference.profile import Profile
from mlmodel.schema.messages import join_first, to_short_json
from mlmodel.schema.shape import Shape, escape

#: Choices that a caution lists.
MOST_LISTED = 8
#: Below, numbers have no thousands separators, as they may be years.
UNGROUPED = 10_000
#: The keyword of usual values in a schema: the lowest and the highest number.
RANGE = "x-range"


class CautionKind(StrEnum):
    """What is unusual about a value."""

    OUTSIDE_RANGE = "outside-range"
    UNSEEN_CATEGORY = "unseen-category"
    BLANK = "blank"


@dataclass(frozen=True)
class Caution:
    """An unusual value at ``pointer``, a JSON Pointer into the row.

    ``expected`` is the lowest and highest number, the first of the choices, or ``None`` for any
    value. ``received`` is ``None`` for a blank. ``detail`` is a sentence for a reader who sees
    the name of the field.
    """

    pointer: str
    kind: CautionKind
    expected: tuple[Any, ...] | None
    received: Any
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the caution as JSON."""
        return {
            "pointer": self.pointer,
            "kind": self.kind.value,
            "expected": None if self.expected is None else list(self.expected),
            "received": self.received,
            "detail": self.detail,
        }


def find_cautions(row: Any, profile: Profile) -> list[Caution]:
    """Return the unusual values of a row, in the order of the profile's fields."""
    return list(_find(row, profile)) if isinstance(row, Mapping) else []


def with_hints(schema: Mapping[str, Any], profile: Profile) -> Mapping[str, Any]:
    """Return the schema of a row whose hints agree with the cautions.

    Usual values (``x-range``) are the ranges that cautions have, and are left out if the limits of
    the schema exclude the whole range. Of several ``examples``, those with a caution come last.
    """
    members = schema.get("properties")
    if not isinstance(members, Mapping):
        return schema
    fields = profile.fields
    hinted = {
        name: _with_range(_with_usual_first(each, fields.get(name)), fields.get(name))
        for name, each in members.items()
    }
    return {**schema, "properties": hinted}


def _with_usual_first(member: Any, field: Distribution | None) -> Any:
    examples = member.get("examples") if isinstance(member, Mapping) else None
    if field is None or not isinstance(examples, list):
        return member

    def has_caution(value: Any) -> bool:
        return value is not None and _compare("", field, value) is not None

    return {**member, "examples": sorted(examples, key=has_caution)}


def _with_range(member: Any, field: Distribution | None) -> Any:
    numbers = _get_numbers(field)
    if not numbers or not isinstance(member, Mapping) or RANGE not in member:
        return member
    shape = Shape.of(member)
    # The range is rounded outwards, but the schema rejects what lies beyond its limits.
    low = max([numbers[0], *_get_limits(shape, "minimum", "exclusiveMinimum")])
    high = min([numbers[-1], *_get_limits(shape, "maximum", "exclusiveMaximum")])
    excluded = _get_limits(shape, "exclusiveMinimum", "exclusiveMaximum")
    if low > high or (low == high and low in excluded):  # the schema allows no number of the data
        return {name: value for name, value in member.items() if name != RANGE}
    ends = [int(each) if float(each).is_integer() else each for each in (low, high)]
    return {**member, RANGE: ends}


def _get_limits(shape: Shape, *keywords: str) -> list[float]:
    return [limit for name in keywords if (limit := shape.number(name)) is not None]


def _get_numbers(field: Distribution | None) -> Sequence[float]:
    """Return the numbers of a distribution in order; empty if it has none."""
    match field:
        case Numbers(edges):
            return edges
        case Choices():
            return field.numbers
    return ()


def _find(row: Mapping[str, Any], profile: Profile) -> Iterator[Caution]:
    for name, field in profile.fields.items():
        value = row.get(name)
        if value is None:
            if not field.missing:
                yield _blank(name)
        else:
            found = _compare(name, field, value)
            if found is not None:
                yield found


def _compare(name: str, field: Distribution, value: Any) -> Caution | None:
    numbers = _get_numbers(field)
    if numbers and type(value) in (int, float):
        # A number between two known choices is no new category.
        low, high = numbers[0], numbers[-1]
        return None if low <= value <= high else _outside(name, low, high, value)
    if not isinstance(field, Choices) or isinstance(value, (list, dict)):
        return None
    text = key(value)
    # Choices that are too long for a profile, or too many, are not listed.
    is_unknown = field.other and (field.omitted or len(text) > MOST_CHARACTERS)
    return None if text in field.counts or is_unknown else _unseen(name, field, value)


def _blank(name: str) -> Caution:
    detail = "Blank, but the training data have a value in every row"
    return Caution(_pointer(name), CautionKind.BLANK, None, None, detail)


def _outside(name: str, low: float, high: float, value: float) -> Caution:
    form = ",.10g" if max(map(abs, (low, high, value))) >= UNGROUPED else ".10g"
    ends = f"range from {low:{form}} to {high:{form}}"
    limits = f"always have {low:{form}}" if low == high else ends
    detail = f"{value:{form}} is outside the training data, which {limits}"
    return Caution(_pointer(name), CautionKind.OUTSIDE_RANGE, (low, high), value, detail)


def _unseen(name: str, field: Choices, value: Any) -> Caution:
    listed = tuple(field.counts)
    found = (
        "is rare in the training data or missing from them"
        if field.other
        else "does not occur in the training data"
    )
    common = f"; common values: {join_first(listed, MOST_LISTED)}"
    others = ", which are blank in every row" if field.missing == 1 else common
    detail = f"{to_short_json(value)} {found}{others}"
    return Caution(_pointer(name), CautionKind.UNSEEN_CATEGORY, listed[:MOST_LISTED], value, detail)


def _pointer(name: str) -> str:
    return f"/{escape(name)}"
