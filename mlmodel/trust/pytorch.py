"""PyTorch programs, whose loaders unpickle parts of the file and evaluate strings in it."""

from __future__ import annotations

from mlmodel.errors import Untrusted
from mlmodel.trust import Trust


def check(trust: Trust) -> None:
    """Reject a program unless the operator trusts it.

    :raises Untrusted: unless all is trusted.
    """
    if trust == "all":
        return
    raise Untrusted(
        "it is a program of PyTorch, and building one can run any code; if you trust the file, "
        "say 'trust: all', or pin it with 'sha256'"
    )
