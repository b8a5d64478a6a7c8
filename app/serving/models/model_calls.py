"""The calls of one hosted model: its methods, its queue, and the record of those that run."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.serving.calls.batcher import Batcher
from app.serving.calls.limits import Limits
from app.serving.calls.methods import Method
from app.serving.catalog.model_spec import BATCH_ROWS, ModelSpec
from app.serving.errors import ModelUnavailable, PredictionTimeout
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.state import State
from app.serving.process.running_calls import record
from mlmodel.model import MLModel


class ModelCalls:
    """Queues the calls of a model and runs them. Thread safe.

    The record of running calls, see :mod:`app.serving.process.running_calls`, holds the model
    responsible if the process crashes meanwhile. ``_lock`` guards the counts behind it, and is
    never held together with :attr:`State.lock`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        limits: Limits,
        state: State,
        build_error: Callable[[], ModelUnavailable],
    ) -> None:
        self._spec = spec
        self._build_error = build_error
        self._limits = limits
        self._state = state
        self._batcher = Batcher(limits, spec.batch_rows or 0)
        #: Methods by endpoint name; empty unless the model is loaded.
        self._methods: Mapping[str, Method] = {}
        #: Calls that run the model's code, and how many of them exceeded the time limit.
        self._running = self._late = 0
        self._lock = threading.Lock()
        #: The model's place in the record of running calls.
        self.place = record.add()
        weakref.finalize(self, record.remove, self.place).atexit = False

    def open(self, model: MLModel, methods: Mapping[str, Method]) -> None:
        """Accept calls of a loaded model."""
        self._methods = methods
        # Hanging calls keep the threads of the previous Batcher.
        limits = replace(self._limits, threads=1) if self._spec.is_isolated else self._limits
        batch_rows = self._spec.batch_rows
        if batch_rows is None:
            batch_rows = BATCH_ROWS if model.is_row_wise else 0
        self._batcher = Batcher(limits, batch_rows, ends_soon=model.ends_soon)

    def update(self, model: MLModel) -> None:
        """Adapt to a loaded model whose runtime has changed."""
        self._batcher.ends_soon = model.ends_soon

    def clear(self) -> None:
        """Forget the methods, so that calls that still wait in the queue fail."""
        self._methods = {}

    def close(self) -> None:
        """Let the threads of the queue end after their running calls."""
        self._batcher.close()

    def run(self, endpoint: HostedEndpoint, rows: Sequence[Any]) -> Any:
        """Return the predictions of an endpoint for rows. The caller holds the model.

        :raises QueueFull: if too many calls wait.
        :raises PredictionTimeout: if the call exceeds its time limit.
        """
        try:
            return self._batcher.run(endpoint.predict, rows)
        except PredictionTimeout:
            # A call that hangs is not held responsible for a crash.
            with self._lock:
                self._late = min(self._late + 1, self._running)
                self._record()
            raise

    def call(self, endpoint: str, rows: Sequence[Any]) -> Any:
        """Call the model's method, and hold the model until the method returns.

        The caller may time out before the call starts, and the model be unloaded by then. While
        the caller waits, the model stays loaded, even if it already rejects new calls.

        :raises ModelUnavailable: if the model was unloaded.
        """
        self._state.hold()
        try:
            method = self._methods.get(endpoint)
            if method is None:
                raise self._build_error()
            start = time.time_ns()
            with self._lock:
                self._running += 1
                self._record(start)
            try:
                return method(rows)
            finally:
                with self._lock:
                    record.times[self.place + 1] += max(time.time_ns() - start, 0)
                    self._running -= 1
                    self._late = min(self._late, self._running)
                    self._record()
        finally:
            self._state.release()

    def _record(self, start: int | None = None) -> None:
        """Record when the last call began, or 0 if callers wait for none of the running calls."""
        if self._running == self._late or self._spec.is_isolated:
            record.times[self.place] = 0
        elif start is not None:
            record.times[self.place] = start
