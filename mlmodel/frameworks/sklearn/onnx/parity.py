"""Comparison of a graph's predictions with those of its model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmodel.bounded.deadline import Deadline
from mlmodel.frameworks import Predict
from mlmodel.frameworks.sklearn.onnx.convert import Uncompilable
from mlmodel.frameworks.sklearn.onnx.probes import JUMPS, Space
from mlmodel.model import Row
from mlmodel.schema.messages import shown

#: Two numbers agree if they differ by at most ``TOLERANCE * (1 + abs(native))``.
TOLERANCE = 1e-6
#: Rows per call of the model.
BATCH_ROWS = 256
#: Kinds of rows of which a graph must accept at least half.
PLAIN = ("examples", "random")
#: Rows between the two ends of a gap that one call predicts for.
BETWEEN = 7


@dataclass(frozen=True)
class Parity:
    """How well a graph agrees: the rows compared of each kind, and the largest difference.

    A difference is relative to one plus the absolute value of the model's own number.
    """

    probes: Mapping[str, int]
    largest_difference: float
    #: Further rows, which the graph rejects and the model itself predicts for.
    left: int = 0

    @property
    def rows(self) -> int:
        """The number of rows compared."""
        return sum(self.probes.values())


def compared(native: Predict, graph: Predict, space: Space, deadline: Deadline) -> Parity:
    """Return how well a graph agrees with its model on rows of a space.

    :raises Uncompilable: if they differ, naming the row.
    :raises TimeoutError: if the deadline passes before all are compared.
    """
    judge = _Judge(native, graph, deadline)
    for kind, rows in space.probes().items():
        judge.compare(kind, rows)
        judge.check_taken(kind, len(rows))
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

    def check_taken(self, kind: str, count: int) -> None:
        """Reject a graph that accepts fewer than half of the plain rows: it would be useless."""
        if kind in PLAIN and self._counts.get(kind, 0) < count / 2:
            taken = self._counts.get(kind, 0)
            raise Uncompilable(f"the graph answers only {taken} of {count} rows ({kind})")

    def verdict(self) -> Parity:
        """Return the result of all comparisons."""
        return Parity(self._counts, self._largest, self._left)

    def _batch(self, kind: str, rows: Sequence[Row]) -> None:
        """Compare the model's predictions with the graph's, in one batch and row by row."""
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
    # Models and graphs may reject rows with any error.
    try:
        return predict(rows)
    except Exception:
        return None


def _difference(kind: str, row: Row, theirs: Any, ours: Any) -> float:
    """Return the largest difference between two predictions.

    :raises Uncompilable: if it is too large, or they differ in anything but numbers.
    """
    try:
        return _apart(theirs, ours)
    except _DifferError as error:
        raise Uncompilable(
            f"the graph answers {error.ours}, the model {error.theirs} ({kind}: {_row(row)})"
        ) from error


class _DifferError(Exception):
    def __init__(self, theirs: Any, ours: Any) -> None:
        self.theirs, self.ours = shown(theirs), shown(ours)


def _apart(theirs: Any, ours: Any) -> float:
    """Return the largest difference between the numbers of two values."""
    if type(theirs) is not type(ours):
        raise _DifferError(theirs, ours)
    if isinstance(theirs, float):
        return _numbers_apart(theirs, ours)
    if isinstance(theirs, dict) and list(theirs) == list(ours):
        return max((_apart(theirs[name], ours[name]) for name in theirs), default=0.0)
    if isinstance(theirs, list) and len(theirs) == len(ours):
        return max(map(_apart, theirs, ours), default=0.0)
    if theirs != ours:
        raise _DifferError(theirs, ours)
    return 0.0


def _numbers_apart(theirs: float, ours: float) -> float:
    if math.isnan(theirs) and math.isnan(ours):
        return 0.0
    apart = abs(theirs - ours)
    # As numpy's isclose, with one value for both of its tolerances.
    if not apart <= TOLERANCE * (1 + abs(theirs)):
        raise _DifferError(theirs, ours)
    return apart / (1 + abs(theirs))


def _row(row: Row) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items())
    return text if len(text) < 300 else f"{text[:300]}..."  # noqa: PLR2004


def _jumps(native: Predict, space: Space, deadline: Deadline) -> list[dict[str, Any]]:
    """Return pairs of adjacent rows between which the model's numbers jump.

    These are the thresholds of its trees, however the model transforms a number before them.
    Two rows that differ in one number and in their predictions are narrowed until adjacent.
    """
    gaps = list(_gaps(native, space))
    while gaps and not all(gap.is_closed for gap in gaps):
        deadline.check()
        answers = _answered(native, [row for gap in gaps for row in gap.between()])
        if answers is None:
            return []
        for at, gap in enumerate(gaps):
            gap.narrow(answers[at * BETWEEN : (at + 1) * BETWEEN])
    return [row for gap in gaps if gap.is_jump for row in (gap.low, gap.high)]


def _gaps(native: Predict, space: Space) -> Iterator[_Gap]:
    """Yield pairs of random rows that differ in one number and in their predictions."""
    names = space.open_numbers()
    pairs = [
        (names[at % len(names)], space.random(), space.random()) for at in range(JUMPS) if names
    ]
    pairs = [each for each in pairs if all(isinstance(row[each[0]], float) for row in each[1:])]
    if not pairs:
        return
    ends = [sorted((row[name], other[name])) for name, row, other in pairs]
    lows = [row | {name: low} for (name, row, _), (low, _) in zip(pairs, ends, strict=True)]
    highs = [row | {name: high} for (name, row, _), (_, high) in zip(pairs, ends, strict=True)]
    answers = _answered(native, [*lows, *highs])
    if answers is None:
        return
    names = [name for name, _, _ in pairs]
    halves = answers[: len(pairs)], answers[len(pairs) :]
    for name, low, high, below, above in zip(names, lows, highs, *halves, strict=True):
        gap = _Gap(name, low, high, below, above)
        if gap.is_jump:
            yield gap


@dataclass
class _Gap:
    """Two rows that differ in one number, and the model's predictions for both."""

    name: str
    low: dict[str, Any]
    high: dict[str, Any]
    below: Any
    above: Any

    @property
    def is_closed(self) -> bool:
        """Whether no number lies between the two."""
        return bool(math.nextafter(self.low[self.name], math.inf) >= self.high[self.name])

    @property
    def is_jump(self) -> bool:
        """Whether the predictions differ by more than the tolerance."""
        return _far(self.below, self.above)

    def between(self) -> list[dict[str, Any]]:
        """Return evenly spaced rows between the two."""
        low, high = self.low[self.name], self.high[self.name]
        shares = [at / (BETWEEN + 1) for at in range(1, BETWEEN + 1)]
        return [self.low | {self.name: low + (high - low) * share} for share in shares]

    def narrow(self, answers: Sequence[Any]) -> None:
        """Move the ends to the two rows between which the prediction first differs."""
        for row, answer in zip(self.between(), answers, strict=True):
            if _far(self.below, answer):
                self.high, self.above = row, answer
                return
            self.low, self.below = row, answer


def _far(one: Any, other: Any) -> bool:
    """Return whether two predictions differ in a number by more than the tolerance."""
    try:
        _apart({**one, "prediction": None}, {**other, "prediction": None})
        if not isinstance(one["prediction"], str | int):  # not a label
            _apart(one["prediction"], other["prediction"])
    except _DifferError:
        return True
    return False
