"""Routes for the health of a model: its traffic, and its drift from the reference profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from marshmallow import fields

from app.serving.monitoring.references import create_reference
from app.serving.monitoring.reports import PERIODS, DriftReport
from app.serving.monitoring.traffic import Traffic
from app.web.api import models
from app.web.api.schemas import Body, doc, text
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.query import check_query, read_choice

blueprint = Blueprint("model_health", __name__)

#: The last part of the path, which an author's own endpoint may have too.
HEALTH = "health"


@blueprint.get("/api/models/<name>/health")
def health(name: str) -> ResponseReturnValue:
    """Return the traffic and the drift of a model.
    ---
    get:
      summary: Get the health of a model
      description: >-
        Calls, errors and durations by hour, and how much the rows and predictions in the
        prediction log differ from the reference profile. Nothing is compared below 1,000 rows. An
        author's own endpoint of this name replaces it.
      operationId: modelHealth
      parameters:
        - name: days
          in: query
          description: The period of the drift.
          schema: {type: integer, enum: [7, 30, 90], default: 7}
      responses:
        200:
          description: The health of the model.
          content: {application/json: {schema: ModelHealth}}
        400: InvalidBody
    """
    model = modelhost().manager.get_described(name)
    if HEALTH in model.endpoints:
        return models.call_endpoint(name, HEALTH)
    check_query("days")
    monitor = modelhost().health
    body = {
        "status": model.status,
        "reason": model.reason,
        "traffic": _describe_traffic(monitor.get_traffic().get(model.unique_name, ())),
        "drift": _describe_drift(monitor.get_drift(model, read_days())),
    }
    return jsonify(ModelHealth().dump(body))


@blueprint.post("/api/models/<name>/health/reference")
@access.needs(access.Scope.ADMIN)
def take_reference(name: str) -> ResponseReturnValue:
    """Store the first logged predictions of a model as its reference.
    ---
    post:
      summary: Use the first 1,000 predictions as reference
      description: >-
        For a model whose file has no reference profile. Stores the distributions of the first
        1,000 logged rows and predictions, not the rows. A model that has a reference keeps it. It
        serves drift only: cautions and explanations need a profile in the file.
      operationId: takeReference
      responses:
        200:
          description: The reference of the model.
          content: {application/json: {schema: Reference}}
        400: InvalidBody
        403: Forbidden
        409: TooFewRows
        503: LogUnavailable
    """
    check_query()
    model = modelhost().manager.get_described(name)
    reference = create_reference(modelhost().health.store, model)
    return jsonify(ReferenceSchema().dump(reference))


def read_days() -> int:
    """Return the period in the query of the request.

    :raises BadRequest: if it is not one of :data:`PERIODS`.
    """
    return int(read_choice("days", [str(days) for days in PERIODS]))


def _describe_traffic(traffic: Sequence[Traffic]) -> Iterator[dict[str, Any]]:
    for hour in traffic:
        yield {
            "start": datetime.fromtimestamp(hour.start, UTC),
            "calls": hour.calls,
            "errors": hour.errors,
            "outcomes": hour.outcomes,
            "median_seconds": hour.quantile(0.5),
            "p95_seconds": hour.quantile(0.95),
        }


def _describe_drift(report: DriftReport) -> dict[str, Any]:
    return {
        **vars(report),
        "missing_rows": report.missing_rows,
        "first": _to_time(report.first),
        "last": _to_time(report.last),
    }


def _to_time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


class TrafficHour(Body):
    """The calls of a model in one hour."""

    start = fields.DateTime(format="iso", **doc("The start of the hour in UTC."))
    calls = fields.Integer(**doc("Calls of all endpoints, including failed and rejected ones."))
    errors = fields.Integer(**doc("Calls that failed or were rejected."))
    outcomes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        **doc("The number of calls by outcome: `ok`, or the class of the error."),
    )
    median_seconds = fields.Float(
        allow_none=True, **doc("Half of the calls took at most this long, approximately.")
    )
    p95_seconds = fields.Float(allow_none=True, **doc("The same for 95 % of the calls."))


class ReferenceSchema(Body):
    """The reference profile of a model."""

    source = text("The model's file, or its prediction log.", enum=["file", "log"])
    rows = fields.Integer(attribute="profile.rows", **doc("The rows of the profile."))


class DriftChart(Body):
    """The share of rows in each bin, among those with a value."""

    labels = fields.List(fields.String(), **doc("The choices; empty for numbers."))
    edges = fields.List(fields.Float(), **doc("The edges of the bins; empty for choices."))
    reference = fields.List(fields.Float(), **doc("The shares in the reference."))
    current = fields.List(fields.Float(), **doc("The shares in the period."))


class FieldDriftSchema(Body):
    """The drift of one field."""

    name = text("The member of the row or of the prediction.")
    prediction = fields.Boolean(
        attribute="is_prediction", **doc("Whether it is a member of the prediction.")
    )
    psi = fields.Float(**doc("The population stability index."))
    threshold = fields.Float(**doc("The index that random differences exceed in 1 of 100 reports."))
    level = text(
        "`small` is more than chance; drift is `moderate` from an index of 0.1, `large` from 0.25. "
        "`not-compared`: the reference has only the share of missing values, which is the same.",
        enum=["not-compared", "none", "small", "moderate", "large"],
    )
    reference_missing = fields.Float(
        attribute="reference.missing", **doc("The share of missing values in the reference.")
    )
    missing = fields.Float(
        attribute="current.missing", **doc("The share of missing values in the period.")
    )
    outside = fields.Float(
        attribute="current.outside_share",
        **doc("The share of numbers outside the range of the reference."),
    )
    unlisted = fields.Dict(
        attribute="current.unlisted",
        keys=fields.String(),
        values=fields.Integer(),
        **doc("The most frequent choices that the reference does not list, with their rows."),
    )
    chart = fields.Nested(DriftChart, allow_none=True)


class Drift(Body):
    """The difference between logged predictions and the reference profile."""

    state = text(
        "Whether rows were compared, or why not.",
        enum=["compared", "not-logged", "no-reference", "too-few-rows", "unreadable"],
    )
    days = fields.Integer(**doc("The period, which ends now."))
    rows = fields.Integer(
        **doc("Logged rows in the period; in all periods if there is no reference.")
    )
    missing_rows = fields.Integer(**doc("How many more rows are needed."))
    compared_rows = fields.Integer(**doc("Rows that were compared, spread over the period."))
    first = fields.DateTime(format="iso", allow_none=True, **doc("The time of the first of them."))
    last = fields.DateTime(format="iso", allow_none=True, **doc("The time of the last of them."))
    reference = fields.Nested(ReferenceSchema, allow_none=True)
    fields_ = fields.List(
        fields.Nested(FieldDriftSchema),
        data_key="fields",
        attribute="fields",
        **doc("The fields of rows and predictions, the largest drift first."),
    )


class ModelHealth(Body):
    """The use of a model."""

    status = text("As in the list of models.")
    reason = fields.String(allow_none=True, **doc("Why the model failed."))
    traffic = fields.List(
        fields.Nested(TrafficHour),
        **doc("The hours with calls since the server started, at most those of the last week."),
    )
    drift = fields.Nested(Drift)
