"""Models that end their processes: each time is counted, and after too many they are set aside.

Who has ended a process is not known, only whose code ran in it. So each of several suspects has
its part of that death: one that is always there when another ends a process has it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.serving.board import Aside, Board, Wanted
from app.serving.hosted import HostedModel
from app.serving.lane import Limits, times
from app.serving.ledger import Suspect, are_untold


def counted(
    wanted: Wanted, deaths: Sequence[Sequence[Suspect]], limits: Limits, now: float
) -> Wanted:
    """Return what is wanted after some processes have died.

    :param deaths: whose code ran in each of them.
    :param now: when that was, in seconds since the epoch.
    """
    for suspects in deaths:
        for suspect in suspects:
            wanted = _charged(wanted, suspect, 1 / len(suspects), limits, now)
    return wanted


def any_in(folder: Path) -> bool:
    """Tell whether a process of a server has died lately with models' code in it.

    :param folder: that of the server's board.
    """
    with Board(str(folder)).changing() as wanted:
        return bool(wanted.deaths) or are_untold(folder)


def put_aside(wanted: Wanted, identity: str, name: str, reason: str) -> Wanted:
    """Return what is wanted without a model, until somebody loads it."""
    generation = wanted.generation + 1
    aside = {**wanted.aside, identity: Aside(name, reason, generation)}
    return replace(wanted, generation=generation, aside=aside)


def forgiven(wanted: Wanted, models: Sequence[HostedModel | None]) -> Wanted:
    """Return what is wanted when some models may be tried again, as if nothing had been."""
    identities = {model.spec.identity for model in models if model is not None}
    return replace(
        wanted,
        deaths={key: value for key, value in wanted.deaths.items() if key not in identities},
        aside={key: value for key, value in wanted.aside.items() if key not in identities},
    )


def _charged(wanted: Wanted, suspect: Suspect, part: float, limits: Limits, now: float) -> Wanted:
    earlier = wanted.deaths.get(suspect.identity, ())
    recent = (*(each for each in earlier if now - each[0] < limits.deaths_seconds), (now, part))
    wanted = replace(wanted, deaths={**wanted.deaths, suspect.identity: recent})
    # Thirds do not add up to the last digit.
    is_often = sum(each[1] for each in recent) > limits.deaths - 0.001
    if not limits.deaths or not is_often or suspect.identity in wanted.aside:
        return wanted
    reason = f"its code ran when a process ended, {times(len(recent), limits.deaths_seconds)}"
    return put_aside(wanted, suspect.identity, suspect.name, reason)
