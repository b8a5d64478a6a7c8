"""Builds a pickle in a fork of this process, which may die of it.

The fork has bounds to its time and memory, and no file or connection of the process that it was
forked from. It is no sandbox: what may be built, the gate says, there as here.
"""

from __future__ import annotations

import contextlib
import enum
import gc
import os
import select
import signal
from importlib import import_module

from mlmodel.frameworks.parallelism import limit_jobs
from mlmodel.trust import Trust, building, naming
from mlmodel.trust.gate import Gate, canonical

#: Seconds of computing that a trial may take: for any file, and for each megabyte of it.
SECONDS = 1.5
SECONDS_PER_MB = 1.0

#: How much longer it may take by the clock, on a machine that has other things to do.
PATIENCE = 10

#: Memory that a trial may take beside what this process has: for any file, and times its size.
BYTES = 256 << 20
TIMES_SIZE = 12

ADAPTER = "mlmodel.frameworks.sklearn"

#: What a process may have been told to do at a signal, and a fork of it should not.
_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM")

#: What ends a fork that has been computing or sleeping for too long.
_LATE = (signal.SIGPROF, signal.SIGALRM, signal.SIGKILL)


class Outcome(enum.StrEnum):
    """What became of a pickle."""

    FINE = enum.auto()
    TOO_LARGE = enum.auto()
    TOO_LONG = enum.auto()
    CRASHED = enum.auto()


def import_libraries(content: bytes) -> None:
    """Import what a pickle may name, once for this process and the fork: it is what takes long."""
    gate = Gate()
    modules = {
        canonical(f"{module}.{name}").rpartition(".")[0]
        for module, name in naming.names(content).names
        if gate.admits(module, name)
    }
    for module in (ADAPTER, *sorted(modules)):
        # What cannot be imported, building it tells.
        with contextlib.suppress(ImportError):
            import_module(module)


def outcome(content: bytes, trust: Trust) -> Outcome:
    """Return what becomes of a pickle that is built and asked for its schemas.

    That which an error says of it is fine: building it here says so too.

    To be called where there is one thread alone: what others hold, would be held in the fork for
    ever, and OpenMP would wait for them.
    """
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        _try_and_end(content, trust, tell)
    os.close(tell)
    try:
        said = _said(told, wall_seconds(content))
    finally:
        os.close(told)
        status = _ended(child)
    if said:
        return Outcome(said)
    is_late = status is not None and os.WTERMSIG(status) in _LATE
    return Outcome.TOO_LONG if is_late else Outcome.CRASHED


def wall_seconds(content: bytes) -> float:
    """Return the seconds that a trial takes at most, by the clock."""
    return PATIENCE * _seconds(content)


def _seconds(content: bytes) -> float:
    return SECONDS + SECONDS_PER_MB * len(content) / (1 << 20)


def _said(told: int, seconds: float) -> str:
    """Return the one word of the fork; none if it died, or has not said it in time."""
    ready, _, _ = select.select([told], [], [], seconds)
    return os.read(told, 100).decode() if ready else ""


def _ended(child: int) -> int | None:
    """End the fork if it has not ended by itself, and return its status, if that is to be had."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    # Whoever waits for all processes may have been faster.
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return None


def _try_and_end(content: bytes, trust: Trust, tell: int) -> None:
    """Build a pickle and ask the model for its schemas, and never return."""
    found = Outcome.FINE
    try:
        _leave(tell)
        _bound(content)
        model = building.build(content, trust)
        limit_jobs(model)
        import_module(ADAPTER).schemas(model)
    except MemoryError:
        found = Outcome.TOO_LARGE
    except BaseException:  # noqa: S110  it is the process that wants the file that tells it
        pass
    finally:
        os.write(tell, found.encode())
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


def _bound(content: bytes) -> None:
    import resource  # noqa: PLC0415  not on every system

    pages = int(_first_word("/proc/self/statm") or 0)
    if pages:
        limit = pages * resource.getpagesize() + BYTES + TIMES_SIZE * len(content)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Both end the process by a signal: when it has computed, and when it has slept for so long.
    signal.setitimer(signal.ITIMER_PROF, _seconds(content))
    signal.setitimer(signal.ITIMER_REAL, wall_seconds(content))


def _first_word(path: str) -> str:
    try:
        with open(path) as stream:
            return stream.read().split()[0]
    except OSError:
        return ""
