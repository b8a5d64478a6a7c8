"""Models in quarantine, which are not reloaded automatically."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quarantined:
    """A model in quarantine: its name, the reason, and the generation of the shared state."""

    name: str
    reason: str
    generation: int
