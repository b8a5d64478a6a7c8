"""A model's own threads: its calls wait in line there, for a limited time, and nowhere else.

A model that hangs keeps threads of its own busy. Whoever asked it gets an error when the time is
up, another thread takes the place of the one that hangs, and whoever asks another model notices
nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
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
    #: Times that a model may end a process, within so many seconds; then it is set aside. 0 for as
    #: often as it does.
    deaths: int = 3
    deaths_seconds: float = 600
    #: Seconds that a model may take to load while others answer; 0 for as long as it takes.
    load_seconds: float = 120


def times(most: float, seconds: float) -> str:
    """Return how often something may not happen, in words."""
    return f"{most:g} times within {seconds:g} seconds"


class Places:
    """How many calls of one model may run or wait at the same time, in all of its lanes."""

    def __init__(self, limits: Limits) -> None:
        self._waiting = limits.waiting
        self._free = limits.threads + limits.waiting
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take a place.

        :raises QueueFull: if there is none.
        """
        with self._lock:
            if not self._free:
                raise QueueFull(self._waiting)
            self._free -= 1

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._free += 1


class _Call:
    """A function that is called once, and what came of it.

    ``done`` is a lock that is let go when it is: whoever waits for that waits for the lock.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.done = threading.Lock()
        self.done.acquire()
        self.is_done = False
        self.is_dropped = False
        self.has_place = True
        self.result: Any = None
        self.error: BaseException | None = None
        self.worker: _Worker | None = None

    def answer(self) -> None:
        """Call the function, in a thread of the lane."""
        try:
            self.result = self.function(*self.arguments)
        # A model may raise anything, SystemExit too; whoever waits for the result must hear of it.
        except BaseException as error:
            self.error = error


@dataclass(eq=False)
class _Worker:
    """A thread of a lane; ``is_given_up`` if another has taken its place."""

    is_given_up: bool = False


class Lane:
    """Calls functions in threads of its own. They start with the first call.

    :param places: those of several lanes together; of this one alone, if nobody says.
    """

    def __init__(self, limits: Limits, places: Places | None = None) -> None:
        self._limits = limits
        self._wait = limits.seconds or -1
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._places = places or Places(limits)
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns, called in one of the lane's threads.

        :raises QueueFull: if as many calls wait as may.
        :raises PredictionTimeout: if the time is up. A call that has begun runs on unheard.
        :raises Exception: whatever the function raises.
        """
        call = _Call(function, arguments)
        self._line_up(call)
        if not call.done.acquire(timeout=self._wait) and self._gives_up(call):
            raise PredictionTimeout(self._limits.seconds)
        if call.error is not None:
            raise call.error
        return call.result

    def close(self) -> None:
        """Let the threads end when the calls that wait are done."""
        with self._lock:
            for _ in self._workers:
                self._calls.put(None)
            self._workers.clear()

    def _line_up(self, call: _Call) -> None:
        self._places.take()
        with self._lock:
            self._calls.put(call)
            is_short_of_threads = len(self._workers) < self._limits.threads
        if is_short_of_threads:
            self._start_thread_for(call)

    def _start_thread_for(self, call: _Call) -> None:
        try:
            self._start_thread()
        except RuntimeError as error:
            with self._lock:
                if self._workers:
                    return  # another thread will come to it
                call.is_dropped, call.has_place = True, False
            self._places.leave()
            raise QueueFull(self._limits.waiting) from error

    def _start_thread(self) -> None:
        with self._lock:
            if len(self._workers) == self._limits.threads:
                return
            worker = _Worker()
            self._workers.add(worker)
        # Daemons, so that a model that hangs does not keep the process from ending.
        thread = threading.Thread(target=self._work, args=(worker,), name="lane", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            with self._lock:
                self._workers.discard(worker)
            raise

    def _gives_up(self, call: _Call) -> bool:
        """Drop a call that is late, or put a new thread in the place of the one in which it hangs.

        It keeps its place among those that run or wait: so many may hang, no more.

        :returns: false if it was done at the last moment.
        """
        with self._lock:
            if call.is_done:
                return False
            call.is_dropped = True
            if call.worker is None:
                return True
            call.worker.is_given_up = True
            self._workers.discard(call.worker)
        if not self._calls.empty():
            with suppress(RuntimeError):  # the next caller tries again
                self._start_thread()
        return True

    def _work(self, worker: _Worker) -> None:
        while not worker.is_given_up:
            call = self._calls.get()
            if call is None:
                if worker in self._workers:
                    continue  # it was meant for one that hangs
                return
            if self._is_begun(call, worker):
                call.answer()
            self._end(call)
            del call  # or a thread that waits would hold the rows of its last call

    def _is_begun(self, call: _Call, worker: _Worker) -> bool:
        """Give a call its thread, unless nobody waits for it any more."""
        with self._lock:
            call.worker = worker
            return not call.is_dropped

    def _end(self, call: _Call) -> None:
        if call.has_place:
            self._places.leave()
        with self._lock:
            call.is_done = True
        call.done.release()
