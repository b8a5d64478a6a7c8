"""Runs work on a model file in a fork of this process, which may die of it.

The fork has bounds to its time and memory, and no file or connection of the process that it was
forked from. It is no sandbox: what may be built, the gate says, there as here.
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

#: Seconds of processor time that each step may take: for any file, and for each megabyte of it.
#: Time that other processes take on a busy machine does not count.
SECONDS = 10.0
SECONDS_PER_MB = 3.0

#: How many times its own size a compressed file may count.
EXPANSION = 5

#: Seconds for which a fork may wait for something instead of computing.
IDLE_SECONDS = 20.0

#: Memory that a fork may take beside what this process has: for any file, and times its size.
BYTES = 256 << 20
TIMES_SIZE = 12

#: Bytes of a fork's result.
RESULT_BYTES = 64 << 20

ADAPTER = "mlmodel.frameworks.sklearn.adapter"

#: What a process may have been told to do at a signal, and a fork of it should not.
_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM")

#: Seconds between two looks at whether a fork still computes.
_LOOK_SECONDS = 0.5


class Outcome(enum.StrEnum):
    """What became of the work."""

    FINE = enum.auto()
    TOO_LARGE = enum.auto()
    TOO_LONG = enum.auto()
    CRASHED = enum.auto()


class Limit:
    """The most seconds of processor time for any file, however large: see ``LOAD_SECONDS``.

    The server sets it once, before it loads models; infinity for no limit.
    """

    seconds = 120.0


def seconds(size_bytes: int) -> float:
    """Return the seconds of processor time that a step may take for a file of a size.

    Of a compressed file, that is its own size, times what compression usually saves: see
    :data:`EXPANSION`.
    """
    return min(SECONDS + SECONDS_PER_MB * size_bytes / (1 << 20), Limit.seconds)


def import_libraries(names: scan.Names) -> None:
    """Import what a pickle may name, once for this process and the fork: it is what takes long."""
    gate = Gate()
    modules = {
        canonical(f"{module}.{name}").rpartition(".")[0]
        for module, name in names.names
        if gate.admits(module, name)
    }
    for module in (ADAPTER, *sorted(modules)):
        # What cannot be imported, building it tells.
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
    """Build a model, and return its schemas as JSON; nothing if it has none.

    :param content: a pickle or a ``.skops`` file.

    Whatever error that raises, the process that wants the model raises it again.
    """
    is_skops = content.startswith(skops.MAGIC)
    built = (skops if is_skops else builder).build(content, trust)
    release = skops.release(content) if is_skops else sklearn_release(content)
    return as_json(import_module(ADAPTER).schemas_of_built(built, release))


def as_json(found: Any) -> Any:
    """Return schemas as JSON."""
    return [found.input, found.output, list(found.examples), list(found.notes)]


def run(work: Callable[[], Any], size_bytes: int, most: float) -> tuple[Outcome, Any]:
    """Return what becomes of work on a file in a fork, and the JSON that it returns.

    An error that the work raises is fine, and its result nothing.

    :param size_bytes: of the pickle, for which the fork may take memory.
    :param most: seconds of processor time, see :func:`seconds`.

    To be called where there is one thread alone: what others hold, would be held in the fork for
    ever, and OpenMP would wait for them.
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
    """Return all that the fork writes, and whether it waits for something for too long."""
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
    """Return what changes while a process computes, or waits only for a processor or a disk."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            state, *numbers = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    used = float(numbers[10]) + float(numbers[11])
    return used if state in "SZ" else used + time.monotonic()


def _ended(child: int) -> int | None:
    """End the fork if it has not ended by itself, and return its status, if that is to be had."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    # Whoever waits for all processes may have been faster.
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return None


def _work_and_end(work: Callable[[], Any], size_bytes: int, most: float, tell: int) -> None:
    """Do the work, write what becomes of it, and never return."""
    outcome, result = Outcome.FINE, b""
    try:
        _leave(tell)
        _bound(size_bytes, most)
        result = json.dumps(work()).encode()
    except MemoryError:
        outcome, result = Outcome.TOO_LARGE, b""
    except BaseException:  # noqa: S110  it is the process that wants the file that tells it
        pass
    finally:
        rest = memoryview(f"{outcome}\n".encode() + result)
        while rest:
            rest = rest[os.write(tell, rest) :]
        os._exit(0)


def _leave(tell: int) -> None:
    """Let go of what is that of the process that was forked: files, handlers and garbage."""
    # What it would collect, has been the other's: removing folders, closing connections.
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
    import resource  # noqa: PLC0415  not on every system

    # There is no such file on every system.
    with contextlib.suppress(OSError), open("/proc/self/statm") as stream:
        used = int(stream.read().split()[0]) * resource.getpagesize()
        limit = used + BYTES + TIMES_SIZE * size_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # It ends the process by a signal when it has computed for so long.
    if most != float("inf"):
        signal.setitimer(signal.ITIMER_PROF, most)
