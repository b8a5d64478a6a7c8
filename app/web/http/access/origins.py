"""Requests from pages of other sites: CORS, and protection against cross-site request forgery."""

from __future__ import annotations

import re

from flask import Flask, current_app, request
from flask_cors import CORS
from werkzeug.exceptions import Forbidden

#: Methods that pages of any site may send, because they change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Values of Sec-Fetch-Site for a request by a page of this site, or directly by the user.
OWN_SITE = frozenset({"same-origin", "none"})
#: Paths that pages of the sites in CORS_ORIGINS may request.
SHARED_PATHS = re.compile(r"/api/.*|/v2(?:/.*)?|/mcp|/openapi\.json|/readyz|/healthz")
#: Request headers that such a page may send, and response headers that it may read.
ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Inference-Header-Content-Length",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "X-API-Key",
    "X-Request-ID",
)
EXPOSED_HEADERS = (
    "Inference-Header-Content-Length",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Logged-Rows",
    "X-Model-Runtime",
    "X-Model-SHA256",
    "X-Model-Version",
    "X-Request-ID",
)
#: Seconds for which a browser may cache a preflight response.
PREFLIGHT_SECONDS = 600


def init_app(app: Flask) -> None:
    """Reject unsafe requests from pages of other sites, except those in ``CORS_ORIGINS``."""
    app.before_request(_reject_other_sites)
    if app.config["CORS_ORIGINS"]:
        CORS(
            app,
            resources={SHARED_PATHS.pattern: {}},
            origins=app.config["CORS_ORIGINS"].lower().split(),
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
            # The login cookie is not valid for other sites: their pages send a key.
            supports_credentials=False,
            always_send=False,
            max_age=PREFLIGHT_SECONDS,
        )


def is_own_page() -> bool:
    """Return whether a request may come from a page of this site, so that a login is valid for it.

    An unsafe request must carry ``Origin`` or ``Sec-Fetch-Site`` as proof. A safe one may follow
    a link from another site; only an ``Origin`` of another site excludes it.
    """
    if request.method in SAFE:
        return request.headers.get("Origin") is None or _is_own_site()
    has_proof = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
    return has_proof and _is_own_site()


def _reject_other_sites() -> None:
    """Reject unsafe requests from pages of other sites; only browsers send the two headers.

    Source: Fetch Metadata (W3C), and OWASP, "Cross-Site Request Forgery Prevention".
    """
    if request.method in SAFE or _is_own_site() or _is_shared():
        return
    origin = request.headers.get("Origin")
    site = f"the origin {origin!r:.100}" if origin else "other sites"
    raise Forbidden(f"{request.method} requests from pages of {site} are not allowed")


def _is_own_site() -> bool:
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is not None:
        # Browsers send Sec-Fetch-Site only over HTTPS; behind a TLS proxy, hosts may differ.
        return origin.partition("://")[2].lower() == request.host.lower()
    return site is None or site in OWN_SITE


def _is_shared() -> bool:
    origins = current_app.config["CORS_ORIGINS"]
    origin = request.headers.get("Origin", "").lower()
    is_named = origins == "*" or origin in origins.lower().split()
    return bool(origin) and is_named and SHARED_PATHS.fullmatch(request.path) is not None
