"""A model's own threads: its calls wait in line there, for a limited time, and nowhere else.

A model that hangs keeps threads of its own busy. Whoever asked it gets an error when the time is
up, another thread takes the place of the one that hangs, and whoever asks another model notices
nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from app.serving.errors import PredictionTimeout, QueueFull


@dataclass(frozen=True)
class Limits:
    """How much is done at once, and for how long."""

    #: Rows of one call.
    rows: int
    #: Calls of one model that run at the same time.
    threads: int
    #: Calls of one model that wait beside those that run.
    waiting: int
    #: Seconds for which a call waits and runs; 0 for as long as it takes.
    seconds: float


@dataclass
class _Call:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any]
    worker: _Worker | None = None


@dataclass(eq=False)
class _Worker:
    """A thread of a lane; ``is_given_up`` if another has taken its place."""

    is_given_up: bool = False


class Lane:
    """Calls functions in threads of its own. They start with the first call."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._places = threading.BoundedSemaphore(limits.threads + limits.waiting)
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns, called in one of the lane's threads.

        :raises QueueFull: if as many calls wait as may.
        :raises PredictionTimeout: if the time is up. A call that has begun runs on unheard.
        :raises Exception: whatever the function raises.
        """
        if not self._places.acquire(blocking=False):
            raise QueueFull(self._limits.waiting)
        call = _Call(function, arguments, Future())
        self._calls.put(call)
        self._start_thread()
        try:
            return call.future.result(self._limits.seconds or None)
        except FutureTimeout as error:
            if call.future.done() and not call.future.cancelled():
                raise  # the function's own TimeoutError
            if not call.future.cancel():
                self._give_up(call)
            raise PredictionTimeout(self._limits.seconds) from error

    def close(self) -> None:
        """Let the threads end when the calls that wait are done."""
        with self._lock:
            for _ in self._workers:
                self._calls.put(None)
            self._workers.clear()

    def _start_thread(self) -> None:
        with self._lock:
            if len(self._workers) == self._limits.threads:
                return
            worker = _Worker()
            self._workers.add(worker)
        # Daemons, so that a model that hangs does not keep the process from ending.
        threading.Thread(target=self._work, args=(worker,), name="lane", daemon=True).start()

    def _give_up(self, call: _Call) -> None:
        """Put a new thread in the place of the one in which a call runs on.

        The call keeps its place among those that run or wait: so many may hang, no more.
        """
        worker = call.worker
        if worker is None or call.future.done():
            return
        with self._lock:
            worker.is_given_up = True
            self._workers.discard(worker)
        if not self._calls.empty():
            self._start_thread()

    def _work(self, worker: _Worker) -> None:
        while not worker.is_given_up:
            call = self._calls.get()
            if call is None:
                if worker in self._workers:
                    continue  # it was meant for one that hangs
                return
            call.worker = worker
            try:
                _answer(call)
            finally:
                self._places.release()
            del call  # or a thread that waits would hold the rows of its last call


def _answer(call: _Call) -> None:
    if not call.future.set_running_or_notify_cancel():
        return
    try:
        call.future.set_result(call.function(*call.arguments))
    # A model may raise anything, SystemExit too; whoever waits for the result must hear of it.
    except BaseException as error:
        call.future.set_exception(error)
