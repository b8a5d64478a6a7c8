"""Who may ask, and how much: request id, origin, rate, and the door to model control."""

from __future__ import annotations

import random
import re
import time
from http import HTTPStatus

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import Forbidden

#: A request id that a client may choose: it goes into logs and headers.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Methods that any page may send from any site, since they change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: What a browser says of a request (Sec-Fetch-Site) that this site's own page sent, or a person.
OWN = frozenset({"same-origin", "none"})


def init_app(app: Flask) -> None:
    """Give each request an id, refuse those of other sites, and count those to ``/api``."""
    app.before_request(_identify)
    app.before_request(_refuse_other_sites)
    app.after_request(_tell_identity)
    if app.config["RATE_LIMIT"]:
        _limit(app)


def request_id(wanted: str) -> str:
    """Return the id that a client wants for its request, if it is well formed, or one made up."""
    return wanted if wanted and REQUEST_ID.fullmatch(wanted) else f"{random.getrandbits(128):032x}"


def require_model_control() -> None:
    """Let models be loaded and unloaded over HTTP only where the settings allow it.

    :raises Forbidden: if they do not.
    """
    if not current_app.config["MODEL_CONTROL"]:
        raise Forbidden("models are not loaded or unloaded over HTTP here (MODEL_CONTROL is off)")


def _limit(app: Flask) -> None:
    limiter = Limiter(
        get_remote_address,
        storage_uri="memory://",
        application_limits=[app.config["RATE_LIMIT"]],
    )
    limiter.request_filter(lambda: not request.path.startswith("/api/"))
    limiter.init_app(app)
    app.after_request(lambda response: _tell_reset(response, limiter))


def _identify() -> None:
    g.request_id = request_id(request.headers.get("X-Request-ID", ""))


def _refuse_other_sites() -> None:
    """Refuse what a page of another site makes a browser send; who is no browser says no site.

    Source: Fetch Metadata (W3C), and OWASP, "Cross-Site Request Forgery Prevention".
    """
    if request.method in SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    is_own = site is None or site in OWN
    if site is None and origin is not None:
        # Browsers say the site over HTTPS alone; behind a proxy that speaks it, hosts may differ.
        is_own = origin.partition("://")[2].lower() == request.host.lower()
    if not is_own:
        who = f"the origin {origin!r:.100}" if origin else "another site"
        raise Forbidden(f"a page of {who} may not send {request.method} requests here")


def _tell_identity(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    return response


def _tell_reset(response: Response, limiter: Limiter) -> Response:
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and limiter.current_limit:
        seconds = max(1, int(limiter.current_limit.reset_at - time.time()))
        response.headers["Retry-After"] = str(seconds)
    return response
