"""A thread that keeps one process in step with the desired state and with ``models.yaml``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from app.serving import periodic
from app.serving.errors import InvalidCatalog
from app.serving.reload.crashes import quarantine
from app.serving.reload.local_models import LocalModels
from app.serving.reload.shared_state import DesiredState

#: Seconds between two reads of the shared state.
LOOK_SECONDS = 0.1
#: Seconds between two marks that the shared state is in use.
MARK_SECONDS = 3600


class Follower:
    """Applies new desired states, and starts a reload when one is requested.

    :param reread: reads ``models.yaml`` again; called within :meth:`LocalModels.changing`.
    """

    def __init__(self, local: LocalModels, reread: Callable[[DesiredState], object]) -> None:
        self._local = local
        self._file = local.file
        self._shared = local.shared
        self._reread = reread
        # Only the thread of `start` accesses these.
        self._checked_at = self._marked_at = time.monotonic()

    def start(self) -> None:
        """Start the thread."""
        periodic.start("apply the reload", self._follow, LOOK_SECONDS)

    def _follow(self) -> None:
        now = time.monotonic()
        is_due = 0 < self._file.watch_seconds <= now - self._checked_at
        if is_due:
            self._checked_at = now
        if now - self._marked_at > MARK_SECONDS:
            self._marked_at = now
            self._shared.mark_in_use()
        with suppress(InvalidCatalog):  # already logged, and published in the shared state
            self._local.catch_up()
            if self._local.before_fork:
                return
            self._local.manager.export_states()
            self._publish_quarantined()
            self._reload_if_requested(is_due)

    def _publish_quarantined(self) -> None:
        """Publish the models that only this process has quarantined."""
        published = self._shared.read().quarantined
        new = [
            model
            for model in self._local.manager.models()
            if model.state.is_quarantined and model.suspect.fingerprint not in published
        ]
        if not new or self._shared.folder is None:
            return
        with self._local.changing() as before:
            desired = before
            for model in new:
                # An operator may have loaded it meanwhile.
                if model.state.is_quarantined:
                    desired = quarantine(desired, model.suspect, model.reason or "")
            self._local.publish(desired)

    def _reload_if_requested(self, is_due: bool) -> None:
        """Reload after a SIGHUP, or if a check is due and the file has changed."""
        if not self._is_requested(self._shared.read(), is_due):
            return
        with self._local.changing() as desired:
            # Another process may have reloaded meanwhile.
            if self._is_requested(desired, is_due):
                self._reread(desired)

    def _is_requested(self, desired: DesiredState, is_due: bool) -> bool:
        file, request = desired.stamps
        return self._shared.reload_request != request or (is_due and self._file.has_changed(file))
