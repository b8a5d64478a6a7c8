"""Access control: request id, host, origin, rate limit, and key or login, checked in this order.

:func:`needs` sets the scope that a view requires; a view without it requires ``predict``.
"""

from __future__ import annotations

import re

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from app.serving.calls.caller import create_request_id
from app.web.http.access import authorization, callers, hosts, login, origins, rates
from app.web.http.access.authorization import (
    AccessControl,
    can_see,
    has_scope,
    needs,
    visible,
)
from app.web.http.access.keys import Scope

__all__ = [
    "AccessControl",
    "Scope",
    "can_see",
    "get_request_id",
    "has_scope",
    "init_app",
    "needs",
    "trust_proxies",
    "visible",
]

#: A request id that a client may choose: it goes into logs and headers.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Register the request id and all access checks."""
    app.before_request(_set_request_id)
    app.after_request(_add_request_id)
    hosts.init_app(app)
    origins.init_app(app)
    authorization.init_app(app)
    # The limiter runs before the key check, so that it also limits guesses of keys.
    rates.init_app(app)
    app.before_request(authorization.authorize)
    callers.init_app(app)
    login.init_app(app)


def trust_proxies(app: Flask) -> None:
    """Take client address and scheme from the headers of ``TRUSTED_PROXIES`` proxies."""
    count = app.config["TRUSTED_PROXIES"]
    if count:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0
        )


def get_request_id(received: str) -> str:
    """Return the request id that the client sent if it is well formed, else a random one."""
    return received if REQUEST_ID.fullmatch(received) else create_request_id()


def _set_request_id() -> None:
    g.request_id = get_request_id(request.headers.get("X-Request-ID", ""))


def _add_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    return response
