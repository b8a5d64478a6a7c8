"""Who calls a model, and from where: the facts of a request that the prediction log keeps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

#: The sources of predictions.
PAGE, API, CSV, V2, MCP, CLI, JOB = "page", "api", "csv", "v2", "mcp", "cli", "job"
#: The value of the header ``Via`` of the request that calls a model; empty without one.
VIA: ContextVar[str] = ContextVar("via", default="")


class Caller(NamedTuple):
    """The request that calls a model.

    ``who`` is the user that a trusted proxy names, else the id of the API key; ``None`` if neither
    is known. ``source`` is one of the constants of this module. ``lines`` are those of the rows of
    a call in their file; ``None`` if their indexes identify them. ``is_logged`` is false for
    inputs that a page varies on its own.
    """

    request_id: str
    who: str | None = None
    source: str = API
    lines: Sequence[int] | None = None
    is_logged: bool = True


#: The request of the current thread; ``None`` outside of requests.
CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)


def create_request_id() -> str:
    """Return a random request id."""
    return f"{random.getrandbits(128):032x}"
