"""Which classes and functions the pickle of a model may name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from mlmodel.errors import Untrusted
from mlmodel.trust import Trust, allowed
from mlmodel.trust.calls import CALLS, named

#: Names that an error tells, and letters of each: a file may have millions.
TOLD_NAMES = 12
TOLD_LETTERS = 100

#: What joblib writes for arrays. They stand for an array here, and for nothing else.
ARRAYS = frozenset({"joblib.numpy_pickle.NumpyArrayWrapper", "numpy.memmap"})

#: numpy's modules have got an underscore with its release 2; a file may be of either.
_RENAMED = ("numpy.core.", "numpy._core.")


class Gate:
    """Says of each name whether it may be named, and finds what it stands for.

    What the operator names in ``trust`` may be named, made and called in any way.
    """

    def __init__(self, trust: Trust = ()) -> None:
        self._trust = trust

    def admits(self, module: str, name: str) -> bool:
        """Say whether a name may be named, as far as the name alone tells. Imports nothing."""
        full = f"{module}.{name}"
        if self.is_trusted(full):
            return True
        # A name with dots leads from any module to all that it has imported: sklearn, os.system.
        if not all(each.isascii() and each.isidentifier() for each in (*module.split("."), name)):
            return False
        return _is_listed(full) or _is_estimators(module, name)

    def is_trusted(self, full: str) -> bool:
        """Say whether it was the operator who allowed a name."""
        return self._trust == "all" or full in self._trust

    def find(self, module: str, name: str) -> Any:
        """Return the class or function of that name, known to do no harm or trusted.

        :raises Untrusted: if it is neither.
        """
        if not self.admits(module, name):
            raise refusal([f"{module}.{name}"])
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not self.is_trusted(f"{module}.{name}") and not _is_as_named(found, module, name):
            raise refusal([f"{module}.{name}"])
        return found


def refusal(names: Iterable[str]) -> Untrusted:
    """Return the error that tells which names a file has and nobody vouches for."""
    unknown = sorted(set(names))
    told = ", ".join(_printable(name) for name in unknown[:TOLD_NAMES])
    more = f" and {len(unknown) - TOLD_NAMES:,} more" if len(unknown) > TOLD_NAMES else ""
    return Untrusted(
        f"it names what no model is known to need, and could do harm: {told}{more}; if you trust "
        "them, name them in 'trust', say 'trust: all', or pin the file with 'sha256'",
        unknown,
    )


def misuse(what: str) -> Untrusted:
    """Return the error for what is built of allowed names in a way in which no model is."""
    return Untrusted(
        f"{what}, as no fitted model does; if you trust the file, say 'trust: all', or pin it "
        "with 'sha256'"
    )


def _printable(name: str) -> str:
    text = name if name.isprintable() else ascii(name)[1:-1]
    return text if len(text) <= TOLD_LETTERS else f"{text[:TOLD_LETTERS]}..."


def canonical(full: str) -> str:
    """Return a full name as it is listed: that of numpy 2 for one of numpy 1."""
    return full.replace(*_RENAMED, 1) if full.startswith(_RENAMED[0]) else full


def _is_listed(full: str) -> bool:
    known = canonical(full)
    if known in ARRAYS:
        return True
    listed = (CALLS, allowed.MADE, allowed.FUNCTIONS, allowed.UFUNCS, allowed.TYPES)
    return any(known in names for names in listed)


def _is_estimators(module: str, name: str) -> bool:
    """Say whether a name may be that of an estimator's class: by its module, and its capital."""
    library = module.partition(".")[0]
    if library not in allowed.ESTIMATORS or not name.lstrip("_")[:1].isupper():
        return False
    _, modules = allowed.ESTIMATORS[library]
    parts = set(module.split("."))
    return "tests" not in parts and any(f"{module}.".startswith(f"{each}.") for each in modules)


def _is_as_named(found: Any, module: str, name: str) -> bool:
    """Say whether a name stands for what its kind says: for that, it is imported."""
    if _is_listed(f"{module}.{name}"):
        return True
    return is_estimator(found) and (found.__module__, found.__qualname__) == (module, name)


def is_estimator(found: Any) -> bool:
    """Say whether something is an estimator's class, of a library that may bring some."""
    if not isinstance(found, type):
        return False
    library = found.__module__.partition(".")[0]
    return library in allowed.ESTIMATORS and issubclass(
        found, named(allowed.ESTIMATORS[library][0])
    )
