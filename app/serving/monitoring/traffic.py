"""Calls of each model by hour, from the counters that all processes of a server share.

The counters are totals since the server started. :class:`TrafficHistory` keeps their increase in
each hour in the folder of the shared state, where every process reads it. Both end with the server.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.serving.process.metrics import BUCKETS, OK, get_registry, read_call_samples
from app.serving.process.shared_file import Document, SharedFile

HOUR_SECONDS = 3600
#: Hours that are kept: a week.
KEPT_HOURS = 168
#: Seconds between two records. Calls in the last record of an hour may count for the next one.
RECORD_SECONDS = 60.0
#: Prefixes of the counts in :data:`Totals`.
OUTCOME, AT_MOST = "outcome ", "at most "

#: Counts of one model: calls by outcome, and calls by duration.
Totals = Counter[str]


@dataclass(frozen=True)
class Traffic:
    """The calls of a model in one hour, which starts at ``start`` in Unix seconds."""

    start: int
    totals: Totals

    @property
    def outcomes(self) -> Mapping[str, int]:
        """The number of calls by outcome: "ok", or the name of an error's class."""
        return _with_prefix(self.totals, OUTCOME)

    @property
    def calls(self) -> int:
        """The number of calls."""
        return sum(self.outcomes.values())

    @property
    def errors(self) -> int:
        """The number of calls that failed or were rejected."""
        return self.calls - self.outcomes.get(OK, 0)

    @classmethod
    def sum(cls, hours: Sequence[Traffic], since: float = 0) -> Traffic:
        """Return the calls of all hours that end after ``since`` together."""
        counted = [each for each in hours if each.start + HOUR_SECONDS > since]
        totals = sum((each.totals for each in counted), Counter())
        return cls(counted[0].start if counted else 0, totals)

    def quantile(self, share: float) -> float | None:
        """Return the duration in seconds that this share of the calls does not exceed.

        It is interpolated within a bucket, as by Prometheus' ``histogram_quantile``; ``None``
        without measured calls.
        """
        buckets = _with_prefix(self.totals, AT_MOST)
        limits = sorted(buckets, key=float)
        sums = [0, *accumulate(buckets[limit] for limit in limits)]
        if not sums[-1]:
            return None
        rank = share * sums[-1]
        place = max(bisect_left(sums, rank), 1)
        high = float(limits[place - 1])
        low = max(limit for limit in (0.0, *BUCKETS) if limit < high)
        if high == float("inf"):
            return low
        return low + (high - low) * (rank - sums[place - 1]) / (sums[place] - sums[place - 1])


class TrafficHistory:
    """The calls of each model in each of the last :data:`KEPT_HOURS` hours. Thread safe.

    :param folder: of the shared state; ``None`` if this process is the only one.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = SharedFile(folder, "traffic.json")

    def record(self, now: float) -> None:
        """Add the increase of the counters since the last record to the current hour.

        All processes call this, and the first one after :data:`RECORD_SECONDS` does the work.
        """
        if self._is_due(self._file.read(), now):
            self._file.update(
                lambda document: _add(document, now) if self._is_due(document, now) else None
            )

    def read(self, now: float) -> Mapping[str, Sequence[Traffic]]:
        """Return the hours with calls of each model by unique name, up to the last call."""
        found: dict[str, list[Traffic]] = defaultdict(list)
        for hour, models in _add(self._file.read(), now)["hours"].items():
            for unique_name, totals in models.items():
                found[unique_name].append(Traffic(int(hour) * HOUR_SECONDS, Counter(totals)))
        return found

    @staticmethod
    def _is_due(document: Document, now: float) -> bool:
        return bool(now - document.get("at", 0) >= RECORD_SECONDS)


def read_totals(registry: CollectorRegistry) -> dict[str, Totals]:
    """Return the counts of each model since the server started."""
    models: dict[str, Totals] = defaultdict(Counter)
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for sample in read_call_samples(registry):
        if sample.name == "modelhost_predictions_total" and sample.value:
            name = f"{OUTCOME}{sample.labels['outcome']}"
            models[sample.labels["model"]][name] += int(sample.value)
        if sample.name == "modelhost_prediction_seconds_bucket":
            key = sample.labels["model"], sample.labels["endpoint"]
            sums[key][sample.labels["le"]] = sample.value
    for (model, _), buckets in sums.items():
        for limit, count in _to_counts(buckets):
            models[model][f"{AT_MOST}{limit}"] += count
    return models


def _to_counts(buckets: Mapping[str, float]) -> Iterator[tuple[str, int]]:
    """Yield the number of calls in each bucket, given the cumulative numbers."""
    before = 0
    for limit in sorted(buckets, key=float):
        total = int(buckets[limit])
        if total > before:
            yield limit, total - before
        before = total


def _add(document: Document, now: float) -> Document:
    """Return the document with the increase of the counters in the current hour."""
    totals = read_totals(get_registry())
    last = document.get("last", {})
    hour = int(now // HOUR_SECONDS)
    hours = {
        key: dict(models)
        for key, models in document.get("hours", {}).items()
        if int(key) > hour - KEPT_HOURS
    }
    current = hours.setdefault(str(hour), {})
    for unique_name, counts in totals.items():
        increase = counts - Counter(last.get(unique_name, {}))
        if increase:
            current[unique_name] = Counter(current.get(unique_name, {})) + increase
    return {"at": now, "last": totals, "hours": hours}


def _with_prefix(totals: Totals, prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in totals.items()
        if name.startswith(prefix)
    }
