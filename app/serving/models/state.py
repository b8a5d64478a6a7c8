"""The state of a hosted model, and the number of calls that hold it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from mlmodel.bounded.sizes import cut_note


class Status(StrEnum):
    """Status of a hosted model."""

    LAZY = "lazy"  # loads on first use
    LOADING = "loading"
    READY = "ready"
    UNLOADED = "unloaded"  # stays unloaded until an operator loads it
    FAILED = "failed"  # cannot be used, see `reason`


#: Statuses in which the first call loads the model, and other calls wait until it is loaded.
WAITING = frozenset({Status.LAZY, Status.LOADING})
ANY = frozenset(Status)


class State:
    """Status of a model, its reason, and the number of calls that hold the model. Thread safe.

    ===========================  ==========  ==================================================
    from                         to          by
    ===========================  ==========  ==================================================
    any but ready                loading     ``load``; the first call of a lazy model
    loading                      ready       the model has loaded
    loading                      lazy        the model is only described
    loading                      failed      loading has raised an error; it stays loading if
                                             the server of a remote model is not available
    ready                        loading     ``load_or_describe`` of a fork-unsafe model
    any                          unloaded    ``unload``, unless the next line applies
    any but failed               lazy        ``unload`` of a lazy model
    any                          failed      ``fail``; a model that is loading then does not become
                                             ready
    ===========================  ==========  ==================================================

    A drained model accepts no more calls, regardless of its status, and is not loaded again.
    ``lock`` guards all attributes.
    Calls hold the model between :meth:`acquire` and :meth:`release`, and it is dropped only by
    :meth:`drop`, once no call holds it.
    """

    def __init__(self) -> None:
        self.status = Status.LAZY
        self.reason: str | None = None
        #: The reason with the model's own error, for its author and the operator.
        self.detail: str | None = None
        #: Whether the model failed because it crashed processes.
        self.is_quarantined = False
        #: Whether another model replaces this one.
        self.is_draining = False
        self._holders = 0
        self.lock = threading.Lock()
        self._released = threading.Condition(self.lock)

    def change(
        self,
        status: Status,
        reason: str | None = None,
        *,
        detail: str | None = None,
        quarantine: bool = False,
        only_from: Collection[Status] = ANY,
    ) -> bool:
        """Change the status, and drop the reason of the previous one. Return whether it changed.

        :param only_from: the statuses that change.
        """
        with self.lock:
            is_too_late = self.is_draining and status is Status.LOADING
            if is_too_late or self.status not in only_from:
                return False
            self.status = status
            self._set_reason(reason, detail)
            self.is_quarantined = quarantine
            return True

    def explain(self, status: Status, reason: str | None, detail: str | None = None) -> None:
        """Set the reason, if the model is still in this status."""
        with self.lock:
            if self.status is status:
                self._set_reason(reason, detail)

    def _set_reason(self, reason: str | None, detail: str | None) -> None:
        # A model may raise an error with a text of any length.
        self.reason = reason and cut_note(reason)
        self.detail = cut_note(detail or reason or "") or None

    def acquire(self) -> bool:
        """Hold the model if it is ready and not draining; return whether it is held."""
        with self.lock:
            if self.status is not Status.READY or self.is_draining:
                return False
            self._holders += 1
            return True

    def hold(self) -> None:
        """Hold the model in any status, for a call that was accepted before it changed."""
        with self.lock:
            self._holders += 1

    def release(self) -> None:
        """Release the model after :meth:`acquire` or :meth:`hold`."""
        with self.lock:
            self._holders -= 1
            if not self._holders and (self.is_draining or self.status is not Status.READY):
                self._released.notify_all()

    def drain(self) -> bool:
        """Reject new calls; return whether calls hold the model, or it is loading."""
        with self.lock:
            self.is_draining = True
            return self._holders > 0 or self.status is Status.LOADING

    def drop(self, clear: Callable[[], None], seconds: float) -> bool:
        """Wait until no call holds the model, at most ``seconds``, then call ``clear``.

        No call can acquire or hold the model while ``clear`` runs. Return whether it was released
        in time.
        """
        with self._released:
            is_released = self._released.wait_for(lambda: self._holders == 0, seconds)
            clear()
            return is_released


@dataclass(frozen=True)
class Quarantined:
    """A model in quarantine: its name, the reason, and the generation of the shared state."""

    name: str
    reason: str
    generation: int
