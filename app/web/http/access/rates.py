"""Rate limit for each key, and for each client address without a key."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from typing import Any, cast

from flask import Flask, current_app, g, request
from limits import parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import TooManyRequests

from app.web.http.access.keys import Key
from app.web.http.access.origins import SAFE
from app.web.http.extension import modelhost

log = logging.getLogger(__name__)

#: Paths below these are counted for all methods, others only for unsafe ones.
COUNTED_PREFIXES = ("/api/", "/v2/models/")
#: Seconds for which a process counts in its own memory after the store was unreachable.
RETRY_SECONDS = 10.0
#: The key of the WSGI environment with the result of :meth:`Rates.count`, if it was called.
COUNTED = "modelhost.rate"


class Rates:
    """Counts the requests of each client. Thread safe.

    While the store is unreachable, each process counts in its own memory.

    :param limit: one or more limits, such as ``"100 per minute; 5 per second"``.
    :param storage: the address of the store; empty for the memory of this process.
    """

    def __init__(self, limit: str, storage: str) -> None:
        self._limits = parse_many(limit)
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = self._local
        if storage:
            store = cast(Storage, storage_from_string(storage, wrap_exceptions=True))
            self._shared = FixedWindowRateLimiter(store)
        self._retry_at = 0.0

    def count(self, environ: Mapping[str, Any], key: Key | None) -> int:
        """Count a request, and return the seconds until its client may send another; 0 for now.

        :param environ: the WSGI environment of the request.
        :param key: the API key that it was sent with.
        """
        client = f"key {key.id}" if key else f"address {environ.get('REMOTE_ADDR')}"
        if time.monotonic() >= self._retry_at:
            try:
                return self._hit(self._shared, client)
            except StorageError as error:
                log.warning("RATE_STORAGE is unreachable; counting in memory: %s", error)
                self._retry_at = time.monotonic() + RETRY_SECONDS
        return self._hit(self._local, client)

    def _hit(self, limiter: FixedWindowRateLimiter, client: str) -> int:
        for limit in self._limits:
            if not limiter.hit(limit, client):
                reset_at = limiter.get_window_stats(limit, client).reset_time
                return max(1, math.ceil(reset_at - time.time()))
        return 0


def init_app(app: Flask) -> None:
    """Count requests if ``RATE_LIMIT`` is set."""
    if modelhost(app).rates is not None:
        app.before_request(_check)


def _check() -> None:
    rates = modelhost().rates
    if rates is None or (not request.path.startswith(COUNTED_PREFIXES) and request.method in SAFE):
        return
    seconds = request.environ.get(COUNTED)
    if seconds is None:
        seconds = rates.count(request.environ, g.key)
    if seconds:
        limit = current_app.config["RATE_LIMIT"]
        raise TooManyRequests(limit, retry_after=seconds)
