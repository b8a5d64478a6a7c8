"""The checks of a model's bytes before it is built, by the kind of its file."""

from __future__ import annotations

from mlmodel.bounded.compression import expand
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import Untrusted
from mlmodel.trust import Trust, pickles, scan, skops
from mlmodel.trust.allowlist import TRUST_IT
from mlmodel.trust.trial import trial_build

_PYTORCH = "it is a PyTorch program, which can run any code when it is built"
_MLFLOW = "it is a python_function of MLflow, which runs its own code"


def check(kind: Kind, content: bytes, trust: Trust, *, lib: str) -> None:
    """Check the names that a model references. Builds nothing.

    :param lib: the framework of a model in an ``.flm`` file; else empty.
    :raises Untrusted: if building the model could run code that is not trusted.
    :raises BrokenModel: if its names cannot be read, or come from a notebook.
    """
    if kind is Kind.PICKLE:
        pickles.check(content, trust)
    elif kind is Kind.SKOPS:
        skops.check(expand(content), trust)
    elif lib == "torch":
        check_pytorch(trust)
    elif kind is Kind.FUNCTION:
        _check_program(trust, _MLFLOW)


def check_pytorch(trust: Trust) -> None:
    """Reject a PyTorch program unless the operator trusts it: no allow-list can check its code.

    :raises Untrusted: unless ``trust`` is ``"all"``.
    """
    _check_program(trust, _PYTORCH)


def _check_program(trust: Trust, description: str) -> None:
    if trust != "all":
        raise Untrusted(f"{description}; {TRUST_IT}")


def list_names(kind: Kind, content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return all names in a file, and those in a pickle that are not trusted."""
    if kind is Kind.PICKLE:
        found = pickles.inspect(content)
        return found.names, found.untrusted
    return (skops.names(expand(content)) if kind is Kind.SKOPS else ()), ()


def get_sklearn_release(kind: Kind, content: bytes) -> str | None:
    """Return the version of scikit-learn that wrote a file, if one did."""
    if kind is Kind.PICKLE:
        return scan.sklearn_release(expand(content))
    return skops.release(expand(content)) if kind is Kind.SKOPS else None


def try_build(kind: Kind, content: bytes, trust: Trust) -> None:
    """Build a model in another process first, if building it in this one may crash.

    :raises FlmError: as :func:`check` does, and if that process crashes or exceeds its limits.
    """
    if kind is Kind.PICKLE:
        pickles.try_build(content, trust)
    elif kind is Kind.SKOPS:
        trial_build.build_first(expand(content), trust)
