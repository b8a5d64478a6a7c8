"""New models take the place of old ones without a gap: they are made beside them, tried, and held.

Whoever asks meanwhile is answered by the old ones, and those are let go when the last of these
has its answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.serving.calls.executor import Limits
from app.serving.catalog.catalog import ModelSpec
from app.serving.isolation.isolation_process import shared_process
from app.serving.models.hosted import HostedModel, Status
from app.serving.models.manager import ModelManager, check_names

log = logging.getLogger(__name__)


@dataclass
class Changes:
    """What became of the models, by their labels, and why some could not be replaced."""

    loaded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Succession:
    """How models are made that are to take the place of others."""

    path: Path
    limits: Limits
    #: Lets a model answer its example, and returns what went wrong; see `Predictor.try_out`.
    try_out: Callable[[HostedModel], str]
    #: See `HostedModel.prepare`. No model is tried then.
    before_fork: bool = False

    def to(
        self, specs: Sequence[ModelSpec], anew: Collection[str], *, with_failed: bool
    ) -> Changes:
        """Let the manager hold the models of these entries.

        Those whose entry and file are what they were stay as they are. One that cannot take the
        place of an old one that answers does not, and the old one says why.

        :param anew: the labels of models that are made again in any case.
        :param with_failed: make those again that have failed, but for those in quarantine.
        :raises InvalidCatalog: if two models say the same name. Then nothing has changed.
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
        """Return which entries keep their models, by the entries' ids, and models of the others."""
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
        """Return the model if it may take the place of the one with its label; else that one."""
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
        """Return what is wrong with a model.

        :param is_needed: the one before it answers, so a lazy one is loaded now.
        """
        is_late = model.status is Status.LOADING and model.reason is not None
        if is_needed and not self.before_fork and not is_late:
            model.open()
        if model.status is Status.FAILED or is_late:
            return model.reason or ""
        return "" if self.before_fork else self.try_out(model)


def _is_same(model: HostedModel, spec: ModelSpec) -> bool:
    return spec.makes_the_same_as(model.spec) and spec.contents(model.contents) == model.contents


def _made_of(spec: ModelSpec, models: Sequence[HostedModel]) -> HostedModel:
    return next(model for model in models if model.spec is spec)


def _take_name(model: HostedModel, others: Sequence[HostedModel]) -> None:
    """Give a model that failed before it could say its name the name of what its source made."""
    if model.status is not Status.FAILED or model.spec.name:
        return
    for other in others:
        if other.spec.source == model.spec.source and not other.spec.name:
            model.name = other.name
            return


def _labels(models: Sequence[HostedModel]) -> set[str]:
    return {model.label for model in models}
