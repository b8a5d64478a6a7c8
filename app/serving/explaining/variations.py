"""What an explanation varies: the fields of a row, or the words of a text."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmodel.reference.background import ABSENT, Field
from mlmodel.reference.shapley import Points
from mlmodel.schema.shape import is_number

#: A word, with what separates it from the next one.
WORD = re.compile(r"\S+\s*")


class Variation(ABC):
    """The parts of a row that are varied together with typical values of each.

    ``names`` and ``values`` describe the parts. ``differs`` has a row of booleans for each
    background row: whether its part differs from that of the explained row.
    """

    #: Prefix of the explanation's ``method``.
    prefix = ""
    #: Members of the row that are not varied.
    held: tuple[str, ...] = ()
    names: Sequence[str]
    values: Sequence[Any]
    differs: NDArray[Any]

    @abstractmethod
    def mix(self, taken: NDArray[Any], background: NDArray[Any]) -> list[Any]:
        """Return rows with the parts in ``taken``, and the others from background rows."""

    def get_background(self) -> list[Any]:
        """Return the background rows."""
        return self.mix(np.zeros(self.differs.shape, bool), np.arange(len(self.differs)))

    def get_points(self) -> list[Points]:
        """Return the points of each part; empty if the model is not tested for being linear."""
        return []

    def get_order(self) -> NDArray[Any] | None:
        """Return the indexes of the background rows, sorted by the values of each part."""
        return None

    def get_probe(self, count: int) -> list[Any]:
        """Return rows to measure the model with: each takes at most one part of its own."""
        own = np.eye(count, len(self.names), dtype=bool)
        return self.mix(own, np.arange(count) % len(self.differs))


class FieldVariation(Variation):
    """The fields of a row, and rows drawn from the reference profile."""

    def __init__(
        self,
        row: Mapping[str, Any],
        fields: Sequence[Field],
        background: Sequence[Mapping[str, Any]],
    ) -> None:
        self._fields = fields
        self.names = names = [field.name for field in fields]
        self.held = tuple(name for name in row if name not in names)
        self.values = [row.get(name) for name in names]
        self._held = {name: row[name] for name in self.held}
        self._own = _as_array([_pick(row, names)])
        self._rows = _as_array([_pick(each, names) for each in background])
        self.differs = np.array([_differ(self._own[0], each) for each in self._rows], bool)

    def mix(self, taken: NDArray[Any], background: NDArray[Any]) -> list[Any]:
        """Return rows with the parts in ``taken``, and the others from background rows."""
        mixed = np.where(taken, self._own, self._rows[background])
        rows = [
            {**self._held, **dict(zip(self.names, each, strict=True))} for each in mixed.tolist()
        ]
        if not self._can_be_absent:
            return rows
        return [{name: value for name, value in row.items() if value is not ABSENT} for row in rows]

    def get_points(self) -> list[Points]:
        """Return the points of each field: numbers are on a line, and choices are not."""
        return [
            _find_points(own, values, may_be_linear=not field.shape.constants)
            for field, own, values in zip(self._fields, self._own[0], self._rows.T, strict=True)
        ]

    def get_order(self) -> NDArray[Any]:
        """Return the indexes of the background rows, sorted by the values of each field."""
        columns = [
            sorted(range(len(values)), key=[*map(_to_sort_key, values)].__getitem__)
            for values in self._rows.T
        ]
        return np.array(columns, int).T

    @cached_property
    def _can_be_absent(self) -> bool:
        return any(each is ABSENT for each in (*self._own.flat, *self._rows.flat))


class WordVariation(Variation):
    """The words of a text, and the text without any of them."""

    prefix = "words-"

    def __init__(self, row: Any, member: str) -> None:
        """Split the text: a member of the row, or the row itself. It may be missing or null."""
        self._row, self._member = row, member
        text = row.get(member) if isinstance(row, Mapping) else row
        self._parts = WORD.findall(text.lstrip()) if text else []
        others = row if isinstance(row, Mapping) else ()
        self.held = tuple(name for name in others if name != member)
        self.values = [each.strip() for each in self._parts]
        self.names = self.values
        self.differs = np.ones((1, len(self._parts)), bool)

    def mix(self, taken: NDArray[Any], background: NDArray[Any]) -> list[Any]:
        """Return rows whose text has only the words in ``taken``."""
        texts = [
            "".join(part for part, is_own in zip(self._parts, mask, strict=True) if is_own).strip()
            for mask in taken.tolist()
        ]
        if not self._parts:
            return [self._row] * len(texts)
        is_object = isinstance(self._row, Mapping)
        return [{**self._row, self._member: text} for text in texts] if is_object else texts


def _to_sort_key(value: Any) -> tuple[bool, float, str]:
    """Return a key that sorts numbers before other values."""
    is_other = not isinstance(value, int | float)
    return is_other, 0.0 if is_other else float(value), str(value) if is_other else ""


def _find_points(own: Any, values: NDArray[Any], *, may_be_linear: bool) -> Points:
    columns: list[tuple[int, NDArray[Any]]] = []
    are_numbers = np.array([may_be_linear and is_number(each) for each in values], bool)
    if are_numbers.any():
        numbers = np.where(are_numbers, values, 0).astype(float)
        columns += _find_line(own, numbers, np.flatnonzero(are_numbers))
    groups: dict[Hashable, list[int]] = {}
    for at in np.flatnonzero(~are_numbers).tolist():
        if values[at] is not own and values[at] != own:
            groups.setdefault(values[at], []).append(at)
    columns += [(group[0], np.isin(np.arange(len(values)), group)) for group in groups.values()]
    weights = np.array([weight for _, weight in columns], float).reshape(-1, len(values)).T
    return Points(tuple(at for at, _ in columns), weights)


def _find_line(
    own: Any, numbers: NDArray[Any], rows: NDArray[Any]
) -> Iterable[tuple[int, NDArray[Any]]]:
    """Yield the rows of the outermost numbers: both, or the farther one from the row's own."""
    ends = [int(rows[find(numbers[rows])]) for find in (np.argmin, np.argmax)]
    weights = np.zeros(len(numbers))
    if not is_number(own):
        low, high = numbers[ends]
        weights[rows] = (numbers[rows] - low) / ((high - low) or 1)
        yield ends[1], weights
        yield ends[0], np.isin(np.arange(len(numbers)), rows) - weights
        return
    end = max(ends, key=lambda at: abs(numbers[at] - own))
    if numbers[end] != own:
        weights[rows] = (numbers[rows] - own) / (numbers[end] - own)
        yield end, weights


def _as_array(rows: Sequence[Sequence[Any]]) -> NDArray[Any]:
    """Return a table of values that keep their types, lists included."""
    table = np.empty((len(rows), len(rows[0]) if rows else 0), object)
    for at, row in enumerate(rows):
        for column, value in enumerate(row):
            table[at, column] = value
    return table


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [row.get(name, ABSENT) for name in names]


def _differ(row: Iterable[Any], other: Iterable[Any]) -> list[bool]:
    return [one is not another and one != another for one, another in zip(row, other, strict=True)]
