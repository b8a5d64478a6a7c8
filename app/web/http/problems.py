"""The one place that maps errors to responses: RFC 9457 problem documents, or pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from app.serving import errors as serving
from app.web.http import split_frames
from app.web.http.access import login
from app.web.http.access_log import plain
from app.web.http.json_provider import dumps
from mlmodel import errors as models
from mlmodel.errors import Violation, summary

#: Paths under which every error response is JSON.
JSON_PATHS = ("/api", "/v2", "/healthz", "/readyz", "/metrics", "/openapi.json")
#: Media types of HTML forms.
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


#: Methods that a client can repeat after a login without losing a body.
READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Problem:
    """The parts of a problem document that all errors of one kind share; see ``docs/api.md``."""

    status: int
    slug: str
    title: str
    meaning: str
    #: Whether the same request may succeed later; adds Retry-After.
    passes: bool = False

    @property
    def type(self) -> str:
        """The URL of its description; ``about:blank`` means the status alone (RFC 9457, 4.2.1)."""
        return f"/docs/problems#{self.slug}" if self.slug else "about:blank"


MODEL_FAILED = Problem(
    500,
    "model-failed",
    "The model failed",
    "The model raised an error. The log tells it under the request id.",
)
INTERNAL_ERROR = Problem(
    500,
    "internal-error",
    "The server failed",
    "The server has a bug. The log tells it under the request id.",
)

#: Every error class that can reach a client. A class without a row uses that of its parent.
PROBLEMS: dict[type[Exception], Problem] = {
    models.InvalidInput: Problem(
        422,
        "invalid-input",
        "The input breaks the model's schema",
        "The JSON breaks the model's input schema, or the model itself refused it. "
        "`errors` says where and why.",
    ),
    models.FlmError: MODEL_FAILED,
    serving.ModelNotFound: Problem(
        404,
        "model-not-found",
        "There is no such model",
        "There is no model of this name. `GET /api/models` lists those that there are.",
    ),
    serving.InvalidCatalog: Problem(
        409,
        "invalid-catalog",
        "models.yaml has mistakes",
        "The file has mistakes, so nothing was changed. `detail` says where and what would be "
        "right.",
    ),
    serving.EndpointNotFound: Problem(
        404,
        "endpoint-not-found",
        "The model has no such endpoint",
        "The model offers nothing of this name. Its metadata lists what it offers.",
    ),
    serving.ArtifactNotFound: Problem(
        404,
        "artifact-not-found",
        "The model offers no such file",
        "The model comes with no file of this name, or `artifacts` in its entry does not offer it.",
    ),
    serving.UnreadableFile: Problem(
        400,
        "unreadable-file",
        "The file cannot be read",
        "The file is no CSV file in UTF-8, UTF-16 or Windows-1252, and no .xlsx workbook.",
    ),
    serving.TooManyRows: Problem(
        413,
        "too-many-rows",
        "The request has too many rows",
        "The array has more rows than `MAX_ROWS`. Send them in several requests.",
    ),
    serving.ModelUnavailable: Problem(
        503,
        "model-unavailable",
        "The model is not loaded",
        "The model failed to load, was unloaded, or has ended its process too often. "
        "`Retry-After` is a guess.",
        passes=True,
    ),
    serving.QueueFull: Problem(
        503,
        "queue-full",
        "The model has too much to do",
        "As many calls as may wait for the model already. Come back after `Retry-After` seconds.",
        passes=True,
    ),
    serving.PredictionTimeout: Problem(
        504,
        "model-timeout",
        "The model took too long",
        "The model took longer than its `time_limit`, or `PREDICT_SECONDS`.",
    ),
    serving.NoRoom: Problem(
        507,
        "no-room",
        "The temporary folder is full",
        "The server cannot write to its temporary folder (`TMPDIR`), so nothing was changed.",
    ),
    serving.PredictionFailed: MODEL_FAILED,
    serving.InvalidAnswer: Problem(
        500,
        "invalid-answer",
        "The model's answer is not valid",
        "The model answered what its own output schema forbids, or what JSON cannot say.",
    ),
    serving.ServingError: INTERNAL_ERROR,
}

#: HTTP errors that Flask and Werkzeug raise, by status.
HTTP_PROBLEMS: dict[int, Problem] = {
    400: Problem(
        400,
        "invalid-body",
        "The body cannot be read",
        "The body is not JSON or CSV, not UTF-8, has `NaN` or `Infinity`, a number beyond a "
        "double, the same key twice in an object, half of a surrogate pair, or is nested deeper "
        "than `MAX_DEPTH`.",
    ),
    401: Problem(
        401,
        "unauthorized",
        "This needs a key",
        "It needs a key, and none was sent, or one that is not known. Send it as `Authorization: "
        "Bearer <key>` or `X-API-Key: <key>`, or log in to the pages.",
    ),
    403: Problem(
        403,
        "forbidden",
        "This is not allowed here",
        "The key is not for this or for this model; or models are to be loaded or unloaded, and "
        "there are no keys: see `KEYS_FILE`. Or a page of another site sent it, as `Origin` or "
        "`Sec-Fetch-Site` says; programs that send neither may ask.",
    ),
    404: Problem(
        404, "not-found", "There is nothing at this path", "There is nothing at this path."
    ),
    405: Problem(
        405,
        "method-not-allowed",
        "This path has no such method",
        "The path has no such method. `Allow` names those that it has.",
    ),
    408: Problem(
        408,
        "request-timeout",
        "The request took too long",
        "The request did not come to its end within `CLIENT_SECONDS`.",
    ),
    413: Problem(
        413,
        "body-too-large",
        "The body is too large",
        "The body has more bytes than `MAX_BODY_BYTES`.",
    ),
    415: Problem(
        415,
        "unsupported-media-type",
        "The body is of the wrong kind",
        "`Content-Type` must be `application/json` in UTF-8, or that of a CSV file or a workbook; "
        "and not compressed.",
    ),
    429: Problem(
        429,
        "too-many-requests",
        "Too many requests",
        "More requests than `RATE_LIMIT` of this key or address. `Retry-After` says in how many "
        "seconds to come back.",
        passes=True,
    ),
    500: INTERNAL_ERROR,
}


def init_app(app: Flask) -> None:
    """Respond to every error of the application with its problem."""
    app.register_error_handler(Exception, _answer)


def all_problems() -> list[Problem]:
    """Return each kind of error once, by status."""
    every = dict.fromkeys([*PROBLEMS.values(), *HTTP_PROBLEMS.values()])
    return sorted(every, key=lambda problem: problem.status)


def problem_of(error: Exception) -> Problem:
    """Return the problem of an error's class, or of its nearest parent class that has one."""
    if isinstance(error, HTTPException):
        status = error.code or 500
        phrase = HTTPStatus(status).phrase
        default = Problem(status, "", phrase, phrase)
        return HTTP_PROBLEMS.get(status, default)
    for parent in type(error).__mro__:
        if parent in PROBLEMS:
            return PROBLEMS[parent]
    return HTTP_PROBLEMS[500]


def told(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the RFC 9457 document of an error and its headers. Log it if the status is 5xx."""
    problem = problem_of(error)
    _log(error, problem)
    body: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": _detail(error, problem),
        "request_id": g.request_id,
    }
    if isinstance(error, models.InvalidInput):
        body["errors"] = [
            {"pointer": each.pointer, "detail": each.detail} for each in _placed(error.violations)
        ]
    return body, _headers(error, problem)


def _answer(error: Exception) -> BaseResponse:
    body, headers = told(error)
    if _wants_json():
        response: BaseResponse = _json(body)
    elif body["status"] == HTTPStatus.UNAUTHORIZED and request.method in READING:
        return redirect(login.address(request), HTTPStatus.SEE_OTHER)
    else:
        response = _page(body)
    response.headers.extend(headers)
    return response


def _json(body: dict[str, Any]) -> Response:
    return Response(dumps(body), status=body["status"], content_type="application/problem+json")


def _page(body: dict[str, Any]) -> Response:
    return Response(render_template("error.html", problem=body), status=body["status"])


def _wants_json() -> bool:
    return any(request.path == path or request.path.startswith(f"{path}/") for path in JSON_PATHS)


def _placed(violations: Sequence[Violation]) -> Sequence[Violation]:
    """Return violations with pointers into the body: a row, an array of rows, or columns."""
    if "columns" in g:
        return split_frames.placed(violations, g.columns)
    if g.get("many_rows"):
        return [replace(each, pointer=f"/{each.row}{each.pointer}") for each in violations]
    return violations


def _detail(error: Exception, problem: Problem) -> str:
    if isinstance(error, models.InvalidInput):
        return summary(_placed(error.violations), "the body")
    if isinstance(error, HTTPException) and problem.status in _HTTP_DETAILS:
        return _HTTP_DETAILS[problem.status](error)
    if isinstance(error, InternalServerError) or not isinstance(
        error, HTTPException | models.FlmError | serving.ServingError
    ):
        return f"The server's log tells more under the request id {g.request_id}."
    detail = str(error.description if isinstance(error, HTTPException) else error)
    is_failure = problem.status == HTTPStatus.INTERNAL_SERVER_ERROR
    if error.__cause__ and is_failure and current_app.config["TELL_MODEL_ERRORS"]:
        detail += f": {type(error.__cause__).__name__}: {error.__cause__}"
    return detail


def _wrong_method(error: HTTPException) -> str:
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return f"{request.method} is no method of this path; it has {allowed or 'none'}"


def _too_large(error: HTTPException) -> str:
    if error.description and error.description != RequestEntityTooLarge.description:
        return error.description
    most = f"at most {current_app.config['MAX_BODY_BYTES']:,} bytes"
    if request.mimetype in FORMS:
        most += f", and {current_app.config['MAX_FORM_PARTS']:,} fields of a form"
    return most


#: Details for Werkzeug's own errors, more specific than its descriptions.
_HTTP_DETAILS: Mapping[int, Callable[[HTTPException], str]] = {
    404: lambda error: f"there is nothing at {request.path}",
    405: _wrong_method,
    413: _too_large,
    429: lambda error: f"at most {error.description}",
}


def _headers(error: Exception, problem: Problem) -> dict[str, str]:
    headers = {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, HTTPException):
        headers = {
            name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}
        }
    if problem.passes and "Retry-After" not in headers:
        headers["Retry-After"] = str(current_app.config["RETRY_SECONDS"])
    return headers


def _log(error: Exception, problem: Problem) -> None:
    told = (plain(request.method), plain(request.path), problem.status, g.request_id)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.error("%s %s: %s, request %s", *told, exc_info=error)
    elif problem.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.warning("%s %s: %s, request %s: %s", *told, error)
