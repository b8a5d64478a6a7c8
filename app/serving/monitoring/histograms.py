"""Counts of values in the bins of a reference distribution, and shares for a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import NoneType
from typing import Any

from mlmodel.reference.distributions import (
    MIN_SHARED,
    SAME,
    Choices,
    Distribution,
    Numbers,
    count_in_bins,
    is_missing,
    key,
)

#: Number of bins of equal width, or of choices, in a chart.
CHART_BINS = 20
#: Smallest share of other choices in a chart: what is less is an error of rounding.
SMALLEST = 1e-9
#: Largest finite number; larger integers of Python have no float.
LARGEST = 1.7e308
#: Most unlisted choices that are named, and characters of each.
MOST_UNLISTED, MOST_CHARACTERS = 10, 60


@dataclass(frozen=True)
class BinCounts:
    """The values of one column, counted in the bins of a distribution.

    ``bins`` has a count for each bin or choice, one for all other choices if the distribution has
    choices, and one for missing values. ``outside`` counts the numbers beyond the first and last
    edge, which are also counted in the nearest bin. ``unlisted`` are the most frequent choices that
    the distribution does not list.
    """

    bins: tuple[int, ...]
    outside: int = 0
    unlisted: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of values, including missing ones."""
        return sum(self.bins)

    @property
    def missing(self) -> float:
        """The share of missing values."""
        return self.bins[-1] / max(self.rows, 1)

    @property
    def outside_share(self) -> float:
        """The share of numbers beyond the first and last edge."""
        return self.outside / max(self.rows - self.bins[-1], 1)


@dataclass(frozen=True)
class Chart:
    """The bins of a chart: their labels, or the edges of numbers, and the share of rows in each.

    The first and last bin of numbers also hold what lies beyond them.
    """

    labels: tuple[str, ...]
    edges: tuple[float, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


def reference_counts(distribution: Distribution, rows: int) -> BinCounts:
    """Return the counts of a distribution itself.

    :param rows: the rows of the profile, which a distribution without counts does not contain.
    """
    if isinstance(distribution, Numbers):
        present = list(distribution.counts)
    elif isinstance(distribution, Choices):
        present = [*distribution.counts.values(), distribution.other]
    else:
        present = [round(rows * (1 - distribution.missing))]
    share = min(distribution.missing, 1 - 1e-9)
    missing = sum(present) * share / (1 - share) if sum(present) else rows
    return BinCounts((*present, round(missing)))


def count(distribution: Distribution, values: Sequence[Any]) -> BinCounts:
    """Return the counts of JSON values in the bins of a distribution.

    A value of another type, such as a text among numbers, is counted as missing.
    """
    if isinstance(distribution, Numbers):
        return _count_numbers(distribution, values)
    if not isinstance(distribution, Choices):
        present = sum(not is_missing(value) for value in values)
        return BinCounts((present, len(values) - present))
    found: Counter[str] = Counter()
    for text, rows in _count_texts(values).items():
        found[distribution.find(text)] += rows
    missing = len(values) - found.total()
    listed = [found.pop(choice, 0) for choice in distribution.counts]
    unlisted = {
        text[:MOST_CHARACTERS]: rows
        for text, rows in found.most_common(MOST_UNLISTED)
        if rows >= MIN_SHARED
    }
    return BinCounts((*listed, found.total(), missing), unlisted=unlisted)


def _count_texts(values: Sequence[Any]) -> Counter[str]:
    """Return how often each text, boolean or number occurs, by its :func:`key`."""
    if set(map(type, values)) <= {str, NoneType}:
        texts = Counter(values)
        texts.pop(None, None)
        return texts
    return Counter(
        key(value)
        for value in values
        if isinstance(value, str | bool | int | float) and not is_missing(value)
    )


def _count_numbers(distribution: Numbers, values: Sequence[Any]) -> BinCounts:
    import numpy as np  # noqa: PLC0415  large, and only needed here

    numbers = _to_numbers(values)
    numbers = numbers[np.isfinite(numbers)]
    low, high = distribution.edges[0], distribution.edges[-1]
    binned = count_in_bins(numbers, distribution.edges)
    margin = SAME * (high - low)
    outside = int(((numbers < low - margin) | (numbers > high + margin)).sum())
    return BinCounts((*binned.tolist(), len(values) - len(numbers)), outside)


def _to_numbers(values: Sequence[Any]) -> Any:
    """Return values as an array of numbers, with NaN for anything else."""
    import numpy as np  # noqa: PLC0415  as above

    try:
        return np.array(values, dtype=float)
    except (OverflowError, TypeError, ValueError):  # an integer of 400 digits, a list, a text
        return np.array(
            [
                min(max(value, -LARGEST), LARGEST) if type(value) in {int, float} else np.nan
                for value in values
            ]
        )


def build_chart(
    distribution: Distribution, reference: BinCounts, current: BinCounts
) -> Chart | None:
    """Return the chart of a distribution; ``None`` if it has neither numbers nor choices.

    Of many choices, the chart has the most frequent ones.
    """
    if isinstance(distribution, Numbers):
        return _chart_numbers(distribution.edges, reference, current)
    if isinstance(distribution, Choices):
        return _chart_choices(distribution, reference, current)
    return None


def _chart_choices(distribution: Choices, reference: BinCounts, current: BinCounts) -> Chart:
    before, now = _to_shares(reference.bins[:-1]), _to_shares(current.bins[:-1])
    columns = sorted(
        zip(distribution.counts, before, now, strict=False), key=lambda each: -max(each[1:])
    )[:CHART_BINS]
    if distribution.numbers:
        columns.sort(key=lambda each: float(each[0]))
    shown = [sum(shares) for shares in list(zip(*columns, strict=True))[1:]] or [0.0, 0.0]
    others = [max(sum(each) - part, 0) for each, part in zip((before, now), shown, strict=True)]
    if max(others) > SMALLEST:
        columns.append(("other", others[0], others[1]))
    names, *shares = list(zip(*columns, strict=True)) or [(), (), ()]
    return Chart(names, (), *shares)


def _chart_numbers(
    edges: Sequence[float], reference: BinCounts, current: BinCounts
) -> Chart | None:
    """Spread the rows of each quantile bin evenly over bins of equal width.

    The outer quantile bins may be very wide. The first and last bin of the chart are as wide as the
    others, and hold all that lies beyond.
    """
    import numpy as np  # noqa: PLC0415  as above

    if max(abs(edges[0]), abs(edges[-1])) > LARGEST / CHART_BINS:
        return None  # the width of a bin would overflow
    low, high = (edges[1], edges[-2]) if edges[1] < edges[-2] else (edges[0], edges[-1])
    wide = np.linspace(low, high, CHART_BINS - 1)
    width = wide[1] - wide[0]
    wide = np.array([low - width, *wide, high + width])

    def spread(counts: Sequence[int]) -> tuple[float, ...]:
        rows = np.zeros(CHART_BINS)
        shares = _to_shares(counts)
        for (start, end), share in zip(pairwise(edges), shares, strict=True):
            if end > start:
                below = np.clip((wide - start) / (end - start), 0, 1)
                below[0], below[-1] = 0, 1
                rows += share * np.diff(below)
            else:
                place = np.searchsorted(wide, start, "right") - 1
                rows[np.clip(place, 0, CHART_BINS - 1)] += share
        return tuple(rows.tolist())

    return Chart((), tuple(wide.tolist()), spread(reference.bins[:-1]), spread(current.bins[:-1]))


def _to_shares(counts: Sequence[int]) -> tuple[float, ...]:
    total = max(sum(counts), 1)
    return tuple(each / total for each in counts)
