"""A process that tries pickles for a process with several threads, which cannot fork itself."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import struct
import subprocess
import sys
from importlib import import_module
from typing import IO, Any

from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, scan
from mlmodel.trust.trial import bounded_fork
from mlmodel.trust.trial.bounded_fork import Outcome

#: Seconds without a request after which the process exits.
IDLE_SECONDS = 20

#: Seconds in which it must have started and imported the libraries of a file.
START_SECONDS = 120

#: Wall-clock seconds for each second of the limit of processor time, and the longest limit that is
#: multiplied.
PATIENCE = 10
MOST_SECONDS = 600

_LENGTHS = struct.Struct("<QQ")
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mlmodel.trust.trial import trial_server; "
    "trial_server.serve(sys.stdin.buffer, sys.stdout.buffer)"
)


class Substitute:
    """Handle of the process, which starts on the first request. Not thread-safe."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._is_ended_at_exit = False

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` if it is not running."""
        return self._running.pid if self._running else None

    def outcome(self, work: str, content: bytes, trust: Trust, most: float) -> tuple[Outcome, Any]:
        """Return the outcome and the result of work on a pickle.

        :param work: ``names`` or ``schemas``, see :mod:`~mlmodel.trust.trial.bounded_fork`.
        :param most: seconds of processor time.
        :raises BrokenModel: if the process does not start or respond.
        """
        for _ in range(2):
            # An idle process may exit at this moment.
            with contextlib.suppress(OSError):
                said = self._asked(self._started(), [work, trust, most], content)
                if said:
                    outcome, result = json.loads(said)
                    return Outcome(outcome), result
            self.end()
        raise BrokenModel("the process in which files are tried first could not be used")

    def end(self) -> None:
        """Kill the process, if it is running."""
        running, self._running = self._running, None
        if running is None:
            return
        running.kill()
        running.wait()
        _close(running)

    def forget(self) -> None:
        """In a fork, leave the process to the parent."""
        running, self._running = self._running, None
        if running is not None:
            running.returncode = 0
            _close(running)

    def _started(self) -> subprocess.Popen[bytes]:
        if not self._is_ended_at_exit:
            atexit.register(self.end)
            self._is_ended_at_exit = True
        if self._running is None or self._running.poll() is not None:
            self.end()
            self._running = subprocess.Popen(  # noqa: S603  Python itself
                [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **dict.fromkeys(_POOLS, "1")},
                start_new_session=True,
            )
        return self._running

    def _asked(self, process: subprocess.Popen[bytes], order: Any, content: bytes) -> bytes:
        asked = json.dumps(order).encode()
        sent, answers = process.stdin, process.stdout
        if sent is None or answers is None:
            return b""
        sent.write(_LENGTHS.pack(len(asked), len(content)) + asked)
        sent.write(content)
        sent.flush()
        # The fork has its own limit of processor time: on a busy machine that takes longer.
        seconds = START_SECONDS + PATIENCE * min(order[-1], MOST_SECONDS)
        ready, _, _ = select.select([answers], [], [], seconds)
        return answers.readline() if ready else b""


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Try pickles on request, until none comes for ``IDLE_SECONDS``. Entry point of the process."""
    _import_what_models_need()
    while select.select([questions], [], [], IDLE_SECONDS)[0]:
        lengths = questions.read(_LENGTHS.size)
        if len(lengths) < _LENGTHS.size:
            return
        asked, size = _LENGTHS.unpack(lengths)
        work, trust, most = json.loads(questions.read(asked))
        content = questions.read(size)
        outcome, result = _result(work, content, trust if trust == "all" else tuple(trust), most)
        answers.write(json.dumps([outcome, result]).encode() + b"\n")
        answers.flush()


def _result(work: str, content: bytes, trust: Trust, most: float) -> tuple[Outcome, Any]:
    found = bounded_fork.run(lambda: bounded_fork.names(content), len(content), most)
    if work == "names" or found[0] is not Outcome.FINE or found[1] is None:
        return found
    bounded_fork.import_libraries(scan.Names(*found[1]))
    return bounded_fork.run(lambda: bounded_fork.schemas(content, trust), len(content), most)


def _import_what_models_need() -> None:
    """Import the modules that inferring the schemas of a first model imports."""
    estimators = import_module("sklearn.linear_model")
    model = estimators.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    import_module(bounded_fork.ADAPTER).schemas(model)
