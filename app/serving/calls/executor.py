"""Threads and a queue for the calls of one model, with a time limit.

A model that hangs blocks only its own threads. Its callers get an error after the time limit,
another thread replaces the one that hangs, and callers of other models are not affected.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.serving.calls.caller import VIA
from app.serving.calls.limits import Limits
from app.serving.errors import PredictionTimeout, QueueFull


class Slots:
    """Bounds the running and queued calls of one model, in all of its executors."""

    def __init__(self, limits: Limits) -> None:
        self._waiting = limits.queue_size
        self._free = limits.threads + limits.queue_size
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Acquire a slot for a call.

        :raises QueueFull: if no slot is free.
        """
        with self._lock:
            if not self._free:
                raise QueueFull(self._waiting)
            self._free -= 1

    def release(self) -> None:
        """Release a slot."""
        with self._lock:
            self._free += 1


class _Call:
    """A function to call once, and later its result or error.

    ``done`` is a lock that the executor releases after the call; the caller waits for it.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.done = threading.Lock()
        self.done.acquire()
        self.via = VIA.get()
        self.is_done = False
        self.is_dropped = False
        self.has_slot = True
        self.result: Any = None
        self.error: BaseException | None = None
        #: The threads that run it, and the one that does.
        self.pool: _Pool
        self.thread: _Thread | None = None

    def run(self) -> None:
        """Call the function, in a thread of the executor."""
        VIA.set(self.via)
        try:
            self.result = self.function(*self.arguments)
        # A model may raise anything, even SystemExit; the waiting caller must get the error.
        except BaseException as error:
            self.error = error


@dataclass(eq=False)
class _Thread:
    """A thread of an executor; ``is_replaced`` if another thread has replaced it."""

    is_replaced: bool = False


class _Pool:
    """The threads of an executor, and their queue, which ``None`` for each thread ends."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self.threads: set[_Thread] = set()


class BoundedExecutor:
    """An executor: calls functions in its own threads, which start with the first calls.

    :param slots: the capacity that several executors share; by default, the executor has its own.
    """

    def __init__(self, limits: Limits, slots: Slots | None = None) -> None:
        self._limits = limits
        self._wait = limits.seconds or -1
        self._slots = slots or Slots(limits)
        self._lock = threading.Lock()
        self._pool = _Pool()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of the function, called in one of the executor's threads.

        :raises QueueFull: if the queue is full.
        :raises PredictionTimeout: after the time limit. A running call is not interrupted.
        :raises Exception: if the function raises it.
        """
        call = _Call(function, arguments)
        self._enqueue(call)
        if not call.done.acquire(timeout=self._wait) and self._abandon(call):
            raise PredictionTimeout(self._limits.seconds)
        if call.error is not None:
            raise call.error
        return call.result

    def close(self) -> None:
        """End the threads after the queued calls. Later calls start others."""
        with self._lock:
            for _ in self._pool.threads:
                self._pool.calls.put(None)
            self._pool = _Pool()

    def _enqueue(self, call: _Call) -> None:
        self._slots.acquire()
        with self._lock:
            call.pool = self._pool
            call.pool.calls.put(call)
            thread = self._add_thread(call.pool)
        if thread is not None:
            self._start_thread_for(call, thread)

    def _start_thread_for(self, call: _Call, thread: _Thread) -> None:
        try:
            self._start_thread(call.pool, thread)
        except RuntimeError as error:
            with self._lock:
                if call.pool.threads:
                    return  # another thread will run the call
                call.is_dropped, call.has_slot = True, False
            self._slots.release()
            raise QueueFull(self._limits.queue_size) from error

    def _add_thread(self, pool: _Pool) -> _Thread | None:
        """Return a thread to start, unless the pool has all its threads."""
        if len(pool.threads) == self._limits.threads:
            return None
        thread = _Thread()
        pool.threads.add(thread)
        return thread

    def _start_thread(self, pool: _Pool, thread: _Thread) -> None:
        # Daemon threads, so that a model that hangs does not keep the process from ending.
        arguments = pool.calls, thread
        started = threading.Thread(target=self._work, args=arguments, name="executor", daemon=True)
        try:
            started.start()
        except RuntimeError:  # the system's limit of threads is reached
            with self._lock:
                pool.threads.discard(thread)
            raise

    def _abandon(self, call: _Call) -> bool:
        """Drop a late call if it is queued, or replace the thread in which it hangs.

        A hanging call keeps its slot, which bounds the number of hanging threads.

        :returns: false if the call completed just in time.
        """
        pool = call.pool
        with self._lock:
            if call.is_done:
                return False
            call.is_dropped = True
            if call.thread is None:
                return True
            call.thread.is_replaced = True
            pool.threads.discard(call.thread)
            thread = None if pool.calls.empty() else self._add_thread(pool)
        if thread is not None:
            with suppress(RuntimeError):  # the next call tries again
                self._start_thread(pool, thread)
        return True

    def _work(self, calls: queue.SimpleQueue[_Call | None], thread: _Thread) -> None:
        while not thread.is_replaced:
            call = calls.get()
            if call is None:
                return
            if self._start_call(call, thread):
                call.run()
            self._finish(call)
            del call  # an idle thread must not hold the rows of its last call

    def _start_call(self, call: _Call, thread: _Thread) -> bool:
        """Assign a thread to a call; return false if its caller has timed out."""
        with self._lock:
            call.thread = thread
            return not call.is_dropped

    def _finish(self, call: _Call) -> None:
        if call.has_slot:
            self._slots.release()
        with self._lock:
            call.is_done = True
        call.done.release()
