"""Pickle models, list the modules that they need, and explain missing names."""

from __future__ import annotations

import io
import pickle
import re
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from mlmodel.errors import InvalidModel

#: The protocol of every release of Flama, so that equal models give equal files.
PROTOCOL = 4

#: The module of objects defined in a notebook, or in the running script.
NOTEBOOK = "__main__"

_NO_NAME = re.compile(r"Can't get attribute '([^']+)' on <module '([^']+)'")


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
