"""Attempts to load a hosted model: with a time limit, and again if its server is unavailable."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from app.serving.calls.executor import BoundedExecutor
from app.serving.calls.limits import Limits
from app.serving.errors import (
    PredictionTimeout,
    QueueFull,
    RemoteTimeout,
    RemoteUnavailable,
    ServingError,
    Stopped,
    get_failure_detail,
    get_failure_text,
)
from app.serving.models.state import ANY, Status
from app.serving.process import metrics
from app.serving.process.running_calls import record
from mlmodel.errors import FlmError

if TYPE_CHECKING:
    from app.serving.models.hosted import HostedModel

log = logging.getLogger(__name__)

#: Seconds after which loading is tried again if the model's server was not available.
RETRY_SECONDS = 5.0
#: Maximum number of callers that wait while a model loads.
LOADERS = 1000


class LoadAttempts:
    """Attempts to load a hosted model. Each sets the status that follows from it.

    :param lock: the lock for loading, held during an attempt.
    """

    def __init__(self, hosted: HostedModel, limits: Limits, lock: threading.Lock) -> None:
        self._hosted = hosted
        self._lock = lock
        self._executor = BoundedExecutor(replace(limits, threads=1, queue_size=LOADERS))
        #: Whether a thread waits to load the model again.
        self.is_retrying = False

    def close(self) -> None:
        """End the thread of :meth:`run_in_time` after the running attempt."""
        self._executor.close()

    def run_in_time(self, step: Callable[[], Status], only_from: Collection[Status]) -> bool:
        """Acquire the lock and run a step in a thread; return whether the model is ready then.

        A model that exceeds the time limit of a call continues to load in the background.
        """

        def run() -> bool:
            with self._lock:
                self.run(step, only_from)
                return self._hosted.status is Status.READY

        # In a separate thread: a model that hangs while loading must not block a request.
        with suppress(PredictionTimeout, QueueFull):
            return bool(self._executor.run(run))
        return False

    def run(self, step: Callable[[], Status], only_from: Collection[Status] = ANY) -> None:
        """Set the status that a step of loading returns, or failed if it raises an error.

        A model that another thread has set to failed meanwhile stays failed.
        Call it with the lock for loading held.

        :param only_from: the statuses in which the model is loaded.
        """
        hosted, state = self._hosted, self._hosted.state
        if not state.change(Status.LOADING, only_from=only_from):
            return
        started = time.perf_counter()
        try:
            with record.running(hosted.calls.place):
                status = step()
        except (RemoteUnavailable, RemoteTimeout) as error:
            self._retry_later(str(error), error.detail)
            return
        except Stopped:
            raise
        # The author's code runs at import, in __init__ and in load(), and may raise anything.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and _is_main_thread():
                raise  # the operator may have pressed Ctrl-C
            if not (hosted.keeps_name or hosted.spec.is_isolated):
                hosted.name = hosted.spec.provisional_name
            reason = get_failure_text(error)
            detail = get_failure_detail(error)
            state.change(Status.FAILED, reason, detail=detail, only_from={Status.LOADING})
            log.error("model %r failed: %s", hosted.name, reason, exc_info=_get_trace(error))
            return
        if state.change(status, only_from={Status.LOADING}) and status is Status.READY:
            metrics.LOAD_SECONDS.labels(hosted.unique_name).set(time.perf_counter() - started)
            log.info("model %r is ready", hosted.name)

    def _retry_later(self, reason: str, detail: str) -> None:
        """Leave the model in the status loading, and load it again after a while."""
        log.warning("model %r is not loaded yet: %s", self._hosted.name, detail)
        self._hosted.state.explain(Status.LOADING, reason, detail)
        self.is_retrying = True
        retry = threading.Timer(RETRY_SECONDS, self._retry)
        retry.daemon = True
        retry.start()

    def _retry(self) -> None:
        self.is_retrying = False
        self._hosted.lifecycle.finish_loading()


def _get_trace(error: BaseException) -> BaseException | None:
    """Return the error whose traceback is logged, if that adds something to its message."""
    is_own = isinstance(error, FlmError | ServingError) and not error.__cause__
    return None if is_own else error


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
