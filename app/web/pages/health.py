"""Pages about models in use: traffic, errors, drift, and metrics on the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.serving.errors import JobsUnavailable, LogUnavailable
from app.serving.jobs.job import ACTIVE
from app.serving.monitoring.drift import MIN_ROWS
from app.serving.monitoring.references import create_reference
from app.serving.monitoring.reports import PERIODS
from app.serving.monitoring.traffic import HOUR_SECONDS, KEPT_HOURS, Traffic
from app.serving.process.metrics import OK
from app.web.api import jobs_api
from app.web.api.model_health import read_days
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.problems import PROBLEMS
from app.web.pages import drift_view
from app.web.pages.display import labels
from app.web.pages.model_list import duration
from app.web.pages.truth_view import build_truth

blueprint = Blueprint("health", __name__)

#: Hours of the summary and of the table.
DAY_HOURS = 24
#: The title of each error by the name of its class, which is the outcome of a failed call.
TITLES = {error.__name__: problem.title for error, problem in PROBLEMS.items()}


@dataclass(frozen=True)
class TrafficLine:
    """The traffic of a model in some hours, as texts."""

    start: str
    calls: str
    errors: str
    half: str
    most: str
    reasons: str
    has_errors: bool


@blueprint.get("/health")
def index() -> str:
    """Show the health of all models."""
    traffic = modelhost().health.get_traffic()
    drift = modelhost().health.get_measured_drift()
    at, until = (each and f"{datetime.fromtimestamp(each, UTC):%H:%M}" for each in drift[:2])
    models = access.visible(modelhost().manager.models())
    return render_template(
        "health_index.html",
        jobs=_summarize_jobs(),
        rows=[
            (
                model,
                _build_day(traffic.get(model.unique_name, ())),
                drift.models.get(model.unique_name),
            )
            for model in models
        ],
        measured_at=at,
        measured_until=until,
        min_rows=MIN_ROWS,
    )


@blueprint.get("/models/<name>/health")
def model(name: str) -> str:
    """Show the health of a model."""
    hosted = modelhost().manager.get_described(name)
    hours = modelhost().health.get_traffic().get(hosted.unique_name, ())
    drift = modelhost().health.get_drift(hosted, read_days())
    try:
        truth = build_truth(hosted, *modelhost().health.get_truth(hosted))
    except LogUnavailable:  # the section about drift reports it
        truth = None
    return render_template(
        "health.html",
        model=hosted,
        family=modelhost().manager.versions(name),
        day=_build_day(hours),
        lines=[_build_line(each) for each in reversed(hours[-DAY_HOURS:])],
        chart=json.dumps(_build_chart(hours)) if hours else None,
        drift=drift,
        truth=truth,
        drifted=drift_view.build_fields(drift, hosted.input_schema),
        drift_words=drift_view.summarize(drift),
        period=drift_view.format_period(drift),
        periods=PERIODS,
        min_rows=MIN_ROWS,
        can_take=access.has_scope(access.Scope.ADMIN),
    )


@blueprint.post("/models/<name>/health/reference")
@access.needs(access.Scope.ADMIN)
def take_reference(name: str) -> ResponseReturnValue:
    """Store the first logged predictions of a model as its reference."""
    hosted = modelhost().manager.get_described(name)
    create_reference(modelhost().health.store, hosted)
    return redirect(url_for("health.model", name=name), HTTPStatus.SEE_OTHER)


def _summarize_jobs() -> str | None:
    """Return a text about the client's jobs that wait or run; ``None`` if there has been none."""
    try:
        counts = modelhost().jobs.counts.read()
    except JobsUnavailable:
        return "their number is not available; see the log"
    if counts is None:
        return None
    found = [each for each in counts.jobs if each.state in ACTIVE and jobs_api.can_see(each)]
    if not found:
        return "none waiting or running"
    numbers = {state: sum(each.jobs for each in found if each.state == state) for state in ACTIVE}
    oldest = datetime.fromtimestamp(min(each.oldest for each in found), UTC)
    listed = ", ".join(f"{number:,} {state}" for state, number in numbers.items())
    return f"{listed}; the oldest was created {oldest:%-d %b %H:%M} UTC"


def _build_day(hours: Sequence[Traffic]) -> TrafficLine | None:
    """Return the last 24 hours; ``None`` without calls in them."""
    day = Traffic.sum(hours, time.time() - DAY_HOURS * HOUR_SECONDS)
    return _build_line(day) if day.calls else None


def _build_line(traffic: Traffic) -> TrafficLine:
    share = traffic.errors / traffic.calls if traffic.calls else 0
    return TrafficLine(
        start=f"{datetime.fromtimestamp(traffic.start, UTC):%-d %b %H:%M}",
        calls=f"{traffic.calls:,}",
        errors=f"{traffic.errors:,} ({labels.format_share(share)})" if traffic.errors else "0",
        half=_duration(traffic.quantile(0.5)),
        most=_duration(traffic.quantile(0.95)),
        reasons=", ".join(_reasons(traffic.outcomes)),
        has_errors=traffic.errors > 0,
    )


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _reasons(outcomes: Mapping[str, int]) -> Iterable[str]:
    for name, count in sorted(outcomes.items(), key=lambda each: -each[1]):
        if name != OK:
            yield f"{TITLES.get(name, name)}: {count:,}"


def _build_chart(hours: Sequence[Traffic]) -> dict[str, Any]:
    """Return the series of the chart: one value for each hour since the first, up to now."""
    known = {each.start: each for each in hours}
    now = int(time.time() // HOUR_SECONDS) * HOUR_SECONDS
    first = max(hours[0].start, now - (KEPT_HOURS - 1) * HOUR_SECONDS)
    starts = range(min(first, now - (DAY_HOURS - 1) * HOUR_SECONDS), now + 1, HOUR_SECONDS)
    found = [known.get(start) for start in starts]
    return {
        "starts": list(starts),
        "succeeded": [each.calls - each.errors if each else 0 for each in found],
        "errors": [each.errors if each else 0 for each in found],
    }
