"""Write, inspect and build pickles, plain or written by joblib, with joblib's compression."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from mlmodel.bounded.compression import LZ4, STREAMS, expand
from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.trust import Trust, builder
from mlmodel.trust.allowlist import AllowList, unexpected_use, untrusted_names
from mlmodel.trust.trial import trial_build

#: The protocol of every release of Flama, so that equal models give equal files.
PROTOCOL = 4

#: The module of objects defined in a notebook, or in the running script.
NOTEBOOK = "__main__"

_NO_NAME = re.compile(r"Can't get attribute '([^']+)' on <module '([^']+)'")


@dataclass(frozen=True)
class PickleContents:
    """The contents of a pickle: all names, those not allowed, and an opcode that no model has."""

    names: tuple[str, ...]
    untrusted: tuple[str, ...]
    opcode: str


def inspect(content: bytes, trust: Trust = (), file_bytes: int = 0) -> PickleContents:
    """Return the names of a pickle. Nothing is built or imported.

    For invalid content, the result has the names before the first error.

    :param file_bytes: size of the compressed file, if it was compressed.
    :raises InvalidFile: if it does not decompress.
    :raises BrokenModel: if finding the names takes too much time or memory.
    """
    found = trial_build.names(expand(content), file_bytes or len(content))
    allow_list = AllowList(trust)
    unknown = [each for each in found.names if not allow_list.allows(*each)]
    return PickleContents(_full_names(found.names), _full_names(unknown), found.opcode)


def _full_names(names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(f"{module}.{name}" for module, name in names))


def check(content: bytes, trust: Trust, file_bytes: int = 0) -> None:
    """Reject a pickle with names that are neither allowed nor trusted.

    :raises Untrusted: with all such names.
    :raises BrokenModel: if all of these names were defined in a notebook.
    """
    if trust == "all":
        return
    found = inspect(content, trust, file_bytes)
    own = f"{NOTEBOOK}."
    if found.untrusted and all(name.startswith(own) for name in found.untrusted):
        raise BrokenModel(notebook_message(found.untrusted[0].removeprefix(own)))
    if found.untrusted:
        raise untrusted_names(found.untrusted)
    if found.opcode:
        raise unexpected_use(f"the pickle contains the opcode {found.opcode}")


def build(content: bytes, trust: Trust) -> Any:
    """Return the object in a pickle, after a trial build in another process.

    :raises Untrusted: if it needs a name that is neither allowed nor trusted.
    :raises BrokenModel: if building it crashes, or takes too much time or memory.
    :raises Exception: any error of pickle, joblib or the classes.
    """
    if trust == "all":
        return _load_unchecked(content)
    return builder.build(try_build(content, trust), trust)


def try_build(content: bytes, trust: Trust) -> bytes:
    """Build a pickle in another process first, and return the decompressed pickle.

    :raises FlmError: as :func:`build` does.
    """
    plain = expand(content)
    check(plain, trust, len(content))
    trial_build.build_first(plain, trust, len(content))
    return plain


def schemas(content: bytes, trust: Trust) -> Any:
    """Return the schemas that the trial build found, as JSON, or ``None`` if it found none."""
    return None if trust == "all" else trial_build.schemas(expand(content), trust)


def _load_unchecked(content: bytes) -> Any:
    is_compressed = content.startswith((LZ4, *STREAMS))
    if not is_compressed and b"joblib.numpy_pickle" not in content:
        return pickle.loads(content)  # noqa: S301  trusted by the operator
    import joblib  # noqa: PLC0415  large and optional

    return joblib.load(io.BytesIO(content))


def dumps(model: Any) -> bytes:
    """Pickle a model.

    :raises InvalidModel: if it cannot be pickled, or has parts that only this process can import.
    """
    stream = io.BytesIO()
    own = _pickle(model, _Recorder(stream, PROTOCOL))
    strangers = sorted(name for module, name in own if module == NOTEBOOK)
    if strangers:
        raise InvalidModel(
            f"{type(model).__name__} has parts that were defined in a notebook or script, where no "
            f"other process can import them: {', '.join(strangers)}; move them to a module of a "
            "package that is installed where the model is served"
        )
    return stream.getvalue()


def modules(model: Any) -> set[str]:
    """Return the modules of all classes and functions in a model.

    :raises InvalidModel: if it cannot be pickled.
    """
    # Large buffers go out of band and are discarded.
    recorder = _Recorder(_Nowhere(), 5, buffer_callback=lambda _: None)
    return {module for module, _ in _pickle(model, recorder)}


def describe_missing(error: ImportError | AttributeError) -> str | None:
    """Return a sentence on the module or name that a pickle lacks; ``None`` for other errors."""
    if isinstance(error, ModuleNotFoundError):
        return f"the model needs the module {error.name!r}, which is not installed"
    if isinstance(error, ImportError):
        return (
            f"the model needs the module {error.name!r}, which is installed but cannot be imported"
        )
    found = _NO_NAME.search(str(error))
    own = getattr(error.obj, "__name__", "") if isinstance(error.obj, ModuleType) else ""
    name, module = found.groups() if found else (error.name, own)
    if not module:
        return None
    # In a module run by ``python -m``, the specification holds the module's name.
    if module.rpartition(".")[2] == NOTEBOOK:
        return notebook_message(str(name))
    return f"the model needs {name!r} of the module {module!r}, which has no such name"


def notebook_message(name: str) -> str:
    """Return the message for a pickle that references a name of its author's notebook or script."""
    return (
        f"the model needs {name!r}, which was defined in a notebook or script "
        f"(module {NOTEBOOK!r}); package it again with {name!r} in a module that is "
        "installed here"
    )


class _Recorder(pickle.Pickler):
    """Pickler that records the module and name of each class and function in an object."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.met: set[tuple[str, str]] = set()

    def reducer_override(self, each: Any) -> Any:
        known = isinstance(each, type | FunctionType | BuiltinFunctionType)
        kind = each if known else type(each)
        self.met.add((str(kind.__module__), kind.__qualname__))
        return NotImplemented


class _Nowhere(io.RawIOBase):
    def write(self, content: Any) -> int:
        return len(content)


def _pickle(model: Any, recorder: _Recorder) -> set[tuple[str, str]]:
    # The model's own code defines its state, and may raise anything.
    try:
        recorder.dump(model)
    except Exception as error:
        if "<lambda>" in str(error) or "<locals>" in str(error):
            raise InvalidModel(
                f"{type(model).__name__} has a lambda, or a function or class that was defined "
                f"within a function, where no other process can import it ({error}): define it by "
                "name at the top of a module that is installed where the model is served"
            ) from error
        raise InvalidModel(f"{type(model).__name__} cannot be pickled: {error}") from error
    return recorder.met
