"""Headers that every answer carries, so that a browser does no more with it than it must."""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request

#: What a page may load and run: this server's own files, and nothing that stands in the page.
PAGES = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: What a cache, a browser's too, may keep of predictions and of pages with data or behind a key:
#: nothing. Of an empty form it may keep the page, or "Back" would lose what was typed.
NO_STORE, NO_CACHE = "no-store", "no-cache"
#: What all else may, should a browser open it as a page.
NO_PAGES = "default-src 'none'; frame-ancestors 'none'"

#: Headers of all answers. What keeps to HTTPS is for the proxy that speaks it to say.
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Headers of pages, which say nothing to what reads anything else.
PAGE_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # An address may carry what was typed: it is told to nobody else.
    "Referrer-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Guard all answers, those of errors too."""
    app.after_request(_guard)


def headers(media_type: str) -> list[tuple[str, str]]:
    """Return the headers that guard an answer of a media type."""
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
    # Each look into the headers goes through all of them.
    given = {name.lower() for name, _ in response.headers}
    for name, value in [*headers(response.mimetype), ("Cache-Control", _caching(response))]:
        if name.lower() not in given:
            response.headers.add(name, value)
    return response
