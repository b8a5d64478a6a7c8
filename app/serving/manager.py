"""``ModelManager``, the one object that holds all models of a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from app.serving.catalog import ModelSpec
from app.serving.errors import InvalidCatalog, Mistake, ModelNotFound
from app.serving.hosted import HostedModel, Status
from app.serving.lane import Limits
from app.serving.memory import return_memory

log = logging.getLogger(__name__)


class ModelManager:
    """Holds the models of ``models.yaml``. Every ``ModelManager()`` is the same object.

    Any thread may call any method.
    """

    _instance: ClassVar[Self | None] = None
    _making: ClassVar[threading.Lock] = threading.Lock()
    _models: dict[str, HostedModel]

    def __new__(cls) -> Self:
        """Return the object, made by the first caller under a lock."""
        with cls._making:
            if cls._instance is None:
                cls._instance = super().__new__(cls)
                cls._instance._models = {}
            return cls._instance

    def open(
        self,
        specs: Sequence[ModelSpec],
        limits: Limits,
        path: Path,
        *,
        before_fork: bool = False,
    ) -> None:
        """Hold these models instead of any others, loaded unless they are lazy.

        A model that cannot be loaded is held as failed, and the others serve.

        :param path: the file that the specs come from, for its name in errors.
        :param before_fork: see :meth:`HostedModel.prepare`.
        :raises InvalidCatalog: if two models say the same name.
        """
        self.close()
        models = [HostedModel(spec, limits) for spec in specs]
        for model in models:
            model.prepare(before_fork=before_fork)
        self._models = _by_name(models, path)
        # What was only needed to read the files would else be in the memory of each process.
        return_memory()

    def close(self) -> None:
        """Unload all models and hold none."""
        models, self._models = self._models, {}
        for model in models.values():
            model.unload()

    def models(self) -> list[HostedModel]:
        """Return all models in the order of ``models.yaml``, whatever their state."""
        return list(self._models.values())

    def get(self, name: str) -> HostedModel:
        """Return the model of that name, whatever its state.

        :raises ModelNotFound: if there is none.
        """
        if name not in self._models:
            raise ModelNotFound(name)
        return self._models[name]

    def opened(self, name: str) -> HostedModel:
        """Return the model of that name, loaded if it waited for its first use.

        :raises ModelNotFound: if there is none.
        """
        model = self.get(name)
        model.open()
        return model


def _by_name(models: Sequence[HostedModel], path: Path) -> dict[str, HostedModel]:
    by_name: dict[str, HostedModel] = {}
    mistakes = []
    # A model that failed before it could say its name has a provisional one, and gives way.
    for model in sorted(models, key=lambda model: model.status is Status.FAILED):
        if model.name in by_name and model.status is Status.FAILED and not model.spec.name:
            model.name = f"{model.name}-{model.spec.line}"
        if model.name in by_name:
            detail = f"{model.name!r} is the name of the model in line "
            detail += f"{by_name[model.name].spec.line} too; give one of them another name"
            mistakes.append(Mistake(model.spec.line, "name", detail))
        by_name[model.name] = model
    if mistakes:
        raise InvalidCatalog(path, mistakes)
    return {model.name: model for model in models}
