"""Metrics of predictions whose truth is known, next to those of the model's file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.serving.models.hosted import HostedModel
from app.serving.monitoring.truth_metrics import Period
from app.web.pages.card import format_metric, name_metric
from app.web.pages.display.output_labels import Words, get_output_labels
from mlmodel.schema.shape import Shape, escape, is_number

#: Fewest weeks for a chart.
MIN_WEEKS = 2


@dataclass(frozen=True)
class TruthLine:
    """The metrics of one period as texts, empty where a metric is not defined."""

    title: str
    rows: str
    values: Sequence[str]


@dataclass(frozen=True)
class TruthTable:
    """The names of the metrics, a line for each period, and the JSON of a chart of the first."""

    names: Sequence[str]
    lines: Sequence[TruthLine]
    chart: str | None


def build_truth(model: HostedModel, total: Period, weeks: Sequence[Period]) -> TruthTable | None:
    """Return the metrics of all weeks, the last first; ``None`` if no truth is known.

    The metrics that the model's file has too come first.
    """
    if not total.rows:
        return None
    words = get_output_labels(Shape.of(model.output_schema))
    known = {
        name_metric(name): value
        for name, value in (model.about.metadata.get("metrics") or {}).items()
        if is_number(value)
    }
    file = {name: known[name_metric(name)] for name in total.metrics if name_metric(name) in known}
    names = sorted(total.metrics, key=lambda name: name not in file)

    def to_line(title: str, rows: str, metrics: Mapping[str, Any]) -> TruthLine:
        texts = [_format(name, metrics[name], words) if name in metrics else "" for name in names]
        return TruthLine(title, rows, texts)

    lines = [to_line("In the model's file", "", file)] if file else []
    lines.append(to_line("All weeks", f"{total.rows:,}", total.metrics))
    lines += [
        to_line(f"Week of {week.start:%-d %b}", f"{week.rows:,}", week.metrics)
        for week in reversed(weeks)
    ]
    chart = _build_chart(names[0], file, weeks) if names and len(weeks) >= MIN_WEEKS else None
    return TruthTable([_name(name, words) for name in names], lines, chart)


def _name(name: str, words: Mapping[str, Words]) -> str:
    output, _, metric = name.rpartition(".")
    label = _find_words(output, words).get("label", output)
    return f"{label}: {name_metric(metric)}" if output else name_metric(name)


def _format(name: str, value: float, words: Mapping[str, Words]) -> str:
    output, _, metric = name.rpartition(".")
    return format_metric(metric, value, _find_words(output, words).get("unit", ""))


def _find_words(output: str, words: Mapping[str, Words]) -> Words:
    pointer = f"/{escape(output)}" if output else ""
    return words.get(f"/prediction{pointer}") or words.get(pointer) or {}


def _build_chart(name: str, file: Mapping[str, float], weeks: Sequence[Period]) -> str:
    starts = [
        datetime(each.start.year, each.start.month, each.start.day, tzinfo=UTC).timestamp()
        for each in weeks
        if each.start
    ]
    values = [each.metrics.get(name) for each in weeks]
    return json.dumps(
        {"starts": starts, "name": name_metric(name), "values": values, "file": file.get(name)}
    )
