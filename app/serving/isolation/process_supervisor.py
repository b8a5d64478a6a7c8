"""Runs an isolated process, which holds models, and replaces it when it ends."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from app.serving.isolation.isolated_process import IsolatedProcess
from app.serving.isolation.members import ProcessMember, ProcessMembers
from app.serving.isolation.protocol import Bounds
from mlmodel.bounded.child_process import ProcessEnded

log = logging.getLogger(__name__)

#: Time limit for unloading a model, in seconds; then its process is ended.
LEAVE_SECONDS = 5
#: Seconds between two attempts to load a model again.
RETRY_SECONDS = 1


class ProcessSupervisor:
    """Supervises the process of one isolated model, or of several, its ``members``.

    It runs one order at a time. When it ends, a thread starts the next one and loads the models
    again. Calls of a model wait until it is loaded. The lock of the members guards all attributes.

    :param title: the name of the process in the log.
    """

    def __init__(self, title: str, bounds: Bounds) -> None:
        self.members = ProcessMembers(self._unload)
        self._title = title
        self._bounds = bounds
        self._process: IsolatedProcess | None = None
        self._end: Callable[[], Any] = lambda: None
        self._is_reloading = False

    def leave(self, key: int) -> None:
        """Unload a model, and end the process with its last one.

        A call of the model that still runs after some seconds is ended with the process.
        """
        if not self.members.leave(key, LEAVE_SECONDS):
            process = self._process
            if process is not None and process.running == key:
                process.end()

    @contextmanager
    def lock(self, seconds: float = 0) -> Iterator[None]:
        """Lock the process, see :meth:`ProcessMembers.lock`, and replace it if it has ended."""
        with self.members.lock(seconds):
            self._replace_ended()
            yield

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
        self.members.wait_for(
            lambda: self._is_loaded(key) or key not in self.members.to_load(), seconds
        )
        return self._is_loaded(key)

    def is_created(self, key: int) -> bool:
        """Return whether the current process has created the model."""
        return self._process is not None and key in self._process.models

    def run(self, seconds: float, key: int, *order: Any) -> dict[str, Any]:
        """Return the result of an order, see `ModelRunner.run` in isolated_program.py.

        :param seconds: the time limit of the order; 0 for none.
        :raises TimeoutError: after the time limit. The process is then replaced.
        :raises ProcessEnded: if the process ends. It is then replaced.
        """
        try:
            return self._get_process().run(seconds, key, *order)
        except (TimeoutError, ProcessEnded):
            self.replace()
            raise

    def replace(self) -> None:
        """End the process, and load its models again in a new one."""
        self._stop()
        if self.members.to_load() and not self._is_reloading:
            self._is_reloading = True
            threading.Thread(target=self._reload, name="isolated", daemon=True).start()

    def _get_process(self) -> IsolatedProcess:
        if self._process is None:
            self._process = IsolatedProcess(self._title, self._bounds, self._replace_if_ended)
            # Runs at the exit of the server too.
            self._end = weakref.finalize(self, self._process.end)
        return self._process

    def _is_loaded(self, key: int) -> bool:
        return self._process is not None and self._process.models.get(key, False)

    def _stop(self) -> None:
        self._end()
        self._process = None

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
        models = list(self.members.to_load().values())
        if process.has_exited:
            log.error("the process of %s exited: %s", self._title, process.ending)
        if process.has_exited and len(models) == 1:
            models[0].count_end(process.ending)
        self.replace()

    def _reload(self) -> None:
        """Load the models again. Calls of models that are already loaded run in between."""
        while missing := self._get_missing():
            if not all([self._try_reload(model) for model in missing]):  # noqa: C419  each one
                time.sleep(RETRY_SECONDS)

    def _get_missing(self) -> list[ProcessMember]:
        with self.lock():
            models = self.members.to_load()
            missing = [model for key, model in models.items() if not self._is_loaded(key)]
            self._is_reloading = bool(missing)
        return missing

    def _try_reload(self, model: ProcessMember) -> bool:
        try:
            with self.lock():
                return model.reload()
        except Exception:  # a hostile process can return any response
            log.exception("cannot load a model of %s again", self._title)
            return False

    def _unload(self, key: int) -> None:
        if self.is_created(key):
            with suppress(TimeoutError, ProcessEnded):
                self.run(LEAVE_SECONDS, key, "unload")
        if self.members.is_empty:
            self._stop()


#: The process that several models share, by the PID of the server process that starts it.
_SHARED: dict[int, ProcessSupervisor] = {}


def shared_process() -> ProcessSupervisor:
    """Return the process that isolated models without their own process share."""
    return _SHARED.setdefault(os.getpid(), ProcessSupervisor("unpinned models", Bounds()))
