"""The OpenAPI document, as a route."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, jsonify
from flask.typing import ResponseReturnValue

from app.serving.models.manager import ModelManager
from app.web.http import access
from app.web.openapi.spec import build_spec

blueprint = Blueprint("openapi", __name__)


def init_app(app: Flask) -> None:
    """Serve the OpenAPI document."""
    app.register_blueprint(blueprint)


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
    return jsonify(build_spec(current_app, access.visible(ModelManager().models())))
