"""The fast path in front of Flask for ``POST /api/models/<name>/predict``.

Flask takes ten times as long for such a request. The response equals the view's byte for byte: the
fast path calls the same predictor, and passes unusual requests and all errors on to Flask.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Set
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.exceptions import BadRequest

from app.serving.calls.methods import PREDICT
from app.serving.models.predictor import Predictor
from app.web.api import prediction
from app.web.api.request_body import most_nested
from app.web.api.strict_json import parse
from app.web.http import access, security_headers, split_frames
from app.web.http.access_log import Journal

Environ = dict[str, Any]
#: A WSGI application (PEP 3333).
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

BEFORE, AFTER = "/api/models/", f"/{PREDICT}"
#: The rule of the view in Flask.
ROUTE = f"{BEFORE}<name>{AFTER}"
JSON_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})
#: Request headers that the fast path handles or can ignore. Any other header leads to Flask.
USUAL = frozenset(
    {
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_CACHE_CONTROL",
        "HTTP_CONNECTION",
        "HTTP_FORWARDED",
        "HTTP_HOST",
        "HTTP_PRAGMA",
        "HTTP_TRACEPARENT",
        "HTTP_TRACESTATE",
        "HTTP_USER_AGENT",
        "HTTP_VIA",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PORT",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_REAL_IP",
        "HTTP_X_REQUEST_ID",
    }
)
#: Headers with a key. They can be ignored if no keys are set.
KEYS = frozenset({"HTTP_AUTHORIZATION", "HTTP_X_API_KEY"})
#: A valid ``Content-Length``.
DIGITS = re.compile(r"[0-9]{1,15}")
#: The WSGI key under which Flask finds the error that a model has raised already.
RAISED = "modelhost.raised"


def init_app(app: Flask) -> None:
    """Put the fast path in front of the application unless requests are limited in rate."""
    if not app.config["RATE_LIMIT"]:
        app.wsgi_app = _Door(app)  # type: ignore[method-assign]


def raise_known(environ: Environ) -> None:
    """Raise the error of a model that was called on the fast path, so that it is called once."""
    error: Exception | None = environ.get(RAISED)
    if error is not None:
        raise error


class _Answered(NamedTuple):
    """A response body, its headers, and the facts for the access log."""

    said: bytes
    headers: list[prediction.Header]
    model: str
    rows: int
    key: str | None


class _Door:
    def __init__(self, app: Flask) -> None:
        self._normally: Application = app.wsgi_app
        self._predictor: Predictor = app.extensions["predictor"]
        # A longer body may hold more arrays and objects than allowed.
        self._max_bytes = min(app.config["MAX_BODY_BYTES"], most_nested(app.config))
        self._max_depth: int = app.config["MAX_DEPTH"]
        self._journal: Journal = app.extensions["journal"]
        self._headers = [
            *security_headers.headers("application/json"),
            ("Cache-Control", security_headers.NO_STORE),
        ]
        self._gate: access.Gate = app.extensions["gate"]
        # If keys are only for administration, Flask reports a wrong one.
        is_key_known = self._gate.is_shut or not self._gate.keys.are_set
        self._known: Set[str] = USUAL | KEYS if is_key_known else USUAL
        #: The allowed hosts; empty if all are allowed.
        self._hosts = frozenset(app.config["HOST_NAMES"].split())

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        started = time.perf_counter()
        answered = self._answer(environ) if self._is_usual(environ) else None
        if answered is None:
            return self._normally(environ, start_response)
        said = answered.said
        about = [("Content-Type", "application/json"), ("Content-Length", str(len(said)))]
        name = access.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        headers = [*about, *answered.headers, *self._headers, ("X-Request-ID", name)]
        start_response("200 OK", headers)
        self._journal.ended(
            "POST",
            environ["PATH_INFO"],
            ROUTE,
            200,
            started,
            request_id=name,
            address=environ.get("REMOTE_ADDR"),
            key=answered.key,
            model=answered.model,
            rows=answered.rows,
        )
        return [said]

    def _is_usual(self, environ: Environ) -> bool:
        path: str = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST" or not path.endswith(AFTER):
            return False
        if environ.get("CONTENT_TYPE") not in JSON_TYPES or not path.startswith(BEFORE):
            return False
        if "/" in _name(path) or "HTTP_HOST" not in environ:  # a version, or a mistake
            return False
        if self._hosts and environ.get("HTTP_HOST") not in self._hosts:
            return False
        return environ.keys() <= self._known or self._knows(environ.keys() - self._known)

    def _knows(self, others: Set[str]) -> bool:
        """Return whether other keys of an environment are no headers, and remember them."""
        if any(key.startswith("HTTP_") for key in others):
            return False
        # The server sets all keys that are not headers, the same for every request.
        self._known |= others
        return True

    def _answer(self, environ: Environ) -> _Answered | None:
        """Return the response; ``None`` where Flask must report an error."""
        name = _name(environ["PATH_INFO"])
        key = self._gate.admitted(environ, name) if self._gate.is_shut else None
        if self._gate.is_shut and key is None:
            return None
        content = self._content(environ)
        if content is None:
            return None
        try:
            body = parse(content, self._max_depth)
        except BadRequest:
            return None
        if split_frames.is_likely(body):
            return None
        try:
            said, headers = prediction.answer(self._predictor, name, body, PREDICT)
        # Flask reports every error.
        except Exception as error:
            environ[RAISED] = error
            return None
        rows = len(body) if isinstance(body, list) else 1
        return _Answered(said, headers, name, rows, key.id if key else None)

    def _content(self, environ: Environ) -> bytes | None:
        """Return the body, and leave it to be read again; ``None`` if its length is invalid."""
        length = environ.get("CONTENT_LENGTH", "")
        if not DIGITS.fullmatch(length) or int(length) > self._max_bytes:
            return None
        content: bytes = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(content)
        return content if len(content) == int(length) else None


def _name(path: str) -> str:
    return path[len(BEFORE) : -len(AFTER)]
