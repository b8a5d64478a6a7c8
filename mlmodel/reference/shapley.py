"""Interventional Shapley values: how much each field of a row moves a prediction from typical rows.

A field's effect is the change of the prediction when the field takes the row's value instead of
that of a background row, averaged over the background and over the order in which the fields do
so. The effects add up to the prediction minus the mean prediction of the background.

For a linear model, one or two values of each field determine the effects of all its values. Whether
a model is linear is tested on whole and mixed background rows: its estimator may run elsewhere.

Sources: Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions" (2017); Mitchell
et al., "Sampling Permutations for Shapley Value Estimation" (2022), for reversed permutations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The standard error, relative to the largest effect, below which no more rows are evaluated.
TOLERANCE = 0.02
#: Orders of each background row evaluated at first; two are the least that give an error.
FIRST_ORDERS = 2
#: Fewest rows for each background row and field: an order is evaluated both ways.
ROWS_PER_ORDER = 2
#: Fewest background rows: their effects differ by the standard error.
LEAST_BACKGROUND = 2
#: The difference between a linear model and its predictions that counts as rounding, relative to
#: the effects, and to the prediction.
ROUNDING, LAST_DIGITS = 1e-6, 1e-12
#: The seed of the random orders, so that a row always has the same explanation.
SEED = 17

#: Returns the predictions of mixed rows: ``taken`` has a row of booleans for each, true for the
#: fields that take the value of the explained row; ``background`` has the index of the background
#: row that the other values come from.
Evaluate = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Points:
    """The background rows whose values of a field determine the effects of all its values.

    For a linear model, ``weights``, of shape ``[background rows, points]``, times the effects of
    the values of ``rows`` are the effects of the values of all background rows.
    """

    rows: tuple[int, ...]
    weights: NDArray[Any]


@dataclass(frozen=True)
class Effects:
    """The effect of each field, in their order.

    ``base`` is the mean prediction of the background rows. ``standard_error`` is the largest of
    all fields; 0 if the effects are exact.
    """

    base: float
    values: tuple[float, ...]
    standard_error: float
    is_exact: bool


def compute_effects(
    prediction: float,
    typical: NDArray[Any],
    differs: NDArray[Any],
    evaluate: Evaluate,
    max_rows: int,
    *,
    is_sample: bool = False,
    order: NDArray[Any] | None = None,
) -> Effects:
    """Return the effects of the fields on a prediction.

    :param prediction: of the explained row.
    :param typical: the predictions of the background rows.
    :param differs: for each background row and field, whether its value is another one than that
        of the explained row. Equal values need no evaluation.
    :param max_rows: how many mixed rows may be evaluated, at least :data:`ROWS_PER_ORDER` for each
        background row and field.
    :param is_sample: whether the background is a sample of a larger one, which the standard error
        then includes.
    :param order: the indexes of the background rows, sorted by the values of each field, of the
        shape of ``differs``: values that are evenly spread have a smaller error.
    """
    if is_enumerable(differs, max_rows):
        values = _compute_exactly(prediction, typical, differs, evaluate)
        return Effects(float(typical.mean()), values, 0.0, is_exact=True)
    orders = _Orders(prediction, typical, differs, evaluate, is_sample=is_sample, order=order)
    orders.add(FIRST_ORDERS if FIRST_ORDERS * ROWS_PER_ORDER * differs.size <= max_rows else 1)
    while not orders.are_precise():
        affordable = (max_rows - orders.rows) * orders.count // orders.rows
        if affordable < 1:
            break
        orders.add(min(orders.count, affordable))
    return Effects(float(typical.mean()), orders.values(), orders.error(), is_exact=False)


def is_enumerable(differs: NDArray[Any], max_rows: int) -> bool:
    """Return whether every set of fields can be evaluated with every background row."""
    count, width = differs.shape
    return bool(count * 2**width <= max_rows)


def compute_linear_effects(
    prediction: float, typical: NDArray[Any], points: Sequence[Points], evaluate: Evaluate
) -> Effects | None:
    """Return the effects of the fields if the model is linear; ``None`` if it is not.

    It evaluates a row for each of the points, and one for each background row: half of its fields
    have the values of the explained row.

    :param prediction: of the explained row.
    :param typical: the predictions of the background rows.
    :param points: of each field.
    """
    sizes = [len(each.rows) for each in points]
    fields = np.repeat(np.arange(len(points)), sizes)
    rows = np.array([row for each in points for row in each.rows], int)
    # All values are those of the explained row, except one.
    gains = prediction - evaluate(fields[:, None] != np.arange(len(points)), rows)
    parts = np.split(gains, np.cumsum(sizes)[:-1])
    columns = [each.weights @ part for each, part in zip(points, parts, strict=True)]
    effects = np.stack(columns, axis=1)
    taken = np.random.default_rng(SEED).random(effects.shape) < 0.5  # noqa: PLR2004  half of them
    mixed = evaluate(taken, np.arange(len(effects)))
    errors = [
        prediction - effects.sum(axis=1) - typical,
        prediction - np.where(taken, 0, effects).sum(axis=1) - mixed,
    ]
    scale = np.abs(effects).sum(axis=1).max(initial=0.0)
    if np.abs(errors).max(initial=0.0) > ROUNDING * scale + LAST_DIGITS * abs(prediction):
        return None
    return Effects(float(typical.mean()), tuple(effects.mean(axis=0).tolist()), 0.0, is_exact=True)


def _compute_exactly(
    prediction: float, typical: NDArray[Any], differs: NDArray[Any], evaluate: Evaluate
) -> tuple[float, ...]:
    """Evaluate every set of fields with every background row."""
    count, width = differs.shape
    fields = [np.flatnonzero(row) for row in differs]
    sets = [np.arange(2 ** len(each)) for each in fields]
    taken = np.zeros((sum(map(len, sets)), width), bool)
    starts = np.cumsum([0, *map(len, sets)])
    for at, own, start in zip(sets, fields, starts, strict=False):
        taken[start : start + len(at), own] = at[:, None] >> np.arange(len(own)) & 1
    outputs = evaluate(taken, np.repeat(np.arange(count), list(map(len, sets))))
    effects = np.zeros(width)
    for index, (at, own, start) in enumerate(zip(sets, fields, starts, strict=False)):
        values = outputs[start : start + len(at)]
        values[0], values[-1] = typical[index], prediction
        effects[own] += _from_all_sets(values, len(own))
    return tuple((effects / count).tolist())


def _from_all_sets(values: NDArray[Any], width: int) -> list[float]:
    """Return the effects of fields from the predictions of all their sets, numbered by bits."""
    sets = np.arange(len(values))
    sizes = np.bitwise_count(sets)
    weights = np.array([1 / (width * comb(width - 1, size)) for size in range(width)])
    effects = []
    for field in range(width):
        without = sets[sets >> field & 1 == 0]
        gains = values[without | 1 << field] - values[without]
        effects.append(float(gains @ weights[sizes[without]]))
    return effects


class _Orders:
    """Effects along random orders of the fields and their reverse, for each background row."""

    def __init__(
        self,
        prediction: float,
        typical: NDArray[Any],
        differs: NDArray[Any],
        evaluate: Evaluate,
        *,
        is_sample: bool,
        order: NDArray[Any] | None,
    ) -> None:
        self._prediction = prediction
        self._typical = typical
        self._fields = [np.flatnonzero(row) for row in differs]
        self._evaluate = evaluate
        self._is_sample = is_sample
        self._order = order
        self._random = np.random.default_rng(SEED)
        #: Effects by order, background row and field.
        self._effects = np.empty((0, *differs.shape))
        self.rows = 0

    @property
    def count(self) -> int:
        """The number of orders of each background row."""
        return len(self._effects)

    def values(self) -> tuple[float, ...]:
        """Return the mean effect of each field."""
        return tuple(self._effects.mean(axis=(0, 1)).tolist())

    def error(self) -> float:
        """Return the largest standard error of a field.

        With a single order, it cannot be separated from the differences between background rows.
        Those of neighbours show it: see Wolter, "Introduction to Variance Estimation", on
        systematic samples.
        """
        if self._is_sample or self.count == 1:
            rows = self._effects.mean(axis=0)
            if self._order is not None:
                rows = np.take_along_axis(rows, self._order, axis=0)
            error = np.sqrt((np.diff(rows, axis=0) ** 2).mean(axis=0) / 2 / len(rows))
        else:
            spread = self._effects.var(axis=0, ddof=1).sum(axis=0)
            error = np.sqrt(spread / self.count) / len(self._fields)
        # Sums in another order differ in their last digits.
        noise = 1e-12 * np.abs(self._effects).max(initial=0.0)
        return float(error.max(initial=0.0)) if error.max(initial=0.0) > noise else 0.0

    def are_precise(self) -> bool:
        """Return whether the error is small compared with the largest effect."""
        return self.error() <= TOLERANCE * max(map(abs, self.values()), default=0.0)

    def add(self, count: int) -> None:
        """Evaluate more orders of each background row."""
        own = [fields for _ in range(count) for fields in self._fields]
        orders = [way for each in own for way in _both_ways(self._random.permutation(each))]
        masks = [_steps(order, self._effects.shape[2]) for order in orders]
        sizes = [len(each) for each in masks]
        rows = np.repeat(np.tile(np.repeat(np.arange(len(self._fields)), 2), count), sizes)
        outputs = np.empty(0)
        if sum(sizes):
            outputs = self._evaluate(np.concatenate(masks), rows)
        self.rows += sum(sizes)
        effects = np.zeros((len(orders), self._effects.shape[2]))
        ends = np.cumsum(sizes)
        typical = np.tile(np.repeat(self._typical, 2), count)
        for at, order in enumerate(orders):
            if len(order):
                steps = outputs[ends[at] - sizes[at] : ends[at]]
                path = np.concatenate([[typical[at]], steps, [self._prediction]])
                effects[at, order] = np.diff(path)
        pairs = effects.reshape(count, len(self._fields), 2, -1).mean(axis=2)
        self._effects = np.concatenate([self._effects, pairs])


def _both_ways(order: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return order, order[::-1]


def _steps(order: NDArray[Any], width: int) -> NDArray[Any]:
    """Return the sets of fields along an order, without the empty and the full one."""
    taken = np.zeros((max(0, len(order) - 1), width), bool)
    for step, field in enumerate(order[:-1]):
        taken[step:, field] = True
    return taken
