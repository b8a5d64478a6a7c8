"""The list of all models and its search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.serving.calls.methods import PREDICT
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from app.serving.process.metrics import Usage
from app.web.pages.display import kinds, markdown

#: Longer lists show one line for each model instead of a card.
MANY = 24
#: Times up to this many seconds are shown in tenths of a millisecond.
TEN_MILLISECONDS = 0.01
#: Labels of the statuses.
STATUSES = {
    Status.READY: "Ready",
    Status.LAZY: "Loads on first use",
    Status.LOADING: "Loading",
    Status.FAILED: "Failed",
    Status.UNLOADED: "Not loaded",
}


#: Title of the models without a tag, in a list that is grouped by tag.
UNTAGGED = "Other"


@dataclass(frozen=True)
class ListCard:
    """One model in the list.

    ``kind`` is ``None`` if the schemas are not known. ``versions`` is the number of versions.
    ``words`` is the text that a search matches, in lower case; static/models.js uses it too.
    """

    model: HostedModel
    kind: kinds.Kind | None
    about: str
    usage: str
    versions: int
    words: str

    def is_found(self, search: str) -> bool:
        """Return whether ``words`` contains each word of a search."""
        return all(word in self.words for word in search.lower().split())


@dataclass(frozen=True)
class Group:
    """Cards below a title; the title is empty in a list without groups."""

    title: str
    cards: Sequence[ListCard]


def build_cards(
    models: Iterable[HostedModel], usage: Mapping[str, Usage], versions: Mapping[str, int]
) -> Sequence[ListCard]:
    """Return a card for each model, in the same order.

    :param versions: the number of versions by the name of a model.
    """
    return [_build_card(model, usage[model.unique_name], versions[model.name]) for model in models]


def count_versions(models: Iterable[HostedModel]) -> Mapping[str, int]:
    """Return the number of versions by the name of a model."""
    return Counter(model.name for model in models)


def failed_first(cards: Iterable[ListCard]) -> Sequence[ListCard]:
    """Return cards in the same order, except that models with a problem come first."""
    return sorted(cards, key=lambda card: not card.model.reason)


def group_cards(cards: Sequence[ListCard], by: str) -> Sequence[Group]:
    """Return cards in groups: by ``"tag"``, by ``"kind"``, or in one group without a title.

    A model with several tags is in the group of its first one.
    """
    if by not in GROUPINGS:
        return [Group("", cards)]
    groups: dict[str, list[ListCard]] = {}
    for card in cards:
        groups.setdefault(GROUPINGS[by](card), []).append(card)
    titles = sorted(groups, key=lambda title: (title == UNTAGGED, title.lower()))
    return [Group(title, groups[title]) for title in titles]


#: How a list may be grouped, and the title of a card's group.
GROUPINGS: Mapping[str, Callable[[ListCard], str]] = {
    "tag": lambda card: next(iter(card.model.spec.tags), UNTAGGED),
    "kind": lambda card: card.kind.value if card.kind else UNTAGGED,
}


def _build_card(model: HostedModel, usage: Usage, versions: int) -> ListCard:
    kind, inputs = _read_schemas(model)
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
        kind.value if kind else "",
        *tags,
    ]
    used = usage_text(usage) if usage.calls else ""
    return ListCard(model, kind, about or inputs, used, versions, " ".join(words).lower())


def _read_schemas(model: HostedModel) -> tuple[kinds.Kind | None, str]:
    """Return the kind of a model, and the names of its fields."""
    endpoint = model.endpoints.get(PREDICT)
    if endpoint is None:
        return None, ""
    # Cached by the schema, unlike a shape that is built here.
    row = endpoint.input.shape
    return kinds.get_kind(row, endpoint.output.shape), kinds.summary(row)


def usage_text(usage: Usage) -> str:
    """Return a model's call count and mean duration in words."""
    if not usage.calls:
        return "Not used yet"
    calls = f"{usage.calls:,} {'call' if usage.calls == 1 else 'calls'}"
    parts = [
        calls,
        f"{usage.rejected:,} with invalid input" if usage.rejected else "",
        f"{failed:,} failed" if (failed := usage.calls - usage.answered - usage.rejected) else "",
        f"{duration(usage.mean_seconds)} on average" if usage.calls != usage.rejected else "",
    ]
    return ", ".join(filter(None, parts))


def duration(seconds: float) -> str:
    """Return a time in milliseconds or seconds: ``3.4 ms``, ``120 ms``, ``2.3 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.{0 if seconds > TEN_MILLISECONDS else 1}f} ms"
