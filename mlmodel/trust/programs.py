"""Models that are programs. Their loaders run code in the file, which no allow-list can check."""

from __future__ import annotations

from mlmodel.errors import Untrusted
from mlmodel.trust import Trust
from mlmodel.trust.allowlist import TRUST_IT

PYTORCH = "it is a PyTorch program, which can run any code when it is built"
MLFLOW = "it is a python_function of MLflow, which runs its own code"


def check(trust: Trust, description: str) -> None:
    """Reject a program unless the operator trusts it.

    :param description: :data:`PYTORCH` or :data:`MLFLOW`.
    :raises Untrusted: unless ``trust`` is ``"all"``.
    """
    if trust == "all":
        return
    raise Untrusted(f"{description}; {TRUST_IT}")
