"""Validation of the Host header, which any client can set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest
from werkzeug.sansio.utils import host_is_trusted

#: A name or address with an optional port. Source: RFC 1123, section 2.1; RFC 3986, section 3.2.2.
HOST = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,30}\.?)(:[0-9]{0,5})?"
)
#: The WSGI environ key that holds the reason why the host is rejected.
REJECTION = "modelhost.host"


def init_app(app: Flask) -> None:
    """Reject requests whose Host is malformed, or not in ``HOST_NAMES`` if that is set.

    Flask cannot route such a request, so it gets the host "localhost" until the rejection.
    """
    names = tuple(app.config["HOST_NAMES"].split())
    wrapped = app.wsgi_app

    def check_host(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        rejection = get_rejection(environ.get("HTTP_HOST", ""), names)
        if "HTTP_HOST" not in environ and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            rejection = "expected a Host header, as HTTP/1.1 requires (RFC 9112, 3.2), got none"
        if rejection:
            environ |= {REJECTION: rejection, "HTTP_HOST": "localhost"}
        return wrapped(environ, start_response)

    app.wsgi_app = check_host  # type: ignore[method-assign]
    app.before_request(_reject)


@lru_cache
def get_rejection(host: str, names: tuple[str, ...]) -> str:
    """Return why a ``Host`` header is rejected; empty if it is not.

    :param names: the accepted hosts; empty if all are.
    """
    if host and not _is_host(host):
        return "malformed Host header: expected a name or an address with an optional port"
    if names and not host_is_trusted(host, names):
        return "this Host header is not accepted; HOST_NAMES lists the accepted names"
    return ""


def _is_host(host: str) -> bool:
    if HOST.fullmatch(host) is None:
        return False
    try:
        host.encode("ascii").decode("idna")
    except UnicodeError:  # not a valid internationalized name
        return False
    return True


def _reject() -> None:
    if REJECTION in request.environ:
        raise BadRequest(request.environ[REJECTION])
