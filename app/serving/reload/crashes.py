"""Quarantine: a model that ran in each of several crashes is not reloaded automatically.

It stays ``failed`` until its entry or file changes, or an operator loads it. The server cannot
find out which model crashed a process, only whose code ran in it. Of several models that reach
the limit in a crash, only the one whose calls took the shortest time in total is quarantined.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.serving.calls.limits import Limits
from app.serving.errors import NoRoom, StateDamaged
from app.serving.models.state import Quarantined
from app.serving.process.running_calls import Suspect, has_crashes, record, take_crashes
from app.serving.reload.shared_state import DesiredState, SharedState

log = logging.getLogger(__name__)

#: Time limit of a new process for the lock of the shared state, in seconds.
REGISTER_SECONDS = 1


def register_process(shared: SharedState, limits: Limits) -> DesiredState:
    """Count the crashes so far, record the calls of this process, and return the desired state."""
    folder = shared.folder
    if folder is None:
        return shared.read()
    try:
        with shared.lock(REGISTER_SECONDS) as before:
            desired = count_crashes(before, take_crashes(folder), limits, time.time())
            if desired is not before:
                shared.write(desired)
    except (StateDamaged, TimeoutError):
        # Damage is already logged. If a reload holds the lock, the next worker to start counts the
        # crashes.
        desired = shared.read()
    except NoRoom as error:
        log.error("crashes of earlier processes are not counted: %s", error)
        desired = shared.read()
    try:
        record.open(folder)
    except OSError as error:
        log.error("crashes of this process will not be counted: %s", error.strerror)
    return desired


def count_crashes(
    desired: DesiredState, crashes: Sequence[Sequence[Suspect]], limits: Limits, now: float
) -> DesiredState:
    """Return the desired state after some processes have crashed.

    :param crashes: the models that ran in each of them, the most suspect one last.
    :param now: the time of the crashes, in seconds since the epoch.
    """
    for suspects in crashes:
        ran = tuple(each.fingerprint for each in suspects)
        recent = [each for each in desired.crashes if now - each[0] < limits.crash_seconds]
        desired = replace(desired, crashes=(*recent, (now, ran)))
        counts = Counter(each for _, crash in desired.crashes for each in set(crash))
        over_limit = [
            each
            for each in suspects
            if counts[each.fingerprint] >= limits.crashes > 0
            and each.fingerprint not in desired.quarantined
        ]
        if over_limit:
            last = over_limit[-1]
            reason = (
                f"was running in {counts[last.fingerprint]} crashes; set `isolate: true` in its "
                "entry to keep the server safe"
            )
            desired = quarantine(desired, last, reason)
    return desired


def has_recent_crashes(folder: Path) -> bool:
    """Return whether the shared state has recent crashes; false if it cannot be read.

    :param folder: the folder of the server's shared state.
    """
    try:
        with SharedState(str(folder)).lock() as desired:
            return bool(desired.crashes) or has_crashes(folder)
    except (NoRoom, StateDamaged):
        return False


def quarantine(desired: DesiredState, model: Suspect, reason: str) -> DesiredState:
    """Return the desired state with a model in quarantine."""
    generation = desired.generation + 1
    entry = Quarantined(model.name, reason, generation)
    quarantined = {**desired.quarantined, model.fingerprint: entry}
    return replace(desired, generation=generation, quarantined=quarantined)


def forget_crashes(desired: DesiredState, fingerprint: str) -> DesiredState:
    """Return the desired state without the crashes and the quarantine of a model."""
    return replace(
        desired,
        crashes=tuple(
            (at, tuple(each for each in crash if each != fingerprint))
            for at, crash in desired.crashes
        ),
        quarantined={
            key: entry for key, entry in desired.quarantined.items() if key != fingerprint
        },
    )
