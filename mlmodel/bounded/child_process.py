"""A supervised child process: how it starts, its limits, its messages, and how it ended.

:meth:`ChildProcess.spawn` starts a Python program; :meth:`ChildProcess.fork` runs a function in a
copy of this process, which is faster, and needs this process to have a single thread. The functions
:func:`connect` and :func:`limit_resources` are for the child.
"""

from __future__ import annotations

import contextlib
import gc
import io
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, NoReturn

from mlmodel.bounded import safe_open
from mlmodel.bounded.channel import Channel

#: Seconds in which a process that has closed its connection must end by itself.
GRACE_SECONDS = 1.0

#: Signals that are for the parent, which ends its children itself.
_STOPS = ("SIGTERM", "SIGINT", "SIGHUP")

#: Signals whose handlers in the parent a fork must not inherit.
_HANDLED = (*_STOPS, "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM")

#: Seconds between two checks of whether a process still computes.
_CHECK_SECONDS = 0.5

#: Held while the pipes of a new process are open: a fork would inherit them, and keep them open
#: after that process has ended.
_spawning = threading.Lock()
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_spawning.acquire,
        after_in_parent=_spawning.release,
        after_in_child=_spawning.release,
    )

_TASKS = Path("/proc/self/task")
#: The thread that importing pyarrow starts, as pandas does. jemalloc has fork handlers for it.
_SAFE_THREAD = "jemalloc_bg_thd"


def threads() -> set[str] | None:
    """Return the ids of this process's threads that do not survive a fork, native ones included.

    ``None`` if the system does not list them.
    """
    if not _TASKS.is_dir():
        return None
    return {task.name for task in _TASKS.iterdir() if not _is_safe(task)}


def _is_safe(task: Path) -> bool:
    try:
        return (task / "comm").read_text("utf-8").strip() == _SAFE_THREAD
    except OSError:  # the thread has ended
        return True


class ProcessEnded(Exception):
    """The process has ended, or its message is invalid; the message describes how."""


class ChildProcess:
    """A process that this one has started, and ends.

        running ──end()──────────> ended
           └──crash or exit──> exited ──end()──> ended

    It leads a process group, which Linux kills when this process ends, however that happens and
    regardless of what the child does. Messages are bytes. One thread at a time may send and
    receive; the other members are thread-safe.
    """

    def __init__(self, pid: int, reading: int, writing: int, lifeline: int) -> None:
        self.pid = pid
        #: What a spawned program writes to its standard output and error, if ``has_output``.
        self.output: IO[bytes] = io.BytesIO()
        self._channel = Channel(reading, writing)
        self._lifeline = lifeline
        self._owner = os.getpid()
        self._exit = _ExitStatus(pid)
        #: Whether :meth:`end` was called.
        self.is_ended = False
        # Guards `is_ended`; the lock of `_exit` is acquired after it. Both are reentrant: a signal
        # handler may interrupt their holder.
        self._lock = threading.RLock()

    @classmethod
    def spawn(
        cls, program: str, *arguments: str, environ: Mapping[str, str], has_output: bool = False
    ) -> ChildProcess:
        """Start a Python program, which calls :func:`connect` first.

        :param program: its source. It imports from the same folders as this process.
        :param arguments: in its ``sys.argv``, behind those for :func:`connect`.
        :raises OSError: if the system has no process or descriptor left.
        """
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        with _spawning, _open_pipes() as (ours, theirs):
            process = subprocess.Popen(  # noqa: S603  Python, and a program of this repository
                [sys.executable, "-P", "-c", program, *map(str, theirs), *arguments],
                env={**environ, "PYTHONPATH": paths},
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if has_output else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            child = cls(process.pid, *ours)
        child.output = process.stdout or child.output
        process.returncode = 0  # `ChildProcess` waits for it, as for a fork
        return child

    @classmethod
    def fork(cls, work: Callable[[], bytes]) -> ChildProcess:
        """Run a function in a fork, which sends the result and ends.

        The fork has no files, connections and signal handlers of this process. Call it in a process
        with one thread: locks that others hold would stay locked in the fork.

        :raises OSError: if the system has no process or descriptor left.
        """
        with _open_pipes() as (ours, theirs):
            pid = os.fork()
            if not pid:
                _run(work, *theirs)
            child = cls(pid, *ours)
        # The fork does this too: whichever is first.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return child

    @property
    def has_exited(self) -> bool:
        """Whether the process has ended without a call of :meth:`end`."""
        return not self.is_ended and not self._exit.is_running()

    @property
    def ending(self) -> str:
        """A description of how the process ended."""
        return str(self._exit)

    def send(self, message: bytes, seconds: float = 0) -> None:
        """Send a message.

        :param seconds: the time limit; 0 for none.
        :raises TimeoutError: if the process has not read it in that time.
        :raises ProcessEnded: if the process has ended.
        """
        try:
            self._channel.send(message, seconds)
        except TimeoutError:
            raise
        except OSError:
            self._raise_ended()

    def receive(
        self, seconds: float = 0, *, idle_seconds: float = 0, most_bytes: float = math.inf
    ) -> bytes:
        """Return the next message.

        :param seconds: the time limit; 0 for none.
        :param idle_seconds: how long the process may wait without computing; 0 for no limit.
        :raises TimeoutError: after these times, or if the process has ended by its own limit of
            processor time.
        :raises ProcessEnded: if the process has ended, or the message has more than ``most_bytes``.
        """
        if idle_seconds:
            _wait_while_busy(self.pid, self._channel, idle_seconds)
        try:
            return self._channel.receive(seconds or idle_seconds, most_bytes)
        except ValueError as error:
            raise ProcessEnded(str(error)) from None
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            self._raise_ended()

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended, for at most ``seconds``."""
        end = time.monotonic() + seconds
        while self._exit.is_running() and time.monotonic() < end:
            time.sleep(0.001)

    def end(self) -> bool:
        """Kill the process with its process group, and close the descriptors.

        :returns: false if that was done before, or in a fork, which only closes its descriptors.
        """
        is_owner = os.getpid() == self._owner
        with self._lock:
            if self.is_ended:
                return False
            self.is_ended = True
            if is_owner:
                with contextlib.suppress(OSError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._exit.is_running(0)
            os.close(self._lifeline)
            self._channel.close()
        return is_owner

    def _raise_ended(self) -> NoReturn:
        self.wait(GRACE_SECONDS)
        if self._exit.code == -signal.SIGPROF:
            raise TimeoutError from None
        has_ended = not self._exit.is_running()
        raise ProcessEnded(self.ending if has_ended else "it closed its connection") from None


class _ExitStatus:
    """The exit status of a process, which the system returns once. Thread safe."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        #: ``None`` while the process runs, or if it is unknown; negative for a signal.
        self.code: int | None = None
        #: Guards ``code``.
        self._lock = threading.RLock()

    def __str__(self) -> str:
        if self.code is None:
            return "it exited"
        if self.code >= 0:
            return f"it exited with status {self.code}"
        names = {each.value: each.name for each in signal.Signals}
        return f"killed by {names.get(-self.code, f'signal {-self.code}')}"

    def is_running(self, options: int = os.WNOHANG) -> bool:
        """Return whether the process is running.

        :param options: of ``waitpid``; 0 waits until it has ended.
        """
        with self._lock:
            if self.code is None:
                try:
                    pid, status = os.waitpid(self._pid, options)
                except ChildProcessError:  # a signal handler of the parent waited for it
                    return False
                if not pid:
                    return True
                self.code = os.waitstatus_to_exitcode(status)
        return False


def connect() -> Channel:
    """Return the channel to the parent, in a program that :meth:`ChildProcess.spawn` started."""
    reading, writing, lifeline = (int(argument) for argument in sys.argv[1:4])
    _end_with(lifeline)
    for name in _STOPS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    return Channel(reading, writing)


def limit_resources(
    memory_bytes: int = 0, processor_seconds: float = math.inf, file_bytes: int | None = None
) -> None:
    """Limit what this process may use. It leaves no memory dump when it crashes.

    :param memory_bytes: its private memory, beyond which Python raises ``MemoryError``; 0 for all
        memory of the machine.
    :param processor_seconds: after which ``SIGPROF`` ends the process.
    :param file_bytes: the size to which it may write a file.
    """
    import resource  # noqa: PLC0415  not available on every system

    most = memory_bytes or safe_open.machine_memory_bytes()
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    if processor_seconds != math.inf:
        signal.setitimer(signal.ITIMER_PROF, processor_seconds)


def _end_with(lifeline: int) -> None:
    """Make the kernel kill this process group when the other end of the pipe closes.

    This works regardless of what the process does: it needs no thread and no interpreter lock.
    """
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415  not available on every system

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    closed = select.poll()
    closed.register(lifeline)
    if any(event & select.POLLHUP for _, event in closed.poll(0)):
        os._exit(0)


@contextlib.contextmanager
def _open_pipes() -> Iterator[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """Yield the descriptors of both sides: to read from, to write to, and the lifeline.

    Those of the other side are closed after the block; all are, if one cannot be opened or the
    block raises an error.
    """
    with contextlib.ExitStack() as opened:
        ends = []
        for _ in range(3):
            ends.append(os.pipe())
            for each in ends[-1]:
                opened.callback(os.close, each)
        (reading, its_writing), (its_reading, writing), (held, lifeline) = ends
        yield (reading, writing, lifeline), (its_reading, its_writing, held)
        opened.pop_all()
        for each in (its_reading, its_writing, held):
            os.close(each)


def _run(work: Callable[[], bytes], reading: int, writing: int, lifeline: int) -> NoReturn:
    """Run the function in a fork, and never return."""
    status = 1
    try:
        os.setpgid(0, 0)
        _leave_parent({reading, writing, lifeline})
        _end_with(lifeline)
        Channel(reading, writing).send(work())
        status = 0
    finally:
        os._exit(status)


def _leave_parent(kept: set[int]) -> None:
    """Release the parent's files and signal handlers, and freeze its garbage."""
    # The collector would finalize the parent's objects: remove folders, close connections.
    gc.freeze()
    signal.set_wakeup_fd(-1)
    for name in _HANDLED:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    first = 3
    for descriptor in (*sorted(kept), os.sysconf("SC_OPEN_MAX")):
        os.closerange(first, descriptor)
        first = descriptor + 1


def _wait_while_busy(pid: int, channel: Channel, idle_seconds: float) -> None:
    """Wait for a message, until the process has not computed for some time."""
    progress, since = -1.0, time.monotonic()
    while not channel.has_message(_CHECK_SECONDS):
        now = _progress(pid)
        if now != progress:
            progress, since = now, time.monotonic()
        if time.monotonic() - since > idle_seconds:
            raise TimeoutError


def _progress(pid: int) -> float:
    """Return a value that changes while a process computes, or waits for a processor or a disk."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            state, *numbers = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    used = float(numbers[10]) + float(numbers[11])
    return used if state in "SZ" else used + time.monotonic()
