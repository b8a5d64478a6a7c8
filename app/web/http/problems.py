"""The one place that maps errors to problem documents (RFC 9457), and to responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from app.serving import errors as serving
from app.web.http.access import login
from app.web.http.access_log import sanitize
from app.web.http.json_provider import dumps
from mlmodel import errors as models
from mlmodel.errors import summary

#: Paths under which every error response is JSON.
JSON_PATHS = ("/api", "/mcp", "/healthz", "/readyz", "/metrics", "/openapi.json")
#: The path of the Open Inference Protocol, which specifies the JSON of its errors.
INFERENCE_PATH = "/v2"

#: Methods that a client can repeat after a login without losing a body.
READING = frozenset({"GET", "HEAD"})
#: The media types of forms.
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


@dataclass(frozen=True)
class Problem:
    """The parts of a problem document that all errors of one kind share; see ``docs/api.md``."""

    status: int
    slug: str
    title: str
    meaning: str
    #: Whether the same request may succeed later; adds Retry-After.
    is_temporary: bool = False

    @property
    def type(self) -> str:
        """The URL of its description; ``about:blank`` means the status alone (RFC 9457, 4.2.1)."""
        return f"/docs/problems#{self.slug}" if self.slug else "about:blank"


MODEL_FAILED = Problem(
    500,
    "model-failed",
    "Model error",
    "The model raised an error. The server's log contains it under the request id.",
)
INTERNAL_ERROR = Problem(
    500,
    "internal-error",
    "Internal server error",
    "The server failed unexpectedly. Its log contains the error under the request id.",
)
BODY_TOO_LARGE = Problem(
    413,
    "body-too-large",
    "Request body too large",
    "The body, or what it expands to, has more bytes than `MAX_BODY_BYTES`, the file of a job more "
    "than `JOBS_MAX_BYTES`, or the body has too many arrays, objects or form fields.",
)

#: Every error class that can reach a client. A class without a row uses that of its parent.
PROBLEMS: dict[type[Exception], Problem] = {
    models.InvalidInput: Problem(
        422,
        "invalid-input",
        "Invalid input",
        "The rows violate the model's input schema, or the model itself rejected them. `errors` "
        "lists each violation with its place.",
    ),
    models.FlmError: MODEL_FAILED,
    serving.ModelNotFound: Problem(
        404,
        "model-not-found",
        "Model not found",
        "No model has this name, or the model has no such version or alias. `GET /api/models` "
        "lists all models.",
    ),
    serving.InvalidCatalog: Problem(
        409,
        "invalid-catalog",
        "Invalid models.yaml",
        "The file has mistakes, so nothing changed. `detail` lists each mistake with its line, "
        "its key and what is expected.",
    ),
    serving.EndpointNotFound: Problem(
        404,
        "endpoint-not-found",
        "Endpoint not found",
        "The model has no endpoint of this name. Its metadata lists its endpoints.",
    ),
    serving.ArtifactNotFound: Problem(
        404,
        "artifact-not-found",
        "Artifact not found",
        "The model has no artifact of this name, or `artifacts` in its entry does not include it.",
    ),
    serving.CannotExplain: Problem(
        422,
        "cannot-explain",
        "Prediction cannot be explained",
        "The model has no reference profile, is too slow, its predictions have no number to "
        "explain, or it has no such class or output. `detail` names the reason.",
    ),
    serving.NoProfile: Problem(
        400,
        "no-profile",
        "No reference profile",
        "The request sets `caution`, but the model has no reference profile with which rows "
        "are compared.",
    ),
    serving.UnreadableFile: Problem(
        400,
        "unreadable-file",
        "Unreadable file",
        "The file is damaged, or its format or encoding is not supported. Send CSV in UTF-8, "
        "UTF-16 or Windows-1252, or an .xlsx workbook; for a job also NDJSON or Parquet. `detail` "
        "names the reason.",
    ),
    serving.InvalidTensor: Problem(
        400,
        "invalid-tensor",
        "Invalid inference request",
        "The request of the Open Inference Protocol has mistakes, or its inputs do not fit the "
        "model's input schema.",
    ),
    serving.TooManyRows: Problem(
        413,
        "too-many-rows",
        "Too many rows",
        "The request has more rows than `MAX_ROWS`. Split it into several requests.",
    ),
    serving.TooFewRows: Problem(
        409,
        "too-few-rows",
        "Too few rows",
        "Fewer predictions of the model are logged than a reference profile needs.",
    ),
    serving.ModelUnavailable: Problem(
        503,
        "model-unavailable",
        "Model unavailable",
        "The model is loading, was unloaded, or is `failed`: it cannot be loaded, does not predict "
        "its own example, or is in quarantine after repeated crashes. `Retry-After` is an "
        "estimate.",
        is_temporary=True,
    ),
    serving.QueueFull: Problem(
        503,
        "queue-full",
        "Model queue is full",
        "The queue for the model is full (see `MODEL_WAITING`). Retry after `Retry-After` seconds.",
        is_temporary=True,
    ),
    serving.PredictionTimeout: Problem(
        504,
        "model-timeout",
        "Model timed out",
        "The call took longer than the model's `time_limit`, or else `PREDICT_SECONDS`.",
    ),
    serving.RemoteFailed: Problem(
        502,
        "remote-failed",
        "Invalid response of the remote server",
        "The model runs on another server, which redirects, does not accept this server's "
        "headers, does not have the model, or sent a response that cannot be used.",
    ),
    serving.RemoteUnavailable: Problem(
        503,
        "remote-unavailable",
        "Remote server unavailable",
        "The model runs on another server, which cannot be reached, has too many requests, or "
        "fails. `Retry-After` is its own, or an estimate.",
        is_temporary=True,
    ),
    serving.RemoteTimeout: Problem(
        504,
        "remote-timeout",
        "Remote server timed out",
        "The model runs on another server, which did not respond within the time limit.",
    ),
    serving.RemoteLoop: Problem(
        508,
        "remote-loop",
        "Loop detected",
        "The model runs on another server, which calls this model again.",
    ),
    serving.NoRoom: Problem(
        507,
        "no-room",
        "Insufficient storage",
        "The server cannot write to its temporary folder (`TMPDIR`), so nothing changed.",
    ),
    serving.StateDamaged: Problem(
        500,
        "state-damaged",
        "Shared state damaged",
        "A file of the state that the server's processes share is damaged, so nothing changed. "
        "Restart the server.",
    ),
    serving.PredictionNotLogged: Problem(
        404,
        "prediction-not-logged",
        "Prediction not logged",
        "The prediction log of the model has no prediction with this request id, row and, if it "
        "was sent, `time`, or the model has no `log` in its entry.",
    ),
    serving.TruthExists: Problem(
        409,
        "truth-exists",
        "Truth already stored",
        "Another user has stored another truth for the prediction. Only that user, or a key with "
        "the scope `admin`, can replace or remove it.",
    ),
    serving.AmbiguousPrediction: Problem(
        409,
        "ambiguous-prediction",
        "Several predictions match",
        "Predictions of different users, or with different inputs, have this request id and row. "
        "Add `time` to the truth: that of the prediction in an export of the log.",
    ),
    serving.LogUnavailable: Problem(
        503,
        "log-unavailable",
        "Prediction log unavailable",
        "The prediction log cannot be read or written, for example because the disk is full.",
        is_temporary=True,
    ),
    serving.FileTooLarge: BODY_TOO_LARGE,
    serving.InsufficientStorage: Problem(
        507,
        "insufficient-storage",
        "Insufficient storage",
        "The disk has no room for the files of a job: `JOBS_FREE_BYTES` stay free. Remove finished "
        "jobs, or other files on the disk of `JOBS_FOLDER`.",
    ),
    serving.JobsUnavailable: Problem(
        503,
        "jobs-unavailable",
        "Jobs unavailable",
        "The database of jobs cannot be reached, read or written. The log of the server has the "
        "reason.",
        is_temporary=True,
    ),
    serving.JobNotFound: Problem(
        404,
        "job-not-found",
        "Job not found",
        "No job has this id, its results have expired, or it belongs to another API key.",
    ),
    serving.JobConflict: Problem(
        409,
        "job-conflict",
        "Job state conflict",
        "The state of the job does not allow the operation: only a finished job has a result or "
        "can be removed, only an unfinished job can be cancelled, and only a failed or "
        "cancelled job can be resumed.",
    ),
    serving.TooManyJobs: Problem(
        429,
        "too-many-jobs",
        "Too many jobs",
        "The API key has `JOBS_PER_KEY` unfinished jobs. Wait for one to finish, or cancel one.",
        is_temporary=True,
    ),
    serving.PredictionFailed: MODEL_FAILED,
    serving.InvalidPrediction: Problem(
        500,
        "invalid-answer",
        "Invalid prediction",
        "The prediction violates the model's output schema, or contains a value that JSON cannot "
        "represent; or the response of an isolated model has more than 100 MB.",
    ),
    serving.ServingError: INTERNAL_ERROR,
}

#: HTTP errors that Flask and Werkzeug raise, by status.
HTTP_PROBLEMS: dict[int, Problem] = {
    400: Problem(
        400,
        "invalid-body",
        "Bad request",
        "The body is not valid JSON or CSV in UTF-8, or contains `NaN` or `Infinity`, a number "
        "outside the range of a double, a duplicate key in an object, an unpaired surrogate, "
        "or more nested levels than `MAX_DEPTH`; the query has an unknown parameter or an invalid "
        "value; or the `Host` header is malformed or not in `HOST_NAMES`.",
    ),
    401: Problem(
        401,
        "unauthorized",
        "API key required",
        "The request has no API key, or an unknown one. Send it as `Authorization: Bearer <key>` "
        "or `X-API-Key: <key>`, or log in to the pages.",
    ),
    403: Problem(
        403,
        "forbidden",
        "Forbidden",
        "The API key does not have the required scope, or is not valid for the model. Loading and "
        "unloading models over HTTP is disabled if no keys are configured (`KEYS_FILE`). A page "
        "of another site may not send the request, according to `Origin` or `Sec-Fetch-Site`; "
        "programs that send neither header may.",
    ),
    404: Problem(
        404,
        "not-found",
        "Not found",
        "The path does not exist.",
    ),
    405: Problem(
        405,
        "method-not-allowed",
        "Method not allowed",
        "The path does not support this method. `Allow` lists the methods that it supports.",
    ),
    408: Problem(
        408,
        "request-timeout",
        "Request timeout",
        "The request did not arrive completely within `CLIENT_SECONDS`.",
    ),
    413: BODY_TOO_LARGE,
    415: Problem(
        415,
        "unsupported-media-type",
        "Unsupported media type",
        "The route does not accept this `Content-Type`, its `charset`, or this `Content-Encoding`. "
        "`detail` names those that it accepts.",
    ),
    429: Problem(
        429,
        "too-many-requests",
        "Too many requests",
        "The API key or the address has exceeded `RATE_LIMIT`. Retry after `Retry-After` seconds.",
        is_temporary=True,
    ),
    500: INTERNAL_ERROR,
}


def init_app(app: Flask) -> None:
    """Respond to every error of the application with its problem."""
    app.register_error_handler(Exception, _respond)


def all_problems() -> list[Problem]:
    """Return each kind of error once, by status."""
    every = dict.fromkeys([*PROBLEMS.values(), *HTTP_PROBLEMS.values()])
    return sorted(every, key=lambda problem: problem.status)


def get_problem(error: Exception) -> Problem:
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


def build_problem(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the RFC 9457 document of an error and its headers. Log it if the status is 5xx."""
    problem = get_problem(error)
    _log(error, problem)
    return _document(error, problem), _headers(error, problem)


def build_row_problems(errors: Sequence[Exception]) -> list[dict[str, Any]]:
    """Return the RFC 9457 documents of the rows of one request. Log the first error of 5xx."""
    problems = [get_problem(error) for error in errors]
    for error, problem in zip(errors, problems, strict=True):
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log(error, problem)
            break
    return list(map(_document, errors, problems))


def _document(error: Exception, problem: Problem) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": _detail(error, problem),
        "request_id": g.request_id,
    }
    if isinstance(error, models.InvalidInput):
        body["errors"] = [
            {"pointer": each.pointer, "detail": each.detail} for each in error.violations
        ]
    return body


def _respond(error: Exception) -> BaseResponse:
    body, headers = build_problem(error)
    if _is_within(INFERENCE_PATH):
        response: BaseResponse = _inference_error(body)
    elif any(map(_is_within, JSON_PATHS)) or _is_from_program():
        response = _json(body)
    elif body["status"] == HTTPStatus.UNAUTHORIZED and request.method in READING:
        return redirect(login.get_login_url(request), HTTPStatus.SEE_OTHER)
    else:
        response = _page(body)
    response.headers.extend(headers)
    return response


def _json(body: dict[str, Any]) -> Response:
    return Response(dumps(body), status=body["status"], content_type="application/problem+json")


def _inference_error(body: dict[str, Any]) -> Response:
    text = f"{body['title']}: {body['detail']}"
    return Response(dumps({"error": text}), body["status"], content_type="application/json")


def _page(body: dict[str, Any]) -> Response:
    return Response(render_template("error.html", problem=body), status=body["status"])


def _is_from_program() -> bool:
    """Return whether a program sent the request, such as a client of another model server.

    Browsers send forms, and accept ``text/html``.
    """
    return not (
        request.method in READING
        or request.mimetype in FORMS
        or "text/html" in request.accept_mimetypes.values()
    )


def _is_within(path: str) -> bool:
    return request.path == path or request.path.startswith(f"{path}/")


def _detail(error: Exception, problem: Problem) -> str:
    if isinstance(error, models.InvalidInput):
        return summary(error.violations, "the body")
    if isinstance(error, HTTPException) and problem.status in _HTTP_DETAILS:
        return _HTTP_DETAILS[problem.status](error)
    if isinstance(error, InternalServerError) or not isinstance(
        error, HTTPException | models.FlmError | serving.ServingError
    ):
        return f"see the server's log under the request id {g.request_id}"
    detail = str(error.description if isinstance(error, HTTPException) else error)
    if not current_app.config["TELL_MODEL_ERRORS"]:
        return detail
    if isinstance(error, serving.ServingError):
        detail = error.detail
    if error.__cause__ and problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        detail += f": {type(error.__cause__).__name__}: {error.__cause__}"
    return detail


def _method_not_allowed(error: HTTPException) -> str:
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return f"expected {allowed.replace(', ', ' or ')}, got {request.method}"


def _body_too_large(error: HTTPException) -> str:
    if error.description and error.description != RequestEntityTooLarge.description:
        return error.description
    detail = f"expected at most {current_app.config['MAX_BODY_BYTES']:,} bytes"
    return f"{detail}, got {request.content_length:,} bytes" if request.content_length else detail


#: Details for Werkzeug's own errors, more specific than its descriptions.
_HTTP_DETAILS: Mapping[int, Callable[[HTTPException], str]] = {
    404: lambda error: f"the path {request.path} does not exist",
    405: _method_not_allowed,
    413: _body_too_large,
    429: lambda error: f"the rate limit is {error.description}",
}


def _headers(error: Exception, problem: Problem) -> dict[str, str]:
    headers = {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, HTTPException):
        headers = {
            name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}
        }
    if problem.is_temporary and "Retry-After" not in headers:
        own = getattr(error, "retry_seconds", None)
        headers["Retry-After"] = str(current_app.config["RETRY_SECONDS"] if own is None else own)
    return headers


def _log(error: Exception, problem: Problem) -> None:
    facts = (sanitize(request.method), sanitize(request.path), problem.status, g.request_id)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.error("%s %s: %s, request %s", *facts, exc_info=error)
    elif problem.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = error.detail if isinstance(error, serving.ServingError) else error
        current_app.logger.warning("%s %s: %s, request %s: %s", *facts, detail)
