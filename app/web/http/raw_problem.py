"""What a server itself refuses, before the application hears of it: whole answers."""

from __future__ import annotations

from http import HTTPStatus

from app.web.http import access, security_headers
from app.web.http.json_provider import dumps
from app.web.http.problems import HTTP_PROBLEMS

#: What is wrong with a request that no application is asked for.
DETAILS = {
    400: "this is no HTTP request, or one that can be understood in two ways",
    408: "the request did not come to its end within CLIENT_SECONDS",
    414: "the first line of the request is too long",
    417: "the server does what Expect: 100-continue asks for, and nothing else",
    431: "the headers of the request are too many, or too long",
    500: "the server's log tells more",
}


def answer(status: int) -> bytes:
    """Return an answer with a problem, after which the connection is closed."""
    phrase, problem = HTTPStatus(status).phrase, HTTP_PROBLEMS.get(status)
    # To the application, 400 is a body that it cannot read. Here nothing was read at all.
    is_told = problem is not None and status != HTTPStatus.BAD_REQUEST
    name = access.request_id("")
    body = dumps(
        {
            "type": problem.type if is_told else "about:blank",
            "title": problem.title if is_told else phrase,
            "status": status,
            "detail": DETAILS[status],
            "request_id": name,
        }
    )
    headers = [
        ("Connection", "close"),
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", name),
        *security_headers.headers("application/problem+json"),
    ]
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body
