"""The drift of a model in a period, from its prediction log."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from app.serving.models.hosted import HostedModel
from app.serving.monitoring.drift import MIN_ROWS, FieldDrift, compare
from app.serving.monitoring.references import Reference, fill_defaults, read_reference
from app.serving.prediction_log.store import DAY_SECONDS, PredictionStore, Selection

log = logging.getLogger(__name__)

#: Rows that are compared; more are thinned out evenly.
MAX_ROWS = 10_000
#: Days of a period, the default first.
PERIODS = (7, 30, 90)


class DriftState(StrEnum):
    """Whether a report compares rows, or why it does not."""

    COMPARED = "compared"
    NOT_LOGGED = "not-logged"
    NO_REFERENCE = "no-reference"
    TOO_FEW_ROWS = "too-few-rows"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class DriftReport:
    """The drift of a model in the last ``days``.

    ``rows`` is the number of logged rows in the period, or in all periods for
    :attr:`DriftState.NO_REFERENCE`. ``compared_rows`` of them are compared, from ``first`` to
    ``last`` in Unix seconds.
    """

    state: DriftState
    days: int
    rows: int = 0
    compared_rows: int = 0
    first: float | None = None
    last: float | None = None
    reference: Reference | None = None
    fields: Sequence[FieldDrift] = field(default=())

    @property
    def missing_rows(self) -> int:
        """How many more rows a comparison, or a reference from the log, needs."""
        return max(MIN_ROWS - self.rows, 0)

    def count_drifted(self, *, are_predictions: bool) -> tuple[int, int]:
        """Return how many inputs, or members of predictions, have drifted, of those compared."""
        fields = [each for each in self.fields if each.is_prediction == are_predictions]
        return sum(each.is_alarm for each in fields), sum(each.is_compared for each in fields)


def report_drift(store: PredictionStore, model: HostedModel, days: int) -> DriftReport:
    """Compare the logged predictions of the last days with the reference of a model."""
    try:
        return _report(store, model, days)
    except (OSError, sqlite3.Error) as error:
        log.warning("cannot read the prediction log of %r: %s", model.unique_name, error)
        return DriftReport(DriftState.UNREADABLE, days)


def _report(store: PredictionStore, model: HostedModel, days: int) -> DriftReport:
    policy = model.spec.log
    everything = Selection(unique_name=model.unique_name)
    if policy is None:
        return DriftReport(DriftState.NOT_LOGGED, days)
    reference = read_reference(store, model)
    if reference is None:
        return DriftReport(DriftState.NO_REFERENCE, days, store.count(model.name, everything))
    since = time.time() - days * DAY_SECONDS
    # The rows of the reference would hide the drift of the others.
    period = replace(everything, since=since, after=reference.last)
    rows = store.count(model.name, period)
    report = DriftReport(DriftState.TOO_FEW_ROWS, days, rows, reference=reference)
    if report.missing_rows:
        return report
    thinned = replace(period, every=math.ceil(rows / MAX_ROWS))
    records = store.read_last(model.name, MAX_ROWS, thinned)
    if not records:  # deleted meanwhile
        return replace(report, rows=0)
    fields = compare(
        reference.profile,
        fill_defaults(model, [each.row for each in records]),
        [each.prediction for each in records],
        policy.leave_out,
    )
    return replace(
        report,
        state=DriftState.COMPARED,
        compared_rows=len(records),
        first=records[0].time,
        last=records[-1].time,
        fields=fields,
    )
