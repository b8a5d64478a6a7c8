"""What operators and their tools ask: alive, ready, metrics, and the OpenAPI document."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.serving.hosted import Status
from app.serving.manager import ModelManager
from app.serving.metrics import registry
from app.web.schemas import Health, Readiness
from app.web.spec import build_spec

blueprint = Blueprint("operations", __name__)

#: States in which a model cannot answer.
NOT_ANSWERING = frozenset({Status.FAILED, Status.LOADING, Status.UNLOADED})


def init_app(app: Flask) -> None:
    """Serve the operators' routes."""
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Say that the process answers.
    ---
    get:
      summary: Is the process alive?
      operationId: isAlive
      tags: [Operations]
      responses:
        200:
          description: It is.
          content: {application/json: {schema: Health}}
    """
    return jsonify(Health().dump({"status": "ok"}))


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Say where each model stands.
    ---
    get:
      summary: Do the models answer?
      description: A failed model is named with its reason. The others make the process ready.
      operationId: isReady
      tags: [Operations]
      responses:
        200:
          description: Some model answers, or there is none at all.
          content: {application/json: {schema: Readiness}}
        503:
          description: There are models, and none of them can answer.
          content: {application/json: {schema: Readiness}}
    """
    models = ModelManager().models()
    ready = not models or any(model.status not in NOT_ANSWERING for model in models)
    body = {
        "status": "ready" if ready else "not ready",
        "models": {model.label: model for model in models},
        "mistakes": current_app.extensions["generations"].mistakes,
    }
    return jsonify(Readiness().dump(body)), 200 if ready else 503


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Give the counters in Prometheus' text format.
    ---
    get:
      summary: Counters for Prometheus
      operationId: metrics
      tags: [Operations]
      responses:
        200:
          description: Prometheus' text format.
          content: {text/plain: {schema: {type: string}}}
    """
    counted = registry()
    return Response(generate_latest(counted), content_type=CONTENT_TYPE_LATEST)


@blueprint.get("/openapi.json")
def document() -> ResponseReturnValue:
    """Give the OpenAPI document of the models that are loaded now.
    ---
    get:
      summary: This document
      operationId: document
      tags: [Operations]
      responses:
        200:
          description: OpenAPI 3.1.
          content: {application/json: {schema: {type: object}}}
    """
    return jsonify(build_spec(current_app, ModelManager()))
