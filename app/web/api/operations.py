"""Routes for operators and their tools: liveness, readiness and metrics."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.serving.jobs.queue.job_metrics import JobMetrics
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from app.serving.process.metrics import get_registry
from app.web.api.schemas import Health, Readiness
from app.web.http import access
from app.web.http.extension import modelhost

blueprint = Blueprint("operations", __name__)

#: States in which a model is not available.
UNAVAILABLE = frozenset({Status.FAILED, Status.LOADING, Status.UNLOADED})


@blueprint.get("/healthz")
@access.needs(None)
def healthz() -> ResponseReturnValue:
    """Return that the process is alive.
    ---
    get:
      summary: Check that the process is alive
      operationId: isAlive
      responses:
        200:
          description: The process is alive.
          content: {application/json: {schema: Health}}
    """
    return jsonify(Health().dump({"status": "ok"}))


@blueprint.get("/readyz")
@access.needs(None)
def readyz() -> ResponseReturnValue:
    """Return the state of each model.
    ---
    get:
      summary: Check that the models are available
      description: >-
        The setting `READY_WHEN` specifies which models must be available. If the server requires
        keys, names and reasons of models are returned only to requests with a key.
      operationId: isReady
      responses:
        200:
          description: The required models are available.
          content: {application/json: {schema: Readiness}}
        503:
          description: A required model is not available; `waits_for` lists those.
          content: {application/json: {schema: Readiness}}
    """
    missing = find_missing()
    visible = {model.unique_name: model for model in access.visible(modelhost().manager.models())}
    body = {
        "status": "not ready" if missing else "ready",
        "models": visible,
        "waits_for": list(filter(access.can_see, missing)),
        "isolation": {
            name: each.about.isolation for name, each in visible.items() if each.about.isolation
        },
        "mistakes": modelhost().reloader.mistakes if access.can_see() else (),
    }
    return jsonify(Readiness().dump(body)), 503 if missing else 200


def is_available(model: HostedModel) -> bool:
    """Return whether a model can be called: a lazy one is loaded then."""
    return model.status not in UNAVAILABLE


def find_missing() -> list[str]:
    """Return the names of the models that must be available, see ``READY_WHEN``, and are not."""
    ready_when: str = current_app.config["READY_WHEN"]
    hosted = modelhost().manager.models()
    unavailable = [model.unique_name for model in hosted if not is_available(model)]
    if ready_when == "any":
        return unavailable if len(unavailable) == len(hosted) else []
    if ready_when == "all":
        return unavailable
    available = {
        name
        for model in hosted
        if model.unique_name not in unavailable
        for name in (model.unique_name, model.public_name)
    }
    return [name for name in ready_when.replace(",", " ").split() if name not in available]


@blueprint.get("/metrics")
@access.needs(access.Scope.METRICS)
def metrics() -> ResponseReturnValue:
    """Return the metrics in Prometheus' text format.
    ---
    get:
      summary: Get metrics for Prometheus
      operationId: metrics
      responses:
        200:
          description: Prometheus' text format.
          content: {text/plain: {schema: {type: string}}}
    """
    modelhost().manager.export_states()
    counted = get_registry()
    counted.register(modelhost().health)
    counted.register(JobMetrics(modelhost().jobs))
    return Response(generate_latest(counted), content_type=CONTENT_TYPE_LATEST)
