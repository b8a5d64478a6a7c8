"""Checks whether the files that models were fetched from have changed, and reloads those models."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from app.serving import periodic
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import InvalidCatalog, NoRoom, StateDamaged
from app.serving.fetching.fetch_request import FetchFailed
from app.serving.fetching.fetched_file import FetchedFile
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from app.serving.reload.replacement import Changes

log = logging.getLogger(__name__)

#: Seconds between two searches for due checks.
LOOK_SECONDS = 1.0
#: Seconds between two marks that a copy without ``check_every`` is in use.
TOUCH_SECONDS = 3600.0
#: Files that are fetched at the same time.
THREADS = 8


class Checker:
    """A thread that checks the files of the models with ``check_every`` in their entry.

    Each process has one. The cache records when a file was last checked, so that one process checks
    its address, and all processes detect a new copy. Each check has a thread of its own: an address
    that does not respond delays neither other checks nor the end of the process.

    :param reload: called with the unique name of a model whose copy has changed; reloads the model.
    """

    def __init__(self, manager: ModelManager, reload: Callable[[str], None]) -> None:
        self._manager = manager
        self._reload = reload
        #: When each model was checked last; infinite while it is being checked.
        self._checked: dict[str, float] = {}

    def start(self) -> None:
        """Start the thread."""
        periodic.start("check the fetched files", self._check_due, LOOK_SECONDS)

    def _check_due(self) -> None:
        for model in self._manager.models():
            fetched = model.spec.fetched
            if fetched and self._is_due(model.unique_name, fetched):
                self._checked[model.unique_name] = math.inf
                try:
                    threading.Thread(target=self._check, args=(model, fetched), daemon=True).start()
                except RuntimeError:  # the system's limit of threads is reached
                    del self._checked[model.unique_name]
                    raise

    def _is_due(self, unique_name: str, fetched: FetchedFile) -> bool:
        now = time.monotonic()
        seconds = fetched.check_seconds or TOUCH_SECONDS
        return now - self._checked.setdefault(unique_name, now) >= seconds

    def _check(self, model: HostedModel, fetched: FetchedFile) -> None:
        try:
            self._update(model, fetched)
        except (InvalidCatalog, NoRoom, StateDamaged, OSError) as error:
            log.error("model %r was not reloaded: %s", model.unique_name, error)
        except Exception:  # the time below must be set, or the file is never checked again
            log.exception("model %r was not reloaded", model.unique_name)
        self._checked[model.unique_name] = time.monotonic()

    def _update(self, model: HostedModel, fetched: FetchedFile) -> None:
        if fetched.check_seconds is None:
            fetched.touch()
            return
        with suppress(FetchFailed):  # without a copy, the model is failed, with this reason
            fetched.ensure(fetched.check_seconds)
        fetched.update(fetched.check_seconds)
        if has_changed(model):
            self._reload(model.unique_name)


def has_changed(model: HostedModel) -> bool:
    """Return whether the current copy of a model's file is not the one that the model has read."""
    return model.spec.file_fingerprint(model.file_fingerprint) != model.file_fingerprint


def update(specs: Iterable[ModelSpec]) -> None:
    """Fetch again the files of entries that have changed at their addresses."""
    fetched = [spec.fetched for spec in specs if spec.fetched]
    if fetched:
        # The threads have ended when this returns: a master has none when it forks.
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(FetchedFile.update, fetched))


def revert_failed(manager: ModelManager, changes: Changes) -> None:
    """Restore the previous copies of models that could not be replaced and still serve them."""
    for unique_name, reason in changes.failed.items():
        model = manager.find(unique_name)
        if model is None or model.spec.fetched is None or not model.is_ready:
            continue
        if has_changed(model):
            model.spec.fetched.revert(reason)
            if not has_changed(model):  # from now on, the record of the file has the reason
                model.state.explain(Status.READY, None)
