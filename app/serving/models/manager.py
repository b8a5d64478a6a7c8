"""``ModelManager``, the singleton that holds all models of a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self, TypeVar

from app.serving.calls.limits import Limits
from app.serving.calls.methods import PREDICT
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import (
    InvalidCatalog,
    Mistake,
    ModelNotFound,
    ModelUnavailable,
)
from app.serving.isolation.process_supervisor import shared_process
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Quarantined, Status
from app.serving.process.memory import return_memory
from app.serving.process.metrics import runtimes, states

log = logging.getLogger(__name__)
Used = TypeVar("Used")


class ModelManager:
    """Holds the models of ``models.yaml``. ``ModelManager()`` always returns the same object.

    Thread safe.
    """

    _instance: ClassVar[Self | None] = None
    _making: ClassVar[threading.Lock] = threading.Lock()
    _models: tuple[HostedModel, ...]
    #: Models by name, by ``name@version`` and by ``name@alias``.
    _found: Mapping[str, HostedModel]

    def __new__(cls) -> Self:
        """Return the singleton, which the first caller creates under a lock."""
        with cls._making:
            if cls._instance is None:
                cls._instance = super().__new__(cls)
                cls._instance._models, cls._instance._found = (), {}
            return cls._instance

    def load_models(
        self,
        specs: Sequence[ModelSpec],
        limits: Limits,
        path: Path,
        *,
        before_fork: bool = False,
        quarantined: Mapping[str, Quarantined] = MappingProxyType({}),
    ) -> None:
        """Replace all models by those of ``specs``, loaded unless they are lazy.

        A model that fails to load is held as failed; the others serve.

        :param path: the file of the specs, for error messages.
        :param before_fork: see :meth:`.Lifecycle.load_or_describe`.
        :param quarantined: the models in quarantine, by fingerprint.
        :raises InvalidCatalog: if two models have the same name.
        """
        self.close()
        models = [HostedModel(spec, limits) for spec in specs]
        with shared_process().members.keep_alive():
            for model in models:
                if quarantined:
                    model.file_fingerprint = model.spec.file_fingerprint()
                known = quarantined.get(model.suspect.fingerprint)
                if known is None:
                    model.lifecycle.load_or_describe(before_fork=before_fork)
                else:
                    model.name = known.name
                    model.lifecycle.fail(known.reason, is_quarantine=True)
        check_names(models, path)
        self.hold(models)
        # Memory that was needed only to read the files would otherwise stay in each process.
        return_memory()

    def close(self) -> None:
        """Unload and remove all models."""
        models = self._models
        self.hold(())
        for model in models:
            model.lifecycle.close()

    def hold(self, models: Sequence[HostedModel]) -> None:
        """Hold these models, as they are, instead of all others. Their unique names must differ."""
        found = {model.name: model for model in models if model.spec.default}
        for model in models:
            found |= dict.fromkeys(_references(model), model)
        self._models, self._found = tuple(models), found

    def models(self) -> list[HostedModel]:
        """Return all versions of all models, in the order of ``models.yaml``."""
        return list(self._models)

    def defaults(self) -> list[HostedModel]:
        """Return the default version of each model, in the order of ``models.yaml``."""
        return [model for model in self._models if model.spec.default]

    def versions(self, name: str) -> list[HostedModel]:
        """Return the versions of a model, in the order of ``models.yaml``.

        :raises ModelNotFound: if there is no such model.
        """
        name = self.get(name).name
        return [model for model in self._models if model.name == name]

    def get(self, name: str) -> HostedModel:
        """Return a model in any state.

        :param name: ``name`` for the default version, or ``name@version`` or ``name@alias``.
        :raises ModelNotFound: if there is no such model.
        """
        found = self._found.get(name)
        return self._by_own_version(name) if found is None else found

    def find(self, unique_name: str) -> HostedModel | None:
        """Return the model with a unique name, or ``None``."""
        return next((model for model in self._models if model.unique_name == unique_name), None)

    def get_loaded(self, name: str) -> HostedModel:
        """Return a model, see :meth:`get`, and load it if it is lazy.

        :raises ModelNotFound: if there is no such model.
        """
        model = self.get(name)
        model.lifecycle.load_if_waiting()
        # The manager already holds the replacement: a model drains only after that.
        return self.get_loaded(name) if model.state.is_draining else model

    def get_described(self, name: str) -> HostedModel:
        """Return a model, see :meth:`get`, and load it only if its schemas are not known yet.

        :raises ModelNotFound: if there is no such model.
        """
        model = self.get(name)
        return model if model.endpoints else self.get_loaded(name)

    def acquire(self, name: str, endpoint: str = PREDICT) -> tuple[HostedModel, HostedEndpoint]:
        """Acquire a model, see :meth:`get`, and its endpoint, see :meth:`HostedModel.acquire`."""
        return self.call_with(name, lambda model: (model, model.acquire(endpoint)))

    def call_with(self, name: str, use: Callable[[HostedModel], Used]) -> Used:
        """Return ``use(model)``, retried with the replacement if the model is drained meanwhile.

        :raises ModelNotFound: if there is no such model.
        :raises ServingError: if ``use`` raises it.
        """
        model = self.get(name)
        try:
            return use(model)
        except ModelUnavailable:
            if not model.state.is_draining:
                raise
        # The manager already holds the replacement: a model drains only after that.
        return self.call_with(name, use)

    def export_states(self) -> None:
        """Update the metrics with the states and runtimes of the models of this process."""
        states.update({model.unique_name: model.status for model in self._models})
        runtimes.update({model.unique_name: model.about.runtime_kind for model in self._models})

    def _by_own_version(self, name: str) -> HostedModel:
        plain, _, version = name.partition("@")
        model = self._found.get(plain)
        if model is None:
            raise ModelNotFound(plain)
        # If the entry has no version, the model's own version is valid.
        if model.version != version or model.spec.version:
            raise ModelNotFound(plain, version)
        return model


def check_names(models: Sequence[HostedModel], path: Path) -> None:
    """Rename failed models whose provisional name is taken.

    :raises InvalidCatalog: if two other models have the same name.
    """
    by_unique_name: dict[str, HostedModel] = {}
    mistakes = []
    # A failed model may have a provisional name, so it comes last and gives way.
    for model in sorted(models, key=lambda model: model.status is Status.FAILED):
        known = by_unique_name.get(model.unique_name)
        if known and model.status is Status.FAILED and not model.spec.name:
            model.name = f"{model.name}-{model.spec.line}"
            known = by_unique_name.get(model.unique_name)
        if known:
            detail = f"{model.name!r} is already the name of the model on line "
            detail += f"{known.spec.line}; rename one of them"
            mistakes.append(Mistake(model.spec.line, "name", detail))
        by_unique_name[model.unique_name] = model
    mistakes += _clashes(by_unique_name)
    if mistakes:
        raise InvalidCatalog(path, mistakes)


def _clashes(by_unique_name: Mapping[str, HostedModel]) -> list[Mistake]:
    """Return a mistake for each versioned model that shares its name with an unversioned one."""
    return [
        Mistake(
            model.spec.line,
            "name",
            f"{model.name!r} is already the name of the model on line "
            f"{by_unique_name[model.name].spec.line}; rename one of them, or give each a version",
        )
        for unique_name, model in by_unique_name.items()
        if unique_name != model.name and model.name in by_unique_name
    ]


def _references(model: HostedModel) -> list[str]:
    words = (model.spec.version, *model.spec.aliases) if model.spec.version else ()
    return [f"{model.name}@{word}" for word in words]
