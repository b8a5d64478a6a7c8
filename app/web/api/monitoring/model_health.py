"""Routes for the health of a model: its traffic, and its drift from the reference profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, jsonify
from flask.typing import ResponseReturnValue

from app.serving.monitoring.references import create_reference
from app.serving.monitoring.reports import PERIODS, DriftReport
from app.serving.monitoring.traffic import Traffic
from app.web.api import models
from app.web.api.monitoring.health_schemas import ModelHealth, ReferenceSchema
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.query import check_query, read_choice

blueprint = Blueprint("model_health", __name__)

#: The last part of the path, which an author's own endpoint may have too.
HEALTH = "health"


def init_app(app: Flask) -> None:
    """Register the routes."""
    app.register_blueprint(blueprint)


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
      tags: [Operations]
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
        "traffic": _describe_traffic(monitor.get_traffic().get(model.label, ())),
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
        1,000 logged rows and predictions, not the rows. A model that has a reference keeps it.
      operationId: takeReference
      tags: [Operations]
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

    :raises BadRequest: if it is none of :data:`PERIODS`.
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
