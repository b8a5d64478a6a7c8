"""The drift of a model as texts, tables and charts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.serving.monitoring.drift import FieldDrift, Level
from app.serving.monitoring.histograms import Chart
from app.serving.monitoring.reports import DriftReport
from app.web.pages.display import labels
from mlmodel.schema.shape import Shape

#: Words for the levels.
LEVELS = {
    Level.NOT_COMPARED: "Not compared",
    Level.NONE: "No drift",
    Level.SMALL: "Small difference",
    Level.MODERATE: "Drift",
    Level.LARGE: "Large drift",
}
#: Fields whose charts are open when the page opens, those with the largest drift.
MOST_OPEN = 3


@dataclass(frozen=True)
class FieldView:
    """One field: its texts, the JSON of its chart, and the rows of its table."""

    title: str
    name: str
    level: str
    words: str
    psi: str
    threshold: str
    facts: Sequence[tuple[str, str]]
    chart: str | None
    bins: Sequence[tuple[str, str, str]]
    is_prediction: bool
    is_compared: bool
    is_open: bool


def build_fields(report: DriftReport, schema: Mapping[str, Any] | None) -> list[FieldView]:
    """Return the fields of a report, in its order, with the titles of the input schema."""
    row = Shape.of(schema if schema is not None else {})
    return [
        _build_field(each, _title(each, row), is_open=place < MOST_OPEN)
        for place, each in enumerate(report.fields)
    ]


def summarize(report: DriftReport) -> str:
    """Return how many inputs and outputs have drifted, as a sentence."""
    counts = {
        "input": report.count_drifted(are_predictions=False),
        "output": report.count_drifted(are_predictions=True),
    }
    drifted = sum(each for each, _ in counts.values())
    words = " and ".join(
        f"{each:,} of " * bool(drifted) + f"{total:,} {name}{'s' * (total != 1)}"
        for name, (each, total) in counts.items()
        if (each if drifted else total)
    )
    if not words:
        return "No field can be compared."
    verb = "has" if drifted == 1 else "have"
    found = f"{words} {verb} drifted." if drifted else f"No drift in {words}."
    others = len(report.fields) - sum(total for _, total in counts.values())
    verb = "is" if others == 1 else "are"
    return f"{found} {others:,} {verb} not compared." if others else found


def format_period(report: DriftReport) -> str:
    """Return the time between the first and the last compared row."""
    if report.first is None or report.last is None:
        return ""
    first, last = (datetime.fromtimestamp(each, UTC) for each in (report.first, report.last))
    if first.date() == last.date():
        return f"{first:%-d %B %Y}, {first:%H:%M} to {last:%H:%M} UTC"
    return f"{first:%-d %B %Y %H:%M} to {last:%-d %B %Y %H:%M} UTC"


def _title(drift: FieldDrift, row: Shape) -> str:
    if drift.is_prediction:
        return labels.readable(drift.name)
    title = row.title_of(drift.name) if drift.name in row.members else ""
    return title or labels.readable(drift.name)


def _build_field(drift: FieldDrift, title: str, is_open: bool) -> FieldView:
    chart = drift.chart
    return FieldView(
        title=title,
        name=drift.name,
        level=drift.level.value,
        words=LEVELS[drift.level],
        psi=f"{drift.psi:.3f}",
        threshold=f"{drift.threshold:.3f}",
        facts=list(_facts(drift)),
        chart=None if chart is None else json.dumps(_as_columns(chart)),
        bins=[] if chart is None else list(_bins(chart)),
        is_prediction=drift.is_prediction,
        is_compared=drift.is_compared,
        is_open=is_open and chart is not None,
    )


def _facts(drift: FieldDrift) -> Iterator[tuple[str, str]]:
    before, now = drift.reference.missing, drift.current.missing
    if before or now:
        yield (
            "Missing",
            f"{labels.format_share(now)}, in the reference {labels.format_share(before)}",
        )
    if drift.current.outside:
        yield "Outside the range of the reference", labels.format_share(drift.current.outside_share)
    if drift.current.unlisted:
        listed = [f"{text} ({rows:,})" for text, rows in drift.current.unlisted.items()]
        yield "Not listed in the reference", ", ".join(listed)


def _as_columns(chart: Chart) -> dict[str, Any]:
    return {
        "labels": chart.labels,
        "edges": chart.edges,
        "reference": chart.reference,
        "current": chart.current,
    }


def _bins(chart: Chart) -> Iterator[tuple[str, str, str]]:
    texts = [labels.label(each) for each in chart.labels] or _ranges(chart.edges)
    for text, before, now in zip(texts, chart.reference, chart.current, strict=True):
        yield text, labels.format_share(before), labels.format_share(now)


def _ranges(edges: Sequence[float]) -> list[str]:
    """Return bins as texts; the outer ones also hold what lies beyond them."""
    rounded = [float(f"{edge:.4g}") for edge in edges]
    are_years = all(abs(each) < labels.UNGROUPED for each in rounded)
    texts = [labels.format_number(each, are_years) for each in rounded]
    inner = [f"{low} to {high}" for low, high in itertools.pairwise(texts[1:-1])]
    return [f"below {texts[1]}", *inner, f"{texts[-2]} and above"]
