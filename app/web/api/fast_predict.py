"""The fast path in front of Flask for predictions of a model, or of a version of it.

Flask takes ten times as long for such a request. The response equals the view's byte for byte: the
fast path calls the same functions, and leaves requests with a header that only Flask handles, and
all errors, to Flask.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Set
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.exceptions import BadRequest

from app.serving.calls.caller import CALLER, Caller
from app.serving.calls.methods import PREDICT
from app.web.api.bodies.request_body import is_json, max_nested
from app.web.api.bodies.strict_json import parse
from app.web.api.prediction import Header, predict, to_reference, to_rows
from app.web.http import access, security_headers
from app.web.http.access import hosts
from app.web.http.access.rates import COUNTED
from app.web.http.extension import modelhost

Environ = dict[str, Any]
#: A WSGI application (PEP 3333).
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: The paths of the view in Flask: the name of a model, and a version if the path has one.
PATH = re.compile(rf"/api/models/([^/]+)(?:/versions/([^/]+))?/{PREDICT}")
#: The rules of these paths, without and with a version.
RULE, VERSION_RULE = (
    f"/api/models/<name>{middle}/{PREDICT}" for middle in ("", "/versions/<version>")
)
#: Request headers with an effect that only Flask handles.
FLASK_HEADERS = frozenset(
    {
        "HTTP_CONTENT_ENCODING",
        "HTTP_EXPECT",
        "HTTP_ORIGIN",
        "HTTP_SEC_FETCH_SITE",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
    }
)
#: Headers with a key, which only Flask handles if predictions require none but others do.
KEY_HEADERS = frozenset({"HTTP_AUTHORIZATION", "HTTP_X_API_KEY"})
#: Request headers that the fast path handles, or that have no effect without those above. A test
#: fails if Flask reads a header that is in none of these sets.
HANDLED_HEADERS = KEY_HEADERS | {
    "HTTP_ACCEPT",
    "HTTP_CONNECTION",
    "HTTP_HOST",
    "HTTP_VIA",
    "HTTP_X_REQUEST_ID",
}
#: A valid ``Content-Length``.
DIGITS = re.compile(r"[0-9]{1,15}")
#: The key of the WSGI environment with the error that the model has raised on the fast path.
RAISED = "modelhost.raised"


def init_app(app: Flask) -> None:
    """Put the fast path in front of the application."""
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
    rows: int
    key: str | None
    user: str | None


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
        self._rates = parts.rates
        self._headers = [
            *security_headers.headers("application/json"),
            ("Cache-Control", security_headers.NO_STORE),
        ]
        self._access_control = control = parts.access_control
        self._flask_headers: Set[str] = FLASK_HEADERS
        if control.is_key_required:
            self._flask_headers |= {"HTTP_COOKIE"}  # it may hold a login
        elif control.keys.are_set:
            self._flask_headers |= KEY_HEADERS  # Flask rejects an unknown key
        #: The allowed hosts; empty if all are allowed.
        self._hosts = tuple(app.config["HOST_NAMES"].split())

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        started = time.perf_counter()
        path = PATH.fullmatch(environ["PATH_INFO"])
        if path is None or environ.get("QUERY_STRING") or not self._is_usual(environ):
            return self._flask_app(environ, start_response)
        name, version = path.groups()
        request_id = access.get_request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        prediction = self._predict(environ, name, to_reference(name, version), request_id)
        if prediction is None:
            return self._flask_app(environ, start_response)
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
            RULE if version is None else VERSION_RULE,
            200,
            started,
            request_id=request_id,
            address=environ.get("REMOTE_ADDR"),
            key=prediction.key,
            user=prediction.user,
            model=name,
            rows=prediction.rows,
        )
        return [prediction.body]

    def _is_usual(self, environ: Environ) -> bool:
        if environ["REQUEST_METHOD"] != "POST" or not is_json(environ.get("CONTENT_TYPE", "")):
            return False
        host = environ.get("HTTP_HOST")
        if host is None or hosts.get_rejection(host, self._hosts):
            return False
        if "csv" in environ.get("HTTP_ACCEPT", "").lower():  # Flask writes CSV
            return False
        return environ.keys().isdisjoint(self._flask_headers)

    def _predict(
        self, environ: Environ, name: str, reference: str, request_id: str
    ) -> _Prediction | None:
        """Return the response; ``None`` where Flask must report an error."""
        key = None
        if self._access_control.is_key_required:
            key = self._access_control.find_key(environ, name)
            if key is None:
                return None
        if self._rates is not None:
            environ[COUNTED] = self._rates.count(environ, key)
            if environ[COUNTED]:
                return None
        content = self._read_body(environ)
        if content is None:
            return None
        try:
            body = parse(content, self._max_depth)
        except BadRequest:
            return None
        key_id = key.id if key else None
        user = self._access_control.get_user(environ)
        CALLER.set(Caller(request_id, user or key_id))
        try:
            rows = to_rows(self._predictor, reference, body, PREDICT)
            content, headers = predict(self._predictor, reference, rows, PREDICT)
        # Flask reports every error.
        except Exception as error:
            environ[RAISED] = error
            return None
        return _Prediction(content, headers, rows.size, key_id, user)

    def _read_body(self, environ: Environ) -> bytes | None:
        """Return the body, and leave it to be read again; ``None`` if its length is invalid."""
        length = environ.get("CONTENT_LENGTH", "")
        if not DIGITS.fullmatch(length) or int(length) > self._max_bytes:
            return None
        content: bytes = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(content)
        return content if len(content) == int(length) else None
