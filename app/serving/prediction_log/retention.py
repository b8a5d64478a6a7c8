"""Deletes records of the prediction log that are older than the entries of their models allow."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable

from app.serving.prediction_log.policy import LogPolicy
from app.serving.prediction_log.store import PredictionStore

log = logging.getLogger(__name__)

#: Seconds between two deletions in one process.
PAUSE_SECONDS = 3600


def start(
    store: PredictionStore, get_policies: Callable[[], Iterable[tuple[str, LogPolicy | None]]]
) -> None:
    """Delete old records now and every hour, in a thread.

    :param get_policies: returns the name and the policy of each model and version.
    """

    def run() -> None:
        pause = threading.Event()
        while True:
            delete_old(store, get_policies())
            pause.wait(PAUSE_SECONDS)

    threading.Thread(target=run, name="retention", daemon=True).start()


def delete_old(store: PredictionStore, policies: Iterable[tuple[str, LogPolicy | None]]) -> None:
    """Delete old records. Versions share a log, and the longest of their periods applies.

    Several processes may do this at the same time.
    """
    keep_days: dict[str, int] = {}
    for model, policy in policies:
        if policy is not None:
            keep_days[model] = max(policy.keep_days, keep_days.get(model, 0))
    for model, days in keep_days.items():
        try:
            store.delete_old(model, days)
        except (OSError, sqlite3.Error) as error:
            log.warning("cannot delete old predictions of %r: %s", model, error)
