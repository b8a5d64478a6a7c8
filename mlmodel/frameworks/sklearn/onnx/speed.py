"""Time that a model and its graph take for some rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlmodel.frameworks import Predict
from mlmodel.model import Row

#: Seconds of repeated calls for each of the two; the fastest call counts.
SECONDS = 0.03
MOST_CALLS, LEAST_CALLS = 200, 3


@dataclass(frozen=True)
class Speed:
    """Microseconds per call."""

    rows: int
    native_us: float
    graph_us: float

    @property
    def gain(self) -> float:
        """How many times faster the graph is."""
        return self.native_us / self.graph_us

    def told(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "rows": self.rows,
            "native_us": round(self.native_us, 1),
            "compiled_us": round(self.graph_us, 1),
            "gain": round(self.gain, 1),
        }


def measured(native: Predict, graph: Predict, rows: Sequence[Row], count: int) -> Speed:
    """Return the time that both take for ``count`` rows.

    :param rows: that both predict for; they are repeated.
    """
    many = [rows[at % len(rows)] for at in range(count)]
    return Speed(count, _best(native, many), _best(graph, many))


def _best(predict: Predict, rows: Sequence[Row]) -> float:
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < LEAST_CALLS or (len(times) < MOST_CALLS and time.perf_counter() < end):
        started = time.perf_counter()
        predict(rows)
        times.append(time.perf_counter() - started)
    return min(times) * 1e6
