"""Quarantine: a model that ran in each of several crashes is not loaded again by itself.

It stays ``failed`` until its own entry or file changes, or an operator loads it. Which model
crashed a process is not known, only whose code ran in it. Of several that ran in as many crashes,
the one whose call began last is quarantined first.
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
    """Return what is wanted after some processes have crashed.

    :param crashes: the models that ran in each of them, the last call last.
    :param now: when that was, in seconds since the epoch.
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
    """Tell whether a model has crashed a process of a server lately.

    :param folder: that of the server's board.
    """
    try:
        with Board(str(folder)).changing() as wanted:
            return bool(wanted.crashes) or has_crashes(folder)
    except NoRoom:
        return False


def put_aside(wanted: Wanted, model: Suspect, reason: str) -> Wanted:
    """Return what is wanted with a model in quarantine."""
    generation = wanted.generation + 1
    aside = {**wanted.aside, model.fingerprint: Quarantined(model.name, reason, generation)}
    return replace(wanted, generation=generation, aside=aside)


def forgiven(wanted: Wanted, fingerprint: str) -> Wanted:
    """Return what is wanted when a model may be tried again, as if it had never crashed."""
    return replace(
        wanted,
        crashes=tuple(
            (at, tuple(each for each in crash if each != fingerprint))
            for at, crash in wanted.crashes
        ),
        aside={key: value for key, value in wanted.aside.items() if key != fingerprint},
    )
