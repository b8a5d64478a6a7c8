"""Reloads models in all processes of a server, one generation after another.

The process that receives a change (``SIGHUP``, a request, a watched file) applies it first. If
that succeeds, it publishes the change in the shared state, and the other processes follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from app.serving.calls.executor import BoundedExecutor
from app.serving.errors import InvalidCatalog, ModelUnavailable, PredictionTimeout
from app.serving.models.lifecycle import LOADERS
from app.serving.models.predictor import Predictor
from app.serving.process.memory import return_memory
from app.serving.reload.checker import Checker, has_changed, revert_failed, update
from app.serving.reload.crashes import forget_crashes, register_process
from app.serving.reload.follower import Follower
from app.serving.reload.local_models import LocalModels
from app.serving.reload.models_file import ModelsFile
from app.serving.reload.replacement import Changes
from app.serving.reload.shared_state import DesiredState, Order, SharedState

log = logging.getLogger(__name__)

#: Time limit for waiting until all processes have applied a change, in seconds.
FOLLOW_SECONDS = 10


@dataclass(frozen=True)
class ReloadResult:
    """Result of a change: the changes in this process, and how many processes have applied it."""

    generation: int
    following: int
    processes: int
    changes: Changes = field(default_factory=Changes)
    #: Whether this process has applied the change; if not, it continues in the background.
    is_done: bool = True


class Reloader:
    """Changes the models in all processes of a server. Thread safe.

    A change holds two locks, always acquired in this order:

    1. the file lock of the shared state (:meth:`SharedState.lock`), which all processes share: one
       change at a time, loading included;
    2. :attr:`LocalModels.lock` of this process.

    A process that only follows acquires the second one alone. Each new desired state increments
    ``generation``. If a change fails, the desired state and the models stay as they are.
    """

    def __init__(self, file: ModelsFile, shared: SharedState, predictor: Predictor) -> None:
        self._file = file
        self._shared = shared
        self._manager = predictor.manager
        self._local = LocalModels(file, shared, predictor)
        self._executor = BoundedExecutor(replace(file.limits, threads=1, queue_size=LOADERS))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Places of the mistakes for which a later ``models.yaml`` was rejected."""
        return self._shared.read().mistakes

    def load_models(self, *, before_fork: bool = False) -> None:
        """Load the models of the desired state: initially, those of ``models.yaml``.

        :param before_fork: see :meth:`Lifecycle.load_or_describe`.
        :raises InvalidCatalog: if ``models.yaml`` has mistakes.
        """
        desired = self._shared.read() if before_fork else self._register()
        self._local.load(desired, before_fork=before_fork)

    def start(self) -> None:
        """Start a thread that follows the desired state."""
        if self._local.before_fork:
            self._local.block_forks()
        Follower(self._local, self._shared, self._file, self._reread).start()
        if not self._local.before_fork:
            Checker(self._manager, self._reload_if_changed).start()

    def start_in_worker(self) -> None:
        """Apply the desired state in a worker that will serve requests, and follow it."""
        self._local.before_fork = False
        self._register()
        self._local.catch_up()
        self.start()

    def reload(self) -> ReloadResult:
        """Read ``models.yaml`` again, and apply it in all processes.

        :raises InvalidCatalog: if it has mistakes. Then nothing changes.
        """
        return self._run_in_time(self._reload)

    def reload_model(self, name: str) -> ReloadResult:
        """Reload one model in all processes, with its entry as last read.

        :raises ModelNotFound: if there is no such model.
        """
        return self._run_in_time(self._reload_model, self._manager.get(name).label)

    def load(self, name: str) -> ReloadResult:
        """Load a model in all processes.

        :raises ModelNotFound: if there is no such model.
        :raises ModelUnavailable: if it cannot be loaded in this process.
        """
        return self._run_in_time(self._load, self._manager.get(name).label)

    def unload(self, name: str) -> ReloadResult:
        """Unload a model in all processes, see :meth:`Lifecycle.unload`.

        While the model loads, the result is not done after the time limit of a call, and the
        model is unloaded later.

        :raises ModelNotFound: if there is no such model.
        """
        return self._run_in_time(self._unload, self._manager.get(name).label)

    def _register(self) -> DesiredState:
        return register_process(self._shared, self._file.limits)

    def _run_in_time(self, change: Callable[..., Changes], *arguments: str) -> ReloadResult:
        # In a separate thread: a model that hangs while loading must not block a request.
        try:
            return self._await_followers(self._executor.run(change, *arguments))
        except ModelUnavailable:
            self._await_followers(Changes())  # they load the model too
            raise
        except PredictionTimeout:
            now = self._local.applied.generation
            return ReloadResult(now, *self._shared.count_followers(now + 1), is_done=False)

    def _await_followers(self, changes: Changes) -> ReloadResult:
        now = self._local.applied.generation
        counts = self._shared.await_followers(now, FOLLOW_SECONDS)
        return ReloadResult(now, *counts, changes)

    def _reload(self) -> Changes:
        with self._local.changing() as desired:
            return self._reread(desired)

    def _load(self, label: str) -> Changes:
        failure = None
        with self._ordering(label, "load"):
            try:
                self._manager.get(label).lifecycle.load()
            except ModelUnavailable as error:
                failure = error
        return_memory()
        if failure is not None:
            raise failure
        return Changes()

    def _unload(self, label: str) -> Changes:
        with self._ordering(label, "unload"):
            # The request does not wait longer than a call, see _run_in_time.
            self._manager.get(label).lifecycle.unload(wait_for_load=True)
        return_memory()
        return Changes()

    def _reload_model(self, label: str) -> Changes:
        update([self._manager.get(label).spec])
        with self._ordering(label, "reload") as desired:
            changes = self._apply(desired)
        return replace(changes, unchanged=[])

    def _reload_if_changed(self, label: str) -> None:
        """Reload a model in all processes if another copy of its file is in the cache."""
        with self._local.changing() as before:
            model = self._manager.find(label)
            if model is not None and has_changed(model):
                desired = self._add_order(before, label, "reload")
                self._apply(desired)
                self._local.publish(desired)

    def _apply(self, desired: DesiredState) -> Changes:
        changes = self._local.apply(desired)
        revert_failed(self._manager, changes)
        return changes

    @contextmanager
    def _ordering(self, label: str, order: Order) -> Iterator[DesiredState]:
        """Publish an order for a model after the block has carried it out in this process."""
        with self._local.changing() as before:
            desired = self._add_order(before, label, order)
            yield desired
            self._local.publish(desired)

    def _add_order(self, before: DesiredState, label: str, order: Order) -> DesiredState:
        desired = replace(before.with_order(label, order), text=self._local.applied.text)
        model = self._manager.find(label)
        return forget_crashes(desired, model.suspect.fingerprint) if model else desired

    def _reread(self, before: DesiredState) -> Changes:
        """Read ``models.yaml`` again and publish it. Call it within :meth:`LocalModels.changing`.

        :raises InvalidCatalog: if it has mistakes. Then only these are published.
        """
        file = self._file
        # Mark the file as read first: no process reads it again, even if this one crashes.
        stamps = file.stamp, self._shared.reload_request
        before = replace(before, text=self._local.applied.text, stamps=stamps)
        self._shared.write(before)
        generation = before.generation + 1
        log.info("reloading %s", file.path.name)
        try:
            text = file.read_for_reload()
            new = replace(
                before,
                generation=generation,
                text=text,
                text_generation=generation,
                mistakes=(),
            )
            update(file.get_specs(text))
            changes = self._apply(new)
        except InvalidCatalog as error:
            log.error("%s is invalid; keeping the loaded models:\n%s", file.path.name, error)
            self._shared.write(replace(before, mistakes=tuple(error.places)))
            raise
        models = self._manager.models()
        labels = {model.label for model in models}
        fingerprints = {model.suspect.fingerprint for model in models}
        self._local.publish(new.with_only(labels, fingerprints))
        loaded, removed = (", ".join(each) or "none" for each in (changes.loaded, changes.removed))
        log.info("reload %d: loaded %s; removed %s", generation, loaded, removed)
        return changes
