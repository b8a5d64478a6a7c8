"""A process that tries pickles for a process with several threads, which cannot fork itself."""

from __future__ import annotations

import contextlib
import json
import os
from functools import partial
from importlib import import_module
from typing import Any

from mlmodel.bounded.child_process import ChildProcess, ProcessEnded, connect
from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, scan
from mlmodel.trust.trial import bounded_fork

#: Seconds without a request after which the process exits.
IDLE_SECONDS = 20

#: Seconds in which it must have started and imported the libraries of a file.
START_SECONDS = 120

#: Wall-clock seconds for each second of the limit of processor time, which a fork has itself, and
#: the longest limit that is multiplied: on a busy machine a fork takes longer.
WALL_CLOCK_FACTOR = 10
MOST_SECONDS = 600

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PROGRAM = "from mlmodel.trust.trial import trial_server; trial_server.serve()"


class TrialServer:
    """Handle of the process, which starts on the first request. Not thread safe."""

    def __init__(self) -> None:
        self._process: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` if it is not running."""
        return self._process.pid if self._process else None

    def run(self, work: str, content: bytes, trust: Trust, most: float) -> Any:
        """Return the result of work on a pickle.

        :param work: a key of :data:`~mlmodel.trust.trial.bounded_fork.WORK`.
        :param most: seconds of processor time.
        :raises BrokenModel: as :func:`~mlmodel.trust.trial.bounded_fork.run` does, or if the
            process does not start or respond.
        """
        order = json.dumps([work, trust, most]).encode()
        seconds = START_SECONDS + WALL_CLOCK_FACTOR * min(most, MOST_SECONDS)
        for _ in range(2):
            # An idle process may exit at this moment.
            with contextlib.suppress(ProcessEnded, TimeoutError):
                process = self._start()
                process.send(order)
                process.send(content, seconds)
                result, problem = json.loads(process.receive(seconds))
                if problem:
                    raise BrokenModel(problem)
                return result
            self.end()
        raise BrokenModel("the trial-build process did not respond")

    def end(self) -> None:
        """Kill the process, if it is running; in a fork, leave it to the parent."""
        process, self._process = self._process, None
        if process:
            process.end()

    def _start(self) -> ChildProcess:
        if self._process is None:
            environ = {**os.environ, **dict.fromkeys(_POOLS, "1")}
            self._process = ChildProcess.spawn(_PROGRAM, environ=environ)
        return self._process


def serve() -> None:
    """Try pickles on request, until none comes for ``IDLE_SECONDS``. Entry point of the process."""
    channel = connect()
    _import_what_models_need()
    with contextlib.suppress(EOFError, TimeoutError):
        while True:
            work, trust, most = json.loads(channel.receive(IDLE_SECONDS))
            content = channel.receive()
            channel.send(_response(work, content, trust if trust == "all" else tuple(trust), most))


def _response(work: str, content: bytes, trust: Trust, most: float) -> bytes:
    result, problem = None, None
    try:
        for step in dict.fromkeys(("names", work)):
            result = bounded_fork.run(
                partial(bounded_fork.WORK[step], content, trust), len(content), most
            )
            if result is None:
                break
            if step == "names":
                bounded_fork.import_libraries(scan.Names(*result))
    except BrokenModel as error:
        problem = str(error)
    return json.dumps([result, problem]).encode()


def _import_what_models_need() -> None:
    """Import the modules that inferring the schemas of a first model imports."""
    estimators = import_module("sklearn.linear_model")
    model = estimators.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    import_module(bounded_fork.ADAPTER).schemas(model)
