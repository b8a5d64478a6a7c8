"""Serve a model from a script or a notebook.

import modelhost

server = modelhost.serve(pipeline, name="credit", sample=X)
server.stop()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelhost.background import serve as serve


def __getattr__(name: str) -> Any:
    # The command imports this package, and needs no model.
    if name == "serve":
        from modelhost.background import serve  # noqa: PLC0415

        return serve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
