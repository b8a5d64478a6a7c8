"""Security and cache headers of every response."""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request

#: Content-Security-Policy of pages: they load and run only this server's files, nothing inline.
PAGES = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Caches, including the browser's, must not store predictions, or pages with data or behind a key.
#: They may store an empty form, or "Back" would lose the user's input.
NO_STORE, NO_CACHE = "no-store", "no-cache"
#: Content-Security-Policy of all other responses, should a browser open one as a page.
NO_PAGES = "default-src 'none'; frame-ancestors 'none'"

#: Headers of all responses. Strict-Transport-Security is left to the proxy that terminates TLS.
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Headers with an effect on pages only.
PAGE_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # A URL may contain the user's input, so other sites never receive it.
    "Referrer-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Add the headers to all responses, including errors."""
    app.after_request(_guard)


def headers(media_type: str) -> list[tuple[str, str]]:
    """Return the security headers for a response of a media type."""
    if media_type == "text/html":
        return [("Content-Security-Policy", PAGES), *HEADERS.items(), *PAGE_HEADERS.items()]
    return [("Content-Security-Policy", NO_PAGES), *HEADERS.items()]


def _caching(response: Response) -> str:
    has_data = request.method != "GET" or request.query_string or request.path == "/login"
    has_data = has_data or g.get("key") is not None or current_app.extensions["gate"].is_shut
    if response.mimetype != "text/html" or has_data:
        return NO_STORE
    return NO_CACHE


def _guard(response: Response) -> Response:
    # Each lookup in werkzeug's Headers is a linear search.
    given = {name.lower() for name, _ in response.headers}
    for name, value in [*headers(response.mimetype), ("Cache-Control", _caching(response))]:
        if name.lower() not in given:
            response.headers.add(name, value)
    return response
