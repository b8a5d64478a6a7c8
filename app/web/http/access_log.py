"""Access log and request metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, request

from app.serving.process import metrics
from app.web.http.extension import modelhost

#: Methods with their own label in metrics; others, which a client may invent, share "OTHER".
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
#: The route label of paths that match no route.
NO_ROUTE = "(none)"
#: Maximum characters logged of a path or other client text.
MAX_CHARACTERS = 200
SAFE_TEXT = re.compile(r"[!-~]*")

#: Writes the facts of a request to the log.
Log = Callable[[dict[str, Any]], None]


class AccessLog:
    """Counts requests in the metrics, and logs them unless ``log`` is ``None``. Thread safe."""

    def __init__(self, log: Log | None) -> None:
        self._log = log

    def record(
        self,
        method: str,
        path: str,
        route: str,
        status: int,
        started: float,
        *,
        request_id: str,
        address: str | None,
        key: str | None = None,
        user: str | None = None,
        model: str | None = None,
        rows: int | None = None,
    ) -> None:
        """Count and log a request that has its response.

        :param path: as received, without the query, which may contain private data.
        :param started: the :func:`time.perf_counter` at its start.
        :param key: the id of its API key.
        :param user: the user that a trusted proxy names.
        """
        seconds = time.perf_counter() - started
        metrics.get_request_counter(method if method in METHODS else "OTHER", route, status // 100)(
            seconds
        )
        if self._log is None:
            return
        event: dict[str, Any] = {
            "event": "request",
            "request_id": request_id,
            "method": sanitize(method),
            "path": sanitize(path),
            "status": status,
            "milliseconds": round(1000 * seconds, 3),
            "address": address,
        }
        for name, value in (("model", model), ("rows", rows), ("key", key), ("user", user)):
            if value is not None:
                event[name] = sanitize(value) if isinstance(value, str) else value
        self._log(event)


def init_app(app: Flask) -> None:
    """Count and log all requests. Call it before anything that changes responses."""
    access_log = modelhost(app).access_log
    app.before_request(_start_timer)
    app.after_request(lambda response: _record(access_log, response))


def sanitize(text: str) -> str:
    """Return a client's text in a form safe for logs: ASCII, on one line, cut if too long."""
    short = text[:MAX_CHARACTERS]
    is_safe = SAFE_TEXT.fullmatch(short)
    safe = short if is_safe else quote(short, safe="/:@!$&'()*+,;=", errors="replace")
    return safe if len(text) <= MAX_CHARACTERS else f"{safe}..."


def _start_timer() -> None:
    g.started = time.perf_counter()


def _record(access_log: AccessLog, response: Response) -> Response:
    key = g.get("key")
    access_log.record(
        request.method,
        request.path,
        request.url_rule.rule if request.url_rule else NO_ROUTE,
        response.status_code,
        g.started,
        request_id=g.request_id,
        address=request.remote_addr,
        key=key.id if key else None,
        user=g.get("user"),
        model=g.get("model") or (request.view_args or {}).get("name"),
        rows=g.get("rows"),
    )
    return response
