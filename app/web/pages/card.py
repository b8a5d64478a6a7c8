"""The card of a model: how good it is, from when, for what, and whom to contact."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.serving.catalog.entry_schema import FACTS, MOST_CHARACTERS, ROWS, TEXTS
from app.serving.models.hosted import HostedModel
from app.web.pages.display import labels
from app.web.pages.display.output_labels import get_output_labels
from mlmodel.reference.distributions import Choices
from mlmodel.schema.shape import Shape, is_number

#: Metrics that the card shows; the page lists all of them below.
MOST_METRICS = 6
#: Most common true values that the card shows.
MOST_CLASSES = 3
EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")


@dataclass(frozen=True)
class MetricKind:
    """How a metric is shown: its name, what it means, and whether as per cent or with a unit."""

    name: str
    note: str
    is_share: bool = False
    has_unit: bool = False


_ABSOLUTE = MetricKind("Mean absolute error", "average distance from the true value", has_unit=True)
_SQUARED = MetricKind("Root mean squared error", "weighs large errors more", has_unit=True)
_AUC = MetricKind("ROC AUC", "0.5 is guessing, 1 is perfect")
_F1 = MetricKind("F1 score", "balances precision and recall; 1 is perfect")
_R2 = MetricKind("R²", "0 is no better than the mean, 1 is perfect")

#: Common metrics by the names of scikit-learn, and usual short forms.
KINDS = {
    "accuracy": MetricKind("Accuracy", "share of correct predictions", is_share=True),
    "balanced_accuracy": MetricKind(
        "Balanced accuracy", "average share of correct predictions over the classes", is_share=True
    ),
    "precision": MetricKind("Precision", "share of correct positive predictions", is_share=True),
    "recall": MetricKind("Recall", "share of positive cases that are found", is_share=True),
    "f1": _F1,
    "f1_score": _F1,
    "roc_auc": _AUC,
    "auc": _AUC,
    "average_precision": MetricKind("Average precision", "1 is perfect"),
    "log_loss": MetricKind("Log loss", "0 is perfect"),
    "brier_score": MetricKind("Brier score", "0 is perfect"),
    "r2": _R2,
    "r2_score": _R2,
    "mean_absolute_error": _ABSOLUTE,
    "mae": _ABSOLUTE,
    "root_mean_squared_error": _SQUARED,
    "rmse": _SQUARED,
    "mape": MetricKind("Mean absolute percentage error", "0% is perfect", is_share=True),
}


@dataclass(frozen=True)
class Metric:
    """A metric as shown. ``note`` is what its numbers mean; empty if that is not known."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Fact:
    """A short text under a title. ``address`` is where it links to; empty without a link."""

    title: str
    text: str
    address: str = ""


@dataclass(frozen=True)
class Card:
    """The parts of a card; ``texts`` are titles with Markdown."""

    metrics: tuple[Metric, ...]
    facts: tuple[Fact, ...]
    texts: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        """Return whether anything is known."""
        return bool(self.metrics or self.facts or self.texts)


def build_card(model: HostedModel) -> Card:
    """Return the card of a model, from its entry, its metadata and its reference profile."""
    stored = (model.about.metadata.get("extra") or {}).get("card")
    members = {**(stored if isinstance(stored, Mapping) else {}), **(model.spec.card or {})}
    texts = {
        name: text[:MOST_CHARACTERS]
        for name, text in members.items()
        if isinstance(text, str) and text.strip()
    }
    return Card(
        metrics=tuple(_metrics(model))[:MOST_METRICS],
        facts=tuple(_facts(model, members, texts)),
        texts=tuple((title, texts[name]) for name, title in TEXTS.items() if name in texts),
    )


def name_metric(name: str) -> str:
    """Return a readable name of a metric."""
    words = name.replace("_", " ").strip()
    return KINDS[name].name if name in KINDS else words[:1].upper() + words[1:]


def format_metric(name: str, value: float, unit: str = "") -> str:
    """Return the value of a metric as text: shares in per cent, errors with their unit."""
    kind = KINDS.get(name)
    if kind and kind.is_share and 0 <= value <= 1:
        return f"{value:.1%}".replace(".0%", "%")
    text = labels.format_number(float(f"{value:.4g}") if isinstance(value, float) else value)
    return f"{text} {unit}" if kind and kind.has_unit and unit else text


def _metrics(model: HostedModel) -> Iterator[Metric]:
    unit = get_output_labels(Shape.of(model.output_schema)).get("/prediction", {}).get("unit", "")
    for name, value in (model.about.metadata.get("metrics") or {}).items():
        if is_number(value):
            kind = KINDS.get(name)
            note = kind.note if kind else ""
            yield Metric(name_metric(name), format_metric(name, value, unit), note)


def _facts(
    model: HostedModel, members: Mapping[str, Any], texts: Mapping[str, str]
) -> Iterator[Fact]:
    for name, title in ROWS.items():
        count = members.get(name)
        if isinstance(count, int) and not isinstance(count, bool):
            yield Fact(title, f"{count:,} rows")
    profile = model.about.profile
    if profile is not None and isinstance(profile.target, Choices):
        yield Fact("True values", _shares(profile.target))
    packaged = model.about.metadata.get("timestamp")
    if isinstance(packaged, str):
        yield Fact("Packaged", _date(packaged))
    for name, title in FACTS.items():
        if name in texts:
            yield Fact(title, texts[name], _address(texts[name]))


def _shares(target: Choices) -> str:
    """Return how common the true values are: what a model that always gives one of them reaches."""
    total = max(1, sum(target.counts.values()) + target.other)
    common = sorted(target.counts.items(), key=lambda each: -each[1])
    shown = [
        f"{text} {labels.format_share(count / total)}" for text, count in common[:MOST_CLASSES]
    ]
    more = len(common) - len(shown)
    return ", ".join(shown) + (f", {more} more" if more else "")


def _date(timestamp: str) -> str:
    try:
        packaged = datetime.fromisoformat(timestamp)
    except ValueError:
        return timestamp[:50]
    return f"{packaged.day} {packaged:%B %Y}"


def _address(text: str) -> str:
    if EMAIL.fullmatch(text):
        return f"mailto:{text}"
    return text if re.fullmatch(r"https?://\S+", text) else ""
