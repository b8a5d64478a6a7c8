"""Caution about a row: values that differ from everything that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mlmodel.reference.distributions import Choices, Distribution, Numbers, key
from mlmodel.reference.profile import Profile
from mlmodel.schema.messages import join_first, to_short_json
from mlmodel.schema.shape import escape

#: Choices that a caution lists.
MOST_LISTED = 8


class Kind(StrEnum):
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
    kind: Kind
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
    is_number = type(value) in (int, float)
    if isinstance(field, Numbers):
        low, high = field.edges[0], field.edges[-1]
        return _outside(name, low, high, value) if is_number and not low <= value <= high else None
    if not isinstance(field, Choices) or isinstance(value, (list, dict)):
        return None
    if key(value) in field.counts:
        return None
    if is_number and field.numbers:
        # A number between two known ones is no new category.
        low, high = field.numbers[0], field.numbers[-1]
        return None if low <= value <= high else _outside(name, low, high, value)
    return _unseen(name, field, value)


def _blank(name: str) -> Caution:
    detail = "Blank, but the training data have a value in every row"
    return Caution(_pointer(name), Kind.BLANK, None, None, detail)


def _outside(name: str, low: float, high: float, value: float) -> Caution:
    limits = f"{_number(low)} to {_number(high)}"
    detail = f"{_number(value)} is outside the training data, which range from {limits}"
    return Caution(_pointer(name), Kind.OUTSIDE_RANGE, (low, high), value, detail)


def _unseen(name: str, field: Choices, value: Any) -> Caution:
    listed = tuple(field.counts)
    found = (
        "is rare in the training data or missing from them"
        if field.other
        else "does not occur in the training data"
    )
    detail = f"{to_short_json(value)} {found}; common values: {join_first(listed, MOST_LISTED)}"
    return Caution(_pointer(name), Kind.UNSEEN_CATEGORY, listed[:MOST_LISTED], value, detail)


def _pointer(name: str) -> str:
    return f"/{escape(name)}"


def _number(value: float) -> str:
    return f"{value:,.10g}"
