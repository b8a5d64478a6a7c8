"""Replacement of models without a gap: new models are loaded and tested before they serve.

The old models serve meanwhile, and are unloaded after their last running call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.serving.calls.limits import Limits
from app.serving.catalog.model_spec import ModelSpec
from app.serving.isolation.process_supervisor import shared_process
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager, check_names
from app.serving.models.state import Status
from app.serving.reload.warmup import smoke_test

log = logging.getLogger(__name__)


@dataclass
class Changes:
    """Unique names of the models by outcome, and the reasons why some were not replaced."""

    loaded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Replacer:
    """Replaces the models that the manager holds."""

    manager: ModelManager
    path: Path
    limits: Limits
    #: See `Lifecycle.load_or_describe`. If true, no model is tried.
    before_fork: bool = False

    def replace_models(
        self, specs: Sequence[ModelSpec], to_reload: Collection[str], *, with_failed: bool
    ) -> Changes:
        """Replace the models of the manager by those of these entries.

        Models whose entry and file are unchanged stay. If a new model fails, a ready old one with
        its unique name stays too, and its ``reason`` gives the cause.

        :param to_reload: the unique names of models to reload in any case.
        :param with_failed: whether to reload failed models, except those in quarantine.
        :raises InvalidCatalog: if two models have the same name. Then nothing changes.
        """
        old = self.manager.models()
        reusable = [
            model
            for model in old
            if model.unique_name not in to_reload
            and (model.state.is_quarantined or not (with_failed and model.status is Status.FAILED))
        ]
        models, new = self._match(specs, reusable)
        replaced = [model for model in old if model not in models]
        with shared_process().members.keep_alive():
            for model in new:
                if self.before_fork:
                    model.lifecycle.load_or_describe(before_fork=True)
                else:
                    _load_in_time(model)
                _inherit_name(model, replaced)
        check_names(models, self.path)
        changes = Changes(unchanged=[model.unique_name for model in models if model not in new])
        held = [self._choose(model, old, changes) if model in new else model for model in models]
        for spec, model in zip(specs, held, strict=True):
            model.update_entry(spec, changes.failed.get(model.unique_name))
        self.manager.hold(held)
        names = {model.unique_name for model in held}
        changes.removed = [model.unique_name for model in old if model.unique_name not in names]
        for model in {*old, *new}.difference(held):
            model.lifecycle.drain()
        return changes

    def _match(
        self, specs: Sequence[ModelSpec], reusable: list[HostedModel]
    ) -> tuple[list[HostedModel], list[HostedModel]]:
        """Return a model for each entry, reused if unchanged, and those of them that are new."""
        models, new = [], []
        for spec in specs:
            model = next((each for each in reusable if _is_unchanged(each, spec)), None)
            if model is None:
                model = HostedModel(spec, self.limits)
                new.append(model)
            else:
                reusable.remove(model)
            models.append(model)
        return models, new

    def _choose(
        self, model: HostedModel, old: Sequence[HostedModel], changes: Changes
    ) -> HostedModel:
        """Return the new model, or the ready old one of that name if the new one cannot serve."""
        before = next((each for each in old if each.unique_name == model.unique_name), None)
        was_ready = before is not None and before.is_ready
        failure = self._find_failure(model, is_needed=was_ready)
        if failure:
            changes.failed[model.unique_name] = failure
            log.error("model %r is not replaced: %s", model.unique_name, failure)
        else:
            changes.loaded.append(model.unique_name)
        return before if before is not None and failure and was_ready else model

    def _find_failure(self, model: HostedModel, *, is_needed: bool) -> str:
        """Return why a model cannot serve, or ``""``.

        :param is_needed: whether the model replaces a ready one, so a lazy model is loaded now.
        """
        is_late = model.status is Status.LOADING and model.reason is not None
        if is_needed and not self.before_fork and not is_late:
            model.lifecycle.load_if_waiting()
        if model.status is Status.FAILED or is_late:
            return model.reason or ""
        return "" if self.before_fork else smoke_test(model)


def _load_in_time(model: HostedModel) -> None:
    """Load or describe a model in a thread, and wait within the time limit for loading.

    A slower model continues to load in the background, with a ``reason`` to that effect.
    """
    seconds = model.spec.load_seconds or model.limits.load_seconds
    load = model.lifecycle.load_or_describe
    loading = threading.Thread(target=load, name="loading", daemon=True)
    loading.start()
    loading.join(seconds or None)
    if loading.is_alive():
        model.keeps_name = True
        text = f"loading took longer than {seconds:g} seconds"
        model.state.explain(Status.LOADING, text)


def _is_unchanged(model: HostedModel, spec: ModelSpec) -> bool:
    if not spec.is_same_model(model.spec) or model.about.find_log_mistake(spec.log):
        return False
    return spec.file_fingerprint(model.file_fingerprint) == model.file_fingerprint


def _inherit_name(model: HostedModel, others: Sequence[HostedModel]) -> None:
    """Give a failed model without a name the name of the old model of the same source."""
    if model.status is not Status.FAILED or model.spec.name:
        return
    for other in others:
        if other.spec.source == model.spec.source and not other.spec.name:
            model.name = other.name
            return
