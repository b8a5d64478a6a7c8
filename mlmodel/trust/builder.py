"""Unpickle under the allow-list: each import, instantiation, call and state is checked first.

Based on the pure-Python unpickler, with one method for each opcode. The one in C only lets a
subclass check names, and then calls and changes any class unchecked.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from mlmodel.trust import Trust
from mlmodel.trust.allowlist import AllowList, unexpected_use
from mlmodel.trust.found_names import FoundNames, complies
from mlmodel.trust.rules import names, state_rules
from mlmodel.trust.rules.conversions import Conversion, Dropped
from mlmodel.trust.scan import Array, Reader, UnexpectedOpcode

#: Depth to which nested tuples and dicts are searched for objects without a state.
_DEPTH = 4
_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)


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
        self._found = FoundNames(allow_list)
        self._created = _CreatedObjects()

    def load(self) -> Any:
        found = super().load()
        self._created.check()
        return found

    def _find(self, module: str, name: str) -> Any:
        return self._found.find(module, name)

    def _call(self, called: Any, arguments: Any) -> Any:
        if type(arguments) is not tuple or not self._is_allowed_call(called, arguments):
            raise unexpected_use(f"the pickle calls {_title(called)} with unexpected arguments")
        created = called(*arguments)
        if self._found.returns_stateless(called):
            self._created.add(created)
        return created

    def _is_allowed_call(self, called: Any, arguments: tuple[Any, ...]) -> bool:
        if self._found.is_trusted(called):
            return True
        if not self._found.is_callable(called) or self._created.has_shell(arguments):
            return False
        return self._found.may_call(called, arguments)

    def _create(self, kind: Any, arguments: Any, keywords: Any) -> Any:
        parts = names.NAMED_TUPLES.get(_title(kind), 0)
        if not self._found.is_trusted(kind) and (
            not self._found.is_class(kind)
            or type(arguments) is not tuple
            or len(arguments) != parts
            or keywords != {}
            or self._created.has_shell(arguments)
        ):
            raise unexpected_use(f"the pickle creates {_title(kind)} with unexpected arguments")
        created = kind.__new__(kind, *arguments, **keywords)
        self._created.add(created)
        return created

    def _set_state(self, built: Any, state: Any) -> Any:
        if not self._created.is_stateless(built):
            if type(state) is tuple and not state:
                # scikit-learn 1.8 writes an empty state for a loss: there is nothing to set.
                return built
            raise unexpected_use(f"the pickle changes {_title(built)}, which is not a new object")
        if isinstance(built, Array):
            self._created.complete(built)
            return self._array(state)
        if self._found.is_trusted(type(built)):
            self._created.complete(built)
            self.stack.append(state)
            pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
            return built
        conversion = self._found.get_conversion(type(built))
        if conversion:
            state = _convert(conversion, built, state)
        if state is not None and not self._is_allowed_state(built, state):
            raise unexpected_use(f"the pickle sets an unexpected state on {_title(built)}")
        self._created.complete(built)
        if state is not None:
            _set_allowed_state(built, state)
        return built

    def _is_allowed_state(self, built: Any, state: Any) -> bool:
        if self._created.has_shell(state):
            return False
        members = state.values() if type(state) is dict else ()
        # A model may call its members, so classes and functions to build with must not be members.
        if any(self._found.is_class(each) or self._found.is_callable(each) for each in members):
            return False
        return complies(state_rules.is_allowed, built, state)

    def _array(self, state: Any) -> Any:
        """Read an array that joblib wrote behind its opcodes."""
        import numpy as np  # noqa: PLC0415

        shape, dtype = state["shape"], state["dtype"]
        if not isinstance(dtype, np.dtype) or self._created.has_shell(dtype):
            raise unexpected_use("the pickle has an array without a valid type and shape")
        if dtype.hasobject:
            # A pickle within the pickle, built under the same allow-list.
            return _Builder(self._stream, self._allow_list).load()
        content = self._read_array(state, dtype.itemsize)
        is_fortran = state.get("order") == "F"
        array = np.ndarray(shape, dtype, content, order="F" if is_fortran else "C").copy("K")
        return array if dtype.isnative else array.astype(dtype.newbyteorder("="))

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
        if isinstance(top, np.ndarray) and not self._created.is_stateless(top):
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

    def _check_kind(self, target: Any, *kinds: type) -> None:
        # Subclasses such as Bunch are accepted if they use dict's own ``__setitem__``.
        is_dict = dict in kinds and getattr(type(target), "__setitem__", None) is dict.__setitem__
        if type(target) not in kinds and not is_dict and not self._found.is_trusted(type(target)):
            raise unexpected_use(f"the pickle adds items to {_title(target)}")


class _CreatedObjects:
    """The objects that a pickle has created so far; one is stateless until its state is set."""

    def __init__(self) -> None:
        self._all: list[Any] = []
        # Keyed by id. The list keeps the objects alive, so that no id is reused.
        self._stateless: set[int] = set()

    def add(self, created: Any) -> None:
        self._all.append(created)
        self._stateless.add(id(created))

    def is_stateless(self, thing: Any) -> bool:
        return id(thing) in self._stateless

    def complete(self, thing: Any) -> None:
        """Record that the state of an object is set, which happens once."""
        self._stateless.remove(id(thing))

    def has_shell(self, value: Any, depth: int = 0) -> bool:
        """Return whether a value contains arrays or dtypes that a later state could change."""
        if self.is_stateless(value):
            return _is_array_or_dtype(value)
        if type(value) not in (dict, tuple) or depth == _DEPTH:
            return False
        parts = value.values() if type(value) is dict else value
        return any(self.has_shell(each, depth + 1) for each in parts)

    def check(self) -> None:
        """Reject the pickle if a complete object is not safe to use."""
        for built in self._all:
            if not state_rules.is_sound(built):
                raise unexpected_use(f"the pickle builds {_title(built)} with unsafe members")


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


def _is_array_or_dtype(value: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    return isinstance(value, np.ndarray | np.dtype)


def _title(thing: Any) -> str:
    kind = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    module, name = getattr(kind, "__module__", None), getattr(kind, "__qualname__", None)
    return f"{module}.{name}" if isinstance(name, str) else "something"
