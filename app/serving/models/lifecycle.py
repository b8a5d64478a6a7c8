"""The life cycle of a hosted model: it loads, unloads, fails, and is replaced."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from app.serving.calls.limits import Limits
from app.serving.models.load_attempts import LoadAttempts
from app.serving.models.loader import Loader
from app.serving.models.state import ANY, WAITING, Status
from app.serving.process.memory import return_memory
from app.serving.process.running_calls import record
from mlmodel.bounded.sizes import cut_note
from mlmodel.model import MLModel

if TYPE_CHECKING:
    from app.serving.models.hosted import HostedModel

log = logging.getLogger(__name__)

#: Seconds to wait for running calls before a model is dropped, if calls have no time limit.
DRAIN_SECONDS = 30


class Lifecycle:
    """Changes the state of a hosted model. Thread safe.

    :class:`LoadAttempts` runs the steps of loading, which its :class:`Loader` has.

    Two locks, always acquired in this order:

    1. ``_loading``, held while the model loads, unloads or is dropped;
    2. :attr:`.State.lock`, held only briefly.
    """

    def __init__(self, hosted: HostedModel, limits: Limits) -> None:
        self._hosted = hosted
        self._state = hosted.state
        self._loader = Loader(hosted)
        self._limits = hosted.limits
        self._loading = threading.Lock()
        self._attempts = LoadAttempts(hosted, limits, self._loading)

    @property
    def model(self) -> MLModel | None:
        """The loaded model."""
        return self._loader.model

    def load_or_describe(self, *, before_fork: bool = False) -> None:
        """Load the model, or only describe it if it is lazy. On failure, its status is failed.

        :param before_fork: leave a model that a fork would break in the status ``LOADING``.
            :meth:`finish_loading` or the first call loads it in each worker.
        """
        load = self._loader.load_before_fork if before_fork else self._loader.load
        with self._loading:
            self._hosted.file_fingerprint = self._hosted.spec.file_fingerprint()
            record.identify(self._hosted.calls.place, self._hosted.suspect)
            self._attempts.run(self._loader.describe if self._hosted.spec.lazy else load)
        self._hosted.keeps_name = True

    def finish_loading(self) -> None:
        """Load a model that was left in the status loading; it may continue in the background."""
        if self._state.status is Status.LOADING and not self._state.is_draining:
            self.load_if_waiting()

    def load(self) -> None:
        """Load the model from any status but ready.

        A model that exceeds the time limit of a call continues to load in the background.

        :raises ModelUnavailable: if loading fails.
        """
        self._attempts.run_in_time(self._loader.load, ANY - {Status.READY})
        if self._state.status is Status.FAILED:
            raise self._hosted.build_error()

    def load_if_waiting(self) -> bool:
        """Load the model if its status is lazy or loading. Only one of many callers loads it.

        :returns: whether it was ready then. It may already be unloaded again, if it is lazy.
        """
        if self._state.status in WAITING and not self._attempts.is_retrying:
            return self._attempts.run_in_time(self._loader.load, WAITING)
        return self._state.status is Status.READY

    def unload(self, *, wait_for_load: bool = False) -> None:
        """Unload the model: reject new calls and wait for the running ones.

        A lazy model is then loaded again on its next use, unless it has failed. The wait ends
        after the time limit of a call, or :data:`DRAIN_SECONDS` if it has none.

        :param wait_for_load: whether to wait for any time until a load that runs has ended.
        :raises ModelUnavailable: if the model is still loading after the time limit of a call.
        """
        if not self._loading.acquire(timeout=-1 if wait_for_load else self._limits.seconds or -1):
            raise self._hosted.build_error()
        try:
            is_lazy = self._hosted.spec.lazy and self._state.status is not Status.FAILED
            self._state.change(Status.LAZY if is_lazy else Status.UNLOADED)
            self.discard()
        finally:
            self._loading.release()

    def close(self) -> None:
        """Unload the model for good: no late call may load a lazy model again."""
        self._state.drain()
        self.unload()

    def update_calls(self, model: MLModel) -> None:
        """Adapt calls and description to a loaded model whose runtime has changed."""
        with self._loading:
            if self._loader.model is model and self._state.status is Status.READY:
                self._loader.update(model)

    def describe_failure(self, trouble: str) -> None:
        """Describe why the model does not predict its own example."""
        with self._loading:
            self._hosted.about = replace(self._hosted.about, failing_example=cut_note(trouble))

    def add_note(self, note: str) -> None:
        """Add a doubt to the model's notes, once."""
        with self._loading:
            notes = dict.fromkeys((*self._hosted.about.notes, note))
            self._hosted.about = replace(self._hosted.about, notes=tuple(notes))

    def discard(self) -> None:
        """Drop the model and its endpoints. Call it with the lock for loading held.

        The endpoints of a lazy model stay, since a call loads it again.
        """
        self._drop()
        self._hosted.about = self._hosted.about.with_calls(
            self._hosted.calls.call if self._state.status is Status.LAZY else None
        )

    def drain(self) -> None:
        """Reject new calls, since another model replaces this one, and drop it after the last.

        Running calls complete. The model's description and schemas stay readable.
        """
        if self._state.drain():
            _start_thread(self._drop_late, "drain")
        else:
            self._drop_late()

    def fail(self, reason: str, *, detail: str = "", is_quarantine: bool = False) -> None:
        """Set the status to failed and reject all calls until the model is loaded again.

        :param detail: the reason with the model's own error.
        :param is_quarantine: whether only an operator may load it again.
        """
        self._state.change(Status.FAILED, reason, detail=detail, quarantine=is_quarantine)
        how = "is in quarantine" if is_quarantine else "failed"
        log.error("model %r %s: %s", self._hosted.name, how, reason)
        _start_thread(self._drop_late, "failed")

    def _drop_late(self) -> None:
        """Drop the model, unless it was loaded again after it failed."""
        with self._loading:
            if self._state.is_draining or self._state.status is Status.FAILED:
                self._drop()
        return_memory()

    def _drop(self) -> None:
        """Wait until the model is idle, at most the time limit of a call, and drop it."""
        model = self._loader.model
        is_idle = self._state.drop(self._loader.clear, self._limits.seconds or DRAIN_SECONDS)
        self._hosted.calls.close()
        self._attempts.close()
        if model is None or not (is_idle or self._hosted.spec.is_isolated):
            return
        _unload(model)


def _start_thread(target: Callable[[], None], name: str) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()


def _unload(model: MLModel) -> None:
    try:
        model.unload()
    except Exception:  # the model is dropped regardless
        log.exception("model %r failed while unloading", model.qualified_name)
