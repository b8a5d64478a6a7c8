"""Deletes records of the prediction log that are older than the entries of their models allow.

The folder of a model keeps the days of its entry, so that they also apply after its log was
switched off, or the model was removed from ``models.yaml``.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from app.serving import periodic
from app.serving.prediction_log.policy import KEEP_DAYS, LogPolicy
from app.serving.prediction_log.store import PredictionStore

log = logging.getLogger(__name__)

#: The file with the days in the folder of a model, and its content.
FILE = "keep_days"
DAYS = re.compile(r"[0-9]{1,5}\n?")
#: Seconds between two deletions in one process.
PAUSE_SECONDS = 3600


def start(
    store: PredictionStore, get_policies: Callable[[], Iterable[tuple[str, LogPolicy | None]]]
) -> None:
    """Delete old records now and every hour, in a thread.

    :param get_policies: returns the name and the policy of each model and version.
    """
    task = "delete old predictions"
    periodic.start(task, lambda: delete_old(store, get_policies()), PAUSE_SECONDS)


def delete_old(store: PredictionStore, policies: Iterable[tuple[str, LogPolicy | None]]) -> None:
    """Delete old records. Versions share a log, and the longest of their periods applies.

    Several processes may do this at the same time.
    """
    keep_days: dict[str, int] = {}
    for model, policy in policies:
        if policy is not None:
            keep_days[model] = max(policy.keep_days, keep_days.get(model, 0))
    for model in store.models():
        try:
            store.delete_old(model, _get_days(store.folder / model / FILE, keep_days.get(model)))
        except (OSError, ValueError, sqlite3.Error) as error:
            log.warning("old predictions of %r are not fully deleted: %s", model, error)


def _get_days(path: Path, days: int | None) -> int:
    """Return the days of a model's entry, and keep them; without any, those that were kept."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if days is None:
        return int(text) if DAYS.fullmatch(text) else KEEP_DAYS
    if text != f"{days}\n":
        new = path.with_suffix(f".{os.getpid()}")  # other processes do the same
        new.touch(0o600)
        new.write_text(f"{days}\n", encoding="utf-8")
        new.replace(path)
    return days
