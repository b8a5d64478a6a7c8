"""List the names that a pickle references, without building anything.

The scan and the builder share :class:`Reader`, which interprets the opcodes, and the arrays that
joblib wrote between them. Where the builder imports, calls and sets a state, the scan uses inert
placeholders.
"""

from __future__ import annotations

import _compat_pickle
import io
import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlmodel.trust.allowlist import unexpected_use
from mlmodel.trust.rules.call_rules import is_shape

#: The class that joblib writes in place of an array.
ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"

_DTYPE = re.compile(r"([A-Za-z])(\d{1,9})")
#: The version in the state of each estimator, with the opcodes of any protocol between the key and
#: its value; and the same as written by skops.
_RELEASE = re.compile(
    rb"_sklearn_version'?\n?(?:\x94|q.|r....|p\d+\n)?"
    rb"(?:[\x8cU](?P<byte>.)|[XT](?P<word>....)|V|S')(?P<text>\d+\.\d+[\w.+]*)",
    re.DOTALL,
)
_RELEASE_IN_SKOPS = re.compile(
    rb'"_sklearn_version":\s*\{[^{}]*?"content":\s*"\\"(?P<text>\d+\.\d+[\w.+]*)', re.DOTALL
)


@dataclass(frozen=True)
class Names:
    """The names that a pickle references, as modules and names in the order of its opcodes.

    ``opcode`` is the first opcode that no model has, after which nothing is read; or empty.
    """

    names: tuple[tuple[str, str], ...]
    opcode: str = ""


def names(content: bytes) -> Names:
    """Return the names in an uncompressed pickle, plain or written by joblib.

    For invalid content, the names before the first error. Time and memory grow only with its
    length, regardless of its opcodes.
    """
    listing, opcode = _Listing(io.BytesIO(content), {}), ""
    try:
        listing.load()
    except UnexpectedOpcode as error:
        opcode = error.opcode
    except Exception:  # noqa: S110  invalid content may fail in any opcode, with any error
        pass
    return Names(tuple(listing.names), opcode)


def sklearn_release(content: bytes) -> str | None:
    """Return the scikit-learn release recorded in a pickle or in the schema of a skops file.

    Nothing is built. ``None`` if it holds no estimator of scikit-learn.

    :param content: not compressed.
    """
    found = _RELEASE.search(content) or _RELEASE_IN_SKOPS.search(content)
    if found is None:
        return None
    text = found["text"]
    # A text of known length is followed by the next opcode, which may be a letter.
    size = found.groupdict().get("byte") or found.groupdict().get("word")
    return text[: int.from_bytes(size, "little")].decode() if size else text.decode()


class UnexpectedOpcode(Exception):
    """The pickle has an opcode that Python 3 does not write for models.

    Those opcodes reach objects without naming them.
    """

    def __init__(self, opcode: str) -> None:
        super().__init__(opcode)
        self.opcode = opcode


class Array:
    """Placeholder for an array that joblib wrote."""


#: The names of these opcodes in the module ``pickle``.
_UNEXPECTED = (
    *("INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"),
    *("NEXT_BUFFER", "READONLY_BUFFER"),
)


def _reject(opcode: str) -> Callable[[Any], None]:
    def reject(_reader: Any) -> None:
        raise UnexpectedOpcode(opcode)

    return reject


#: The private class has no type hints; joblib's unpickler is built on it as well.
_Unpickler: Any = pickle._Unpickler


class Reader(_Unpickler):  # type: ignore[misc]
    """The pure-Python unpickler, whose subclasses decide what each object is.

    They define ``_find(module, name)``, ``_call(called, arguments)``, ``_create(kind, arguments,
    keywords)`` and ``_set_state(built, state)``, whose results are put on the stack; and they may
    override the methods of other opcodes. Some raise :class:`UnexpectedOpcode` in all subclasses.
    """

    def __init_subclass__(cls) -> None:
        cls.dispatch = {
            code: getattr(cls, load.__name__) for code, load in _Unpickler.dispatch.items()
        } | {code: _reject(name) for name in _UNEXPECTED for code in getattr(pickle, name)}

    def __init__(self, stream: io.BytesIO, **options: Any) -> None:
        super().__init__(stream, **options)
        self._stream = stream

    def find_class(self, module: str, name: str) -> Any:
        """Return the result of the subclass's ``_find`` for a name, mapped to Python 3."""
        if self.proto < 3:  # noqa: PLR2004  has names of Python 2
            key = module, name
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
            module, name = _compat_pickle.NAME_MAPPING.get(key, (module, name))
        return self._find(module, name)

    def load_reduce(self) -> None:
        """Call an object with arguments."""
        arguments, called = self.stack.pop(), self.stack.pop()
        self.append(self._call(called, arguments))

    def load_newobj(self) -> None:
        """Create an object of a class."""
        arguments, kind = self.stack.pop(), self.stack.pop()
        self.append(self._create(kind, arguments, {}))

    def load_newobj_ex(self) -> None:
        """Create an object of a class, with keywords."""
        keywords, arguments, kind = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(self._create(kind, arguments, keywords))

    def load_build(self) -> None:
        """Set the state of an object."""
        state = self.stack.pop()
        self.stack[-1] = self._set_state(self.stack[-1], state)

    def load_bytearray8(self) -> None:
        """Push a bytearray, allocating no more than the file holds, even if it states more."""
        size = int.from_bytes(self.read(8), "little")
        content = self.read(min(size, len(self._stream.getbuffer())))
        if len(content) != size:
            raise EOFError("the pickle is truncated")
        self.append(bytearray(content))

    def _read_array(self, state: Any, item_bytes: int) -> memoryview:
        """Return the bytes of an array that joblib wrote behind its opcodes."""
        shape = state["shape"]
        if not is_shape(shape):
            raise unexpected_use("the pickle has an array without a valid type and shape")
        if state.get("numpy_array_alignment_bytes") is not None:
            self._stream.seek(self._stream.read(1)[0], io.SEEK_CUR)
        content, at = self._stream.getbuffer(), self._stream.tell()
        end = at + math.prod(shape) * item_bytes
        if end > len(content):
            raise EOFError("the file ends within an array")
        self._stream.seek(end)
        return content[at:end]


@dataclass(frozen=True, slots=True)
class _Name:
    full: str


@dataclass(frozen=True, slots=True)
class _DType:
    text: str


_UNKNOWN = object()


class _Listing(Reader):
    """Reader that imports and calls nothing. It keeps only what determines the size of an array."""

    def __init__(self, stream: io.BytesIO, names: dict[tuple[str, str], None]) -> None:
        super().__init__(stream, encoding="latin-1")
        self.names = names

    def _find(self, module: str, name: str) -> Any:
        self.names[module, name] = None
        return _Name(f"{module}.{name}")

    def load_stack_global(self) -> None:
        # Names computed from unknown values are left to the builder, which checks every name.
        if all(type(each) is str for each in self.stack[-2:]):
            super().load_stack_global()
        else:
            self.stack[-2:] = [_UNKNOWN]

    def _call(self, called: Any, arguments: Any) -> Any:
        return _placeholder(called, arguments if type(arguments) is tuple else ())

    def _create(self, kind: Any, arguments: Any, _keywords: Any) -> Any:
        return self._call(kind, arguments)

    def _set_state(self, built: Any, state: Any) -> Any:
        return self._skip_array(state) if isinstance(built, Array) else built

    def _skip_array(self, state: Any) -> Any:
        kind, digits = _DTYPE.fullmatch(state["dtype"].text).groups()  # type: ignore[union-attr]
        if kind == "O":
            # An array of objects is a nested pickle, after which this one continues.
            _Listing(self._stream, self.names).load()
        else:
            self._read_array(state, int(digits) * (4 if kind == "U" else 1))
        return _UNKNOWN

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set_items(items)

    def load_setitem(self) -> None:
        items = self.stack[-2:]
        del self.stack[-2:]
        self._set_items(items)

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    def _set_items(self, items: list[Any]) -> None:
        """Set items with string keys only: hashing a nested tuple may take forever."""
        if type(self.stack[-1]) is dict:
            pairs = zip(items[::2], items[1::2], strict=False)
            self.stack[-1].update({key: value for key, value in pairs if type(key) is str})

    def load_append(self) -> None:
        self.stack.pop()

    def load_appends(self) -> None:
        self.pop_mark()

    load_additems = load_appends

    def load_empty_set(self) -> None:
        self.append(_UNKNOWN)

    def load_frozenset(self) -> None:
        self.pop_mark()
        self.append(_UNKNOWN)


def _placeholder(called: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the placeholder for a new object."""
    full = called.full if type(called) is _Name else ""
    if full == "copyreg._reconstructor" and arguments and type(arguments[0]) is _Name:
        full = arguments[0].full
    if full == ARRAY:
        return Array()
    if full == "numpy.dtype" and arguments and type(arguments[0]) is str:
        return _DType(arguments[0])
    return _UNKNOWN
