"""Loads the models of ``models.yaml`` that a command needs."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

import config
from app.serving.calls.limits import Limits
from app.serving.catalog import catalog
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import ModelNotFound
from app.serving.fetching.fetched_file import Fetching
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from app.serving.models.predictor import Predictor
from app.serving.prediction_log.writer import PredictionLog
from mlmodel.trust.trial import bounded_fork

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Hosting:
    """The settings, ``models.yaml``, and what hosts its models and predicts with them."""

    settings: Mapping[str, Any]
    #: The file with the entries of the models.
    path: Path
    #: Values of ``${NAME}`` in the file.
    environ: Mapping[str, str]
    limits: Limits
    predictor: Predictor
    #: How to handle pickles without ``sha256`` or ``trust``.
    unpinned: catalog.Unpinned = "check"

    def read_specs(self) -> list[ModelSpec]:
        """Return the entries of ``models.yaml``.

        :raises InvalidCatalog: with every mistake in it.
        """
        return catalog.read(self.path, self.environ, unpinned=self.unpinned, fetching=self.fetching)

    @property
    def fetching(self) -> Fetching:
        """How files at addresses are fetched."""
        return Fetching.from_settings(self.settings, config.get_models_folder(self.settings))

    def host(self, specs: Sequence[ModelSpec]) -> list[HostedModel]:
        """Host the models of these entries in place of all others; load those that are not lazy.

        :raises InvalidCatalog: if two of them have the same name.
        """
        self.predictor.manager.load_models(specs, self.limits, self.path)
        return self.predictor.manager.models()

    def host_model(
        self, name: str, change: Callable[[ModelSpec], ModelSpec] = lambda spec: spec
    ) -> HostedModel:
        """Host only the model of that name, or name and version; it is loaded, or failed.

        :param change: returns the entry to use in place of the one in ``models.yaml``.
        :raises ClickException: if there is no such model.
        """
        others = []
        # The most likely entry first: if it matches, no other is hosted.
        for spec in sorted(self.read_specs(), key=lambda spec: spec.public_name != name):
            [model] = self.host([replace(change(spec), lazy=spec.public_name != name)])
            with suppress(ModelNotFound):
                return self.predictor.manager.get_loaded(name)
            others.append(model.public_name)
        close = difflib.get_close_matches(name, others, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(others)}"
        raise click.ClickException(f"{self.path.name} has no model {name!r}; {hint}")

    def load_model(
        self, name: str, change: Callable[[ModelSpec], ModelSpec] = lambda spec: spec
    ) -> HostedModel:
        """Host only the model of that name, as :meth:`host_model` does.

        :raises ClickException: if there is no such model, or it is not ready.
        """
        model = self.host_model(name, change)
        if not model.is_ready:
            raise click.ClickException(f"the model {name!r} is {model.status}: {model.reason}")
        return model


def pass_hosting(function: Callable[Concatenate[Hosting, P], R]) -> Callable[P, R]:
    """Pass the hosting of this environment to a function, as its first argument."""

    @wraps(function)
    def with_hosting(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(build_hosting(os.environ), *args, **kwargs)

    return with_hosting


def build_hosting(environ: Mapping[str, str]) -> Hosting:
    """Return the hosting, whose calls have no time limit.

    :raises InvalidSetting: if a setting is unknown or has a wrong value.
    """
    settings = config.settings(environ)
    bounded_fork.TimeLimit.seconds = settings["LOAD_SECONDS"] or math.inf
    # No other call waits in the queue behind that of a command, whose user is the author.
    limits = replace(Limits.from_settings(settings), seconds=0, has_public_errors=True)
    path = config.ROOT / settings["MODELS_FILE"]
    predictor = Predictor(
        ModelManager(), limits, PredictionLog(config.get_folder(settings, "PREDICTION_LOG_FOLDER"))
    )
    return Hosting(settings, path, environ, limits, predictor)
