"""Typical values of a row's fields, which fill the rest of a long form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.web.pages.display.labels import with_short_numbers
from app.web.pages.forms.controls import first_not_none
from mlmodel.reference.distributions import Choices, Distribution, Numbers, to_choice
from mlmodel.reference.profile import Profile
from mlmodel.schema.shape import Shape, is_number

#: Significant digits of the middle of a range.
DIGITS = 3


def get_typical_values(row: Shape, profile: Profile | None = None) -> dict[str, Any]:
    """Return a typical value of each required member that has one, by its name.

    It is the default, the median or the most common choice of the training data, the first of
    ``examples``, or the middle of ``x-range``. A member that may be left out has none: leaving it
    blank is typical.
    """
    required = row.schema.get("required", ())
    seen: Mapping[str, Distribution] = profile.fields if profile else {}
    members = ((name, member) for name, member in row.members.items() if name in required)
    values = ((name, _get_typical(member, seen.get(name))) for name, member in members)
    return {name: with_short_numbers(value) for name, value in values if value is not None}


def _get_typical(member: Shape, seen: Distribution | None) -> Any:
    schema = member.schema
    return first_not_none(
        schema.get("default"), _seen(member, seen), *schema.get("examples", ()), _middle(member)
    )


def _seen(member: Shape, seen: Distribution | None) -> Any:
    """Return the median or the most common choice; ``None`` if there is neither."""
    match seen:
        case Numbers(edges):
            median = edges[len(edges) // 2]
            return round(median) if member.type == "integer" else median
        case Choices(counts) if counts:
            choice = to_choice(max(counts, key=counts.__getitem__), member)
            values = [each.value for each in member.constants] or [choice]
            return choice if choice in values else None
    return None


def _middle(member: Shape) -> float | None:
    match member.schema.get("x-range"):
        case [low, high] if is_number(low) and is_number(high):
            middle = float(f"{(low + high) / 2:.{DIGITS}g}")
            return round(middle) if member.type == "integer" else middle
    return None
