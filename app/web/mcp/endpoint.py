"""The route of the Model Context Protocol (MCP): each request is one message, without a session."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue

from app.web.api.bodies.request_body import read_json
from app.web.http.json_provider import dumps
from app.web.mcp.messages import respond

blueprint = Blueprint("mcp", __name__)


def init_app(app: Flask) -> None:
    """Register the route of MCP."""
    app.register_blueprint(blueprint)


@blueprint.post("/mcp")
def receive() -> ResponseReturnValue:
    """Respond to one MCP message.

    The OpenAPI document leaves it out: ``tools/list`` describes what a client may send.
    """
    response, status = respond(read_json(), request.headers)
    if response is None:
        return Response(status=status)
    return Response(dumps(response), status=status, content_type="application/json")
