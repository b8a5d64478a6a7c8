"""An application of Ray Serve that serves one model of ``models.yaml``.

``modelhost ray`` writes a configuration that names :func:`build`. Each replica runs the whole WSGI
application with that model alone, so that its pages, API, limits and errors are those of a server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from modelhost.__main__ import PORTAL
from starlette.requests import Request
from starlette.responses import Response


class Replica:
    """The WSGI application with one model, called by Ray Serve.

    :param models_file: the path of a ``models.yaml`` that every node can read.
    :param model: the name of its entry, with the version if it has one.
    :param threads: requests that run at the same time.
    """

    def __init__(self, models_file: str, model: str, threads: int) -> None:
        sys.path[:0] = [str(PORTAL), os.path.dirname(models_file)]
        from app.serving.process import thread_pools  # noqa: PLC0415

        thread_pools.limit(os.environ)
        from app import create_app  # noqa: PLC0415

        own = {
            "MODELHOST_MODELS_FILE": models_file,
            "MODELHOST_ONLY_MODELS": model,
            "MODELHOST_JOBS_MAX_BYTES": "0",  # a replica has no process that runs jobs
        }
        self._app = create_app({**os.environ, **own})
        self._max_bytes: int = self._app.config["MAX_BODY_BYTES"]
        self._threads = ThreadPoolExecutor(threads)

    async def __call__(self, request: Request) -> Response:
        """Return the response of the application."""
        body = await self._read(request)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._respond, request, body)

    async def _read(self, request: Request) -> bytes:
        """Return the body; of one that is too large, enough for the application to reject it."""
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._max_bytes:
                break
        return bytes(body)

    def check_health(self) -> None:
        """Raise an error if the model is not ready, so that Ray replaces the replica."""
        response = self._app.test_client().get("/readyz")
        if response.status_code >= 500:  # noqa: PLR2004
            raise RuntimeError(response.get_data(as_text=True)[:1000])

    def _respond(self, request: Request, body: bytes) -> Response:
        from werkzeug.test import EnvironBuilder, run_wsgi_app  # noqa: PLC0415

        scope = request.scope
        prefix = scope.get("root_path", "")
        path = scope["path"].removeprefix(prefix) or "/"
        own = {
            # As they are: the builder would parse them as addresses.
            "SCRIPT_NAME": _to_wsgi(prefix),
            "PATH_INFO": _to_wsgi(path),
            "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        }
        environ = EnvironBuilder(
            base_url=f"{scope['scheme']}://localhost",  # the headers have the host
            query_string=scope["query_string"].decode("latin-1"),
            method=request.method,
            headers=_to_headers(request.headers.raw),
            data=body,
            environ_overrides=own,
        ).get_environ()
        content, status, headers = run_wsgi_app(self._app, environ, buffered=True)
        response = Response(b"".join(content), int(status.split()[0]))
        response.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
        return response


def _to_wsgi(text: str) -> str:
    """Return a part of a path as WSGI has it: its bytes as characters (PEP 3333)."""
    return text.encode().decode("latin-1")


def _to_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def build(arguments: dict[str, Any]) -> Any:
    """Return the application for the ``args`` of its configuration."""
    from ray import serve  # noqa: PLC0415

    deployment = serve.deployment(Replica, name="Model")
    return deployment.bind(arguments["models_file"], arguments["model"], arguments["threads"])
