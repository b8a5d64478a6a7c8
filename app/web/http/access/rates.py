"""Rate limit for each key, and for each client address without a key."""

from __future__ import annotations

import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from app.web.http.access.origins import SAFE

#: Paths below these are counted for all methods, others only for unsafe ones.
COUNTED_PREFIXES = ("/api/", "/v2/models/")
#: Storage for a process that counts only its own requests.
PROCESS_MEMORY = "memory://"


def init_app(app: Flask) -> None:
    """Count requests if ``RATE_LIMIT`` is set."""
    if not app.config["RATE_LIMIT"]:
        return
    storage = app.config["RATE_STORAGE"] or PROCESS_MEMORY
    limiter = Limiter(
        _get_client,
        storage_uri=storage,
        application_limits=[app.config["RATE_LIMIT"]],
        # If the store is unreachable, each process counts in its own memory.
        in_memory_fallback_enabled=storage != PROCESS_MEMORY,
    )
    limiter.request_filter(_is_exempt)
    limiter.init_app(app)
    app.after_request(lambda response: _set_retry_after(response, limiter))


def _get_client() -> str:
    return f"key {g.key.id}" if g.key else f"address {get_remote_address()}"


def _is_exempt() -> bool:
    return not request.path.startswith(COUNTED_PREFIXES) and request.method in SAFE


def _set_retry_after(response: Response, limiter: Limiter) -> Response:
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and limiter.current_limit:
        seconds = max(1, int(limiter.current_limit.reset_at - time.time()))
        response.headers["Retry-After"] = str(seconds)
    return response
