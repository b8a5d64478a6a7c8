"""The servers that a request has passed, for models that call further servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from app.serving.calls.via import VIA


def init_app(app: Flask) -> None:
    """Keep the header ``Via`` of each request, in front of all that calls models."""
    wrapped = app.wsgi_app

    def keep_via(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        VIA.set(environ.get("HTTP_VIA", ""))
        return wrapped(environ, start_response)

    app.wsgi_app = keep_via  # type: ignore[method-assign]
