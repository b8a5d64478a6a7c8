"""Who sends a request, and from where: for the access log and the prediction log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, g, request

from app.serving.calls import caller
from app.serving.calls.caller import CALLER, VIA, Caller
from app.web.http.access import origins
from app.web.http.extension import modelhost

#: The sources of requests by the blueprint of their view.
SOURCES = {"inference": caller.V2, "mcp": caller.MCP, "pages": caller.PAGE}
#: The header with which the pages mark predictions for inputs that they vary, which are not logged.
PURPOSE, WHAT_IF = "X-Modelhost-Purpose", "what-if"


def init_app(app: Flask) -> None:
    """Keep the caller of each request. Runs after authentication."""
    app.before_request(_set_caller)


def keep_via(app: Flask) -> None:
    """Keep the header ``Via`` of each request, in front of all that calls models."""
    wrapped = app.wsgi_app

    def keep(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        VIA.set(environ.get("HTTP_VIA", ""))
        return wrapped(environ, start_response)

    app.wsgi_app = keep  # type: ignore[method-assign]


def _set_caller() -> None:
    g.user = modelhost().access_control.get_user(request.environ)
    who = g.user or (g.key.id if g.key else None)
    is_varied = request.headers.get(PURPOSE) == WHAT_IF and origins.is_own_page()
    CALLER.set(Caller(g.request_id, who, _get_source(), is_logged=not is_varied))


def _get_source() -> str:
    source = SOURCES.get(request.blueprint or "")
    if source is not None:
        return source
    if request.method == "POST" and origins.is_own_page():
        return caller.PAGE
    return caller.API if "json" in request.mimetype else caller.CSV
