"""The fast path in front of Flask for ``POST /api/models/<name>/predict``.

Flask takes ten times as long for such a request. The response equals the view's byte for byte: the
fast path calls the same predictor, and leaves unusual requests and all errors to Flask.
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
from app.web.api import envelopes
from app.web.api.prediction import Header, predict
from app.web.api.request_body import max_nested
from app.web.api.strict_json import parse
from app.web.http import access, security_headers
from app.web.http.extension import modelhost

Environ = dict[str, Any]
#: A WSGI application (PEP 3333).
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

PREFIX, SUFFIX = "/api/models/", f"/{PREDICT}"
#: The rule of the view in Flask.
ROUTE = f"{PREFIX}<name>{SUFFIX}"
JSON_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})
#: Request headers that the fast path handles or can ignore. Any other header leads to Flask.
HANDLED_HEADERS = frozenset(
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
KEY_HEADERS = frozenset({"HTTP_AUTHORIZATION", "HTTP_X_API_KEY"})
#: A valid ``Content-Length``.
DIGITS = re.compile(r"[0-9]{1,15}")
#: The key of the WSGI environment with the error that the model has raised on the fast path.
RAISED = "modelhost.raised"


def init_app(app: Flask) -> None:
    """Put the fast path in front of the application unless requests are limited in rate."""
    if not app.config["RATE_LIMIT"]:
        app.wsgi_app = _FastPredict(app)  # type: ignore[method-assign]


def raise_recorded(environ: Environ) -> None:
    """Raise the error of a model that was called on the fast path, so that it is called once."""
    error: Exception | None = environ.get(RAISED)
    if error is not None:
        raise error


class _Prediction(NamedTuple):
    """A response body, its headers, and the facts for the access log."""

    body: bytes
    headers: list[Header]
    model: str
    rows: int
    key: str | None


class _FastPredict:
    """A WSGI application that handles usual predictions, and calls Flask for all else."""

    def __init__(self, app: Flask) -> None:
        self._flask_app: Application = app.wsgi_app
        parts = modelhost(app)
        self._predictor = parts.predictor
        # A longer body may hold more arrays and objects than allowed.
        self._max_bytes = min(app.config["MAX_BODY_BYTES"], max_nested(app.config))
        self._max_depth: int = app.config["MAX_DEPTH"]
        self._access_log = parts.access_log
        self._headers = [
            *security_headers.headers("application/json"),
            ("Cache-Control", security_headers.NO_STORE),
        ]
        self._access_control = control = parts.access_control
        # If only administration requires a key, Flask rejects an unknown key.
        handles_keys = control.is_key_required or not control.keys.are_set
        self._handled_keys: Set[str] = HANDLED_HEADERS | (KEY_HEADERS if handles_keys else set())
        #: The allowed hosts; empty if all are allowed.
        self._hosts = frozenset(app.config["HOST_NAMES"].split())

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        started = time.perf_counter()
        prediction = self._predict(environ) if self._is_usual(environ) else None
        if prediction is None:
            return self._flask_app(environ, start_response)
        request_id = access.get_request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(prediction.body))),
            *prediction.headers,
            *self._headers,
            ("X-Request-ID", request_id),
        ]
        start_response("200 OK", headers)
        self._access_log.record(
            "POST",
            environ["PATH_INFO"],
            ROUTE,
            200,
            started,
            request_id=request_id,
            address=environ.get("REMOTE_ADDR"),
            key=prediction.key,
            model=prediction.model,
            rows=prediction.rows,
        )
        return [prediction.body]

    def _is_usual(self, environ: Environ) -> bool:
        path: str = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST" or not path.endswith(SUFFIX):
            return False
        if environ.get("CONTENT_TYPE") not in JSON_TYPES or not path.startswith(PREFIX):
            return False
        if "/" in _name(path) or "HTTP_HOST" not in environ:  # a version, or a mistake
            return False
        if self._hosts and environ.get("HTTP_HOST") not in self._hosts:
            return False
        if "csv" in environ.get("HTTP_ACCEPT", "").lower():  # Flask writes CSV
            return False
        return environ.keys() <= self._handled_keys or self._are_not_headers(
            environ.keys() - self._handled_keys
        )

    def _are_not_headers(self, keys: Set[str]) -> bool:
        """Return whether no key of a WSGI environment is a header; remember such keys."""
        if any(key.startswith("HTTP_") for key in keys):
            return False
        # The server sets all keys that are not headers, the same for every request.
        self._handled_keys |= keys
        return True

    def _predict(self, environ: Environ) -> _Prediction | None:
        """Return the response; ``None`` where Flask must report an error."""
        name = _name(environ["PATH_INFO"])
        key = None
        if self._access_control.is_key_required:
            key = self._access_control.find_key(environ, name)
            if key is None:
                return None
        content = self._read_body(environ)
        if content is None:
            return None
        try:
            body = parse(content, self._max_depth)
        except BadRequest:
            return None
        if envelopes.is_likely(body):
            return None
        try:
            content, headers = predict(self._predictor, name, body, PREDICT)
        # Flask reports every error.
        except Exception as error:
            environ[RAISED] = error
            return None
        rows = len(body) if isinstance(body, list) else 1
        return _Prediction(content, headers, name, rows, key.id if key else None)

    def _read_body(self, environ: Environ) -> bytes | None:
        """Return the body, and leave it to be read again; ``None`` if its length is invalid."""
        length = environ.get("CONTENT_LENGTH", "")
        if not DIGITS.fullmatch(length) or int(length) > self._max_bytes:
            return None
        content: bytes = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(content)
        return content if len(content) == int(length) else None


def _name(path: str) -> str:
    return path[len(PREFIX) : -len(SUFFIX)]
