"""A process for isolated models, which is replaced when it ends: see inmate.py for its own side."""

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
from app.serving.isolation.child_process import Child, Ended
from app.serving.isolation.protocol import Bounds

log = logging.getLogger(__name__)

#: Seconds that a model has to unload before its process is ended.
LEAVE_SECONDS = 5
#: Seconds between two attempts to load a model again.
RETRY_SECONDS = 1


class Member(Protocol):
    """A model of the process."""

    @property
    def is_loaded(self) -> bool:
        """Whether the model is to be loaded again in the next process."""

    def come_back(self) -> bool:
        """Load the model again, and return whether that is all that can be done."""

    def count_end(self, how: str) -> None:
        """Count an end of the process for which the model is responsible."""


class IsolationProcess:
    """A process for one isolated model, or for several that share it.

    It runs one order at a time. When it ends, a thread starts the next one and loads the models
    again, and the calls of each wait until it is loaded.

    ``using`` takes the lock that guards everything here but ``_gone``. A model that is collected
    may leave in any thread, even one that has the lock, so it is listed there and the next thread
    to release the lock unloads it.

    :param title: what the log calls the process.
    """

    def __init__(self, title: str, bounds: Bounds) -> None:
        self._title = title
        self._bounds = bounds
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._child: Child | None = None
        self._end: Callable[[], Any] = lambda: None
        self._keys = itertools.count()
        self._members: dict[int, Callable[[], Member | None]] = {}
        #: By key, whether the model is loaded in the present process, or only created.
        self._held: dict[int, bool] = {}
        self._running: int | None = None
        self._is_returning = False
        self._gone: deque[int] = deque()

    def join(self, model: Member) -> int:
        """Add a model, which leaves when it is collected, and return its key."""
        key = next(self._keys)
        self._members[key] = weakref.ref(model)
        weakref.finalize(model, self._forget, key).atexit = False
        return key

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the process while its models come and go."""
        key = next(self._keys)
        self._members[key] = lambda: None
        try:
            yield
        finally:
            self._forget(key)

    def leave(self, key: int) -> None:
        """Unload a model, and end the process with its last one.

        A call of the model that still runs after some seconds is ended with the process.
        """
        self._gone.append(key)
        if self._lock.acquire(timeout=LEAVE_SECONDS):
            self._lock.release()
        elif self._running == key:
            self._end()
        self._sweep()

    @contextmanager
    def using(self, seconds: float = 0) -> Iterator[None]:
        """Use the process alone.

        :param seconds: how long to wait for that; 0 for as long as it takes.
        :raises PredictionTimeout: if it takes longer.
        """
        if not self._lock.acquire(timeout=seconds or -1):
            raise PredictionTimeout(seconds)
        try:
            self._replace_ended()
            yield
        finally:
            self._changed.notify_all()
            self._lock.release()
            self._sweep()

    @property
    def files(self) -> str:
        """A folder that the process reads, and in which only the server writes."""
        return self._living().files

    @property
    def own_folder(self) -> str:
        """The folder in which the process writes."""
        return self._living().own

    def wait_until_loaded(self, key: int, seconds: float) -> bool:
        """Return whether the process has loaded the model, when it has if it is about to.

        :param seconds: how long to wait for that; 0 for as long as it takes.
        :raises PredictionTimeout: if it takes longer.
        """
        if not self._changed.wait_for(
            lambda: self._held.get(key) or key not in self._models(), seconds or None
        ):
            raise PredictionTimeout(seconds)
        return self._held.get(key, False)

    def is_created(self, key: int) -> bool:
        """Return whether the present process has created the model."""
        return key in self._held

    def obey(self, seconds: float, key: int, *order: Any) -> dict[str, Any]:
        """Return the result of an order, see :meth:`app.serving.isolation.worker.Inmate.obey`.

        :param seconds: its time limit; 0 for as long as it takes.
        :raises TimeoutError: if it takes longer. Then the process is replaced.
        :raises Ended: if the process ends. Then it is replaced too.
        """
        child = self._living()
        self._running = key
        try:
            child.wait_for(seconds)
            said = child.obey(key, *order)
        except (TimeoutError, Ended):
            self.replace()
            raise
        finally:
            self._running = None
        if order[0] in {"create", "load"} and "done" in said:
            self._held[key] = order[0] == "load"
        return said

    def replace(self) -> None:
        """End the process, and load its models again in another one."""
        self._stop()
        if self._models() and not self._is_returning:
            self._is_returning = True
            threading.Thread(target=self._return, name="isolated", daemon=True).start()

    def _living(self) -> Child:
        if self._child is None:
            self._child = Child(self._title, self._bounds, self._end_is_seen)
            # At the end of the server too.
            self._end = weakref.finalize(self, self._child.end)
        return self._child

    def _stop(self) -> None:
        self._end()
        self._child = None
        self._held.clear()

    def _end_is_seen(self, _: Child) -> None:
        with self.using():
            pass  # that replaces it

    def _replace_ended(self) -> None:
        """Replace a process that has ended between calls.

        Which of several models is responsible is not known.
        """
        child = self._child
        if child is None or not (child.has_fallen or child.is_ended):
            return
        models = list(self._models().values())
        if child.has_fallen:
            log.error("the process of %s was ended: %s", self._title, child.ending)
        if child.has_fallen and len(models) == 1:
            models[0].count_end(child.ending)
        self.replace()

    def _models(self) -> dict[int, Member]:
        """Return the models that are to be loaded, by their keys."""
        found = {key: member() for key, member in [*self._members.items()]}
        return {key: model for key, model in found.items() if model and model.is_loaded}

    def _return(self) -> None:
        """Load the models again. Calls of those that are loaded run in between."""
        while missing := self._missing():
            if not all([self._has_returned(model) for model in missing]):  # noqa: C419  each one
                time.sleep(RETRY_SECONDS)

    def _missing(self) -> list[Member]:
        with self.using():
            missing = [model for key, model in self._models().items() if not self._held.get(key)]
            self._is_returning = bool(missing)
        return missing

    def _has_returned(self, model: Member) -> bool:
        try:
            with self.using():
                return model.come_back()
        except Exception:  # a hostile process can answer anything
            log.exception("a model of %s is not loaded again", self._title)
            return False

    def _forget(self, key: int) -> None:
        if os.getpid() == self._owner:  # a process that was forked has inherited this
            self._gone.append(key)
            self._sweep()

    def _sweep(self) -> None:
        while self._gone and self._lock.acquire(blocking=False):
            try:
                if self._gone:  # no other thread was faster
                    self._unload(self._gone.popleft())
            finally:
                self._changed.notify_all()
                self._lock.release()

    def _unload(self, key: int) -> None:
        self._members.pop(key, None)
        if key in self._held:
            with suppress(TimeoutError, Ended):
                self.obey(LEAVE_SECONDS, key, "unload")
            self._held.pop(key, None)
        if not self._members:
            self._stop()


#: The process that several models share, by the process of the server that starts it.
_SHARED: dict[int, IsolationProcess] = {}


def shared_process() -> IsolationProcess:
    """Return the process that the models without one of their own share."""
    return _SHARED.setdefault(os.getpid(), IsolationProcess("unpinned models", Bounds()))
