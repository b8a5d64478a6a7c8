"""The program of an isolated process, which isolated_process.py starts.

It creates and loads models, and runs one call after another; its responses are JSON. A crash of a
model is contained here, and the process ends with the server process that started it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import pickle
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from app.serving.calls.methods import Method, get_methods
from app.serving.calls.to_json import to_json
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import InvalidPrediction, get_failure_text
from app.serving.isolation import sandbox
from app.serving.isolation.protocol import MAX_RESPONSE_BYTES, Bounds, decode, encode
from app.serving.process.memory import return_memory
from mlmodel.bounded.child_process import connect, limit_resources
from mlmodel.declarations.declaration import to_input_schema, to_output_schema
from mlmodel.declarations.endpoints import get_endpoints
from mlmodel.errors import FlmError, InvalidInput
from mlmodel.model import MLModel, display_name
from mlmodel.trust.trial import trial_build

#: Maximum bytes of a file that a sandboxed process writes.
FILE_BYTES = 1_000_000_000


class ModelRunner:
    """A model in the isolated process, which carries out the server's orders."""

    def __init__(self, unsandboxed: str) -> None:
        self._unsandboxed = unsandboxed
        self._model: MLModel
        self._methods: Mapping[str, Method] = {}

    def run(self, order: Sequence[Any]) -> dict[str, Any]:
        """Return the result or error of an order: the name of a method below, and its arguments."""
        name, *arguments = order
        try:
            return {"done": _METHODS[name](self, *arguments)}
        except InvalidInput as error:
            return {"input": [str(error), [asdict(each) for each in error.violations]]}
        except InvalidPrediction as error:
            return {"invalid": str(error)}
        # The author's code may raise anything, even SystemExit and KeyboardInterrupt.
        except BaseException as error:
            return {"raised": _describe_error(error)}

    def create(self, pickled: str) -> dict[str, Any]:
        """Create the model of an entry, and return the description that it has before loading.

        It includes the schemas if they can be read now.
        """
        # Only the server process sends pickles; the responses to it are JSON.
        spec: ModelSpec = pickle.loads(pickled.encode("latin-1"))  # noqa: S301
        self._model = model = spec.create()
        with suppress(Exception):  # the author's properties may need load()
            if not model.schemas_need_load:
                return self._description() | self._schemas()
        return self._description()

    def load(self) -> dict[str, Any]:
        """Load the model, and return its full description."""
        model = self._model
        model.load()
        self._methods = get_methods(model)
        return self._description() | self._schemas()

    def predict(self, endpoint: str, rows: Sequence[Any]) -> Any:
        """Return the model's predictions for rows, as plain JSON."""
        return self._methods[endpoint](rows)

    def unload(self) -> None:
        """Call the model's ``unload`` if it was loaded."""
        if self._methods:
            self._model.unload()

    def _schemas(self) -> dict[str, Any]:
        model = self._model
        return {
            "input_schema": to_json(to_input_schema(model.input_schema)),
            "output_schema": to_json(to_output_schema(model.output_schema)),
            "examples": to_json([*model.examples]),
            "example_names": [str(name) for name in model.example_names],
            "notes": [str(note) for note in model.notes],
            "is_row_wise": bool(model.is_row_wise),
            "replaces_missing": bool(model.replaces_missing),
            "artifacts": {str(name): str(path) for name, path in model.artifacts.items()},
            "endpoints": [
                to_json(asdict(each.with_json_schemas())) for each in get_endpoints(model).values()
            ],
        }

    def _description(self) -> dict[str, Any]:
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
    "create": ModelRunner.create,
    "load": ModelRunner.load,
    "predict": ModelRunner.predict,
    "unload": ModelRunner.unload,
}


def _metadata(model: MLModel) -> Mapping[str, Any]:
    metadata = to_json(model.metadata)
    return metadata if isinstance(metadata, Mapping) else {}


def _describe_error(error: BaseException) -> dict[str, Any]:
    return {
        "reason": get_failure_text(error),
        "kind": type(error).__name__,
        "text": str(error),
        # The traceback of a FlmError without a cause adds nothing to its message.
        "trace": None
        if isinstance(error, FlmError) and not error.__cause__
        else "".join(traceback.format_exception(error)),
        "is_short_of_memory": isinstance(error, MemoryError),
    }


def main() -> None:
    """Carry out orders until the server process closes the channel or ends."""
    channel = connect()
    faulthandler.enable()
    bounds, level = pickle.loads(channel.receive())  # noqa: S301
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    limit_resources(bounds.memory_bytes, file_bytes=FILE_BYTES if bounds.is_sandboxed else None)
    # A hostile file may crash this process, so no other process needs to inspect it first.
    trial_build.disable()
    unsandboxed = _restrict(bounds)
    #: Models by the keys that the server assigns.
    models: dict[int, ModelRunner] = {}
    while True:
        try:
            key, *order = decode(channel.receive())
        except EOFError:
            return
        if order[0] == "create":
            models[key] = ModelRunner(unsandboxed)
        response = models[key].run(order)
        if order[0] == "unload":
            del models[key]
            return_memory()
        channel.send(_encode_response(response))


def _restrict(bounds: Bounds) -> str:
    """Enter the sandbox; return why that is impossible or disabled, or ``""``."""
    if not bounds.is_sandboxed:
        return "disabled by its entry"
    try:
        sandbox.enter(bounds.reads, os.environ["TMPDIR"])
    except sandbox.NoSandbox as error:
        return str(error)
    return ""


def _encode_response(response: dict[str, Any]) -> bytes:
    try:
        content = encode(response)
    except (TypeError, ValueError) as error:
        return encode({"invalid": f"the prediction cannot be written as JSON: {error}"})
    except MemoryError as error:
        return encode({"raised": _describe_error(error)})
    if len(content) <= MAX_RESPONSE_BYTES:
        return content
    # The server would reject it as it does that of a hostile process: as a crash.
    most = f"{MAX_RESPONSE_BYTES // 1_000_000} MB"
    return encode({"invalid": f"the response has more than {most}; send fewer rows"})
