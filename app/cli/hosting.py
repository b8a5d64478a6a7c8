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
from app.serving.models.manager import ModelManager

#: Its key in ``app.extensions``.
KEY = "hosting"


@dataclass(frozen=True)
class Hosting:
    """The path of ``models.yaml``, the values of its variables, and the limits of models."""

    path: Path
    environ: Mapping[str, str]
    limits: Limits

    def specs(self) -> list[ModelSpec]:
        """Return the entries of ``models.yaml``.

        :raises InvalidCatalog: with every mistake in it.
        """
        return catalog.read(self.path, self.environ)

    def hold(self, specs: Sequence[ModelSpec], *, before_fork: bool = False) -> list[HostedModel]:
        """Host these models and no others, loaded unless they are lazy.

        :param before_fork: see :meth:`HostedModel.prepare`.
        :raises InvalidCatalog: if two of them have the same name.
        """
        ModelManager().open(specs, self.limits, self.path, before_fork=before_fork)
        return ModelManager().models()

    def named(
        self, name: str, changed: Callable[[ModelSpec], ModelSpec] = lambda spec: spec
    ) -> HostedModel:
        """Host only the model of that name, or name and version. It is loaded or has failed.

        :param changed: returns the entry to use in place of the one in ``models.yaml``.
        :raises ClickException: if there is no such model.
        """
        others = []
        # The most likely entry first: if it matches, no other is opened.
        for spec in sorted(self.specs(), key=lambda spec: spec.reference != name):
            [model] = self.hold([replace(changed(spec), lazy=spec.reference != name)])
            with suppress(ModelNotFound):
                return ModelManager().opened(name)
            others.append(model.reference)
        raise click.ClickException(_unknown(name, others, self.path.name))


def hosting() -> Hosting:
    """Return the hosting of the current application, without a time limit.

    No other call waits in the queue behind that of a command.
    """
    kept = cast(Hosting, current_app.extensions[KEY])
    return replace(kept, limits=replace(kept.limits, seconds=0))


def _unknown(name: str, names: Sequence[str], file: str) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"there is no model {name!r} in {file}; did you mean {close[0]!r}?"
    return f"there is no model {name!r} in {file}; there are: {', '.join(names) or 'none'}"
