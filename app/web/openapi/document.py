"""The route of the OpenAPI document."""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from app.web.http import access
from app.web.http.extension import modelhost
from app.web.openapi.spec import build_spec

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
def document() -> ResponseReturnValue:
    """Return the OpenAPI document of the models that the client may see.
    ---
    get:
      summary: Get this document
      operationId: document
      responses:
        200:
          description: The OpenAPI 3.1 document of the models that the client may see.
          content: {application/json: {schema: {type: object}}}
    """
    return jsonify(build_spec(current_app, access.visible(modelhost().manager.models())))
