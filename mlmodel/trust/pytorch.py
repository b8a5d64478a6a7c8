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
        "it is a PyTorch program, which can run any code when it is built; to trust the file, set "
        "'trust: all' or pin it with 'sha256'"
    )
