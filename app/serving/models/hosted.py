"""A hosted model: an entry of ``models.yaml``, its state, its description and its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from app.serving.calls.limits import Limits
from app.serving.calls.methods import PREDICT
from app.serving.catalog.fingerprint import FileFingerprint
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import (
    ArtifactNotFound,
    EndpointNotFound,
    ModelUnavailable,
)
from app.serving.isolation.isolated import IsolatedModel
from app.serving.models.description import Description
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.lifecycle import Lifecycle
from app.serving.models.model_calls import ModelCalls
from app.serving.models.state import State, Status
from app.serving.process.running_calls import Suspect


class HostedModel:
    """A model that serves, or is to serve. Thread safe.

    Its parts: what it shows (:class:`Description`), whether it can be called (:class:`State`), its
    calls (:class:`ModelCalls`), and how its state changes (:class:`Lifecycle`).
    """

    def __init__(self, spec: ModelSpec, limits: Limits) -> None:
        self.spec = spec
        self.name = spec.provisional_name
        #: Whether clients and metrics already use the name, even if it is provisional.
        self.keeps_name = False
        #: Fingerprint of the model file, taken just before the model is loaded.
        self.file_fingerprint: FileFingerprint | None = None
        self.about = Description.from_entry(spec)
        self.state = State()
        self.limits = (
            limits if spec.time_limit is None else replace(limits, seconds=spec.time_limit)
        )
        self.calls = ModelCalls(spec, self.limits, self.state, self.build_error)
        self.lifecycle = Lifecycle(self, limits)

    @property
    def status(self) -> Status:
        """The status, see :class:`State`."""
        return self.state.status

    @property
    def is_ready(self) -> bool:
        """Whether the status is ready: the model is loaded."""
        return self.status is Status.READY

    @property
    def reason(self) -> str | None:
        """Why the model is failed, still loading, or not replaced."""
        if self.state.reason is None and self.is_ready and self.spec.fetched:
            return self.spec.fetched.failure or None
        return self.state.detail if self.limits.has_public_errors else self.state.reason

    @property
    def display_name(self) -> str:
        """The name for pages."""
        return self.about.display_name

    @property
    def description(self) -> str:
        """The model's own description, in Markdown."""
        return self.about.description

    @property
    def version(self) -> str:
        """The version of the entry, else the model's own."""
        return self.about.version

    @property
    def endpoints(self) -> Mapping[str, HostedEndpoint]:
        """The endpoints by name; empty if the model is not loaded and must be for its schemas."""
        return self.about.endpoints

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a row; ``None`` if any row is valid or it is not known yet."""
        return self.about.input_schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a prediction; ``None`` if any is valid or it is not known yet."""
        return self.about.output_schema

    @property
    def notes(self) -> tuple[str, ...]:
        """Doubts about the schemas, and about the log if a row may have any fields."""
        return self.about.list_notes(self.spec.log)

    @property
    def unique_name(self) -> str:
        """The name: ``name@version`` if the entry has a version, else ``name``."""
        return f"{self.name}@{self.spec.version}" if self.spec.version else self.name

    @property
    def public_name(self) -> str:
        """The name in URLs and commands: ``name``, with the version unless it is the default."""
        return self.name if self.spec.default else self.unique_name

    @property
    def suspect(self) -> Suspect:
        """The model's identity in crash records: a fingerprint of its entry and file, its name."""
        return Suspect(self.spec.fingerprint(self.file_fingerprint), self.name)

    def acquire(self, endpoint: str = PREDICT) -> HostedEndpoint:
        """Acquire the model for one call of an endpoint. Call :meth:`release` when done.

        :raises ModelUnavailable: if the model is not ready and does not load on first use.
        :raises EndpointNotFound: if the model has no such endpoint.
        """
        self._acquire()
        found = self.endpoints.get(endpoint)
        if found is None:
            self.release()
            raise EndpointNotFound(self.name, endpoint)
        return found

    def release(self) -> None:
        """Release the model after :meth:`acquire`."""
        self.state.release()

    def update_entry(self, spec: ModelSpec, reason: str | None = None) -> None:
        """Adopt from a new entry what does not change the model, without loading it.

        :param reason: why the model of the new entry cannot replace this one.
        """
        self.spec = replace(
            self.spec,
            default=spec.default,
            aliases=spec.aliases,
            line=spec.line,
            log=self.spec.log if self.about.find_log_mistake(spec.log) else spec.log,
            # Another file could not be loaded: see `reason`.
            fetched=spec.fetched if spec.file == self.spec.file else self.spec.fetched,
        )
        self.state.explain(Status.READY, reason)

    def open_artifact(self, name: str) -> BinaryIO:
        """Open an artifact of the model, if its entry in ``models.yaml`` offers it.

        :raises ModelUnavailable: if the model is not ready and does not load on first use.
        :raises ArtifactNotFound: if there is no such artifact, or the entry does not offer it.
        """
        self._acquire()
        try:
            model = self.lifecycle.model
            files = model.artifacts if model else {}
            is_offered = self.spec.artifacts == "all" or name in self.spec.artifacts
            if not is_offered or name not in files:
                raise ArtifactNotFound(self.name, name)
            # The open file stays readable even if the model is unloaded meanwhile.
            if isinstance(model, IsolatedModel):
                return model.open_artifact(name)
            return files[name].open("rb")
        finally:
            self.release()

    def _acquire(self) -> None:
        while not self.state.acquire():
            if self.state.is_draining or not self.lifecycle.load_if_waiting():
                raise self.build_error()

    def build_error(self) -> ModelUnavailable:
        """Return the error of a call that finds the model unavailable."""
        return ModelUnavailable(self.name, self.status, self.reason)
