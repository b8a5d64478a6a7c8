"""Validation of the Host header, which any client can set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest
from werkzeug.sansio.utils import host_is_trusted

#: A name or address with an optional port. Source: RFC 1123, section 2.1; RFC 3986, section 3.2.2.
HOST = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,30}\.?)(:[0-9]{0,5})?"
)
#: The WSGI environ key that holds the reason why the host is rejected.
REFUSED = "modelhost.host"


def init_app(app: Flask) -> None:
    """Reject requests whose Host is malformed, or not in ``HOST_NAMES`` if that is set.

    Flask cannot route such a request, so it gets the host "localhost" until the rejection.
    """
    names = app.config["HOST_NAMES"].split()
    normally = app.wsgi_app

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        trouble = _trouble(environ.get("HTTP_HOST", ""), names)
        if "HTTP_HOST" not in environ and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            trouble = "a request of HTTP/1.1 must have a Host header (RFC 9112, 3.2)"
        if trouble:
            environ |= {REFUSED: trouble, "HTTP_HOST": "localhost"}
        return normally(environ, start_response)

    app.wsgi_app = guarded  # type: ignore[method-assign]
    app.before_request(_refuse)


def _trouble(host: str, names: Sequence[str]) -> str:
    if host and not _is_host(host):
        return "the Host header is neither a name nor an address"
    if names and not host_is_trusted(host, names):
        return "the server is not asked by this Host: HOST_NAMES has those by which it is"
    return ""


def _is_host(host: str) -> bool:
    if HOST.fullmatch(host) is None:
        return False
    try:
        host.encode("ascii").decode("idna")
    except UnicodeError:  # not a valid internationalized name
        return False
    return True


def _refuse() -> None:
    if REFUSED in request.environ:
        raise BadRequest(request.environ[REFUSED])
