"""Headers that every answer carries, so that a browser does no more with it than it must."""

from __future__ import annotations

from flask import Flask, Response

#: What a page may load and run: this server's own files, and nothing that stands in the page.
PAGES = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: What all else may, should a browser open it as a page.
NO_PAGES = "default-src 'none'; frame-ancestors 'none'"

#: Headers of all answers. What keeps to HTTPS is for the proxy that speaks it to say.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # An address may carry what was typed: it is told to nobody else.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def init_app(app: Flask) -> None:
    """Guard all answers, those of errors too."""
    app.after_request(_guard)


def _guard(response: Response) -> Response:
    policy = PAGES if response.mimetype == "text/html" else NO_PAGES
    headers = {"Content-Security-Policy": policy, **HEADERS}
    # Each look into the headers goes through all of them.
    given = {name.lower() for name, _ in response.headers}
    response.headers.extend(
        {name: value for name, value in headers.items() if name.lower() not in given}
    )
    return response
