"""Run work on a model file in a fork of this process, which may crash.

The fork has limits of time and memory, and no file or connection of its parent. It is not a
sandbox: the allow-list decides what may be built, in the fork as elsewhere.
"""

from __future__ import annotations

import contextlib
import enum
import gc
import json
import os
import select
import signal
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from mlmodel.trust import Trust, builder, scan, skops
from mlmodel.trust.allowlist import Gate, canonical
from mlmodel.trust.release import sklearn_release

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

ADAPTER = "mlmodel.frameworks.sklearn.adapter"

#: Signals whose handlers in this process a fork must not inherit.
_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM")

#: Seconds between two checks of whether a fork still computes.
_LOOK_SECONDS = 0.5


class Outcome(enum.StrEnum):
    """Result of the work in a fork."""

    FINE = enum.auto()
    TOO_LARGE = enum.auto()
    TOO_LONG = enum.auto()
    CRASHED = enum.auto()


class Limit:
    """Maximum seconds of processor time for a file of any size: see ``LOAD_SECONDS``.

    The server sets it once, before it loads models; infinity for no limit.
    """

    seconds = 120.0


def seconds(size_bytes: int) -> float:
    """Return the seconds of processor time that a step may take for a file of a size.

    For a compressed file, that is its own size times the usual compression ratio: see
    :data:`EXPANSION`.
    """
    return min(SECONDS + SECONDS_PER_MB * size_bytes / (1 << 20), Limit.seconds)


def import_libraries(names: scan.Names) -> None:
    """Import the allowed modules of a pickle, once for this process and its forks: it is slow."""
    gate = Gate()
    modules = {
        canonical(f"{module}.{name}").rpartition(".")[0]
        for module, name in names.names
        if gate.admits(module, name)
    }
    for module in (ADAPTER, *sorted(modules)):
        # Building the model raises the ImportError again.
        with contextlib.suppress(ImportError):
            import_module(module)


def names(content: bytes) -> Any:
    """Return the names in a pickle or a ``.skops`` file as JSON."""
    if content.startswith(skops.MAGIC):
        split = [full.rpartition(".") for full in skops.names(content)]
        return [[(module, name) for module, _, name in split], [], True]
    found = scan.names(content)
    return [found.names, found.others, found.is_whole]


def schemas(content: bytes, trust: Trust) -> Any:
    """Build a model, and return its schemas as JSON; ``None`` if it has none.

    :param content: a pickle or a ``.skops`` file.

    Errors are left to the process that loads the model, which raises them again.
    """
    is_skops = content.startswith(skops.MAGIC)
    built = (skops if is_skops else builder).build(content, trust)
    release = skops.release(content) if is_skops else sklearn_release(content)
    return as_json(import_module(ADAPTER).schemas_of_built(built, release))


def as_json(found: Any) -> Any:
    """Return schemas as JSON."""
    return [found.input, found.output, list(found.examples), list(found.notes)]


def run(work: Callable[[], Any], size_bytes: int, most: float) -> tuple[Outcome, Any]:
    """Run work on a file in a fork, and return the outcome and the JSON that the work returns.

    If the work raises an error, the outcome is ``FINE`` and the result ``None``.

    :param size_bytes: of the pickle, which determines the memory limit.
    :param most: seconds of processor time, see :func:`seconds`.

    Call it in a process with one thread: locks that other threads hold would stay locked in the
    fork, and OpenMP would wait for those threads.
    """
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        _work_and_end(work, size_bytes, most, tell)
    os.close(tell)
    try:
        said, is_late = _said(told, child)
    finally:
        os.close(told)
        status = _ended(child)
    outcome, _, result = said.partition(b"\n")
    if outcome:
        return Outcome(outcome.decode()), json.loads(result) if result else None
    is_late = is_late or (status is not None and os.WTERMSIG(status) == signal.SIGPROF)
    return (Outcome.TOO_LONG if is_late else Outcome.CRASHED), None


def _said(told: int, child: int) -> tuple[bytes, bool]:
    """Return all that the fork writes, and whether it waited for too long."""
    said, computed, since = b"", -1.0, time.monotonic()
    while True:
        if select.select([told], [], [], _LOOK_SECONDS)[0]:
            more = os.read(told, 1 << 16)
            said += more
            if not more or len(said) > RESULT_BYTES:
                return said if not more else b"", False
        now = _computed(child)
        if now != computed:
            computed, since = now, time.monotonic()
        if time.monotonic() - since > IDLE_SECONDS:
            return b"", True


def _computed(pid: int) -> float:
    """Return a value that changes while a process computes, or waits for a processor or a disk."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            state, *numbers = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    used = float(numbers[10]) + float(numbers[11])
    return used if state in "SZ" else used + time.monotonic()


def _ended(child: int) -> int | None:
    """Kill the fork if it is still running, and return its exit status, if available."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    # Another handler that waits for all processes may have been faster.
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return None


def _work_and_end(work: Callable[[], Any], size_bytes: int, most: float, tell: int) -> None:
    """Do the work, write its outcome and result, and never return."""
    outcome, result = Outcome.FINE, b""
    try:
        _leave(tell)
        _bound(size_bytes, most)
        result = json.dumps(work()).encode()
    except MemoryError:
        outcome, result = Outcome.TOO_LARGE, b""
    except BaseException:  # noqa: S110  raised again by the process that loads the file
        pass
    finally:
        rest = memoryview(f"{outcome}\n".encode() + result)
        while rest:
            rest = rest[os.write(tell, rest) :]
        os._exit(0)


def _leave(tell: int) -> None:
    """Release the parent's files and signal handlers, and freeze its garbage."""
    # The collector would finalize the parent's objects: remove folders, close connections.
    gc.freeze()
    signal.set_wakeup_fd(-1)
    for name in _SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, tell)
    os.closerange(tell + 1, os.sysconf("SC_OPEN_MAX"))


def _bound(size_bytes: int, most: float) -> None:
    import resource  # noqa: PLC0415  not available on every system

    # Not every system has this file.
    with contextlib.suppress(OSError), open("/proc/self/statm") as stream:
        used = int(stream.read().split()[0]) * resource.getpagesize()
        limit = used + BYTES + TIMES_SIZE * size_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # A signal ends the process after that much processor time.
    if most != float("inf"):
        signal.setitimer(signal.ITIMER_PROF, most)
