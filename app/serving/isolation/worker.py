"""The process of isolated models, which child_process.py starts.

It creates and loads models, and runs one call after another; its responses are JSON. A crash of a
model is contained here, and the process ends with the server process that started it.
"""

from __future__ import annotations

import faulthandler
import fcntl
import logging
import os
import pickle
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from app.serving.calls.methods import Method, methods_of
from app.serving.calls.to_json import to_json
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import InvalidAnswer
from app.serving.isolation import sandbox
from app.serving.isolation.protocol import Bounds, read, written
from app.serving.process.memory import return_memory
from app.serving.process.reasons import reason
from mlmodel.endpoint import endpoints_of
from mlmodel.errors import FlmError, InvalidInput
from mlmodel.model import MLModel, display_name
from mlmodel.trust.trial import first_look


class Inmate:
    """A model of this process, which carries out the server's orders."""

    def __init__(self, unsandboxed: str) -> None:
        self._unsandboxed = unsandboxed
        self._model: MLModel
        self._methods: Mapping[str, Method] = {}

    def obey(self, order: Sequence[Any]) -> dict[str, Any]:
        """Return the result or error of an order: the name of a method below, and its arguments."""
        name, *arguments = order
        try:
            return {"done": _METHODS[name](self, *arguments)}
        except InvalidInput as error:
            return {"input": [str(error), [asdict(each) for each in error.violations]]}
        except InvalidAnswer as error:
            return {"answer": str(error)}
        # The author's code may raise anything, even SystemExit and KeyboardInterrupt.
        except BaseException as error:
            return {"raised": _told(error)}

    def create(self, pickled: str) -> dict[str, Any]:
        """Create the model of an entry, and return the description that it has before loading."""
        # Only the server process sends pickles; the responses to it are JSON.
        spec: ModelSpec = pickle.loads(pickled.encode("latin-1"))  # noqa: S301
        self._model = spec.create()
        return self._described()

    def load(self) -> dict[str, Any]:
        """Load the model, and return its full description."""
        model = self._model
        model.load()
        self._methods = methods_of(model)
        return self._described() | {
            "input_schema": to_json(model.input_schema),
            "output_schema": to_json(model.output_schema),
            "examples": to_json([*model.examples]),
            "notes": [str(note) for note in model.notes],
            "is_row_wise": bool(model.is_row_wise),
            "replaces_missing": bool(model.replaces_missing),
            "artifacts": {str(name): str(path) for name, path in model.artifacts.items()},
            "endpoints": [to_json(asdict(each)) for each in endpoints_of(model).values()],
        }

    def ask(self, endpoint: str, rows: Sequence[Any]) -> Any:
        """Return the model's predictions for rows, as plain JSON."""
        return self._methods[endpoint](rows)

    def unload(self) -> None:
        """Call the model's ``unload`` if it was loaded."""
        if self._methods:
            self._model.unload()

    def _described(self) -> dict[str, Any]:
        model = self._model
        return {
            "unsandboxed": self._unsandboxed,
            "qualified_name": model.qualified_name,
            "display_name": display_name(model),
            "description": str(model.description),
            "version": str(model.version),
            "metadata": {"class": type(model).__qualname__, **_metadata(model)},
        }


_METHODS: Mapping[str, Callable[..., Any]] = {
    "create": Inmate.create,
    "load": Inmate.load,
    "ask": Inmate.ask,
    "unload": Inmate.unload,
}


def _metadata(model: MLModel) -> Mapping[str, Any]:
    told = to_json(model.metadata)
    return told if isinstance(told, Mapping) else {}


def _told(error: BaseException) -> dict[str, Any]:
    return {
        "reason": reason(error),
        "kind": type(error).__name__,
        "text": str(error),
        # The traceback of a FlmError without a cause adds nothing to its message.
        "trace": None
        if isinstance(error, FlmError) and not error.__cause__
        else "".join(traceback.format_exception(error)),
        "is_short_of_memory": isinstance(error, MemoryError),
    }


def main() -> None:
    """Carry out orders until the server process closes the connection or ends."""
    orders, lifeline = (int(argument) for argument in sys.argv[1:])
    _end_with(lifeline)
    # A server that shuts down still waits for running calls; it ends this process itself.
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    faulthandler.enable()
    connection = Connection(orders)
    bounds, level = pickle.loads(connection.recv_bytes())  # noqa: S301
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    most = bounds.memory_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    # A hostile file may crash this process, so no other process needs to inspect it first.
    first_look.look_in_this_process()
    unsandboxed = _restrict(bounds)
    #: Models by the keys that the server assigns.
    inmates: dict[int, Inmate] = {}
    while True:
        try:
            key, *order = read(connection.recv_bytes())
        except EOFError:
            return
        if order[0] == "create":
            inmates[key] = Inmate(unsandboxed)
        said = inmates[key].obey(order)
        if order[0] == "unload":
            del inmates[key]
            return_memory()
        connection.send_bytes(_in_words(said))


def _restrict(bounds: Bounds) -> str:
    """Enter the sandbox; return why that is impossible or disabled, or ``""``."""
    if not bounds.is_sandboxed:
        return "its entry says so"
    try:
        sandbox.enter(bounds.reads, os.environ["TMPDIR"])
    except sandbox.NoSandbox as error:
        return str(error)
    return ""


def _in_words(said: dict[str, Any]) -> bytes:
    try:
        return written(said)
    except (TypeError, ValueError) as error:
        return written({"answer": f"JSON cannot say the answer: {error}"})
    except MemoryError as error:
        return written({"raised": _told(error)})


def _end_with(lifeline: int) -> None:
    """Make the kernel kill this process group when the other end of the pipe closes.

    This works regardless of what the model does: it needs no thread and no interpreter lock.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # the other end is already closed
        sys.exit()
