"""Limits on the calls, the loading and the crashes of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Limits:
    """Limits on the rows, concurrency, duration, crashes and shown errors of a model's calls."""

    #: Maximum number of rows in one call.
    rows: int
    #: Maximum number of running calls of one model.
    threads: int
    #: Maximum number of queued calls of one model, in addition to the running ones.
    queue_size: int
    #: Time limit of a call in seconds, queue time included; 0 for none.
    seconds: float
    #: Crashes within ``crash_seconds`` after which a model is quarantined; 0 for no quarantine.
    crashes: int = 3
    crash_seconds: float = 600
    #: Time limit for loading a model while others serve, in seconds; 0 for none.
    load_seconds: float = 120
    #: Whether clients may read the errors that the model's own code raises.
    has_public_errors: bool = False

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the limits that the settings of the server define."""
        return cls(
            rows=settings["MAX_ROWS"],
            threads=settings["MODEL_THREADS"],
            queue_size=settings["MODEL_WAITING"],
            seconds=settings["PREDICT_SECONDS"],
            crashes=settings["DEATHS"],
            crash_seconds=settings["DEATHS_SECONDS"],
            load_seconds=settings["LOAD_SECONDS"],
            has_public_errors=settings["TELL_MODEL_ERRORS"],
        )


def format_rate(most: float, seconds: float) -> str:
    """Return a rate in words, such as "3 times within 600 seconds"."""
    return f"{most:g} times within {seconds:g} seconds"
