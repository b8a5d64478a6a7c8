"""The list of all models: what it says of each, and which of them a search finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.serving.models.hosted import HostedModel, Status
from app.serving.process.metrics import Usage
from app.web.pages import markdown

#: Models above which each takes one line instead of a card.
MANY = 24
#: Shorter times are told by the tenth of a millisecond.
TEN_MILLISECONDS = 0.01
#: Each status in words.
STATUSES = {
    Status.READY: "Ready",
    Status.LAZY: "Loads on first use",
    Status.LOADING: "Loading",
    Status.FAILED: "Failed to load",
    Status.UNLOADED: "Not loaded",
}


@dataclass(frozen=True)
class Listed:
    """One model in the list.

    ``words`` is all that a search looks at, in small letters; static/models.js looks there, too.
    """

    model: HostedModel
    about: str
    usage: str
    words: str

    def is_found(self, search: str) -> bool:
        """Tell whether each word of a search is in the words, wherever."""
        return all(word in self.words for word in search.lower().split())


def listed(models: Iterable[HostedModel], usage: Mapping[str, Usage]) -> Sequence[Listed]:
    """Return the list of these models, in their order."""
    return [_listed(model, usage[model.label]) for model in models]


def _listed(model: HostedModel, usage: Usage) -> Listed:
    about = markdown.plain(model.description)
    status = STATUSES[model.status]
    tags = [f"#{tag}" for tag in model.tags]
    words = [model.display_name, model.name, model.version, model.framework, about, status, *tags]
    return Listed(model, about, said(usage), " ".join(words).lower())


def said(usage: Usage) -> str:
    """Return how often and how fast a model answered, in words."""
    if not usage.calls:
        return "Not asked yet"
    all_of = "" if usage.answered == usage.calls else f" of {usage.calls:,}"
    calls = "call" if usage.calls == 1 else "calls"
    return f"Answered {usage.answered:,}{all_of} {calls}, {duration(usage.mean_seconds)} on average"


def duration(seconds: float) -> str:
    """Return a time with two digits that count: ``3.4 ms``, ``120 ms``, ``2.3 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.{0 if seconds > TEN_MILLISECONDS else 1}f} ms"
