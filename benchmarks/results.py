"""The results of a run, and their medians and ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Loaded:
    """One run of load on one server."""

    server: str
    model: str
    #: Rows per request: ``1 row``, ``1000 rows``.
    body: str
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    #: Per request, of the server's process tree.
    cpu_microseconds: float
    #: Of the process tree after the load.
    pss_mb: float


@dataclass(frozen=True)
class Started:
    """One start of one server, up to the first correct prediction."""

    server: str
    model: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Filled:
    """A server with many large models, each of which has predicted."""

    server: str
    models: int
    workers: int
    pss_mb: float


@dataclass(frozen=True)
class Failed:
    """A server that did not start or predicted wrongly."""

    server: str
    model: str
    reason: str


@dataclass
class Results:
    """All results of a run."""

    about: dict[str, Any] = field(default_factory=dict)
    loaded: list[Loaded] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)
    filled: list[Filled] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return all measurements, not only medians."""
        return asdict(self)


@dataclass(frozen=True)
class Line:
    """The medians of one server under one load, and its ratios to other servers."""

    server: str
    rounds: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_microseconds: float
    pss_mb: float
    #: Requests per second divided by the baseline's; None without a baseline.
    faster_than_baseline: float | None
    #: The baseline's CPU time divided by this server's.
    cheaper_than_baseline: float | None
    #: The best peer's CPU time divided by this server's.
    cheaper_than_best: float | None


def groups(runs: Iterable[Any], *keys: str) -> dict[tuple[Any, ...], list[Any]]:
    """Group runs by the values of some attributes, in order of first occurrence."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for run in runs:
        found.setdefault(tuple(getattr(run, key) for key in keys), []).append(run)
    return found


def median_of(runs: Sequence[Any], member: str) -> float:
    """Return the median of an attribute."""
    return median(getattr(run, member) for run in runs)


def lines(runs: Sequence[Loaded], baseline: str, is_ours: Callable[[str], bool]) -> list[Line]:
    """Return the medians of each server, for runs under the same load.

    The best peer is the server other than Modelhost with the least CPU time.
    """
    by_server = {key[0]: own for key, own in groups(runs, "server").items()}
    cpu = {server: median_of(own, "cpu_microseconds") for server, own in by_server.items()}
    best = min((cost for server, cost in cpu.items() if not is_ours(server)), default=None)
    base_cpu = cpu.get(baseline)
    base_rate = median_of(by_server[baseline], "per_second") if baseline in by_server else None
    return [
        Line(
            server=server,
            rounds=len(own),
            per_second=(rate := median_of(own, "per_second")),
            p50_ms=median_of(own, "p50_ms"),
            p99_ms=median_of(own, "p99_ms"),
            cpu_microseconds=cpu[server],
            pss_mb=median_of(own, "pss_mb"),
            faster_than_baseline=_ratio(rate, base_rate),
            cheaper_than_baseline=_ratio(base_cpu, cpu[server]),
            cheaper_than_best=_ratio(best, cpu[server]),
        )
        for server, own in by_server.items()
    ]


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
