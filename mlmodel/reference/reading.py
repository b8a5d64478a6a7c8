"""Read the distributions of a profile from JSON of a file that is not trusted, within limits.

Written without a JSON Schema: a profile of 1,000 fields has 40,000 numbers, which a schema takes
half a second to validate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mlmodel.errors import BadMetadata
from mlmodel.reference.distributions import BINS, Choices, Distribution, Numbers, Opaque

#: Maximum of choices that are read, and of characters of a name or choice.
MOST_CHOICES, MOST_CHARACTERS = 1000, 1000
#: Maximum of a count.
MOST_ROWS = 10**12

_Value = TypeVar("_Value")


def read_all(value: Any, place: str, most: int) -> dict[str, Distribution]:
    """Return the distributions in an object.

    :param place: what an error message calls the value.
    :param most: the maximum number of members.
    :raises BadMetadata: if the value is anything else.
    """
    members = read_object(value, place, most)
    return {name: read(member, f"{place}/{name}") for name, member in members.items()}


def read(value: Any, place: str) -> Distribution:
    """Return the distribution in a JSON value.

    :raises BadMetadata: if the value is anything else.
    """
    members = read_object(value, place, 3)
    missing = _read_number(members.get("missing"), f"{place}/missing")
    if not 0 <= missing <= 1:
        raise _error(f"{place}/missing", "a share from 0 to 1", missing)
    match sorted(members):
        case ["missing"]:
            return Opaque(missing)
        case ["choices", "missing", "other"]:
            listed = read_object(members["choices"], f"{place}/choices", MOST_CHOICES)
            counts = {text: read_count(each, f"{place}/choices") for text, each in listed.items()}
            return Choices(counts, read_count(members["other"], f"{place}/other"), missing)
        case ["counts", "edges", "missing"]:
            counted = _read_list(members["counts"], f"{place}/counts", BINS, read_count)
            edges = _read_list(members["edges"], f"{place}/edges", BINS + 1, _read_number)
            if any(low > high for low, high in itertools.pairwise(edges)):
                raise _error(f"{place}/edges", "numbers that do not decrease", list(edges))
            if math.isinf(edges[-1] - edges[0]):
                raise _error(f"{place}/edges", "within the range of a double", list(edges))
            return Numbers(edges, counted, missing)
    raise _error(place, "edges and counts, or choices and other, with missing", value)


def read_object(value: Any, place: str, most: int) -> Mapping[str, Any]:
    """Return an object of at most ``most`` members with short names.

    :raises BadMetadata: if the value is anything else.
    """
    if not isinstance(value, Mapping):
        raise _error(place, "an object", value)
    if len(value) > most:
        raise _error(place, f"an object of at most {most} members", f"{len(value)} members")
    if any(len(name) > MOST_CHARACTERS for name in value):
        raise _error(place, f"names of at most {MOST_CHARACTERS} characters", "a longer one")
    return value


def read_count(value: Any, place: str) -> int:
    """Return a number of rows.

    :raises BadMetadata: if the value is anything else.
    """
    if type(value) is int and 0 <= value <= MOST_ROWS:
        return value
    raise _error(place, f"an integer from 0 to {MOST_ROWS}", value)


def _read_number(value: Any, place: str) -> float:
    try:
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise _error(place, "a finite number", value)


def _read_list(
    value: Any, place: str, length: int, read_item: Callable[[Any, str], _Value]
) -> tuple[_Value, ...]:
    if not (isinstance(value, list) and len(value) == length):
        raise _error(place, f"a list of {length} numbers", value)
    return tuple(read_item(each, place) for each in value)


def _error(place: str, expected: str, got: Any) -> BadMetadata:
    return BadMetadata(f"{place} must be {expected}, got {got!r:.60}")
