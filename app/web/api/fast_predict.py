"""The fast path in front of Flask for predictions of a model, or of a version of it: REST and v2.

Flask takes ten times as long for such a request. The response equals the view's byte for byte: the
fast path calls the same functions, and leaves requests with a header that only Flask handles, and
all errors, to Flask.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, NamedTuple

from flask import Flask

from app.serving.calls import caller
from app.serving.calls.caller import CALLER, Caller
from app.serving.calls.methods import PREDICT
from app.serving.json_text import InvalidJson, parse
from app.serving.models.predictor import Predictor
from app.serving.tensors.inference_request import InferenceRequest
from app.web.api.bodies.request_body import is_json, max_nested
from app.web.api.prediction import Header, predict, to_public_name, to_rows
from app.web.api.v2 import tensor_prediction
from app.web.api.v2.tensor_prediction import JSON_LENGTH, LENGTH
from app.web.http import access, security_headers
from app.web.http.access import hosts
from app.web.http.access.rates import COUNTED
from app.web.http.extension import modelhost

Environ = dict[str, Any]
#: A WSGI application (PEP 3333).
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: The content and the headers of a response, and the number of rows.
Content = tuple[bytes, list[Header], int]

#: The paths of the views in Flask: the name of a model, and a version if the path has one.
PATH = re.compile(r"(/api|/v2)/models/([^/]+)(?:/versions/([^/]+))?(/predict|/infer)")
#: The part of a view's rule for paths with a version.
VERSION_PATH = "/versions/<version>"
#: Request headers with an effect that only Flask handles.
FLASK_HEADERS = frozenset(
    {
        "HTTP_CONTENT_ENCODING",
        "HTTP_EXPECT",
        f"HTTP_{JSON_LENGTH.upper().replace('-', '_')}",
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


def _predict_rows(predictor: Predictor, public_name: str, body: Any) -> Content:
    rows = to_rows(predictor, public_name, body, PREDICT)
    content, headers = predict(predictor, public_name, rows, PREDICT)
    return content, [("Content-Type", "application/json"), *headers], rows.size


def _predict_tensors(predictor: Predictor, public_name: str, body: Any) -> Content:
    predictor.manager.get(public_name)
    request = InferenceRequest.read(body, memoryview(b""))
    rows = tensor_prediction.to_rows(predictor, public_name, request)
    content, headers = tensor_prediction.infer(predictor, public_name, rows, request)
    return content, headers, len(rows)


#: By the start and the end of a path, the source of its predictions, and the function that predicts
#: for the value of a body.
PROTOCOLS: Mapping[tuple[str, ...], tuple[str, Callable[[Predictor, str, Any], Content]]] = {
    ("/api", f"/{PREDICT}"): (caller.API, _predict_rows),
    ("/v2", "/infer"): (caller.V2, _predict_tensors),
}


class _Prediction(NamedTuple):
    """A response body, its headers, and the facts for the access log."""

    body: bytes
    headers: list[Header]
    rows: int
    key: str | None
    user: str | None


class _FastPredict:
    """A WSGI application that handles usual predictions, and passes all other requests to Flask."""

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
        if (
            path is None
            or path.group(1, 4) not in PROTOCOLS
            or environ.get("QUERY_STRING")
            or not self._is_usual(environ)
        ):
            return self._flask_app(environ, start_response)
        start, name, version, end = path.groups()
        request_id = access.get_request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        prediction = self._predict(environ, path, request_id)
        if prediction is None:
            return self._flask_app(environ, start_response)
        headers = [
            ("Content-Length", str(len(prediction.body))),
            *prediction.headers,
            *self._headers,
            ("X-Request-ID", request_id),
        ]
        start_response("200 OK", headers)
        self._access_log.record(
            "POST",
            environ["PATH_INFO"],
            f"{start}/models/<name>{VERSION_PATH if version else ''}{end}",
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
        self, environ: Environ, path: re.Match[str], request_id: str
    ) -> _Prediction | None:
        """Return the response; ``None`` where Flask must report an error."""
        start, name, version, end = path.groups()
        source, predict_body = PROTOCOLS[start, end]
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
        except InvalidJson:
            return None
        key_id = key.id if key else None
        user = self._access_control.get_user(environ)
        CALLER.set(Caller(request_id, user or key_id, source))
        try:
            public_name = to_public_name(name, version)
            content, headers, rows = predict_body(self._predictor, public_name, body)
        # Flask reports every error.
        except Exception as error:
            environ[RAISED] = error
            return None
        return _Prediction(content, headers, rows, key_id, user)

    def _read_body(self, environ: Environ) -> bytes | None:
        """Return the body, and leave it to be read again; ``None`` if its length is invalid."""
        length = environ.get("CONTENT_LENGTH", "")
        if not LENGTH.fullmatch(length) or int(length) > self._max_bytes:
            return None
        content: bytes = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(content)
        return content if len(content) == int(length) else None
