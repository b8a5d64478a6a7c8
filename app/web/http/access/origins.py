"""Pages of other sites: which may ask, and what a browser's visitor may not be used for."""

from __future__ import annotations

import re

from flask import Flask, current_app, request
from flask_cors import CORS
from werkzeug.exceptions import Forbidden

#: Methods that any page may send from any site, since they change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: What a browser says of a request (Sec-Fetch-Site) that this site's own page sent, or a person.
OWN = frozenset({"same-origin", "none"})
#: What pages of the sites in CORS_ORIGINS may ask.
SHARED = re.compile(r"/api/.*|/openapi\.json|/readyz|/healthz")
#: Headers that such a page may send, and read.
SENT = ("Authorization", "Content-Type", "X-API-Key", "X-Request-ID")
READ = (
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Model-Runtime",
    "X-Model-Version",
    "X-Request-ID",
)
#: Seconds for which a browser need not ask again whether it may.
KEPT_SECONDS = 600


def init_app(app: Flask) -> None:
    """Refuse what other sites' pages send, but those that the settings name."""
    app.before_request(_refuse_other_sites)
    if app.config["CORS_ORIGINS"]:
        CORS(
            app,
            resources={SHARED.pattern: {}},
            origins=app.config["CORS_ORIGINS"].lower().split(),
            allow_headers=SENT,
            expose_headers=READ,
            # Who is logged in here is nobody there: such a page sends a key.
            supports_credentials=False,
            always_send=False,
            max_age=KEPT_SECONDS,
        )


def is_own_page() -> bool:
    """Tell whether a request may be a page's of this site, for which a login counts.

    What changes something must say that it is; a link from elsewhere may lead here.
    """
    if request.method in SAFE:
        return request.headers.get("Origin") is None or _is_own()
    return _is_own() and bool({"Origin", "Sec-Fetch-Site"} & {name for name, _ in request.headers})


def _refuse_other_sites() -> None:
    """Refuse what a page of another site makes a browser send; who is no browser says no site.

    Source: Fetch Metadata (W3C), and OWASP, "Cross-Site Request Forgery Prevention".
    """
    if request.method in SAFE or _is_own() or _is_shared():
        return
    origin = request.headers.get("Origin")
    who = f"the origin {origin!r:.100}" if origin else "another site"
    raise Forbidden(f"a page of {who} may not send {request.method} requests here")


def _is_own() -> bool:
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is not None:
        # Browsers say the site over HTTPS alone; behind a proxy that speaks it, hosts may differ.
        return origin.partition("://")[2].lower() == request.host.lower()
    return site is None or site in OWN


def _is_shared() -> bool:
    origins = current_app.config["CORS_ORIGINS"]
    origin = request.headers.get("Origin", "").lower()
    is_named = origins == "*" or origin in origins.lower().split()
    return bool(origin) and is_named and SHARED.fullmatch(request.path) is not None
