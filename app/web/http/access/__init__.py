"""Who may ask, and how much: request id, host, origin, key, login and rate, in this order.

Each view says by :func:`needs` which scope it needs; one that says nothing needs ``predict``.
"""

from __future__ import annotations

import random
import re

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from app.web.http.access import gate, hosts, login, origins, rates
from app.web.http.access.gate import Gate, may_know, needs, visible
from app.web.http.access.keys import Keys, Scope

__all__ = [
    "Gate",
    "Scope",
    "init_app",
    "may_know",
    "needs",
    "request_id",
    "trust_proxies",
    "visible",
]

#: A request id that a client may choose: it goes into logs and headers.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask, keys: Keys) -> None:
    """Give each request an id, and let in who may come in, as often as they may."""
    app.before_request(_identify)
    app.after_request(_tell_identity)
    hosts.init_app(app)
    origins.init_app(app)
    gate.init_app(app, Gate(keys, is_for_all=app.config["KEYS_FOR"] == "all"))
    # Counted before it is let in: who tries keys is soon told to wait.
    rates.init_app(app)
    app.before_request(gate.admit)
    login.init_app(app)


def trust_proxies(app: Flask) -> None:
    """Believe so many proxies where a request came from. Nobody else is believed."""
    count = app.config["TRUSTED_PROXIES"]
    if count:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0
        )


def request_id(wanted: str) -> str:
    """Return the id that a client wants for its request, if it is well formed, or one made up."""
    return wanted if wanted and REQUEST_ID.fullmatch(wanted) else f"{random.getrandbits(128):032x}"


def _identify() -> None:
    g.request_id = request_id(request.headers.get("X-Request-ID", ""))


def _tell_identity(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    return response
