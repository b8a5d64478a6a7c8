"""The reference profile of a model: its inputs and predictions on a sample, column by column.

A profile serves caution about single predictions, explanations and drift. It contains no row, see
:mod:`.distributions`, and is stored as JSON in ``extra.reference`` of a model file::

    {"rows": 4500,
     "fields": {"income": {"edges": [10000, ...], "counts": [225, ...], "means": [11520.5, ...],
                           "missing": 0},
                "home": {"choices": {"own": 1810, "rent": 2205}, "other": 3, "missing": 0},
                "comment": {"missing": 0.25}},
     "predictions": {"prediction": {...}, "probability of default": {...}},
     "target": {...}}
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlmodel.errors import BadMetadata
from mlmodel.reference.distributions import (
    BINS,
    Choices,
    Distribution,
    Numbers,
    Opaque,
    describe,
    estimate_omitted,
    merge_same,
)

#: The member of ``extra`` that holds a profile.
KEY = "reference"
#: Fewest rows of a profile.
MIN_ROWS = BINS
#: Begins the name of the probability of a class.
PROBABILITY = "probability of "
#: Maximum of fields, and of members of a prediction.
MOST_FIELDS, MOST_MEMBERS = 1000, 100
#: Maximum of choices that are read, and of characters of a name or choice.
MOST_CHOICES, MOST_CHARACTERS = 1000, 1000
#: Maximum of a count.
MOST_ROWS = 10**12

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Profile:
    """The distributions of a model's inputs and predictions over ``rows`` rows.

    ``fields`` are keyed by the members of a row, ``predictions`` as :func:`flatten` names them.
    ``target`` is the distribution of the true values, if the author gave them.
    """

    rows: int
    fields: Mapping[str, Distribution]
    predictions: Mapping[str, Distribution] = field(default_factory=dict)
    target: Distribution | None = None

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, Sequence[Any]],
        predictions: Iterable[Any] = (),
        target: Iterable[Any] | None = None,
    ) -> Profile:
        """Return the profile of columns of equal length: JSON values, or numpy arrays of numbers.

        :param predictions: those of the same rows, or of some of them.
        :param target: the true values.
        """
        first = itertools.islice(columns.items(), MOST_FIELDS)
        outputs = itertools.islice(_transpose(map(flatten, predictions)).items(), MOST_MEMBERS)
        return cls(
            rows=max(map(len, columns.values()), default=0),
            fields={name: describe(values) for name, values in first},
            predictions={name: describe(values) for name, values in outputs},
            target=None if target is None else describe(target),
        )

    @classmethod
    def from_rows(cls, rows: Sequence[Any], predictions: Iterable[Any] = ()) -> Profile:
        """Return the profile of JSON rows. A member that a row lacks is missing in it."""
        objects = [row if isinstance(row, Mapping) else {} for row in rows]
        profile = cls.from_columns(_transpose(objects), predictions)
        return cls(len(rows), profile.fields, profile.predictions)

    @classmethod
    def from_json(cls, document: Any, place: str = f"extra.{KEY}") -> Profile:
        """Return the profile in a JSON document from anywhere.

        :param place: what an error message calls the document.
        :raises BadMetadata: if it is not a profile.
        """
        members = _read_object(document, place, 100)
        target = members.get("target")
        return cls(
            rows=_read_count(members.get("rows"), f"{place}/rows"),
            fields=_read_all(members.get("fields"), f"{place}/fields", MOST_FIELDS),
            predictions=_read_all(members.get("predictions"), f"{place}/predictions", MOST_MEMBERS),
            target=None if target is None else _read(target, f"{place}/target"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON, which :meth:`from_json` reads."""
        document: dict[str, Any] = {
            "rows": self.rows,
            "fields": {name: each.to_json() for name, each in self.fields.items()},
            "predictions": {name: each.to_json() for name, each in self.predictions.items()},
        }
        return document if self.target is None else {**document, "target": self.target.to_json()}


def flatten(prediction: Any) -> dict[str, Any]:
    """Return the members of a prediction by the names that a profile gives them.

    The probabilities of a classifier become ``probability of <class>``, members of other objects
    ``<member>.<name>``, and a prediction that is not an object ``prediction``.
    """
    if not isinstance(prediction, Mapping):
        return {"prediction": prediction}
    flat: dict[str, Any] = {}
    for name, value in prediction.items():
        if isinstance(value, Mapping):
            prefix = PROBABILITY if name == "probabilities" else f"{name}."
            flat |= {f"{prefix}{inner}": each for inner, each in value.items()}
        else:
            flat[str(name)] = value
    return flat


def get_path(name: str) -> Set[str]:
    """Return the members on the way to a value, from a name that :func:`flatten` gives."""
    if name.startswith(PROBABILITY):
        return {"probabilities", name.removeprefix(PROBABILITY)}
    return {name, *name.split(".", 1)}


def _transpose(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of rows; ``None`` where a row lacks a member."""
    columns: dict[str, list[Any]] = {}
    count = 0
    for count, row in enumerate(rows, start=1):
        for name, value in row.items():
            column = columns.setdefault(name, [])
            column += [None] * (count - 1 - len(column))
            column.append(value)
    return {name: [*column, *[None] * (count - len(column))] for name, column in columns.items()}


def _read_all(value: Any, place: str, most: int) -> dict[str, Distribution]:
    """Return the distributions in an object.

    :param place: what an error message calls the value.
    :param most: the maximum number of members.
    :raises BadMetadata: if the value is anything else.
    """
    members = _read_object(value, place, most)
    return {name: _read(member, f"{place}/{name}") for name, member in members.items()}


def _read(value: Any, place: str) -> Distribution:
    """Return the distribution in a JSON value.

    :raises BadMetadata: if the value is anything else.
    """
    members = _read_object(value, place, 4)
    missing = _read_number(members.get("missing"), f"{place}/missing")
    if not 0 <= missing <= 1:
        raise _error(f"{place}/missing", "a share from 0 to 1", missing)
    match sorted(members):
        case ["missing"]:
            return Opaque(missing)
        case ["choices", "missing", "other"] | ["choices", "missing", "omitted", "other"]:
            listed = _read_object(members["choices"], f"{place}/choices", MOST_CHOICES)
            counts = {text: _read_count(each, f"{place}/choices") for text, each in listed.items()}
            other = _read_count(members["other"], f"{place}/other")
            # Older files lack the number of omitted choices.
            omitted = members.get("omitted", estimate_omitted(len(counts), other))
            omitted = _read_count(omitted, f"{place}/omitted")
            return Choices(merge_same(counts), other, missing, omitted)
        case ["counts", "edges", "missing"] | ["counts", "edges", "means", "missing"]:
            counted = _read_list(members["counts"], f"{place}/counts", BINS, _read_count)
            edges = _read_list(members["edges"], f"{place}/edges", BINS + 1, _read_number)
            if any(low > high for low, high in itertools.pairwise(edges)):
                raise _error(f"{place}/edges", "numbers that do not decrease", list(edges))
            if math.isinf(edges[-1] - edges[0]):
                raise _error(f"{place}/edges", "within the range of a double", list(edges))
            given = members.get("means", [])  # older files have none
            length = BINS if given != [] else 0
            means = _read_list(given, f"{place}/means", length, _read_number)
            # In older files, a mean may be outside the edges by a rounding error.
            within = tuple(min(max(each, edges[0]), edges[-1]) for each in means)
            return Numbers(edges, counted, missing, within)
    raise _error(place, "edges, counts and means, or choices and other, with missing", value)


def _read_object(value: Any, place: str, most: int) -> Mapping[str, Any]:
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


def _read_count(value: Any, place: str) -> int:
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
