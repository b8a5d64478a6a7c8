"""Security and cache headers of every response."""

from __future__ import annotations

from flask import Flask, Response, g, request

from app.web.http.extension import modelhost

#: Content-Security-Policy of pages: they load and run only this server's files, nothing inline.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Caches, including the browser's, must not store predictions, or pages with data or behind a key.
#: They may store an empty form, or "Back" would lose the user's input.
NO_STORE, NO_CACHE = "no-store", "no-cache"
#: Content-Security-Policy of all other responses, should a browser open one as a page.
OTHER_POLICY = "default-src 'none'; frame-ancestors 'none'"

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
    app.after_request(_add_headers)


def headers(media_type: str) -> list[tuple[str, str]]:
    """Return the security headers for a response of a media type."""
    if media_type == "text/html":
        return [("Content-Security-Policy", PAGE_POLICY), *HEADERS.items(), *PAGE_HEADERS.items()]
    return [("Content-Security-Policy", OTHER_POLICY), *HEADERS.items()]


def _get_cache_control(response: Response) -> str:
    has_data = request.method != "GET" or request.query_string or request.path == "/login"
    has_data = has_data or g.get("key") is not None or modelhost().access_control.is_key_required
    if response.mimetype != "text/html" or has_data:
        return NO_STORE
    return NO_CACHE


def _add_headers(response: Response) -> Response:
    # Each lookup in werkzeug's Headers is a linear search.
    present = {name.lower() for name, _ in response.headers}
    cache_control = ("Cache-Control", _get_cache_control(response))
    for name, value in [*headers(response.mimetype), cache_control]:
        if name.lower() not in present:
            response.headers.add(name, value)
    return response
