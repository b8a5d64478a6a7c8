"""Whether a graph answers what its model answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlmodel.compiling.deadline import Deadline
from mlmodel.compiling.graph import Uncompilable
from mlmodel.compiling.probes import JUMPS, Probes, Space
from mlmodel.frameworks import Predict
from mlmodel.model import Row
from mlmodel.wording import shown

#: Two numbers agree if they differ by at most this, plus this share of the model's own.
TOLERANCE = 1e-6
#: Rows of one call of the model.
BATCH_ROWS = 256
#: Halvings by which two rows become neighbours: a double has 64 bits.
HALVINGS = 70


@dataclass(frozen=True)
class Parity:
    """How well a graph answers: rows compared of each kind, and the largest difference."""

    probes: Mapping[str, int]
    largest_difference: float
    #: Rows beside these that the graph does not take: the model itself answers such.
    left: int = 0

    @property
    def rows(self) -> int:
        """All rows that were compared."""
        return sum(self.probes.values())


def compared(native: Predict, graph: Predict, space: Space, deadline: Deadline) -> Parity:
    """Return how well a graph agrees with its model on rows of a space.

    :raises Uncompilable: if they differ, with the row.
    :raises TimeoutError: if the deadline passes before all are compared.
    """
    judge = _Judge(native, graph, deadline)
    for kind, rows in space.probes().items():
        judge.compare(kind, rows)
    if not space.is_short:
        judge.compare("jumps", _jumps(native, space, deadline))
    return judge.verdict()


class _Judge:
    def __init__(self, native: Predict, graph: Predict, deadline: Deadline) -> None:
        self._native, self._graph, self._deadline = native, graph, deadline
        self._counts: dict[str, int] = {}
        self._largest = 0.0
        self._left = 0

    def compare(self, kind: str, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), BATCH_ROWS):
            self._deadline.check()
            self._batch(kind, rows[start : start + BATCH_ROWS])

    def verdict(self) -> Parity:
        if not any(self._counts.values()):
            raise Uncompilable("no row could be made on which to compare it")
        return Parity(self._counts, self._largest, self._left)

    def _batch(self, kind: str, rows: Sequence[Row]) -> None:
        """Compare the answers to rows, those of the graph to them together and to each alone."""
        alone = [(row, _answered(self._graph, [row])) for row in rows]
        self._left += sum(answer is None for _, answer in alone)
        taken = [row for row, answer in alone if answer is not None]
        if not taken:
            return
        theirs = self._theirs(taken)
        together = _answered(self._graph, taken)
        if together is None:
            raise Uncompilable("the graph answers rows alone, and not together")
        apart = [answer for _, answers in alone for answer in answers or ()]
        for answers in (together, apart):
            for row, their, our in zip(taken, theirs, answers, strict=True):
                self._largest = max(self._largest, _difference(kind, row, their, our))
        self._counts[kind] = self._counts.get(kind, 0) + len(taken)

    def _theirs(self, rows: Sequence[Row]) -> list[Any]:
        answers = _answered(self._native, rows)
        if answers is not None:
            return answers
        for row in rows:
            if _answered(self._native, [row]) is None:
                raise Uncompilable(f"the graph answers what the model refuses: {_row(row)}")
        raise Uncompilable("the model answers rows alone, and not together")


def _answered(predict: Predict, rows: Sequence[Row]) -> list[Any] | None:
    # Models and graphs refuse rows with errors of any kind.
    try:
        return predict(rows)
    except Exception:
        return None


def _difference(kind: str, row: Row, theirs: Any, ours: Any) -> float:
    """Return the largest difference between two answers.

    :raises Uncompilable: if it is too large, or they differ in anything but numbers.
    """
    try:
        return _apart(theirs, ours)
    except _Differ as error:
        raise Uncompilable(
            f"the graph answers {error.ours}, the model {error.theirs} ({kind}: {_row(row)})"
        ) from error


class _Differ(Exception):
    def __init__(self, theirs: Any, ours: Any) -> None:
        self.theirs, self.ours = shown(theirs), shown(ours)


def _apart(theirs: Any, ours: Any) -> float:
    if type(theirs) is not type(ours):
        raise _Differ(theirs, ours)
    if isinstance(theirs, dict):
        if list(theirs) != list(ours):
            raise _Differ(theirs, ours)
        return max((_apart(theirs[name], ours[name]) for name in theirs), default=0.0)
    if isinstance(theirs, list):
        if len(theirs) != len(ours):
            raise _Differ(theirs, ours)
        return max(map(_apart, theirs, ours), default=0.0)
    if not isinstance(theirs, float):
        if theirs != ours:
            raise _Differ(theirs, ours)
        return 0.0
    if math.isnan(theirs) and math.isnan(ours):
        return 0.0
    apart = abs(theirs - ours)
    if not apart <= TOLERANCE + TOLERANCE * abs(theirs):
        raise _Differ(theirs, ours)
    return apart


def _row(row: Row) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items())
    return text if len(text) < 300 else f"{text[:300]}..."  # noqa: PLR2004


def _jumps(native: Predict, space: Space, deadline: Deadline) -> list[dict[str, Any]]:
    """Return neighbouring rows between which the model's numbers jump.

    There lie the thresholds of its trees, whatever becomes of a number before it reaches them. Two
    rows that differ in one number are brought together, by halves, as long as their answers differ.
    """
    pairs = _pairs(space)
    if not pairs:
        return []
    names, lows, highs = zip(*pairs, strict=True)
    below = _answered(native, lows)
    above = _answered(native, highs)
    if below is None or above is None:
        return []
    for _ in range(HALVINGS):
        deadline.check()
        middles = [_middle(*each) for each in zip(names, lows, highs, strict=True)]
        answers = _answered(native, middles)
        if answers is None:
            return []
        sides = [_far(one, answer) for one, answer in zip(below, answers, strict=True)]
        lows = [low if far else mid for low, mid, far in zip(lows, middles, sides, strict=True)]
        highs = [mid if far else high for high, mid, far in zip(highs, middles, sides, strict=True)]
        below = [b if far else a for b, a, far in zip(below, answers, sides, strict=True)]
        above = [a if far else b for b, a, far in zip(above, answers, sides, strict=True)]
    ends = zip(lows, highs, below, above, strict=True)
    return [row for low, high, one, two in ends if _far(one, two) for row in (low, high)]


def _pairs(space: Space) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return pairs of random rows that differ in one number."""
    open_names = space.open_numbers()
    found = []
    for at in range(JUMPS if open_names else 0):
        name = open_names[at % len(open_names)]
        row, other = space.random(), space.random()[name]
        if isinstance(row[name], float) and isinstance(other, float) and row[name] != other:
            low, high = sorted((row[name], other))
            found.append((name, row | {name: low}, row | {name: high}))
    return found


def _middle(name: str, low: Row, high: Row) -> dict[str, Any]:
    return {**low, name: low[name] / 2 + high[name] / 2}


def _far(one: Any, other: Any) -> bool:
    """Tell whether two answers differ in a number by more than two graphs may."""
    try:
        _apart({**one, "prediction": None}, {**other, "prediction": None})
        if isinstance(one["prediction"], float):
            _apart(one["prediction"], other["prediction"])
    except _Differ:
        return True
    return False
