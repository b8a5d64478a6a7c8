"""Models in quarantine, which are not loaded again by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quarantined:
    """A model in quarantine: its name, why, and since which generation of the shared state."""

    name: str
    reason: str
    generation: int
