"""The allow-list: the classes and functions that the pickle of a model may reference."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any

from mlmodel.errors import Untrusted
from mlmodel.trust import Trust
from mlmodel.trust.rules import conversions
from mlmodel.trust.rules import names as allowed
from mlmodel.trust.rules.call_rules import CALLS
from mlmodel.trust.rules.conversions import import_object

#: The end of the error for a file that no names make loadable.
TRUST_IT = (
    "to trust the file, set 'trust: all' or pin it with 'sha256' in models.yaml, or use "
    "--trust all on the command line"
)
#: Maximum characters of all names in an error, and of one name: a file may have millions.
LISTED_CHARACTERS = 8000
NAME_CHARACTERS = 100

#: Written by joblib for arrays. They are accepted only in place of an array.
ARRAYS = frozenset({"joblib.numpy_pickle.NumpyArrayWrapper", "numpy.memmap"})

#: Prefixes of names in other releases, with their current ones: numpy 1, and scikit-learn 1.5 to
#: 1.7, whose losses do not name their package.
_RENAMED: Mapping[str, str] = {
    "numpy.core.": "numpy._core.",
    "_loss.Cy": "sklearn._loss._loss.Cy",
    "_loss.__pyx_unpickle_Cy": "sklearn._loss._loss.__pyx_unpickle_Cy",
    "sklearn.model_selection._classification_threshold._CurveScorer": (
        "sklearn.metrics._scorer._CurveScorer"
    ),
}
#: Metrics of scikit-learn 1.2, whose names did not end with their width.
_METRIC = re.compile(r"sklearn\.metrics\._dist_metrics\.[A-Z]\w*Distance", re.ASCII)


class AllowList:
    """The allow-list together with the names that the operator trusts.

    Names listed in ``trust`` may be referenced, instantiated and called without restrictions.
    """

    def __init__(self, trust: Trust = ()) -> None:
        self._trust = trust

    def allows(self, module: str, name: str) -> bool:
        """Return whether a name may be referenced, from the name alone. Imports nothing.

        This includes names in a missing module of an estimator library: the module belongs to
        another release, and :meth:`find` then raises ``ImportError``.
        """
        full = f"{module}.{name}"
        if self.is_trusted(full):
            return True
        if not _is_plain(module, name):
            return False
        module, _, name = canonical(full).rpartition(".")
        return _is_listed(canonical(full)) or _is_estimators(module, name) or _is_gone(module)

    def is_trusted(self, full: str) -> bool:
        """Return whether the operator trusts a name."""
        return self._trust == "all" or full in self._trust or self._is_of_trusted_package(full)

    def find(self, module: str, name: str) -> Any:
        """Import and return the class or function of an allowed or trusted name.

        :raises Untrusted: if the name is neither.
        :raises ImportError: if its module does not exist, as with another release of a library.
        :raises AttributeError: if the module has no such name.
        """
        full = f"{module}.{name}"
        if not self.allows(module, name):
            raise untrusted_names([full])
        if not self.is_trusted(full):
            module, _, name = canonical(full).rpartition(".")
            conversion = conversions.find(canonical(full))
            if conversion:
                return conversion.find()
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not self._stands_for(found, module, name):
            raise untrusted_names([full])
        return found

    def _is_of_trusted_package(self, full: str) -> bool:
        """Return whether a name is below a package that the operator trusts as ``package.*``."""
        module, _, name = full.rpartition(".")
        return _is_plain(module, name) and any(
            _is_below(module, pattern[:-2]) for pattern in self._trust if pattern.endswith(".*")
        )

    def _stands_for(self, found: Any, module: str, name: str) -> bool:
        """Return whether an object may be used under this name, as modules also import others."""
        if self._trust == "all" or f"{module}.{name}" in self._trust:
            return True
        if self._is_of_trusted_package(f"{module}.{name}") and callable(found):
            own = str(getattr(found, "__module__", ""))
            if any(_is_below(own, each[:-2]) for each in self._trust if each.endswith(".*")):
                return True
        return _is_as_named(found, module, name)


def untrusted_names(names: Iterable[str]) -> Untrusted:
    """Return the error that lists the untrusted names of a file, as YAML and as an option.

    Names of the standard library, such as ``os.system``, come with no advice to trust them.
    """
    unknown = sorted(set(names))
    harmful = [each for each in unknown if each.partition(".")[0] in sys.stdlib_module_names]
    if harmful:
        return Untrusted(
            "the file references names of Python's standard library outside the allow-list, which "
            f"may run any code: {_join(harmful)}. Do not trust these names. If you know who wrote "
            "the file, pin it with 'sha256'",
            unknown,
        )
    option = f"--trust {_printable(unknown[0])}{' --trust ...' if unknown[1:] else ''}"
    return Untrusted(
        "the file references names outside the allow-list. To trust them, add to its entry in "
        f"models.yaml: {as_yaml(unknown)}; or pin the file with 'sha256'. "
        f"On the command line: {option}",
        unknown,
    )


def as_yaml(names: Iterable[str]) -> str:
    """Return names as the ``trust`` of an entry in ``models.yaml``, on one line."""
    return f"trust: [{_join(names)}]"


def _join(names: Iterable[str]) -> str:
    written, letters = [], 0
    for name in names:
        written.append(_printable(name))
        letters += len(written[-1])
        if letters > LISTED_CHARACTERS:
            written.append("...")
            break
    return ", ".join(written)


def unexpected_use(what: str) -> Untrusted:
    """Return the error for a file that does what no fitted model does with allowed names."""
    return Untrusted(f"{what}; {TRUST_IT}")


def _printable(name: str) -> str:
    text = name if _is_plain(*name.rpartition(".")[::2]) else ascii(name)
    return text if len(text) <= NAME_CHARACTERS else f"{text[:NAME_CHARACTERS]}..."


def _is_plain(module: str, name: str) -> bool:
    """Return whether a name has no dots, and so is an attribute of its module.

    A dotted name could reach all that a module has imported: sklearn, os.system.
    """
    return all(each.isascii() and each.isidentifier() for each in (*module.split("."), name))


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def canonical(full: str) -> str:
    """Return the current name of an object that another release may have named differently."""
    for then, now in _RENAMED.items():
        if full.startswith(then):
            return now + full.removeprefix(then)
    return f"{full}64" if _METRIC.fullmatch(full) else full


def _is_listed(full: str) -> bool:
    if full in ARRAYS or conversions.find(full):
        return True
    listed = (CALLS, allowed.CLASSES, allowed.FUNCTIONS, allowed.UFUNCS, allowed.TYPES)
    return any(full in names for names in listed)


def _is_gone(module: str) -> bool:
    """Return whether a module of an estimator library does not exist here. Imports nothing."""
    if module.partition(".")[0] not in allowed.ESTIMATORS:
        return False
    full, places = "", None
    for part in module.split("."):
        full = f"{full}.{part}" if full else part
        found = PathFinder.find_spec(full, places)
        if found is None:
            return True
        places = found.submodule_search_locations or []
    return False


def _is_estimators(module: str, name: str) -> bool:
    """Return whether a module and a capitalized name look like those of an estimator class."""
    library = module.partition(".")[0]
    if library not in allowed.ESTIMATORS or not name.lstrip("_")[:1].isupper():
        return False
    _, modules = allowed.ESTIMATORS[library]
    parts = set(module.split("."))
    return "tests" not in parts and any(f"{module}.".startswith(f"{each}.") for each in modules)


def _is_as_named(found: Any, module: str, name: str) -> bool:
    """Return whether an imported object is listed, or is an estimator defined under this name."""
    if _is_listed(f"{module}.{name}"):
        return True
    return is_estimator(found) and (found.__module__, found.__qualname__) == (module, name)


def is_estimator(found: Any) -> bool:
    """Return whether an object is an estimator class of one of the listed libraries."""
    if not isinstance(found, type):
        return False
    library = found.__module__.partition(".")[0]
    return library in allowed.ESTIMATORS and issubclass(
        found, import_object(allowed.ESTIMATORS[library][0])
    )
