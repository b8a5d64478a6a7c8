"""Creates, describes and loads the model of an entry."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from app.serving.calls.methods import PREDICT, Method
from app.serving.isolation.isolated import IsolatedModel
from app.serving.models.description import UNSANDBOXED
from app.serving.models.endpoints import build_endpoints, build_methods
from app.serving.models.state import Status
from app.serving.process.processes import find_threads_and_sockets
from app.serving.process.running_calls import record
from mlmodel.errors import InvalidModel
from mlmodel.model import MLModel, validate_name

if TYPE_CHECKING:
    from app.serving.models.hosted import HostedModel

log = logging.getLogger(__name__)


class Loader:
    """Steps of loading for one hosted model. Each returns the status that the model has then.

    Call them with :meth:`.LoadAttempts.run`.
    """

    def __init__(self, hosted: HostedModel) -> None:
        self._hosted = hosted
        #: The loaded model.
        self.model: MLModel | None = None
        #: The model that the master has built and each forked worker loads.
        self._built: MLModel | None = None

    def clear(self) -> None:
        """Forget the model and what calls it."""
        self.model = self._built = None
        self._hosted.calls.clear()

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
        unique_name=hosted.unique_name,
        profile=hosted.about.profile,
        direct=direct,
        call=hosted.calls.call,
    )
    hosted.about = hosted.about.with_endpoints(model, hosted.spec, found)


def _check_log(hosted: HostedModel) -> None:
    mistake = hosted.about.find_log_mistake(hosted.spec.log)
    if mistake:
        hosted.about = hosted.about.with_calls(None)  # its endpoints may hold the model
        raise InvalidModel(mistake)
