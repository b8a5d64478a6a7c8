"""The objects that a pickle finds by name, and how it may use each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlmodel.errors import Untrusted
from mlmodel.trust.allowlist import AllowList, canonical, is_estimator
from mlmodel.trust.rules import conversions, names
from mlmodel.trust.rules.call_rules import CALLS, STATEFUL
from mlmodel.trust.rules.conversions import Conversion, import_object
from mlmodel.trust.scan import ARRAY, Array

_RECONSTRUCTOR = import_object("copyreg._reconstructor")


class FoundNames:
    """The objects that one pickle has found by name so far.

    A trusted object may be used without restrictions. Any other has a rule, if it may be called, or
    is a class, of which the pickle may create objects.
    """

    def __init__(self, allow_list: AllowList) -> None:
        self._allow_list = allow_list
        # Keyed by id. The values keep the objects alive, so that no id is reused.
        self._rules: dict[int, tuple[Any, Callable[..., bool]]] = {}
        self._classes: dict[int, Any] = {}
        self._trusted: dict[int, Any] = {}
        self._conversions: dict[int, Conversion] = {}
        self._stateful: set[int] = set()

    def find(self, module: str, name: str) -> Any:
        """Import an object, and record how it may be used.

        Raises the errors of :meth:`AllowList.find`.
        """
        full = canonical(f"{module}.{name}")
        if full == ARRAY:
            self._classes[id(Array)] = Array
            return Array
        if full == "numpy.memmap":
            # joblib references it for an array that was memory-mapped from a file.
            module, name = "numpy", "ndarray"
        found = self._allow_list.find(module, name)
        if self._allow_list.is_trusted(f"{module}.{name}"):
            self._trusted[id(found)] = found
        else:
            self._register(found, full)
        return found

    def _register(self, found: Any, full: str) -> None:
        conversion = conversions.find(full) if isinstance(found, type) else None
        if full in CALLS:
            self._rules[id(found)] = (found, CALLS[full])
            if full in STATEFUL:
                self._stateful.add(id(found))
        elif full in names.CLASSES or is_estimator(found) or conversion:
            self._classes[id(found)] = found
        if conversion:
            self._conversions[id(found)] = conversion

    def is_trusted(self, thing: Any) -> bool:
        """Return whether the operator trusts an object."""
        return id(thing) in self._trusted

    def is_class(self, thing: Any) -> bool:
        """Return whether the pickle may create objects of a class."""
        return id(thing) in self._classes

    def is_callable(self, thing: Any) -> bool:
        """Return whether the pickle may call an object with the arguments that its rule allows."""
        return id(thing) in self._rules

    def may_call(self, called: Any, arguments: tuple[Any, ...]) -> bool:
        """Return whether the arguments comply with the rule of an object that is callable."""
        if called is _RECONSTRUCTOR:
            kind = arguments[0] if arguments else None
            if self.is_trusted(kind):
                return True
            if not self.is_class(kind):
                return False
        return complies(self._rules[id(called)][1], *arguments)

    def returns_stateless(self, called: Any) -> bool:
        """Return whether the pickle may set the state of the object that a call returns."""
        return id(called) in self._stateful or self.is_trusted(called)

    def get_conversion(self, kind: type) -> Conversion | None:
        """Return the conversion from another release for the objects of a class, if it has one."""
        return self._conversions.get(id(kind))


def complies(rule: Callable[..., bool], *arguments: Any) -> bool:
    """Return whether a rule accepts the arguments."""
    try:
        return bool(rule(*arguments))
    except Untrusted:
        raise
    # A rule unpacks its arguments; any error means that they differ from those of a fitted model.
    except Exception:
        return False
