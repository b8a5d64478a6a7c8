"""Complete HTTP responses for requests that the server rejects before the application."""

from __future__ import annotations

from http import HTTPStatus

from app.web.http import access, security_headers
from app.web.http.json_provider import dumps
from app.web.http.problems import HTTP_PROBLEMS

#: The detail of each status with which a server rejects a request itself.
DETAILS = {
    400: "the HTTP request is malformed or ambiguous",
    408: "the request did not arrive completely within CLIENT_SECONDS",
    414: "the request line is too long",
    417: "the server supports no expectation other than '100-continue'",
    431: "the request headers are too many or too long",
    500: "see the server's log",
}


def build_response(status: int) -> bytes:
    """Return a response with a problem document and ``Connection: close``."""
    phrase, problem = HTTPStatus(status).phrase, HTTP_PROBLEMS.get(status)
    # The application's problem for 400 describes an unreadable body; here no body was read.
    is_listed = problem is not None and status != HTTPStatus.BAD_REQUEST
    request_id = access.get_request_id("")
    body = dumps(
        {
            "type": problem.type if is_listed else "about:blank",
            "title": problem.title if is_listed else phrase,
            "status": status,
            "detail": DETAILS[status],
            "request_id": request_id,
        }
    )
    headers = [
        ("Connection", "close"),
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", request_id),
        *security_headers.headers("application/problem+json"),
    ]
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body
