"""Unpickle under the allow-list: each import, instantiation, call and state is checked first.

Based on the pure-Python unpickler, with one method for each opcode. The one in C only lets a
subclass check names, and then calls and changes any class unchecked.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from mlmodel.errors import Untrusted
from mlmodel.trust import Trust
from mlmodel.trust.allowlist import AllowList, canonical, is_estimator, unexpected_use
from mlmodel.trust.rules import conversions, names, state_rules
from mlmodel.trust.rules.call_rules import CALLS, STATEFUL
from mlmodel.trust.rules.conversions import Conversion, Dropped, import_object
from mlmodel.trust.scan import ARRAY, Array, Reader, UnexpectedOpcode

#: Depth to which nested tuples and dicts are searched for objects without a state.
_DEPTH = 4


def build(content: bytes, trust: Trust = ()) -> Any:
    """Build the object in an uncompressed pickle, plain or written by joblib.

    :param trust: names that may be used without restrictions, in addition to the allow-list.
    :raises Untrusted: if it needs any other name, or uses an allowed one as no model does.
    :raises Exception: any error of the classes, and of pickle for invalid content.
    """
    try:
        return _Builder(io.BytesIO(content), AllowList(trust)).load()
    except UnexpectedOpcode as error:
        raise unexpected_use(f"the pickle contains the opcode {error.opcode}") from None


class _Builder(Reader):
    def __init__(self, stream: io.BytesIO, allow_list: AllowList) -> None:
        super().__init__(stream)
        self._allow_list = allow_list
        # Keyed by id. The values keep the objects alive, so that no id is reused.
        self._rules: dict[int, tuple[Any, Callable[..., bool]]] = {}
        self._kinds: dict[int, Any] = {}
        self._trusted: dict[int, Any] = {}
        self._conversions: dict[int, Conversion] = {}
        self._stateless: dict[int, Any] = {}
        self._stateful: set[int] = set()
        self._created: list[Any] = []

    def load(self) -> Any:
        found = super().load()
        self._check_created()
        return found

    def _find(self, module: str, name: str) -> Any:
        full = canonical(f"{module}.{name}")
        if full == ARRAY:
            self._kinds[id(Array)] = Array
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
        """Record how an object that was found by name may be used."""
        conversion = conversions.find(full) if isinstance(found, type) else None
        if full in CALLS:
            self._rules[id(found)] = (found, CALLS[full])
            if full in STATEFUL:
                self._stateful.add(id(found))
        elif full in names.CLASSES or is_estimator(found) or conversion:
            self._kinds[id(found)] = found
        if conversion:
            self._conversions[id(found)] = conversion

    def _call(self, called: Any, arguments: Any) -> Any:
        if type(arguments) is not tuple or not self._is_allowed_call(called, arguments):
            raise unexpected_use(f"the pickle calls {_title(called)} with unexpected arguments")
        created = called(*arguments)
        if id(called) in self._stateful or id(called) in self._trusted:
            self._expect_state(created)
        return created

    def _set_state(self, built: Any, state: Any) -> Any:
        if id(built) not in self._stateless:
            if type(state) is tuple and not state:
                # scikit-learn 1.8 writes an empty state for a loss: there is nothing to set.
                return built
            raise unexpected_use(f"the pickle changes {_title(built)}, which is not a new object")
        if isinstance(built, Array):
            del self._stateless[id(built)]
            return self._array(state)
        if id(type(built)) in self._trusted:
            del self._stateless[id(built)]
            self.stack.append(state)
            pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
            return built
        if id(type(built)) in self._conversions:
            state = _convert(self._conversions[id(type(built))], built, state)
        if state is not None and not self._is_allowed_state(built, state):
            raise unexpected_use(f"the pickle sets an unexpected state on {_title(built)}")
        del self._stateless[id(built)]
        if state is not None:
            _set_allowed_state(built, state)
        return built

    def load_get(self) -> None:
        super().load_get()
        self._unshare()

    def load_binget(self) -> None:
        super().load_binget()
        self._unshare()

    def load_long_binget(self) -> None:
        super().load_long_binget()
        self._unshare()

    def load_dup(self) -> None:
        super().load_dup()
        self._unshare()

    def _unshare(self) -> None:
        """Copy an array that the pickle references again, so that no part changes another's."""
        import numpy as np  # noqa: PLC0415

        top = self.stack[-1]
        if isinstance(top, np.ndarray) and id(top) not in self._stateless:
            self.stack[-1] = top.copy(order="K")

    def load_setitem(self) -> None:
        self._check_kind(self.stack[-3], *_MAPPINGS)
        super().load_setitem()

    def load_setitems(self) -> None:
        self._check_kind(self.metastack[-1][-1], *_MAPPINGS)
        super().load_setitems()

    def load_append(self) -> None:
        self._check_kind(self.stack[-2], list, deque)
        super().load_append()

    def load_appends(self) -> None:
        self._check_kind(self.metastack[-1][-1], list, deque)
        super().load_appends()

    def load_additems(self) -> None:
        self._check_kind(self.metastack[-1][-1], set)
        super().load_additems()

    def _check_created(self) -> None:
        for built in self._created:
            if not state_rules.is_sound(built):
                raise unexpected_use(f"the pickle builds {_title(built)} with unsafe members")

    def _is_allowed_call(self, called: Any, arguments: tuple[Any, ...]) -> bool:
        if id(called) in self._trusted:
            return True
        if id(called) not in self._rules:
            return False
        if self._has_stateless(arguments):
            return False
        if called is _RECONSTRUCTOR:
            kind = arguments[0] if arguments else None
            if id(kind) in self._trusted:
                return True
            if id(kind) not in self._kinds:
                return False
        return _complies(self._rules[id(called)][1], *arguments)

    def _create(self, kind: Any, arguments: Any, keywords: Any) -> Any:
        is_trusted = id(kind) in self._trusted
        parts = names.NAMED_TUPLES.get(_title(kind), 0)
        if not is_trusted and (
            id(kind) not in self._kinds
            or type(arguments) is not tuple
            or len(arguments) != parts
            or keywords != {}
            or self._has_stateless(arguments)
        ):
            raise unexpected_use(f"the pickle creates {_title(kind)} with unexpected arguments")
        created = kind.__new__(kind, *arguments, **keywords)
        self._expect_state(created)
        return created

    def _expect_state(self, created: Any) -> None:
        self._stateless[id(created)] = created
        self._created.append(created)

    def _is_allowed_state(self, built: Any, state: Any) -> bool:
        if self._has_stateless(state):
            return False
        members = state.values() if type(state) is dict else ()
        # A model may call its members, so classes and functions to build with must not be members.
        if any(id(each) in self._kinds or id(each) in self._rules for each in members):
            return False
        return _complies(state_rules.is_allowed, built, state)

    def _has_stateless(self, value: Any, depth: int = 0) -> bool:
        """Return whether a value contains arrays or dtypes that a later state could change."""
        if id(value) in self._stateless:
            return _is_shell(value)
        if type(value) not in (dict, tuple) or depth == _DEPTH:
            return False
        parts = value.values() if type(value) is dict else value
        return any(self._has_stateless(each, depth + 1) for each in parts)

    def _check_kind(self, target: Any, *kinds: type) -> None:
        # Subclasses such as Bunch are accepted if they use dict's own ``__setitem__``.
        is_dict = dict in kinds and getattr(type(target), "__setitem__", None) is dict.__setitem__
        if type(target) not in kinds and not is_dict and id(type(target)) not in self._trusted:
            raise unexpected_use(f"the pickle adds items to {_title(target)}")

    def _array(self, state: Any) -> Any:
        """Read an array that joblib wrote behind its opcodes."""
        import numpy as np  # noqa: PLC0415

        shape, dtype = state["shape"], state["dtype"]
        if not isinstance(dtype, np.dtype) or self._has_stateless(dtype):
            raise unexpected_use("the pickle has an array without a valid type and shape")
        if dtype.hasobject:
            # A pickle within the pickle, built under the same allow-list.
            return _Builder(self._stream, self._allow_list).load()
        content = self._read_array(state, dtype.itemsize)
        is_fortran = state.get("order") == "F"
        array = np.ndarray(shape, dtype, content, order="F" if is_fortran else "C").copy("K")
        return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


_RECONSTRUCTOR = import_object("copyreg._reconstructor")
_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)


def _complies(rule: Callable[..., bool], *arguments: Any) -> bool:
    try:
        return bool(rule(*arguments))
    except Untrusted:
        raise
    # A rule unpacks its arguments; any error means that they differ from those of a fitted model.
    except Exception:
        return False


def _convert(conversion: Conversion, built: Any, state: Any) -> Any:
    """Return the part of a state that is still to be set on an object after its conversion."""
    try:
        return conversion.set_state(built, state)
    # A conversion unpacks the state; any error means that it differs from that of a fitted model.
    except Exception as error:
        raise unexpected_use(f"the pickle sets an unexpected state on {_title(built)}") from error


def _set_allowed_state(built: Any, state: Any) -> None:
    if type(state) is dict and any(isinstance(each, Dropped) for each in state.values()):
        state = {name: None if isinstance(each, Dropped) else each for name, each in state.items()}
    # Looked up on the class: an attribute of the instance would come from the pickle.
    setstate = getattr(type(built), "__setstate__", None)
    if setstate is not None:
        setstate(built, state)
        return
    for name, value in state.items():
        built.__dict__[name] = value


def _is_shell(value: Any) -> bool:
    """Return whether a value is an array or a dtype, which its state would change."""
    import numpy as np  # noqa: PLC0415

    return isinstance(value, np.ndarray | np.dtype)


def _title(thing: Any) -> str:
    kind = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    module, name = getattr(kind, "__module__", None), getattr(kind, "__qualname__", None)
    return f"{module}.{name}" if isinstance(name, str) else "something"
