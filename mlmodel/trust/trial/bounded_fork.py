"""Run work on a model file in a fork of this process, which may crash.

The fork has limits on time and memory, and no file or connection of its parent. It is not a
sandbox: the allow-list decides what may be built, in the fork as elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from mlmodel.bounded.child_process import ChildProcess, ProcessEnded, limit_resources
from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, builder, scan, skops
from mlmodel.trust.allowlist import AllowList, canonical

#: Seconds of processor time for each step: for any file, and for each megabyte of it. Time that
#: other processes take on a busy machine does not count.
SECONDS = 10.0
SECONDS_PER_MB = 3.0

#: A compressed file counts as at most this many times its size.
EXPANSION = 5

#: Seconds for which a fork may wait without computing.
IDLE_SECONDS = 20.0

#: Memory of a fork beyond that of this process: for any file, and as a multiple of its size.
BYTES = 256 << 20
TIMES_SIZE = 12

#: Maximum bytes of a fork's result.
RESULT_BYTES = 64 << 20

#: The module that infers the schemas of a built model.
ADAPTER = "mlmodel.frameworks.sklearn.adapter"


class TimeLimit:
    """Maximum seconds of processor time for a file of any size: see ``LOAD_SECONDS``.

    The server sets it once, before it loads models; infinity for no limit.
    """

    seconds = 120.0


def seconds(size_bytes: int) -> float:
    """Return the seconds of processor time that a step may take for a file of a size.

    For a compressed file, that is its own size times the usual compression ratio: see
    :data:`EXPANSION`.
    """
    return min(SECONDS + SECONDS_PER_MB * size_bytes / (1 << 20), TimeLimit.seconds)


def import_libraries(names: scan.Names) -> None:
    """Import the allowed modules of a pickle, once for this process and its forks: it is slow."""
    allow_list = AllowList()
    modules = {
        canonical(f"{module}.{name}").rpartition(".")[0]
        for module, name in names.names
        if allow_list.allows(module, name)
    }
    for module in (ADAPTER, *sorted(modules)):
        # Building the model raises the ImportError again.
        with contextlib.suppress(ImportError):
            import_module(module)


def names(content: bytes, _trust: Trust = ()) -> Any:
    """Return the names in a pickle or a ``.skops`` file as JSON."""
    if content.startswith(skops.MAGIC):
        split = [full.rpartition(".") for full in skops.names(content)]
        return [[(module, name) for module, _, name in split], ""]
    found = scan.names(content)
    return [found.names, found.opcode]


def schemas(content: bytes, trust: Trust) -> Any:
    """Build a model, and return its schemas as JSON; ``None`` if it has none.

    :param content: a pickle or a ``.skops`` file.

    Errors are left to the process that loads the model, which raises them again.
    """
    is_skops = content.startswith(skops.MAGIC)
    built = (skops if is_skops else builder).build(content, trust)
    release = skops.release(content) if is_skops else scan.sklearn_release(content)
    return infer(partial(import_module(ADAPTER).schemas_of_built, built, release))


def infer(get_schemas: Callable[[], Any]) -> Any:
    """Return the schemas that a function returns, as JSON."""
    found = get_schemas()
    return [found.input, found.output, list(found.examples), list(found.notes)]


#: What can be done with a file, by name.
WORK: Mapping[str, Callable[[bytes, Trust], Any]] = {"names": names, "schemas": schemas}


def run(work: Callable[[], Any], size_bytes: int, most: float) -> Any:
    """Run work on a file in a fork, and return its result, which must be JSON.

    If the work raises an error, the result is ``None``: the process that loads the file raises it
    again.

    :param size_bytes: of the pickle, which determines the memory limit.
    :param most: seconds of processor time, see :func:`seconds`.
    :raises BrokenModel: if the fork crashes or exceeds its limits.

    Call it in a process with one thread: OpenMP would wait for other threads in the fork.
    """
    process = ChildProcess.fork(partial(_result, work, size_bytes, most))
    try:
        result = process.receive(idle_seconds=IDLE_SECONDS, most_bytes=RESULT_BYTES)
    except TimeoutError:
        raise BrokenModel("building it exceeded the time limit for a file of its size") from None
    except ProcessEnded as error:
        raise BrokenModel(f"building it crashed the interpreter: {error}") from None
    finally:
        process.end()
    if not result:
        raise BrokenModel("building it exceeded the memory limit for a file of its size")
    return json.loads(result)


def _result(work: Callable[[], Any], size_bytes: int, most: float) -> bytes:
    """Return the result of the work in the fork; empty if its memory does not suffice."""
    try:
        limit_resources(_memory_bytes(size_bytes), most, file_bytes=0)
        return json.dumps(work()).encode()
    except MemoryError:
        return b""
    except BaseException:
        return b"null"


def _memory_bytes(size_bytes: int) -> int:
    """Return the limit of a fork's memory; 0 for none, where it is unknown what this one uses."""
    try:
        with open("/proc/self/statm") as stream:
            used = int(stream.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
    return used + BYTES + TIMES_SIZE * size_bytes
