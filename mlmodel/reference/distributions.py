"""The distribution of one column, without any single value of it.

    Numbers   20 quantile bins; or the numbers themselves if few of them repeat often
    Choices   how often each common text, boolean or number occurs
    Opaque    free texts, lists and objects: only how many are missing

A profile is shown to all users of a model, so no value in it identifies one of fewer than
:data:`MIN_SHARED` rows: rarer choices are only counted, the lowest and highest number are rounded
outwards, and the quantiles between them are rounded too. A number that is round for its range, such
as a maximum of 11 children, remains: rounding it further would not hide it.
"""

from __future__ import annotations

import itertools
import json
import math
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlmodel.schema.coercion import WHOLE
from mlmodel.schema.messages import join_first
from mlmodel.schema.shape import Shape

#: Bins of numbers, and fewest numbers that are binned.
BINS = 20
#: Fewest rows that share a value which a profile contains.
MIN_SHARED = 5
#: Maximum of choices, and of characters of each.
MOST_CHOICES, MOST_CHARACTERS = 100, 100
#: Choices that a summary lists.
MOST_SHOWN = 8
#: Distinct numbers that are stored as choices.
MOST_NUMBERS = 20
#: The difference of results that are the same in another runtime, whose last digits differ,
#: relative to the number, or to the range of binned numbers.
SAME = 1e-6
#: The ends of a range are rounded to about one part in this many of the range, or of the distance
#: to the next quantile.
RANGE_PARTS, GAP_PARTS = 20, 4
#: Means are rounded: a number that is alone at the end of its bin can be computed from them only to
#: about one part in this many of the bin.
MEAN_PARTS = 10
#: Significant digits of a quantile, and of a mean, relative to the range.
DIGITS, MEAN_DIGITS = 4, 7
#: Limits of binned numbers, beyond which edges have rounding errors: the largest number, the
#: smallest range, and the smallest range relative to the largest number.
LARGEST, SMALLEST_SPAN, SMALLEST_PART = 1e300, 1e-280, 1e-10


@dataclass(frozen=True)
class Numbers:
    """Numbers in bins. The last bin includes its upper edge, as in ``numpy.histogram``.

    ``edges`` never decrease; equal edges mean that many rows share a value. ``missing`` is the
    share of missing values, from 0 to 1. ``means`` has the mean of each twentieth of the sorted
    numbers: those of the first one lie between the first two edges. Older files have none.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: float
    means: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the distribution as JSON."""
        edges = [int(each) if float(each).is_integer() else each for each in self.edges]
        means = {"means": list(self.means)} if self.means else {}
        return {"edges": edges, "counts": list(self.counts), "missing": self.missing, **means}


@dataclass(frozen=True)
class Choices:
    """The number of rows of each common choice by its :func:`key`, and of all others.

    At most ``omitted`` of the others occur in :data:`MIN_SHARED` rows or more.
    """

    counts: Mapping[str, int]
    other: int
    missing: float
    omitted: int = 0

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """The choices as numbers, in order; empty if any of them is not a number."""
        try:
            return tuple(sorted(float(each) for each in self.counts))
        except ValueError:
            return ()

    def find(self, text: str) -> str:
        """Return the listed choice that is the same as that of a :func:`key`, or else the key."""
        number = None if text in self.counts else _to_number(text)
        if number is None:
            return text
        at = bisect(self._numbers, (number, text))
        near = self._numbers[max(at - 1, 0) : at + 1]
        return next((listed for each, listed in near if _are_same(each, number)), text)

    @cached_property
    def _numbers(self) -> list[tuple[float, str]]:
        return _sort_numbers(self.counts)

    def to_json(self) -> dict[str, Any]:
        """Return the distribution as JSON."""
        is_full = self.omitted or len(self.counts) >= MOST_CHOICES
        omitted = {"omitted": self.omitted} if is_full else {}
        return {
            "choices": dict(self.counts),
            "other": self.other,
            "missing": self.missing,
            **omitted,
        }


@dataclass(frozen=True)
class Opaque:
    """Values that a profile does not contain."""

    missing: float

    def to_json(self) -> dict[str, Any]:
        """Return the distribution as JSON."""
        return {"missing": self.missing}


Distribution = Numbers | Choices | Opaque


def key(value: Any) -> str:
    """Return the text that stands for a text, boolean or number: ``36`` for 36 and 36.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    whole = isinstance(value, float) and value.is_integer()
    return repr(int(value) if whole else value)


def to_choice(text: str, shape: Shape) -> Any:
    """Return the value that a :func:`key` stands for, in the type of a schema."""
    known = {key(each.value): each.value for each in shape.constants}
    if text in known or shape.type == "string":
        return known.get(text, text)
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if is_missing(value) or not isinstance(value, int | float):
        return text
    # A column of integers accepts fractions, so that its type in the schema is number.
    is_whole = WHOLE.fullmatch(str(shape.schema.get("x-dtype", "")))
    is_float = shape.type == "number" and not isinstance(value, bool) and not is_whole
    return float(value) if is_float else value


def summary(distribution: Distribution) -> str:
    """Return a distribution as one line of text: range and middle half, or the common choices."""
    match distribution:
        case Numbers(edges):
            low, start, middle, end, high = (f"{edges[at]:.6g}" for at in (0, 5, 10, 15, 20))
            return f"{low} to {high}, half {start} to {end}, median {middle}"
        case Choices(counts, other):
            listed = [f"{text}: {count}" for text, count in counts.items()]
            return join_first([*listed, *([f"others: {other}"] if other else [])], MOST_SHOWN)
    return "not stored"


def is_missing(value: Any) -> bool:
    """Return whether a value is ``None`` or a number that JSON lacks."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def merge_same(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of choices, of which numbers that differ only in the last digits are one.

    Rows of the same result may have several such numbers, depending on the order of additions.
    """
    merged = dict(counts)
    for (number, text), (next_number, next_text) in itertools.pairwise(_sort_numbers(counts)):
        if _are_same(number, next_number):
            merged[next_text] += merged.pop(text)
    return merged


def estimate_omitted(listed: int, other: int) -> int:
    """Return the highest :attr:`Choices.omitted` that is possible, for a file that lacks it.

    :param listed: the number of choices that are listed.
    :param other: the number of rows with others.
    """
    return other // MIN_SHARED if listed >= MOST_CHOICES else 0


def count_in_bins(numbers: Any, edges: Sequence[float]) -> Any:
    """Return the number of finite numbers in each bin; those beyond the edges are in the nearest.

    A number that differs from an edge only in its last digits is in the bin that begins there.
    """
    import numpy as np  # noqa: PLC0415  large; reading a profile does not need it

    lower = np.array(edges, float)
    lower[:-1] -= SAME * (lower[-1] - lower[0])
    return np.histogram(numbers.clip(edges[0], edges[-1]), lower)[0]


def describe(values: Iterable[Any]) -> Distribution:
    """Return the distribution of a column: JSON values, or a numpy array of numbers."""
    import numpy as np  # noqa: PLC0415  large; reading a profile does not need it

    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf" and values.ndim == 1:
        finite = values[np.isfinite(values)]
        return _describe_numbers(finite, 1 - len(finite) / max(len(values), 1))
    given = values.tolist() if isinstance(values, np.ndarray) else list(values)
    present = [value for value in given if not is_missing(value)]
    missing = 1 - len(present) / max(len(given), 1)
    types = set(map(type, present))
    if types and types <= {int, float}:
        try:
            return _describe_numbers(_to_array(present), missing)
        except OverflowError:
            return Opaque(_share(missing))
    if types <= {str, bool, int, float}:
        return _describe_choices(Counter(map(key, present)), missing)
    return Opaque(_share(missing))


def _describe_choices(counts: Counter[str], missing: float) -> Choices | Opaque:
    shared = [
        (text, count)
        for text, count in counts.most_common()
        if count >= MIN_SHARED and len(text) <= MOST_CHARACTERS
    ]
    common = dict(shared[:MOST_CHOICES])
    total, listed = sum(counts.values()), sum(common.values())
    if 2 * listed < total or not common:
        return Opaque(_share(missing))  # free text: names, comments, numbers of contracts
    return Choices(common, total - listed, _share(missing), len(shared) - len(common))


def _to_array(numbers: Sequence[Any]) -> Any:
    """Return numbers as an array; integers stay integers, since a double has only 53 bits.

    :raises OverflowError: if one is too large for a double.
    """
    import numpy as np  # noqa: PLC0415  as above

    array = np.array(numbers)
    return array if array.dtype.kind in "iuf" else np.array(numbers, dtype=float)


def _describe_numbers(numbers: Any, missing: float) -> Distribution:
    import numpy as np  # noqa: PLC0415  as above

    distinct, counts = np.unique(numbers, return_counts=True)
    if len(distinct) <= MOST_NUMBERS and all(counts >= MIN_SHARED):
        texts = map(key, distinct.tolist())
        listed = dict(zip(texts, counts.tolist(), strict=True))
        return Choices(merge_same(listed), 0, _share(missing))
    if len(numbers) < BINS:
        return Opaque(_share(missing))
    numbers = numbers.astype(float)
    first, last = float(distinct[0]), float(distinct[-1])
    largest, span = max(-first, last), last - first
    if largest > LARGEST or span < max(SMALLEST_SPAN, SMALLEST_PART * largest):
        return Opaque(_share(missing))
    shared = _share_numbers(numbers)
    inner = np.quantile(shared, np.linspace(0, 1, BINS + 1)[1:-1]).tolist()
    step = _outer_step(span, inner[0] - first, counts[0])
    low = _round(math.floor(first / step) * step, span)
    step = _outer_step(span, last - inner[-1], counts[-1])
    high = _round(math.ceil(last / step) * step, span)
    edges = (low, *(min(max(_round(each, span), low), high) for each in inner), high)
    binned = count_in_bins(numbers, edges)
    means = _round_means(_means(shared), edges, max(len(numbers) / BINS, MIN_SHARED))
    digits = tuple(_round(each, span, MEAN_DIGITS) for each in means)
    return Numbers(edges, tuple(binned.tolist()), _share(missing), digits)


def _means(numbers: Any) -> list[float]:
    """Return the mean of each of equal parts of the sorted numbers, whose mean is that of all.

    A number at the border of two parts belongs to both, with a share of its weight.
    """
    import numpy as np  # noqa: PLC0415  as above

    sums = np.cumsum(np.append(0.0, np.sort(numbers) / len(numbers)))
    ranks = np.linspace(0, len(numbers), BINS + 1)
    means: list[float] = (BINS * np.diff(np.interp(ranks, np.arange(len(sums)), sums))).tolist()
    return means


def _round_means(means: Iterable[float], edges: Sequence[float], rows: float) -> Iterator[float]:
    """Return means that show the one large number in a bin no more exactly than its edge does.

    :param rows: numbers in each bin.
    """
    for mean, (low, high) in zip(means, itertools.pairwise(edges), strict=True):
        step = (high - low) / (rows * MEAN_PARTS)
        within = min(max(mean, low), high)
        yield low + round((within - low) / step) * step if step else within


def _share_numbers(numbers: Any) -> Any:
    """Return numbers whose quantiles do not show that of a single row.

    With few rows, a quantile would be one of them: each becomes the mean of its neighbours.
    """
    import numpy as np  # noqa: PLC0415  as above

    if len(numbers) >= BINS * MIN_SHARED:
        return numbers
    groups = np.array_split(np.sort(numbers), len(numbers) // MIN_SHARED)
    return np.repeat([each.mean() for each in groups], [*map(len, groups)])


def _outer_step(span: float, gap: float, count: int) -> float:
    """Return the multiple to which the lowest or highest number is rounded outwards.

    :param gap: between this number and the next quantile: a long tail on the other side must not
        make the range too wide on this one.
    :param count: rows that share the number.
    """
    smallest = 10.0 ** (math.floor(math.log10(span)) + 1 - DIGITS)  # quantiles are rounded to it
    if count >= MIN_SHARED:
        return smallest
    return max(smallest, _step(min(span / RANGE_PARTS, max(gap, 0) / GAP_PARTS or span)))


def _step(size: float) -> float:
    """Return the nearest larger of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return next((each * power for each in (1, 2, 5) if each * power >= size), 10 * power)


def _round(value: float, span: float, digits: int = DIGITS) -> float:
    return round(value, digits - 1 - math.floor(math.log10(span)))


def _sort_numbers(texts: Iterable[str]) -> list[tuple[float, str]]:
    return sorted((number, text) for text in texts if (number := _to_number(text)) is not None)


def _to_number(text: str) -> float | None:
    """Return the number whose :func:`key` a text is; ``None`` for texts such as ``1.10``."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and key(number) == text else None


def _are_same(number: float, other: float) -> bool:
    """Return whether numbers differ only in the last digits. Two integers always differ."""
    are_whole = number.is_integer() and other.is_integer()
    return not are_whole and math.isclose(number, other, rel_tol=SAME)


def _share(share: float) -> float:
    return round(share, 6)
