"""Runs an isolated process, which holds models, and replaces it when it ends."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from app.serving.errors import PredictionTimeout
from app.serving.isolation.isolated_process import IsolatedProcess
from app.serving.isolation.protocol import Bounds
from mlmodel.bounded.child_process import ProcessEnded

log = logging.getLogger(__name__)

#: Time limit for unloading a model, in seconds; then its process is ended.
LEAVE_SECONDS = 5
#: Seconds between two attempts to load a model again.
RETRY_SECONDS = 1


class Member(Protocol):
    """A model of the process."""

    @property
    def is_loaded(self) -> bool:
        """Whether the model is to be loaded again in the next process."""

    def reload(self) -> bool:
        """Load the model again; return false if the caller should try again."""

    def count_end(self, how: str) -> None:
        """Count an end of the process for which the model is responsible."""


class ProcessSupervisor:
    """Supervises a process for one isolated model, or for several that share it.

    It runs one order at a time. When it ends, a thread starts the next one and loads the models
    again. Calls of a model wait until it is loaded.

    ``lock`` acquires the lock that guards all attributes but ``_removed``. The garbage collector
    may remove a model in any thread, even one that holds the lock. ``_removed`` then lists the
    model, and the next thread to release the lock unloads it.

    :param title: the name of the process in the log.
    """

    def __init__(self, title: str, bounds: Bounds) -> None:
        self._title = title
        self._bounds = bounds
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._process: IsolatedProcess | None = None
        self._end: Callable[[], Any] = lambda: None
        self._keys = itertools.count()
        self._members: dict[int, Callable[[], Member | None]] = {}
        #: By key, whether the model is loaded in the current process, or only created.
        self._loaded: dict[int, bool] = {}
        self._running: int | None = None
        self._is_reloading = False
        self._removed: deque[int] = deque()

    def join(self, model: Member) -> int:
        """Add a model, which leaves when it is garbage-collected, and return its key."""
        key = next(self._keys)
        self._members[key] = weakref.ref(model)
        weakref.finalize(model, self._remove, key).atexit = False
        return key

    @contextmanager
    def keep_alive(self) -> Iterator[None]:
        """Keep the process running while models join and leave."""
        key = next(self._keys)
        self._members[key] = lambda: None
        try:
            yield
        finally:
            self._remove(key)

    def leave(self, key: int) -> None:
        """Unload a model, and end the process with its last one.

        A call of the model that still runs after some seconds is ended with the process.
        """
        self._removed.append(key)
        if self._lock.acquire(timeout=LEAVE_SECONDS):
            self._lock.release()
        elif self._running == key:
            self._end()
        self._unload_removed()

    @contextmanager
    def lock(self, seconds: float = 0) -> Iterator[None]:
        """Lock the process, and replace it if it has ended.

        :param seconds: how long to wait for the lock; 0 for no limit.
        :raises PredictionTimeout: if another thread holds the lock for longer.
        """
        if not self._lock.acquire(timeout=seconds or -1):
            raise PredictionTimeout(seconds)
        try:
            self._replace_ended()
            yield
        finally:
            self._changed.notify_all()
            self._lock.release()
            self._unload_removed()

    @property
    def files(self) -> str:
        """The folder that the process reads and only the server writes."""
        return self._get_process().files

    @property
    def own_folder(self) -> str:
        """The folder in which the process writes."""
        return self._get_process().own

    def wait_until_loaded(self, key: int, seconds: float) -> bool:
        """Wait until the process has loaded the model; return false if it is not going to.

        :param seconds: how long to wait; 0 for no limit.
        :raises PredictionTimeout: if loading takes longer.
        """
        if not self._changed.wait_for(
            lambda: self._loaded.get(key) or key not in self._models(), seconds or None
        ):
            raise PredictionTimeout(seconds)
        return self._loaded.get(key, False)

    def is_created(self, key: int) -> bool:
        """Return whether the current process has created the model."""
        return key in self._loaded

    def run(self, seconds: float, key: int, *order: Any) -> dict[str, Any]:
        """Return the result of an order, see `ModelRunner.run` in isolated_program.py.

        :param seconds: the time limit of the order; 0 for none.
        :raises TimeoutError: after the time limit. The process is then replaced.
        :raises ProcessEnded: if the process ends. It is then replaced.
        """
        process = self._get_process()
        self._running = key
        try:
            response = process.run(seconds, key, *order)
        except (TimeoutError, ProcessEnded):
            self.replace()
            raise
        finally:
            self._running = None
        if order[0] in {"create", "load"} and "done" in response:
            self._loaded[key] = order[0] == "load"
        return response

    def replace(self) -> None:
        """End the process, and load its models again in a new one."""
        self._stop()
        if self._models() and not self._is_reloading:
            self._is_reloading = True
            threading.Thread(target=self._reload, name="isolated", daemon=True).start()

    def _get_process(self) -> IsolatedProcess:
        if self._process is None:
            self._process = IsolatedProcess(self._title, self._bounds, self._replace_if_ended)
            # Runs at the exit of the server too.
            self._end = weakref.finalize(self, self._process.end)
        return self._process

    def _stop(self) -> None:
        self._end()
        self._process = None
        self._loaded.clear()

    def _replace_if_ended(self) -> None:
        with self.lock():
            pass  # `lock` replaces the process

    def _replace_ended(self) -> None:
        """Replace a process that has ended between calls.

        If it held several models, the responsible one is unknown, so none is counted.
        """
        process = self._process.process if self._process else None
        if process is None or not (process.has_exited or process.is_ended):
            return
        models = list(self._models().values())
        if process.has_exited:
            log.error("the process of %s exited: %s", self._title, process.ending)
        if process.has_exited and len(models) == 1:
            models[0].count_end(process.ending)
        self.replace()

    def _models(self) -> dict[int, Member]:
        """Return the models to be loaded, by key."""
        found = {key: member() for key, member in [*self._members.items()]}
        return {key: model for key, model in found.items() if model and model.is_loaded}

    def _reload(self) -> None:
        """Load the models again. Calls of models that are already loaded run in between."""
        while missing := self._get_missing():
            if not all([self._try_reload(model) for model in missing]):  # noqa: C419  each one
                time.sleep(RETRY_SECONDS)

    def _get_missing(self) -> list[Member]:
        with self.lock():
            missing = [model for key, model in self._models().items() if not self._loaded.get(key)]
            self._is_reloading = bool(missing)
        return missing

    def _try_reload(self, model: Member) -> bool:
        try:
            with self.lock():
                return model.reload()
        except Exception:  # a hostile process can return any response
            log.exception("cannot load a model of %s again", self._title)
            return False

    def _remove(self, key: int) -> None:
        if os.getpid() == self._owner:  # a forked process inherits the finalizers
            self._removed.append(key)
            self._unload_removed()

    def _unload_removed(self) -> None:
        while self._removed and self._lock.acquire(blocking=False):
            try:
                if self._removed:  # another thread may have taken the last one
                    self._unload(self._removed.popleft())
            finally:
                self._changed.notify_all()
                self._lock.release()

    def _unload(self, key: int) -> None:
        self._members.pop(key, None)
        if key in self._loaded:
            with suppress(TimeoutError, ProcessEnded):
                self.run(LEAVE_SECONDS, key, "unload")
            self._loaded.pop(key, None)
        if not self._members:
            self._stop()


#: The process that several models share, by the PID of the server process that starts it.
_SHARED: dict[int, ProcessSupervisor] = {}


def shared_process() -> ProcessSupervisor:
    """Return the process that isolated models without their own process share."""
    return _SHARED.setdefault(os.getpid(), ProcessSupervisor("unpinned models", Bounds()))
