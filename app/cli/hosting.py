"""Loads the models of ``models.yaml`` that a command needs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import click
from flask import current_app

from app.serving.calls.executor import Limits
from app.serving.catalog import catalog
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import ModelNotFound
from app.serving.models.hosted import HostedModel
from app.web.http.extension import modelhost

#: The name in ``app.extensions``.
KEY = "hosting"


@dataclass(frozen=True)
class Hosting:
    """The path of ``models.yaml``, the values of its variables, and the limits of models."""

    path: Path
    environ: Mapping[str, str]
    limits: Limits

    def read_specs(self) -> list[ModelSpec]:
        """Return the entries of ``models.yaml``.

        :raises InvalidCatalog: with every mistake in it.
        """
        return catalog.read(self.path, self.environ)

    def host(self, specs: Sequence[ModelSpec]) -> list[HostedModel]:
        """Host the models of these entries in place of all others; load those that are not lazy.

        :raises InvalidCatalog: if two of them have the same name.
        """
        modelhost().manager.load_models(specs, self.limits, self.path)
        return modelhost().manager.models()

    def host_model(
        self, name: str, change: Callable[[ModelSpec], ModelSpec] = lambda spec: spec
    ) -> HostedModel:
        """Host only the model of that name, or name and version; it is loaded, or failed.

        :param change: returns the entry to use in place of the one in ``models.yaml``.
        :raises ClickException: if there is no such model.
        """
        others = []
        # The most likely entry first: if it matches, no other is hosted.
        for spec in sorted(self.read_specs(), key=lambda spec: spec.reference != name):
            [model] = self.host([replace(change(spec), lazy=spec.reference != name)])
            with suppress(ModelNotFound):
                return modelhost().manager.get_loaded(name)
            others.append(model.reference)
        close = difflib.get_close_matches(name, others, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(others)}"
        raise click.ClickException(f"{self.path.name} has no model {name!r}; {hint}")


def get_hosting() -> Hosting:
    """Return the hosting of the current application, without a time limit for calls."""
    # No other call waits in the queue behind that of a command.
    hosting = cast(Hosting, current_app.extensions[KEY])
    return replace(hosting, limits=replace(hosting.limits, seconds=0))
