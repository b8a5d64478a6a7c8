"""Drift: how much the rows and predictions of today differ from the reference profile.

The measure is the population stability index (PSI) over the bins of the profile and a bin for
missing values::

    PSI = sum((current - reference) * ln(current / reference))

Without drift, PSI is not 0: with ``n`` reference rows, ``m`` current rows and ``k`` bins, it is
distributed as ``(1/n + 1/m)`` times chi-square with ``k - 1`` degrees of freedom (B. Yurdakul,
"Statistical Properties of Population Stability Index", 2018). From that follows the threshold which
random differences exceed in one of a hundred reports, for all fields of a model together. Drift is
a PSI above both this threshold and the customary 0.1.

``python -m benchmarks.drift`` measures false and missed alarms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.serving.monitoring.histograms import (
    BinCounts,
    Chart,
    build_chart,
    count,
    reference_counts,
)
from mlmodel.reference.distributions import Distribution, Opaque
from mlmodel.reference.profile import PROBABILITY, Profile, flatten, get_path

#: Fewest rows for a statement about drift.
MIN_ROWS = 1_000
#: The probability that a report on data without drift contains any field above its threshold.
FALSE_ALARMS = 0.01
#: PSI from which drift is called moderate, and large.
MODERATE, LARGE = 0.1, 0.25
#: Classes whose probabilities drift alike.
TWO_CLASSES = 2
#: Rows added to each bin, so that empty bins have a logarithm. With 0.1, rare choices exceed the
#: threshold in 5 to 10 % of all reports.
SMOOTHING = 0.5


class Level(StrEnum):
    """How far a field has drifted. ``SMALL`` is more than chance, but no alarm.

    ``NOT_COMPARED`` is a field of which the profile has only the share of missing values, if that
    has not changed.
    """

    NOT_COMPARED = "not-compared"
    NONE = "none"
    SMALL = "small"
    MODERATE = "moderate"
    LARGE = "large"


@dataclass(frozen=True)
class FieldDrift:
    """The drift of one field of the rows, or of one member of the predictions."""

    name: str
    is_prediction: bool
    psi: float
    threshold: float
    level: Level
    reference: BinCounts
    current: BinCounts
    chart: Chart | None

    @property
    def is_compared(self) -> bool:
        """Whether there is a statement about the field."""
        return self.level is not Level.NOT_COMPARED

    @property
    def is_alarm(self) -> bool:
        """Whether the drift is moderate or large."""
        return self.level in {Level.MODERATE, Level.LARGE}


def compare(
    profile: Profile,
    rows: Sequence[Any],
    predictions: Sequence[Any],
    left_out: Set[str] = frozenset(),
) -> list[FieldDrift]:
    """Return the drift of all fields and predictions, the largest first.

    :param rows: at least :data:`MIN_ROWS`; fewer permit no statement.
    :param left_out: members that the rows never contain, because the log leaves them out.
    """
    objects = [row if isinstance(row, Mapping) else {} for row in rows]
    outputs = [flatten(each) for each in predictions]
    columns = [
        *_columns(profile.fields, objects, left_out, is_prediction=False),
        *_columns(_kept(profile.predictions, left_out), outputs, left_out, is_prediction=True),
    ]
    drifts = [_compare(each, profile.rows, len(columns)) for each in columns]
    return sorted(drifts, key=lambda each: (not each.is_alarm, not each.is_compared, -each.psi))


def calculate_psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Return the population stability index of two sets of counts in the same bins."""
    used = [pair for pair in zip(reference, current, strict=True) if any(pair)]
    n = sum(reference) + SMOOTHING * len(used)
    m = sum(current) + SMOOTHING * len(used)
    return sum(
        ((now + SMOOTHING) / m - (before + SMOOTHING) / n)
        * math.log(((now + SMOOTHING) / m) / ((before + SMOOTHING) / n))
        for before, now in used
    )


def get_threshold(reference: Sequence[int], current: Sequence[int], tests: int) -> float:
    """Return the PSI that counts of the same distribution exceed by chance in few reports.

    :param tests: the number of fields in a report; see :data:`FALSE_ALARMS`.
    """
    from scipy.special import chdtri  # noqa: PLC0415  large; the master must not import it

    freedom = sum(any(pair) for pair in zip(reference, current, strict=True)) - 1
    if freedom < 1:
        return 0.0
    scale = 1 / max(sum(reference), 1) + 1 / max(sum(current), 1)
    return scale * float(chdtri(freedom, FALSE_ALARMS / max(tests, 1)))


@dataclass(frozen=True)
class _Column:
    """The values of a field, and their distribution in the reference."""

    name: str
    is_prediction: bool
    distribution: Distribution
    values: Sequence[Any]


def _columns(
    distributions: Mapping[str, Distribution],
    rows: Sequence[Mapping[str, Any]],
    left_out: Set[str],
    *,
    is_prediction: bool,
) -> list[_Column]:
    return [
        _Column(name, is_prediction, distribution, [row.get(name) for row in rows])
        for name, distribution in distributions.items()
        if name not in left_out
    ]


def _kept(
    distributions: Mapping[str, Distribution], left_out: Set[str]
) -> Mapping[str, Distribution]:
    """Return the distributions of predictions of which no step of the path is left out.

    Of two classes, only one has its probability: that of the other follows from it.
    """
    names = [name for name in distributions if not get_path(name) & left_out]
    classes = [name for name in names if name.startswith(PROBABILITY)]
    if len(classes) == TWO_CLASSES:
        names.remove(classes[0])
    return {name: distributions[name] for name in names}


def _compare(column: _Column, profile_rows: int, tests: int) -> FieldDrift:
    reference = reference_counts(column.distribution, profile_rows)
    current = count(column.distribution, column.values)
    psi = calculate_psi(reference.bins, current.bins)
    threshold = get_threshold(reference.bins, current.bins, tests)
    return FieldDrift(
        column.name,
        column.is_prediction,
        psi,
        threshold,
        _level(psi, threshold, column.distribution),
        reference,
        current,
        build_chart(column.distribution, reference, current),
    )


def _level(psi: float, threshold: float, distribution: Distribution) -> Level:
    if psi <= threshold:
        return Level.NOT_COMPARED if isinstance(distribution, Opaque) else Level.NONE
    if psi < MODERATE:
        return Level.SMALL
    return Level.MODERATE if psi < LARGE else Level.LARGE
