"""Replacement of models without a gap: new models load beside the old ones and are tried first.

The old models serve meanwhile, and are unloaded after their last running call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.serving.calls.executor import Limits
from app.serving.catalog.model_spec import ModelSpec
from app.serving.isolation.isolation_process import shared_process
from app.serving.models.hosted import HostedModel, Status
from app.serving.models.manager import ModelManager, check_names

log = logging.getLogger(__name__)


@dataclass
class Changes:
    """Labels of the models by outcome, and the reasons why some could not be replaced."""

    loaded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Succession:
    """Replaces the models that the manager holds."""

    path: Path
    limits: Limits
    #: Predicts the example of a model and returns why that failed, see `Predictor.try_out`.
    try_out: Callable[[HostedModel], str]
    #: See `HostedModel.prepare`. If true, no model is tried.
    before_fork: bool = False

    def to(
        self, specs: Sequence[ModelSpec], anew: Collection[str], *, with_failed: bool
    ) -> Changes:
        """Replace the models of the manager by those of these entries.

        Models whose entry and file are unchanged stay. If a new model fails, a ready old one with
        its label stays too, and its ``reason`` gives the cause.

        :param anew: the labels of models to reload in any case.
        :param with_failed: whether to reload failed models, except those in quarantine.
        :raises InvalidCatalog: if two models have the same name. Then nothing changes.
        """
        old = ModelManager().models()
        kept, new = self._sorted_out(old, specs, anew, with_failed)
        with shared_process().kept():
            for model in new:
                if self.before_fork:
                    model.prepare(before_fork=True)
                else:
                    model.prepare_in_time()
                _take_name(model, [each for each in old if each not in kept.values()])
        models = [kept.get(id(spec)) or _made_of(spec, new) for spec in specs]
        check_names(models, self.path)
        changes = Changes(unchanged=[model.label for model in kept.values()])
        held = [self._held(model, old, changes) if model in new else model for model in models]
        for spec, model in zip(specs, held, strict=True):
            model.keep(spec, changes.failed.get(model.label))
        ModelManager().hold(held)
        changes.removed = [each.label for each in old if each.label not in _labels(held)]
        for model in {*old, *new}.difference(held):
            model.retire()
        return changes

    def _sorted_out(
        self,
        old: Sequence[HostedModel],
        specs: Sequence[ModelSpec],
        anew: Collection[str],
        with_failed: bool,
    ) -> tuple[dict[int, HostedModel], list[HostedModel]]:
        """Return the kept models by the id of their entry, and new models of the other entries."""
        free = [
            model
            for model in old
            if model.label not in anew
            and (model.is_aside or not (with_failed and model.status is Status.FAILED))
        ]
        kept, new = {}, []
        for spec in specs:
            same = next((model for model in free if _is_same(model, spec)), None)
            if same is None:
                new.append(HostedModel(spec, self.limits))
            else:
                kept[id(spec)] = same
                free.remove(same)
        return kept, new

    def _held(
        self, model: HostedModel, old: Sequence[HostedModel], changes: Changes
    ) -> HostedModel:
        """Return the new model, or the ready old one with its label if the new one cannot serve."""
        before = next((each for each in old if each.label == model.label), None)
        was_ready = before is not None and before.status is Status.READY
        trouble = self._trouble(model, is_needed=was_ready)
        if trouble:
            changes.failed[model.label] = trouble
            log.error("model %r is not replaced: %s", model.label, trouble)
        else:
            changes.loaded.append(model.label)
        return before if before is not None and trouble and was_ready else model

    def _trouble(self, model: HostedModel, *, is_needed: bool) -> str:
        """Return why a model cannot serve, or ``""``.

        :param is_needed: whether the model replaces a ready one, so a lazy model is loaded now.
        """
        is_late = model.status is Status.LOADING and model.reason is not None
        if is_needed and not self.before_fork and not is_late:
            model.open()
        if model.status is Status.FAILED or is_late:
            return model.reason or ""
        return "" if self.before_fork else self.try_out(model)


def _is_same(model: HostedModel, spec: ModelSpec) -> bool:
    return spec.is_same_model(model.spec) and spec.contents(model.contents) == model.contents


def _made_of(spec: ModelSpec, models: Sequence[HostedModel]) -> HostedModel:
    return next(model for model in models if model.spec is spec)


def _take_name(model: HostedModel, others: Sequence[HostedModel]) -> None:
    """Give a failed model without a name the name of the old model of the same source."""
    if model.status is not Status.FAILED or model.spec.name:
        return
    for other in others:
        if other.spec.source == model.spec.source and not other.spec.name:
            model.name = other.name
            return


def _labels(models: Sequence[HostedModel]) -> set[str]:
    return {model.label for model in models}
