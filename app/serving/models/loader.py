"""Creates, describes and loads the model of an entry."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from app.serving.calls.methods import PREDICT, Method
from app.serving.errors import (
    RemoteTimeout,
    RemoteUnavailable,
    ServingError,
    Stopped,
    get_failure_text,
)
from app.serving.isolation.isolated import IsolatedModel
from app.serving.models.description import UNSANDBOXED
from app.serving.models.endpoints import build_endpoints, build_methods
from app.serving.models.state import ANY, Status
from app.serving.process import metrics
from app.serving.process.processes import find_threads_and_sockets
from app.serving.process.running_calls import record
from mlmodel.errors import FlmError, InvalidModel
from mlmodel.model import MLModel, validate_name

if TYPE_CHECKING:
    from app.serving.models.hosted import HostedModel

log = logging.getLogger(__name__)

#: Seconds after which loading is tried again if the model's server was not available.
RETRY_SECONDS = 5.0


class Loader:
    """Steps of loading for one hosted model. Each returns the status that the model has then.

    Call them with :meth:`attempt`.
    """

    def __init__(self, hosted: HostedModel) -> None:
        self._hosted = hosted
        #: The loaded model.
        self.model: MLModel | None = None
        #: The model that the master has built and each forked worker loads.
        self._built: MLModel | None = None
        #: Whether a thread waits to load the model again.
        self.is_retrying = False

    def clear(self) -> None:
        """Forget the model and what calls it."""
        self.model = self._built = None
        self._hosted.calls.clear()

    def attempt(self, step: Callable[[], Status], only_from: Collection[Status] = ANY) -> None:
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
            self._retry_later(str(error))
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
            state.change(Status.FAILED, reason, only_from={Status.LOADING})
            log.error("model %r failed: %s", hosted.name, reason, exc_info=_get_trace(error))
            return
        if state.change(status, only_from={Status.LOADING}) and status is Status.READY:
            metrics.LOAD_SECONDS.labels(hosted.label).set(time.perf_counter() - started)
            log.info("model %r is ready", hosted.name)

    def describe(self) -> Status:
        """Create the model, describe it and forget it: a lazy model takes no memory yet.

        Its schemas are part of the description if they can be read before it is loaded.
        """
        model = _create(self._hosted)
        self._describe(model)
        try:
            if not model.schemas_need_load:
                _describe_endpoints(self._hosted, model)
        except Exception as error:  # the author's properties may need load()
            name = self._hosted.name
            log.info("the schemas of model %r cannot be read before it is loaded: %s", name, error)
        _check_log(self._hosted)
        return Status.LAZY

    def load_before_fork(self) -> Status:
        """Do in a master what all forked workers can share."""
        before = find_threads_and_sockets()
        model = _create(self._hosted)
        self._describe(model)
        if self._hosted.spec.in_worker or not model.survives_fork:
            model.before_fork()
            return Status.LOADING
        if model.predicts_at_load:
            model.build()
        else:
            self._load(model)
        if find_threads_and_sockets() - before:
            log.info(
                "model %r starts threads or opens connections: each worker loads it",
                self._hosted.name,
            )
            self._hosted.lifecycle.discard()
            return Status.LOADING
        if model.predicts_at_load:
            self._built = model
            return Status.LOADING
        return Status.READY

    def load(self) -> Status:
        """Load the model, built before the fork if that was possible."""
        model, self._built = self._built or _create(self._hosted), None
        self._describe(model)
        self._load(model)
        return Status.READY

    def _retry_later(self, reason: str) -> None:
        """Leave the model in the status loading, and load it again after a while."""
        log.warning("model %r is not loaded yet: %s", self._hosted.name, reason)
        self._hosted.state.explain(Status.LOADING, reason)
        self.is_retrying = True
        retry = threading.Timer(RETRY_SECONDS, self._retry)
        retry.daemon = True
        retry.start()

    def _retry(self) -> None:
        self.is_retrying = False
        self._hosted.lifecycle.finish_loading()

    def _load(self, model: MLModel) -> None:
        hosted = self._hosted
        model.load()
        methods = self._describe_loaded(model)
        for note in hosted.notes:
            log.warning("model %r: %s", hosted.name, note)
        self.model = model
        hosted.calls.open(model, methods)

    def update(self, model: MLModel) -> None:
        """Adapt calls and description to the loaded model, whose runtime has changed."""
        self._describe_loaded(model)
        self._hosted.calls.update(model)

    def _describe_loaded(self, model: MLModel) -> Mapping[str, Method]:
        """Describe a loaded model: only now its metadata names the runtime. Return its methods."""
        hosted = self._hosted
        self._describe(model)
        methods = build_methods(model)
        # Calls of a compiled graph are recorded: its runtime might crash the process.
        is_arithmetic = model.ends_soon and hosted.about.runtime_kind == "native"
        _describe_endpoints(hosted, model, methods[PREDICT] if is_arithmetic else None)
        _check_log(hosted)
        return methods

    def _describe(self, model: MLModel) -> None:
        hosted = self._hosted
        own_name = validate_name(hosted.spec.name or model.qualified_name)
        if not hosted.keeps_name:
            hosted.name = own_name
        record.identify(hosted.calls.place, hosted.suspect)
        before, hosted.about = (
            hosted.about,
            hosted.about.with_texts(model, hosted.spec, hosted.name),
        )
        if isinstance(model, IsolatedModel) and model.unsandboxed and before.isolation is None:
            log.warning("model %r is %s: %s", hosted.name, UNSANDBOXED, model.unsandboxed)


def _create(hosted: HostedModel) -> MLModel:
    if hosted.spec.fetched and hosted.spec.fetched.ensure():
        hosted.file_fingerprint = hosted.spec.file_fingerprint()
    if hosted.spec.is_isolated:
        return IsolatedModel(
            hosted.spec, hosted.limits, partial(hosted.lifecycle.fail, is_quarantine=True)
        )
    # Compiling takes seconds, so `auto` starts with the native model.
    runtime = "native" if hosted.spec.runtime == "auto" else hosted.spec.runtime
    return replace(hosted.spec, runtime=runtime).create()


def _describe_endpoints(hosted: HostedModel, model: MLModel, direct: Method | None = None) -> None:
    found = build_endpoints(
        model,
        hosted.spec,
        label=hosted.label,
        profile=hosted.about.profile,
        direct=direct,
        call=hosted.calls.call,
    )
    hosted.about = hosted.about.with_endpoints(model, hosted.spec, found)


def _check_log(hosted: HostedModel) -> None:
    mistake = hosted.find_log_mistake(hosted.spec)
    if mistake:
        hosted.about = hosted.about.with_calls(None)  # its endpoints may hold the model
        raise InvalidModel(mistake)


def _get_trace(error: BaseException) -> BaseException | None:
    """Return the error whose traceback is logged, if that adds something to its message."""
    is_own = isinstance(error, FlmError | ServingError) and not error.__cause__
    return None if is_own else error


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
