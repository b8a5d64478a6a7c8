"""The names that a pickle asks for, told without building anything of it.

What is told is what :mod:`~mlmodel.trust.building` would be asked to find, also within arrays that
joblib wrote between the opcodes. It is for telling; whether a file is built, the gate decides.
"""

from __future__ import annotations

import _compat_pickle
import io
import pickletools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: The class that stands where joblib has written an array.
ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"

#: Tuples and objects that are kept to find the arrays' sizes. What has more is looked at without.
_MOST_PARTS = 1_000_000

_DTYPE = re.compile(r"([A-Za-z])(\d+)")
_LONGEST_NUMBER = 1 << 10


@dataclass(frozen=True)
class Names:
    """What a pickle asks for, in the order in which it does.

    ``others`` are the opcodes by which it could get at more than names. ``is_whole`` says
    whether it could be read to its end.
    """

    names: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True)
class _Name:
    full: str


@dataclass(frozen=True)
class _Made:
    """An object of a named class, and what it is made from."""

    full: str
    arguments: Any


_UNKNOWN = object()
_MARK = object()

#: Opcodes that Python 3 does not write for models: they reach what a name did not say.
_OTHERS = frozenset(
    ["INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"]
)


def names(content: bytes) -> Names:
    """Return the names in a pickle, plain or by joblib, that is not compressed.

    Takes a time and memory that grow with its length, whatever it says.
    """
    walk = _Walk(content)
    is_whole = walk.to_end()
    return Names(tuple(walk.names), tuple(walk.others), is_whole)


class _Walk:
    """A pickle's machine, with a stack of what matters for names and blanks for all else."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)
        self._size_bytes = len(content)
        self.names: dict[tuple[str, str], None] = {}
        self.others: dict[str, None] = {}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._outer: list[tuple[list[Any], dict[int, Any]]] = []
        self._protocol = 0
        self._parts = 0

    def to_end(self) -> bool:
        """Go through the pickle, and say whether it has an end."""
        try:
            while not self._step():
                pass
        # What is no pickle goes wrong anywhere.
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError):
            return False
        return True

    def _step(self) -> bool:
        """Take one opcode, and say whether it is the last."""
        opcode, is_to_mark, taken, made, read = _BY_CODE[self._stream.read(1)]
        argument = read(self._stream) if read else None
        step = _STEPS.get(opcode)
        if step:
            step(self, argument)
        elif opcode == "STOP":
            return self._ends()
        else:
            if is_to_mark:
                self._to_mark()
            self._shift(taken, made, argument)
            if opcode in _OTHERS:
                self.others[opcode] = None
        return False

    def _shift(self, taken: int, made: int, argument: Any) -> None:
        """Take from the stack, and put on it, what an opcode says of itself."""
        if taken:
            del self._stack[-taken:]
        if made == 1 and type(argument) in (str, int):
            is_long = type(argument) is int and argument.bit_length() > _LONGEST_NUMBER
            self._stack.append(_UNKNOWN if is_long else argument)
        elif made:
            self._stack.extend((_UNKNOWN,) * made)

    def _ends(self) -> bool:
        """Go on behind a pickle within the pickle; say whether it was the whole."""
        if not self._outer:
            return True
        self._stack, self._memo = self._outer.pop()
        return False

    def _to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            # A name that is made of what is not known here; the gate will see it.
            self._stack.append(_UNKNOWN)
            return
        if self._protocol < 3:  # noqa: PLR2004  from Python 2's names
            module, name = as_of_python_3(module, name)
        self.names[module, name] = None
        self._stack.append(_Name(f"{module}.{name}"))

    def _global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _: Any) -> None:
        name = self._stack.pop()
        self._name(self._stack.pop(), name)

    def _inst(self, argument: str) -> None:
        self.others["INST"] = None
        self._to_mark()
        self._name(*argument.split(" ", 1))

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _get(self, at: int) -> None:
        self._stack.append(self._memo[at])

    def _put(self, at: int) -> None:
        self._memo[at] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _proto(self, protocol: int) -> None:
        self._protocol = protocol

    def _keep(self, part: Any) -> None:
        self._parts += 1
        self._stack.append(part if self._parts < _MOST_PARTS else _UNKNOWN)

    def _tuple(self, _: Any) -> None:
        self._keep(tuple(self._to_mark()))

    def _tuple_of(self, length: int) -> None:
        items = tuple(self._stack[-length:]) if length else ()
        if length:
            del self._stack[-length:]
        self._keep(items)

    def _reduce(self, _: Any) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        if isinstance(called, _Name):
            self._keep(_Made(called.full, arguments))
        else:
            self._stack.append(_UNKNOWN)

    def _empty_dict(self, _: Any) -> None:
        self._keep({})

    def _set_items(self, _: Any) -> None:
        items = self._to_mark()
        self._set(zip(items[::2], items[1::2], strict=False))

    def _set_item(self, _: Any) -> None:
        value = self._stack.pop()
        self._set([(self._stack.pop(), value)])

    def _set(self, items: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update({key: value for key, value in items if type(key) is str})

    def _build(self, _: Any) -> None:
        state, built = self._stack.pop(), self._stack[-1]
        if isinstance(built, _Made) and built.full == ARRAY and isinstance(state, dict):
            self._stack[-1] = _UNKNOWN
            self._skip_array(state)

    def _skip_array(self, state: Mapping[str, Any]) -> None:
        dtype = state["dtype"]
        kind, digits = _DTYPE.fullmatch(dtype.arguments[0]).groups()  # type: ignore[union-attr]
        if kind == "O":
            # The array of objects is a pickle of its own, and this one goes on behind it.
            self._outer.append((self._stack, self._memo))
            self._stack, self._memo = [], {}
            return
        if state.get("numpy_array_alignment_bytes", _UNKNOWN) is not _UNKNOWN:
            self._stream.seek(self._stream.read(1)[0], io.SEEK_CUR)
        count = 1
        for axis in state["shape"]:
            count *= axis
        size = count * int(digits) * (4 if kind == "U" else 1)
        if not 0 <= size <= self._size_bytes - self._stream.tell():
            raise ValueError("an array ends behind the file")
        self._stream.seek(size, io.SEEK_CUR)


def as_of_python_3(module: str, name: str) -> tuple[str, str]:
    """Return what pickle finds for a name in a pickle that Python 2 could read."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _of(length: int) -> Callable[[_Walk, Any], None]:
    return lambda walk, _: walk._tuple_of(length)


def _taken(opcode: pickletools.OpcodeInfo) -> tuple[bool, int]:
    """Say whether an opcode takes all down to the mark, and how much below that, or at all."""
    before = opcode.stack_before
    if pickletools.markobject not in before:
        return False, len(before)
    return True, before.index(pickletools.markobject)


#: By its code, an opcode's name, what it takes from the stack, puts there, and reads behind it.
_BY_CODE = {
    opcode.code.encode("latin-1"): (
        opcode.name,
        *_taken(opcode),
        len(opcode.stack_after),
        opcode.arg.reader if opcode.arg else None,
    )
    for opcode in pickletools.opcodes
}

_STEPS: Mapping[str, Callable[[_Walk, Any], None]] = {
    "PROTO": _Walk._proto,
    "GLOBAL": _Walk._global,
    "STACK_GLOBAL": _Walk._stack_global,
    "INST": _Walk._inst,
    "MARK": _Walk._mark,
    "POP": _Walk._pop,
    "DUP": _Walk._dup,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Walk._get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Walk._put),
    "MEMOIZE": _Walk._memoize,
    "TUPLE": _Walk._tuple,
    "EMPTY_TUPLE": _of(0),
    "TUPLE1": _of(1),
    "TUPLE2": _of(2),
    "TUPLE3": _of(3),
    "REDUCE": _Walk._reduce,
    "NEWOBJ": _Walk._reduce,
    "EMPTY_DICT": _Walk._empty_dict,
    "SETITEM": _Walk._set_item,
    "SETITEMS": _Walk._set_items,
    "BUILD": _Walk._build,
}
