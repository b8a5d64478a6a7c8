"""Batches the rows of several callers into one call of their model.

Many models take as long for one row as for fifty. Calls that arrive while another one runs wait
for it to end, and then run as one batch. No call waits for others to arrive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from app.serving.calls.executor import BoundedExecutor, Slots
from app.serving.calls.limits import Limits

#: Maps rows to as many predictions, in the same order.
Predict = Callable[[Sequence[Any]], Any]

#: Duration of a call in seconds below which batching costs more than it saves: some microseconds
#: for each caller. The same executor runs all these calls, batched or not.
MIN_BATCH_SECONDS = 0.00005
#: Rows from which a call that is certain to end soon takes long enough for a thread of its own.
FEW_ROWS = 64
#: Relative correction of the estimated duration after each call. A constant step follows the
#: median, so one outlier changes little.
STEP = 0.1


class Batcher:
    """Calls a model with the rows of all waiting callers, in an executor with one thread.

    :param max_rows: rows of a batch. Calls with as many rows or more run alone, in an executor
        with the other threads; with 0, all calls do.
    :param ends_soon: whether a call of fewer than :data:`FEW_ROWS` rows is certain to end soon. It
        runs in the caller's thread, since another thread would cost more than most such calls.
    """

    def __init__(self, limits: Limits, max_rows: int, *, ends_soon: bool = False) -> None:
        # Both executors together use `limits.threads` threads.
        joint = replace(limits, threads=1)
        others = replace(limits, threads=max(limits.threads - 1, 1))
        slots = Slots(limits)
        self._alone = BoundedExecutor(others if max_rows else limits, slots)
        self._batches = self._alone if limits.threads == 1 else BoundedExecutor(joint, slots)
        self._max_rows = max_rows
        self.ends_soon = ends_soon
        self._lock = threading.Lock()
        self._waiting: dict[int, _Call] = {}
        self._seconds = 0.0

    def run(self, predict: Predict, rows: Sequence[Any]) -> Any:
        """Return the predictions for the rows; raise the errors of :meth:`BoundedExecutor.run`.

        If a batch fails, each of its calls runs alone, so that an error reaches only its caller.
        """
        if self.ends_soon and len(rows) < FEW_ROWS:
            return predict(rows)
        if len(rows) >= self._max_rows:
            return self._alone.run(predict, rows)
        call = _Call(predict, rows)
        with self._lock:
            self._waiting[id(call)] = call
        try:
            return self._batches.run(self._run_batch, call)
        finally:
            with self._lock:
                self._waiting.pop(id(call), None)

    def close(self) -> None:
        """End the threads after the queued calls."""
        self._alone.close()
        self._batches.close()

    def _run_batch(self, call: _Call) -> Any:
        """Run a call, in a thread of the executor, unless an earlier batch contained it."""
        if not call.is_done:
            calls = self._take_batch(call)
            started = time.perf_counter()
            _run_all(calls)
            self._update_estimate(time.perf_counter() - started)
        return call.get_result()

    def _update_estimate(self, seconds: float) -> None:
        known = self._seconds or seconds
        self._seconds = known * (1 + STEP if seconds > known else 1 - STEP)

    def _take_batch(self, first: _Call) -> list[_Call]:
        """Return the queued calls to run in one batch, starting with ``first``."""
        calls, count = [first], len(first.rows)
        with self._lock:
            self._waiting.pop(id(first), None)
            if self._seconds < MIN_BATCH_SECONDS:
                return calls
            for call in list(self._waiting.values()):
                if call.predict == first.predict and count + len(call.rows) <= self._max_rows:
                    calls.append(self._waiting.pop(id(call)))
                    count += len(call.rows)
        return calls


class _Call:
    """The rows of one caller, and later their predictions or error."""

    def __init__(self, predict: Predict, rows: Sequence[Any]) -> None:
        self.predict = predict
        self.rows = rows
        self.is_done = False
        self._predictions: Any = None
        self._error: BaseException | None = None

    def set_result(self, predictions: Any, error: BaseException | None = None) -> None:
        """Store the predictions or the error."""
        self._predictions, self._error, self.is_done = predictions, error, True

    def get_result(self) -> Any:
        """Return the predictions, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._predictions


def _run_all(calls: list[_Call]) -> None:
    if len(calls) > 1 and _run_together(calls):
        return
    for call in calls:
        # A model may raise anything; the error is raised in the caller's thread only.
        try:
            call.set_result(call.predict(call.rows))
        except BaseException as error:
            call.set_result(None, error)


def _run_together(calls: list[_Call]) -> bool:
    """Run the calls as one batch; return whether it succeeded."""
    rows = [row for call in calls for row in call.rows]
    try:
        predictions = calls[0].predict(rows)
    except BaseException:  # running each call alone finds the rows at fault
        return False
    if not isinstance(predictions, list) or len(predictions) != len(rows):
        return False
    start = 0
    for call in calls:
        call.set_result(predictions[start : start + len(call.rows)])
        start += len(call.rows)
    return True
