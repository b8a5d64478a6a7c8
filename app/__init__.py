"""Modelhost: many machine-learning models behind one Flask application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.factory import create_app as create_app


def __getattr__(name: str) -> Any:
    # The commands import this package, and most of them need no application.
    if name == "create_app":
        from app.factory import create_app  # noqa: PLC0415

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
