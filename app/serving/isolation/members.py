"""The models that an isolated process is to hold, and the lock of the process."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from app.serving.errors import PredictionTimeout


class ProcessMember(Protocol):
    """A model of the process."""

    @property
    def is_loaded(self) -> bool:
        """Whether the model is to be loaded again in the next process."""

    def reload(self) -> bool:
        """Load the model again; return false if the caller should try again."""

    def count_end(self, how: str) -> None:
        """Count an end of the process for which the model is responsible."""


class ProcessMembers:
    """The models of an isolated process by key, and the lock that guards the process. Thread safe.

    The garbage collector may remove a model in any thread, even one that holds the lock. The model
    is then listed in ``_removed``, and the next thread to release the lock unloads it.

    :param unload: called with the lock held and the key of a model that has just been removed.
    """

    def __init__(self, unload: Callable[[int], None]) -> None:
        self._unload = unload
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._keys = itertools.count()
        self._models: dict[int, Callable[[], ProcessMember | None]] = {}
        self._removed: deque[int] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs the process."""
        return not self._models

    def join(self, model: ProcessMember) -> int:
        """Add a model, which leaves when it is garbage-collected, and return its key."""
        key = next(self._keys)
        self._models[key] = weakref.ref(model)
        weakref.finalize(model, self._remove, key).atexit = False
        return key

    @contextmanager
    def keep_alive(self) -> Iterator[None]:
        """Keep the process running while models join and leave."""
        key = next(self._keys)
        self._models[key] = lambda: None
        try:
            yield
        finally:
            self._remove(key)

    def leave(self, key: int, seconds: float) -> bool:
        """Remove a model once the lock is free; return whether it was within ``seconds``."""
        self._removed.append(key)
        is_free = self._lock.acquire(timeout=seconds)
        if is_free:
            self._lock.release()
        self._unload_removed()
        return is_free

    @contextmanager
    def lock(self, seconds: float = 0) -> Iterator[None]:
        """Hold the lock.

        :param seconds: how long to wait for the lock; 0 for no limit.
        :raises PredictionTimeout: if another thread holds the lock for longer.
        """
        if not self._lock.acquire(timeout=seconds or -1):
            raise PredictionTimeout(seconds)
        try:
            yield
        finally:
            self._changed.notify_all()
            self._lock.release()
            self._unload_removed()

    def wait_for(self, predicate: Callable[[], object], seconds: float) -> None:
        """Let other threads have the lock until the predicate is true. Call it with the lock held.

        :param seconds: how long to wait; 0 for no limit.
        :raises PredictionTimeout: if it takes longer.
        """
        if not self._changed.wait_for(predicate, seconds or None):
            raise PredictionTimeout(seconds)

    def to_load(self) -> dict[int, ProcessMember]:
        """Return the models that the process is to load, by key."""
        found = {key: get_model() for key, get_model in [*self._models.items()]}
        return {key: model for key, model in found.items() if model and model.is_loaded}

    def _remove(self, key: int) -> None:
        if os.getpid() == self._owner:  # a forked process inherits the finalizers
            self._removed.append(key)
            self._unload_removed()

    def _unload_removed(self) -> None:
        while self._removed and self._lock.acquire(blocking=False):
            try:
                if self._removed:  # another thread may have taken the last one
                    key = self._removed.popleft()
                    self._models.pop(key, None)
                    self._unload(key)
            finally:
                self._changed.notify_all()
                self._lock.release()
