"""Quarantine: a model that ran in each of several crashes is not reloaded automatically.

It stays ``failed`` until its entry or file changes, or an operator loads it. The server cannot
find out which model crashed a process, only whose code ran in it. Of several models that reach
the limit in a crash, only the one whose call began last is quarantined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.serving.calls.executor import Limits
from app.serving.errors import NoRoom
from app.serving.process.quarantine import Quarantined
from app.serving.process.running_calls import Suspect, has_crashes
from app.serving.reload.shared_state import Board, Wanted


def counted(
    wanted: Wanted, crashes: Sequence[Sequence[Suspect]], limits: Limits, now: float
) -> Wanted:
    """Return the desired state after some processes have crashed.

    :param crashes: the models that ran in each of them, ordered by call start.
    :param now: the time of the crashes, in seconds since the epoch.
    """
    for suspects in crashes:
        ran = tuple(each.fingerprint for each in suspects)
        recent = [each for each in wanted.crashes if now - each[0] < limits.deaths_seconds]
        wanted = replace(wanted, crashes=(*recent, (now, ran)))
        often = Counter(each for _, crash in wanted.crashes for each in set(crash))
        guilty = [
            each
            for each in suspects
            if often[each.fingerprint] >= limits.deaths > 0 and each.fingerprint not in wanted.aside
        ]
        if guilty:
            reason = f"crashed {often[guilty[-1].fingerprint]} times: set `isolate: true`"
            wanted = put_aside(wanted, guilty[-1], reason)
    return wanted


def any_in(folder: Path) -> bool:
    """Return whether the shared state has recent crashes; false if it cannot be read.

    :param folder: the folder of the server's shared state.
    """
    try:
        with Board(str(folder)).changing() as wanted:
            return bool(wanted.crashes) or has_crashes(folder)
    except NoRoom:
        return False


def put_aside(wanted: Wanted, model: Suspect, reason: str) -> Wanted:
    """Return the desired state with a model in quarantine."""
    generation = wanted.generation + 1
    aside = {**wanted.aside, model.fingerprint: Quarantined(model.name, reason, generation)}
    return replace(wanted, generation=generation, aside=aside)


def forgiven(wanted: Wanted, fingerprint: str) -> Wanted:
    """Return the desired state without the crashes and the quarantine of a model."""
    return replace(
        wanted,
        crashes=tuple(
            (at, tuple(each for each in crash if each != fingerprint))
            for at, crash in wanted.crashes
        ),
        aside={key: value for key, value in wanted.aside.items() if key != fingerprint},
    )
