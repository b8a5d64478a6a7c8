"""The list of all models and its search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from app.serving.process.metrics import Usage
from app.web.pages.display import markdown

#: Longer lists show one line for each model instead of a card.
MANY = 24
#: Times up to this many seconds are shown in tenths of a millisecond.
TEN_MILLISECONDS = 0.01
#: Labels of the statuses.
STATUSES = {
    Status.READY: "Ready",
    Status.LAZY: "Loads on first use",
    Status.LOADING: "Loading",
    Status.FAILED: "Failed to load",
    Status.UNLOADED: "Not loaded",
}


@dataclass(frozen=True)
class Card:
    """One model in the list.

    ``words`` is the text that a search matches, in lower case; static/models.js uses it too.
    """

    model: HostedModel
    about: str
    usage: str
    words: str

    def is_found(self, search: str) -> bool:
        """Return whether ``words`` contains each word of a search."""
        return all(word in self.words for word in search.lower().split())


def build_cards(models: Iterable[HostedModel], usage: Mapping[str, Usage]) -> Sequence[Card]:
    """Return a card for each model, in the same order."""
    return [_build_card(model, usage[model.label]) for model in models]


def _build_card(model: HostedModel, usage: Usage) -> Card:
    about = markdown.plain(model.description)
    status = STATUSES[model.status]
    tags = [f"#{tag}" for tag in model.spec.tags]
    words = [
        model.display_name,
        model.name,
        model.version,
        model.about.framework,
        about,
        status,
        *tags,
    ]
    return Card(model, about, usage_text(usage), " ".join(words).lower())


def usage_text(usage: Usage) -> str:
    """Return a model's call count and mean duration in words."""
    if not usage.calls:
        return "Not used yet"
    calls = f"{usage.calls:,} {'call' if usage.calls == 1 else 'calls'}"
    if usage.answered != usage.calls:
        calls = f"{usage.answered:,} of {calls} succeeded"
    return f"{calls}, {duration(usage.mean_seconds)} on average"


def duration(seconds: float) -> str:
    """Return a time in milliseconds or seconds: ``3.4 ms``, ``120 ms``, ``2.3 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.{0 if seconds > TEN_MILLISECONDS else 1}f} ms"
