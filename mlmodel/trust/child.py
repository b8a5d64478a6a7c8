"""A first look at a pickle in a process that may die of it.

What is allowed is native code as well, and numbers that nobody wrote can crash it, or keep it busy
for ever. So a file is built, and asked for its schemas, in a process of its own first, with bounds
to its time and memory, and without any file or connection of the process that wants it.

One process imports the libraries once and is forked for each file. It ends when nobody has asked
it for a while. It is no sandbox: what may be built, the gate says, there as here.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import IO

from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, building

#: Seconds of computing that a look may take: for any file, and for each megabyte of it.
SECONDS = 1.5
SECONDS_PER_MB = 1.0

#: How much longer it may take by the clock, on a machine that has other things to do.
PATIENCE = 10

#: Memory that a look may take beside what the libraries have: for any file, and times its size.
BYTES = 256 << 20
TIMES_SIZE = 12

#: Seconds after which a process that nobody asks ends.
IDLE_SECONDS = 20

#: Pickles that were fine and are not tried again, as long as the process that asks lives.
REMEMBERED = 1000

#: Seconds in which it must have started and imported what a file needs.
START_SECONDS = 120

#: What is imported where its name stands in a file: it takes longer than building most models.
LIBRARIES = (
    "mlmodel.frameworks.sklearn",
    "catboost",
    "imblearn.pipeline",
    "lightgbm",
    "xgboost",
)

_ADAPTER = "mlmodel.frameworks.sklearn"
_LENGTH = struct.Struct("<QQ")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_FINE, _TOO_LARGE, _TOO_LONG, _CRASHED = "fine", "memory", "time", "crash"
_REASONS = {
    _TOO_LARGE: "building it takes more memory than a model of its size should",
    _TOO_LONG: "building it takes more time than a model of its size should",
    _CRASHED: "building it crashes the interpreter",
}


def look(content: bytes, trust: Trust) -> None:
    """Build a pickle in another process first.

    Where processes cannot be forked, there is no first look.

    :param content: not compressed.
    :raises BrokenModel: if that process dies of it. What else is wrong, building tells.
    """
    if not hasattr(os, "fork"):
        return
    outcome = _PROCESS.ask(content, trust)
    if outcome in _REASONS:
        raise BrokenModel(_REASONS[outcome])


class _Process:
    """The process that is forked. Any thread may ask; one file is looked at at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_watched = False
        self._fine: set[bytes] = set()
        self._running: subprocess.Popen[bytes] | None = None

    def ask(self, content: bytes, trust: Trust) -> str:
        """Return what became of a pickle, or what became of the same one before."""
        question = hashlib.sha256(json.dumps(trust).encode() + b"\n" + content).digest()
        with self._lock:
            if question not in self._fine:
                outcome = self._tried(content, trust)
                if outcome != _FINE:
                    return outcome
                if len(self._fine) >= REMEMBERED:
                    self._fine.clear()
                self._fine.add(question)
        return _FINE

    def end(self) -> None:
        """End the process, if there is one."""
        running, self._running = self._running, None
        if running is None:
            return
        running.kill()
        running.wait()
        _close(running)

    def forget(self) -> None:
        """Leave the process to the one that has been forked for this one."""
        self._lock = threading.Lock()
        running, self._running = self._running, None
        if running is not None:
            running.returncode = 0
            _close(running)

    def _tried(self, content: bytes, trust: Trust) -> str:
        for _ in range(2):
            # One that was idle may end at the very moment.
            with contextlib.suppress(OSError):
                outcome = self._asked(self._started(), content, trust)
                if outcome:
                    return outcome
            self.end()
        raise BrokenModel("the process in which files are tried first could not be used")

    def _started(self) -> subprocess.Popen[bytes]:
        if not self._is_watched:
            atexit.register(self.end)
            os.register_at_fork(after_in_child=self.forget)
            self._is_watched = True
        if self._running is None or self._running.poll() is not None:
            self.end()
            self._running = subprocess.Popen(  # noqa: S603  Python itself
                [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                start_new_session=True,
            )
        return self._running

    def _asked(self, process: subprocess.Popen[bytes], content: bytes, trust: Trust) -> str:
        asked = json.dumps(trust).encode()
        sent, answers = process.stdin, process.stdout
        if sent is None or answers is None:
            return ""
        sent.write(_LENGTH.pack(len(asked), len(content)) + asked)
        sent.write(content)
        sent.flush()
        ready, _, _ = select.select([answers], [], [], START_SECONDS + _wall_seconds(content))
        return answers.readline().decode().strip() if ready else ""


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()


_PROCESS = _Process()
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mlmodel.trust import child; child.serve(sys.stdin.buffer, sys.stdout.buffer)"
)


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Look at files as they are asked for, until nobody asks. The other process's main program."""
    while select.select([questions], [], [], IDLE_SECONDS)[0]:
        lengths = questions.read(_LENGTH.size)
        if len(lengths) < _LENGTH.size:
            return
        asked, size = _LENGTH.unpack(lengths)
        trust = json.loads(questions.read(asked))
        content = questions.read(size)
        outcome = _looked_at(content, trust if trust == "all" else tuple(trust))
        answers.write(f"{outcome}\n".encode())
        answers.flush()


def _looked_at(content: bytes, trust: Trust) -> str:
    _import_libraries(content)
    child = os.fork()
    if not child:
        _look_and_end(content, trust)
    deadline = time.monotonic() + _wall_seconds(content)
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return _outcome(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return _TOO_LONG


def _import_libraries(content: bytes) -> None:
    """Import the libraries that a file names here, for all files that come after it."""
    if _ADAPTER not in sys.modules:
        estimators = import_module("sklearn.linear_model")
        # What the first model of a process waits for, too.
        import_module(_ADAPTER).schemas(estimators.LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    for library in LIBRARIES:
        if library.partition(".")[0].encode() in content:
            with contextlib.suppress(ImportError):
                import_module(library)


def _look_and_end(content: bytes, trust: Trust) -> None:
    """Build a file and ask the model for its schemas, and never return."""
    status = 0
    try:
        os.close(0)
        os.close(1)
        _bound(content)
        import_module(_ADAPTER).schemas(building.build(content, trust))
    except MemoryError:
        status = _STATUS_OF_MEMORY
    except BaseException:  # noqa: S110  it is the process that wants the file that tells it
        pass
    finally:
        os._exit(status)


_STATUS_OF_MEMORY = 77


def _bound(content: bytes) -> None:
    import resource  # noqa: PLC0415  not on every system

    pages = int(_first_word("/proc/self/statm") or 0)
    if pages:
        limit = pages * resource.getpagesize() + BYTES + TIMES_SIZE * len(content)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Of the time that it computes: it ends the process by a signal.
    signal.setitimer(signal.ITIMER_PROF, _seconds(content))


def _first_word(path: str) -> str:
    try:
        with open(path) as stream:
            return stream.read().split()[0]
    except OSError:
        return ""


def _seconds(content: bytes) -> float:
    return SECONDS + SECONDS_PER_MB * len(content) / (1 << 20)


def _wall_seconds(content: bytes) -> float:
    return PATIENCE * _seconds(content)


def _outcome(status: int) -> str:
    if os.WIFEXITED(status):
        return _TOO_LARGE if os.WEXITSTATUS(status) == _STATUS_OF_MEMORY else _FINE
    return _TOO_LONG if os.WTERMSIG(status) == signal.SIGPROF else _CRASHED
