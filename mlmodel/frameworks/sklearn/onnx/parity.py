"""Comparison of a graph's predictions with those of its model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmodel.frameworks import Predict, Rows
from mlmodel.frameworks.sklearn.onnx.conversion import Uncompilable
from mlmodel.frameworks.sklearn.onnx.probes import JUMPS, RowSampler
from mlmodel.model import Row
from mlmodel.schema.messages import to_short_json

#: Two numbers agree if they differ by at most this times ``1 + abs(native)``: for a graph that the
#: user has requested, and for one that replaces the model automatically.
TOLERANCE, EXACT = 1e-6, 1e-12
#: Rows per call of the model.
BATCH_ROWS = 256
#: Kinds of rows of which a graph must accept at least half.
PLAIN = ("examples", "random")
#: Rows between the two ends of a gap that one call predicts for.
BETWEEN = 7
#: Characters of a row that an error message repeats.
MOST_CHARACTERS = 300


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


class Deadline:
    """A limit after which :meth:`check` raises; ``None`` seconds never end.

    It counts the processor time of the thread that creates it, so that a busy machine changes
    nothing. It interrupts nothing: a step between two checks may take any time.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.thread_time() + seconds

    def check(self) -> None:
        """Raise :class:`TimeoutError` if the limit is exceeded."""
        if self._end is not None and time.thread_time() > self._end:
            raise TimeoutError(f"it took longer than {self._seconds:g} s of processor time")


def compare(
    native: Predict, graph: Predict, sampler: RowSampler, tolerance: float, deadline: Deadline
) -> Parity:
    """Return how well a graph agrees with its model on the rows of a sampler.

    :param tolerance: see :data:`TOLERANCE`.
    :raises Uncompilable: if they differ, naming the row.
    :raises TimeoutError: if the deadline passes before all are compared.
    """
    comparison = _Comparison(native, graph, tolerance, deadline)
    for kind, rows in sampler.probes().items():
        comparison.compare(kind, rows)
        comparison.check_coverage(kind, len(rows))
    if not sampler.is_short:
        comparison.compare("jumps", _jumps(native, sampler, deadline))
    return comparison.result()


class _Comparison:
    """Compares predictions, and counts the rows."""

    def __init__(
        self, native: Predict, graph: Predict, tolerance: float, deadline: Deadline
    ) -> None:
        self._native, self._graph = native, graph
        self._tolerance, self._deadline = tolerance, deadline
        self._counts: dict[str, int] = {}
        self._largest = 0.0
        self._left = 0

    def compare(self, kind: str, rows: Rows) -> None:
        for start in range(0, len(rows), BATCH_ROWS):
            self._deadline.check()
            self._compare_batch(kind, rows[start : start + BATCH_ROWS])

    def check_coverage(self, kind: str, count: int) -> None:
        """Reject a graph that accepts fewer than half of the plain rows: it would be useless."""
        accepted = self._counts.get(kind, 0)
        if kind in PLAIN and accepted < count / 2:
            raise Uncompilable(f"the graph predicts only {accepted} of {count} rows ({kind})")

    def result(self) -> Parity:
        return Parity(self._counts, self._largest, self._left)

    def _compare_batch(self, kind: str, rows: Rows) -> None:
        """Compare the model's predictions with the graph's, in one batch and row by row."""
        accepted, alone = [], []
        for row in rows:
            predictions = _predict(self._graph, [row])
            if predictions is None:
                self._left += 1
            else:
                accepted.append(row)
                alone += predictions
        if not accepted:
            return
        native = self._native_predictions(accepted)
        batch = _predict(self._graph, accepted)
        if batch is None:
            raise Uncompilable("the graph predicts rows alone, but not in a batch")
        for predictions in (batch, alone):
            for row, expected, found in zip(accepted, native, predictions, strict=True):
                found_difference = _difference(kind, row, expected, found, self._tolerance)
                self._largest = max(self._largest, found_difference)
        self._counts[kind] = self._counts.get(kind, 0) + len(accepted)

    def _native_predictions(self, rows: Rows) -> list[Any]:
        predictions = _predict(self._native, rows)
        if predictions is not None:
            return predictions
        for row in rows:
            if _predict(self._native, [row]) is None:
                raise Uncompilable(f"the graph predicts a row that the model rejects: {_row(row)}")
        raise Uncompilable("the model predicts rows alone, but not in a batch")


def _predict(predict: Predict, rows: Rows) -> list[Any] | None:
    # Models and graphs may reject rows with any error.
    try:
        return predict(rows)
    except Exception:
        return None


def _difference(kind: str, row: Row, native: Any, graph: Any, tolerance: float) -> float:
    """Return the largest difference between two predictions.

    :raises Uncompilable: if it is too large, or they differ in anything but numbers.
    """
    try:
        return _largest_difference(native, graph, tolerance)
    except _DifferError as error:
        raise Uncompilable(
            f"the graph predicts {error.graph}, the model {error.native} ({kind}: {_row(row)})"
        ) from error


class _DifferError(Exception):
    def __init__(self, native: Any, graph: Any) -> None:
        self.native, self.graph = to_short_json(native), to_short_json(graph)


def _largest_difference(native: Any, graph: Any, tolerance: float) -> float:
    """Return the largest difference between the numbers of two values."""
    if type(native) is not type(graph):
        raise _DifferError(native, graph)
    if isinstance(native, float):
        return _number_difference(native, graph, tolerance)
    if isinstance(native, dict) and list(native) == list(graph):
        pairs = [(native[name], graph[name]) for name in native]
        return max((_largest_difference(*pair, tolerance) for pair in pairs), default=0.0)
    if isinstance(native, list) and len(native) == len(graph):
        pairs = list(zip(native, graph, strict=True))
        return max((_largest_difference(*pair, tolerance) for pair in pairs), default=0.0)
    if native != graph:
        raise _DifferError(native, graph)
    return 0.0


def _number_difference(native: float, graph: float, tolerance: float) -> float:
    if math.isnan(native) and math.isnan(graph):
        return 0.0
    difference = abs(native - graph)
    # As numpy's isclose, with one value for both of its tolerances.
    if not difference <= tolerance * (1 + abs(native)):
        raise _DifferError(native, graph)
    return difference / (1 + abs(native))


def _row(row: Row) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items())
    return text if len(text) < MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."


def _jumps(native: Predict, sampler: RowSampler, deadline: Deadline) -> list[dict[str, Any]]:
    """Return pairs of adjacent rows between which the model's numbers jump.

    These are the thresholds of its trees, however the model transforms a number before them.
    Two rows that differ in one number and in their predictions are narrowed until adjacent.
    """
    gaps = _gaps(native, sampler)
    while gaps and not all(gap.is_closed for gap in gaps):
        deadline.check()
        predictions = _predict(native, [row for gap in gaps for row in gap.between()])
        if predictions is None:
            return []
        for at, gap in enumerate(gaps):
            gap.narrow(predictions[at * BETWEEN : (at + 1) * BETWEEN])
    return [row for gap in gaps if gap.is_jump for row in (gap.low, gap.high)]


def _gaps(native: Predict, sampler: RowSampler) -> list[_Gap]:
    """Return pairs of random rows that differ in one number and in their predictions."""
    ends = list(_row_pairs(sampler))
    if not ends:
        return []
    rows = [row for _, low, high in ends for row in (low, high)]
    predictions = _predict(native, rows)
    if predictions is None:
        return []
    gaps = [
        _Gap(name, low, high, below, above)
        for (name, low, high), below, above in zip(
            ends, predictions[::2], predictions[1::2], strict=True
        )
    ]
    return [gap for gap in gaps if gap.is_jump]


def _row_pairs(sampler: RowSampler) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the name of a number, and two random rows that differ only in this number."""
    names = sampler.continuous()
    for at in range(JUMPS if names else 0):
        name = names[at % len(names)]
        row, other = sampler.draw(), sampler.draw()
        if isinstance(row[name], float) and isinstance(other[name], float):
            low, high = sorted((row[name], other[name]))
            yield name, row | {name: low}, row | {name: high}


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
        """Whether there is no number between the two."""
        return bool(math.nextafter(self.low[self.name], math.inf) >= self.high[self.name])

    @property
    def is_jump(self) -> bool:
        """Whether the predictions differ by more than the tolerance."""
        return _is_jump(self.below, self.above)

    def between(self) -> list[dict[str, Any]]:
        """Return evenly spaced rows between the two."""
        low, high = self.low[self.name], self.high[self.name]
        shares = [at / (BETWEEN + 1) for at in range(1, BETWEEN + 1)]
        return [self.low | {self.name: low + (high - low) * share} for share in shares]

    def narrow(self, predictions: Sequence[Any]) -> None:
        """Move the ends to the two rows between which the prediction first differs."""
        for row, prediction in zip(self.between(), predictions, strict=True):
            if _is_jump(self.below, prediction):
                self.high, self.above = row, prediction
                return
            self.low, self.below = row, prediction


def _is_jump(one: Any, other: Any) -> bool:
    """Return whether two predictions differ in a number by more than the tolerance."""
    try:
        _largest_difference({**one, "prediction": None}, {**other, "prediction": None}, TOLERANCE)
        if not isinstance(one["prediction"], str | int):  # not a label
            _largest_difference(one["prediction"], other["prediction"], TOLERANCE)
    except _DifferError:
        return True
    return False
