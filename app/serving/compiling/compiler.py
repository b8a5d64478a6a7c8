"""Compiling in a process of its own, at low priority: it takes seconds, and much memory."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from typing import cast

from app.serving.catalog.model_spec import ModelSpec
from app.serving.compiling.graph_cache import Compiled
from app.serving.process.processes import APP, ENGINE_ONLY, get_public_environ
from mlmodel.bounded import child_process
from mlmodel.bounded.child_process import ChildProcess, ProcessEnded
from mlmodel.files.packaged import PackagedModel

PROGRAM = f"""{ENGINE_ONLY}
from app.serving.compiling.compiler import main
main()
"""
#: The lowest priority.
NICE = 19
#: Time limit, which a machine with other work needs.
SECONDS = 600.0


class CompilingFailed(Exception):
    """The process took too long or crashed; the message describes it."""


def compile_model(spec: ModelSpec, sha256: str) -> Compiled:
    """Return the runtime that ``auto`` chooses for the model of an entry.

    :param sha256: of the file. A file that was replaced meanwhile is not compiled.
    :raises CompilingFailed: if the file was replaced, or the process takes too long or crashes.
    """
    environ = get_public_environ() | {"OMP_NUM_THREADS": "1"}
    process = ChildProcess.spawn(PROGRAM, str(APP), environ=environ)
    try:
        process.send(pickle.dumps((replace(spec, runtime="native"), sha256)), SECONDS)
        return Compiled.from_json(process.receive(SECONDS))
    except TimeoutError:
        raise CompilingFailed(f"compiling took longer than {SECONDS:g} seconds") from None
    except (ProcessEnded, ValueError) as error:
        raise CompilingFailed(f"compiling failed: {error}") from error
    finally:
        process.end()


def main() -> None:
    """Read an entry, compile its model, and send the result, in the process."""
    channel = child_process.connect()
    os.nice(NICE)
    spec, sha256 = pickle.loads(channel.receive())  # noqa: S301  of the parent
    model = cast(PackagedModel, spec.create())
    if model.sha256 != sha256:
        sys.exit("the file was replaced")
    model.load()
    channel.send(Compiled(*model.state.compile()).to_json())
