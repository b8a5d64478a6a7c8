"""The models of this process, which it changes to the desired state of all processes."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.serving.errors import InvalidCatalog, ModelUnavailable, NoRoom, StateDamaged
from app.serving.models.manager import ModelManager
from app.serving.process.memory import return_memory
from app.serving.reload.checker import update
from app.serving.reload.models_file import ModelsFile
from app.serving.reload.replacement import Changes, Replacer
from app.serving.reload.shared_state import DesiredState, SharedState, Stamps

log = logging.getLogger(__name__)


class LocalModels:
    """Applies desired states to the models of this process. Thread safe.

    ``lock`` guards the models and ``applied``, the desired state that they have reached. It is
    reentrant, and held while the models change and, in a master, while the process forks. Acquire
    the file lock of the shared state first, see :meth:`changing`; never while ``lock`` is held.

    ============================  ==================================  ====================
    generation of ``applied``     this process                        next
    ============================  ==================================  ====================
    older than the shared state   follows another process             :meth:`catch_up`
    equal                         serves, and has reported it         any change
    newer, within `changing`      makes a change, not yet published   :meth:`publish`
    ============================  ==================================  ====================
    """

    def __init__(self, file: ModelsFile, shared: SharedState, manager: ModelManager) -> None:
        self.file = file
        self.shared = shared
        self.manager = manager
        #: Whether this is a master, which must not call the models.
        self.before_fork = False
        self.applied = DesiredState()
        self.lock = threading.RLock()

    def load(self, desired: DesiredState, *, before_fork: bool) -> None:
        """Load the models of a desired state, or of ``models.yaml`` if no process has read it yet.

        :param before_fork: see :meth:`.Lifecycle.load_or_describe`.
        :raises InvalidCatalog: if ``models.yaml`` has mistakes.
        """
        self.before_fork = before_fork
        file = self.file
        # Before the file is read: a change or a request while the models load starts a reload.
        stamps = file.stamp, self.shared.reload_request
        text = file.read() if desired.text is None else desired.text
        specs = file.get_specs(text)
        if desired.text is None:  # processes that start later have the same copies
            update(specs)
        self.manager.load_models(
            specs,
            file.limits,
            file.path,
            before_fork=before_fork,
            quarantined=desired.quarantined,
        )
        for name, (_, order) in desired.orders.items():
            self._carry_out(name, order)
        self.applied = replace(desired, text=text)
        if self.shared.folder:
            self._publish_text(text, stamps)
            return_memory()
            # All present objects stay. To collect garbage among them would take time, and memory
            # too: it writes to every object, and processes stop sharing pages that are written to.
            gc.freeze()

    def catch_up(self) -> None:
        """Apply the desired state to this process if it has changed."""
        with self.lock:
            desired = self.shared.read()
            if desired.generation > self.applied.generation:
                try:
                    self.apply(desired)
                except InvalidCatalog as error:
                    # The process that published this state found no mistake.
                    name = self.file.path.name
                    log.error("%s is invalid; keeping the loaded models: %s", name, error)
                    self.applied = desired
            if not self.before_fork:
                self.shared.report(desired.generation)

    @contextmanager
    def changing(self) -> Iterator[DesiredState]:
        """Lock the desired state and the models of this process, and bring it up to date.

        :raises NoRoom: if the folder of the shared state has no room for a change.
        :raises StateDamaged: if its file is damaged.
        """
        with self.shared.lock() as desired, self.lock:
            self.catch_up()
            yield desired

    def apply(self, desired: DesiredState) -> Changes:
        """Change the models of this process to a desired state. Call it with the lock held.

        :raises InvalidCatalog: if ``models.yaml`` has mistakes. Then nothing changes.
        """
        file, since = self.file, self.applied.generation
        new = {name: order for name, (at, order) in desired.orders.items() if at > since}
        to_reload = [name for name, order in new.items() if order == "reload"]
        is_reread = desired.text_generation > since
        changes = Changes()
        if to_reload or is_reread:
            specs = file.get_specs(desired.text)
            replacer = Replacer(self.manager, file.path, file.limits, self.before_fork)
            changes = replacer.replace_models(specs, to_reload, with_failed=is_reread)
        for model in self.manager.models():
            entry = desired.quarantined.get(model.suspect.fingerprint)
            if entry and entry.generation > since and not model.state.is_quarantined:
                model.lifecycle.fail(entry.reason, is_quarantine=True)
        # A model that an operator has unloaded stays unloaded when its entry changes.
        orders = {name: order for name, (_, order) in desired.orders.items()}
        unloaded = {each: "unload" for each in changes.loaded if orders.get(each) == "unload"}
        for name, order in (unloaded | new).items():
            self._carry_out(name, order)
        self.applied = desired
        return changes

    def publish(self, desired: DesiredState) -> None:
        """Publish a state that this process has applied. Call it within :meth:`changing`."""
        self.applied = desired
        self.shared.write(desired)
        self.shared.report(desired.generation)

    def _carry_out(self, unique_name: str, order: str) -> None:
        model = self.manager.find(unique_name)
        if model is None or order == "reload":
            return
        try:
            if order == "unload":
                model.lifecycle.unload()
            elif self.before_fork:
                model.lifecycle.load_or_describe(before_fork=True)
            else:
                model.lifecycle.load()
            return_memory()
        except ModelUnavailable as error:
            log.error("failed to %s model %r: %s", order, unique_name, error)

    def _publish_text(self, text: str | None, stamps: Stamps) -> None:
        """Publish the text of the file, so that a process that replaces this one reads the same."""
        try:
            with self.shared.lock() as desired:
                if desired.text is None:
                    self.shared.write(replace(desired, text=text, stamps=stamps))
        except StateDamaged:  # already logged
            return
        except NoRoom as error:
            name = self.file.path.name
            log.error("processes that start later will read %s again: %s", name, error)


def block_forks(local: LocalModels) -> None:
    """Block forks while the models change, since a child would inherit them half changed."""
    owner = os.getpid()

    def renew() -> None:
        local.lock = threading.RLock()

    def acquire() -> None:
        if os.getpid() == owner:
            local.lock.acquire()

    def release() -> None:
        if os.getpid() == owner:
            local.lock.release()

    os.register_at_fork(before=acquire, after_in_parent=release, after_in_child=renew)
