"""Typical rows, drawn from a reference profile field by field: it contains no row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from mlmodel.reference.distributions import BINS, Choices, Distribution, Numbers, Opaque, to_choice
from mlmodel.reference.profile import Profile
from mlmodel.schema.coercion import WHOLE
from mlmodel.schema.shape import Shape, is_number

#: Rows of a background.
ROWS = 50
#: Each field is shuffled with this seed and its position, so that a model has one background.
SEED = 20
#: The distance of a mean from the end of its bin that counts as none, as a part of the bin.
NEAR = 1e-9
#: A row's member that the row lacks.
ABSENT = object()


@dataclass(frozen=True)
class Field:
    """A member of a row whose values a profile describes."""

    name: str
    shape: Shape
    is_required: bool
    distribution: Numbers | Choices

    def draw(self, count: int) -> list[Any]:
        """Return ``count`` values, as evenly spread as those of the profile, the lowest first."""
        missing = round(self.distribution.missing * count) if self._can_be_missing else 0
        absent = [None if self.shape.is_nullable else ABSENT] * missing
        present = count - missing
        if isinstance(self.distribution, Numbers):
            return [*map(self._to_number, _spread(self.distribution, present)), *absent]
        shares = (np.arange(present) + 0.5) / max(present, 1)
        choices = self.choices()
        ends = np.cumsum([share for _, share in choices])
        places = np.searchsorted(ends, shares * ends[-1])
        return [*(choices[place][0] for place in places.tolist()), *absent]

    def choices(self) -> list[tuple[Any, float]]:
        """Return the choices with their share of the profile's rows."""
        if not isinstance(self.distribution, Choices):
            return []
        counts = self.distribution.counts
        total = max(1, sum(counts.values()) + self.distribution.other)
        return [(to_choice(text, self.shape), count / total) for text, count in counts.items()]

    @cached_property
    def numbers(self) -> list[Any]:
        """Return the quantiles of the profile, with both ends, or the few numbers that it lists.

        They are in order. The list is empty for choices: texts, booleans and titled constants.
        """
        if isinstance(self.distribution, Numbers):
            return list(dict.fromkeys(map(self._to_number, self.distribution.edges)))
        values = [value for value, _ in self.choices()]
        are_titled = any(each.title for each in self.shape.constants)
        are_numbers = all(map(is_number, values)) and not are_titled
        return sorted(values) if are_numbers else []

    @property
    def is_continuous(self) -> bool:
        """Whether the field has numbers between those of the profile."""
        return isinstance(self.distribution, Numbers)

    def between(self, low: float, high: float, count: int) -> list[Any]:
        """Return numbers between two others, rounded."""
        steps = np.linspace(low, high, count + 2)[1:-1].tolist()
        digits = -int(np.floor(np.log10(abs(high - low) / (count + 1))))
        rounded = dict.fromkeys(self._to_number(round(each, digits)) for each in steps)
        return [each for each in rounded if min(low, high) < each < max(low, high)]

    def rank(self, number: float) -> float:
        """Return the share of the rows with a lower number, and half of those with the same."""
        return float(np.interp(number, *self._curve))

    @cached_property
    def _curve(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The numbers of the profile, and the share of its rows below each."""
        if isinstance(self.distribution, Numbers):
            edges = self.distribution.edges
            return np.array(edges, float), np.linspace(0, 1, len(edges))
        numbers, shares = np.array(sorted(self.choices()), float).T
        return numbers, np.cumsum(shares) - shares / 2

    @property
    def _can_be_missing(self) -> bool:
        return self.shape.is_nullable or not self.is_required

    def _to_number(self, number: float) -> float:
        """Return the nearest number that the schema allows, in its type.

        The outer quantiles of a profile are rounded outwards, and may lie beyond its limits.
        """
        values = [each.value for each in self.shape.constants]
        constants = [each for each in values if isinstance(each, int | float)]
        if constants:
            return min(constants, key=lambda each: abs(each - number))
        low, high = self._limits
        if not self._step:
            return float(min(max(number, low), high))
        nearest = min(max(round(Fraction(number) / self._step), low), high) * self._step
        return int(nearest) if self._is_whole else float(nearest)

    @cached_property
    def _is_whole(self) -> bool:
        """Whether the values are integers, in the schema or in the column."""
        dtype = str(self.shape.schema.get("x-dtype", ""))
        return self.shape.type == "integer" or WHOLE.fullmatch(dtype) is not None

    @cached_property
    def _step(self) -> Fraction | None:
        """The number of which values are multiples, if there is one."""
        step = self.shape.number("multipleOf")
        # As decimals: 0.3 is no multiple of 0.1 in doubles.
        exact = Fraction(str(step)) if step else None
        if self._is_whole:
            return Fraction((exact or Fraction(1)).numerator)
        return exact

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """The lowest and the highest number that the schema allows, in steps if there are any."""
        lows = [self._to_limit("minimum", 1), self._to_limit("exclusiveMinimum", 1)]
        highs = [self._to_limit("maximum", -1), self._to_limit("exclusiveMaximum", -1)]
        return max(lows), min(highs)

    def _to_limit(self, keyword: str, inwards: int) -> float:
        limit = self.shape.number(keyword)
        if limit is None:
            return -inwards * math.inf
        is_exclusive = keyword.startswith("exclusive")
        if not self._step:
            return math.nextafter(limit, inwards * math.inf) if is_exclusive else limit
        steps = Fraction(str(limit)) / self._step
        if is_exclusive:
            return math.floor(steps) + 1 if inwards > 0 else math.ceil(steps) - 1
        return math.ceil(steps) if inwards > 0 else math.floor(steps)


def get_fields(profile: Profile, row: Shape) -> list[Field]:
    """Return the fields that can be drawn, in the order of the row's schema."""
    required = row.schema.get("required", ())
    return [
        Field(name, shape, name in required, distribution)
        for name, shape in row.members.items()
        if _has_values(distribution := _get(profile.fields, name))
    ]


def draw_background(fields: Sequence[Field], count: int = ROWS) -> list[dict[str, Any]]:
    """Return typical rows, each without the fields that are missing and cannot be null.

    Each field has the distribution of the profile, and numbers have its mean, whatever the count.
    The fields are combined at random, as the profile does not contain how they depend on each
    other.
    """
    columns = {field.name: list(_shuffle(field.draw(count), at)) for at, field in enumerate(fields)}
    rows = [{name: column[row] for name, column in columns.items()} for row in range(count)]
    return [{name: value for name, value in row.items() if value is not ABSENT} for row in rows]


def _spread(numbers: Numbers, count: int) -> list[float]:
    """Return the means of ``count`` equal parts of the sorted numbers, whose mean is that of all.

    Within a bin, the numbers follow a curve with its mean, ``end + (other - end) * share**power``
    from the end that is nearer to the mean, so that one huge number does not stand for many.
    """
    edges = np.array(numbers.edges)
    means = np.array(numbers.means) if numbers.means else edges[:-1] / 2 + edges[1:] / 2
    ranks = np.linspace(0, BINS, count + 1)
    bins = np.minimum(ranks.astype(int), BINS - 1)
    shares = ranks - bins
    low, mean, high = edges[bins], means[bins], edges[bins + 1]
    is_low = mean <= low / 2 + high / 2
    end = np.where(is_low, low, high)
    # As edges are rounded, a mean may lie beyond them: then it stands for all numbers of its bin.
    is_curved = np.minimum(mean - low, high - mean) > NEAR * (high - low)
    # The power of the integral over the curve: that of the curve, plus 1.
    powers = (high - low) / np.where(is_curved, abs(mean - end), 1)
    curve = np.where(is_low, shares**powers, 1 - (1 - shares) ** powers)
    curve = np.where(is_curved, curve, shares)
    end = np.where(is_curved, end, 0)
    below = np.concatenate([[0], np.cumsum(means / BINS)])[bins]
    sums = below + (end * shares + (mean - end) * curve) / BINS
    # Without digits that stem from the sums: 0.1 stays 0.1.
    return sorted(float(f"{each:.12g}") for each in np.diff(sums) * count)


def _has_values(distribution: Distribution) -> TypeGuard[Numbers | Choices]:
    is_blank = isinstance(distribution, Choices) and not distribution.counts
    return not (is_blank or isinstance(distribution, Opaque))


def _get(fields: Mapping[str, Distribution], name: str) -> Distribution:
    return fields.get(name, Opaque(0.0))


def _shuffle(values: Sequence[Any], field: int) -> Iterator[Any]:
    order = np.random.default_rng((SEED, field)).permutation(len(values))
    return (values[at] for at in order.tolist())
