"""Changes that a process makes first, and then publishes for the other processes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.serving.errors import InvalidCatalog, ModelUnavailable
from app.serving.process.memory import return_memory
from app.serving.reload.checker import has_changed, revert_failed, update
from app.serving.reload.crashes import forget_crashes
from app.serving.reload.local_models import LocalModels
from app.serving.reload.replacement import Changes
from app.serving.reload.shared_state import DesiredState, Order

log = logging.getLogger(__name__)


class Publisher:
    """Makes changes in this process, and publishes them. Thread safe.

    A change holds two locks, always acquired in this order:

    1. the file lock of the shared state (:meth:`.SharedState.lock`), which all processes share: one
       change at a time, loading included;
    2. :attr:`LocalModels.lock` of this process.

    A process that only follows acquires the second one alone. Each new desired state increments
    ``generation``. If a change fails, the desired state and the models stay as they are.
    """

    def __init__(self, local: LocalModels) -> None:
        self._local = local
        self._file = local.file
        self._shared = local.shared
        self._manager = local.manager

    def reload(self) -> Changes:
        """Read ``models.yaml`` again, see :meth:`reread`."""
        with self._local.changing() as desired:
            return self.reread(desired)

    def load(self, unique_name: str) -> Changes:
        """Load a model, and publish that even if it fails: the other processes load it too."""
        failure = None
        with self._ordering(unique_name, "load"):
            try:
                self._manager.get(unique_name).lifecycle.load()
            except ModelUnavailable as error:
                failure = error
        return_memory()
        if failure is not None:
            raise failure
        return Changes()

    def unload(self, unique_name: str) -> Changes:
        """Unload a model once it is loaded."""
        with self._ordering(unique_name, "unload"):
            # The request does not wait longer than a call, see Reloader.
            self._manager.get(unique_name).lifecycle.unload(wait_for_load=True)
        return_memory()
        return Changes()

    def reload_model(self, unique_name: str) -> Changes:
        """Reload a model with its entry as last read."""
        update([self._manager.get(unique_name).spec])
        with self._ordering(unique_name, "reload") as desired:
            changes = self._apply(desired)
        return replace(changes, unchanged=[])

    def reload_if_changed(self, unique_name: str) -> None:
        """Reload a model in all processes if another copy of its file is in the cache."""
        with self._local.changing() as before:
            model = self._manager.find(unique_name)
            if model is not None and has_changed(model):
                desired = self._add_order(before, unique_name, "reload")
                self._apply(desired)
                self._local.publish(desired)

    def reread(self, before: DesiredState) -> Changes:
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
        names = {model.unique_name for model in models}
        fingerprints = {model.suspect.fingerprint for model in models}
        self._local.publish(new.with_only(names, fingerprints))
        loaded, removed = (", ".join(each) or "none" for each in (changes.loaded, changes.removed))
        log.info("reload %d: loaded %s; removed %s", generation, loaded, removed)
        return changes

    def _apply(self, desired: DesiredState) -> Changes:
        changes = self._local.apply(desired)
        revert_failed(self._manager, changes)
        return changes

    @contextmanager
    def _ordering(self, unique_name: str, order: Order) -> Iterator[DesiredState]:
        """Publish an order for a model after the block has carried it out in this process."""
        with self._local.changing() as before:
            desired = self._add_order(before, unique_name, order)
            yield desired
            self._local.publish(desired)

    def _add_order(self, before: DesiredState, unique_name: str, order: Order) -> DesiredState:
        desired = replace(before.with_order(unique_name, order), text=self._local.applied.text)
        model = self._manager.find(unique_name)
        return forget_crashes(desired, model.suspect.fingerprint) if model else desired
