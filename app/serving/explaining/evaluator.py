"""The calls of a model for one explanation, within its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from app.serving.errors import CannotExplain
from mlmodel.errors import InvalidInput
from mlmodel.schema.validator import Schema

#: Seconds for the effects, and again for the smallest change.
SECONDS = 10.0
#: Maximum seconds for the fewest rows that yield effects, and for all rows of an explanation.
MOST_SECONDS, TOTAL_SECONDS = 20.0, 40.0
#: Maximum rows of a call, and maximum rows and seconds of the call that measures the model.
CALL_ROWS, PROBE_ROWS, PROBE_SECONDS = 2_000, 50, 1.0
#: Seconds above which a call is measured again: the first one may import code or load data.
QUICK_SECONDS = 0.1


class Evaluator:
    """Predicts the rows that an explanation compares, and counts them.

    The estimated duration of a call is that of one row, and a part of it for each further row:
    all of it for a model that loops over rows, almost nothing for one that predicts tables.

    :param predict: returns the predictions for rows.
    :param schema: of a row.
    :param max_rows: of one call.
    :param time_limit: of one call, in seconds; 0 for none.
    """

    def __init__(
        self,
        predict: Callable[[Sequence[Any]], list[Any]],
        schema: Schema,
        max_rows: int,
        time_limit: float,
    ) -> None:
        self._predict = predict
        self._schema = schema
        self._max_rows = min(max_rows, CALL_ROWS)
        self._call_seconds = min(time_limit / 2 or SECONDS, SECONDS)
        self._started = time.perf_counter()
        #: Seconds of a call with one row, and of each further one.
        self._first = self._further = 0.0
        self.rows = 0

    def predict_first(self, row: Any) -> Any:
        """Return the prediction for the explained row, and measure how long it takes."""
        self._first, [prediction] = self._measure([row])
        self.rows += 1
        return prediction

    def probe(self, rows: Sequence[Any]) -> None:
        """Measure how long a row takes among others, with some of the rows."""
        count = min(len(rows), int(PROBE_SECONDS / self._first))
        self._further = self._first
        if count > 1:
            seconds, _ = self._measure(rows[:count])
            self._further = max(0.0, seconds - self._first) / (count - 1)

    def limit(self, count: int, least: int = 0) -> int:
        """Return the number of rows that fit into the time budget, at most ``count``.

        :raises CannotExplain: if even ``least`` rows would take more than :data:`MOST_SECONDS`.
        """
        seconds = self._further + max(0.0, self._first - self._further) / self._call_rows
        if least * seconds > MOST_SECONDS:
            raise CannotExplain(
                f"the model is too slow: {least:,} rows would take about "
                f"{least * seconds:,.0f} seconds, expected at most {MOST_SECONDS:g}"
            )
        return min(count, max(least, int(SECONDS / seconds)))

    def predict(self, rows: Sequence[Any]) -> list[Any]:
        """Return the predictions for rows.

        :raises CannotExplain: if the schema or the model rejects one of them, or all calls take
            too long.
        """
        predictions: list[Any] = []
        while len(predictions) < len(rows):
            if time.perf_counter() - self._started > TOTAL_SECONDS:
                raise CannotExplain(
                    f"the model is too slow: {self.rows:,} rows took more than {TOTAL_SECONDS:g} "
                    "seconds"
                )
            start = len(predictions)
            part = rows[start : start + self._call_rows]
            seconds, found = self._call(part)
            if len(part) >= PROBE_ROWS:
                self._further = max(self._further, (seconds - self._first) / len(part))
            self.rows += len(part)
            predictions += found
        return predictions

    def predict_valid(self, rows: Sequence[Any]) -> list[Any]:
        """Return the predictions for rows, with ``None`` for those that the schema rejects."""
        if self._schema.accepts(rows):
            return self.predict(rows)
        are_valid = [not self._schema.violations(each, most=1) for each in rows]
        predictions = iter(self.predict([*compress(rows, are_valid)]))
        return [next(predictions) if each else None for each in are_valid]

    @property
    def _call_rows(self) -> int:
        """The number of rows of a call that ends well within its time limit."""
        if self._further * self._max_rows <= self._call_seconds:
            return self._max_rows
        return max(1, int(self._call_seconds / self._further))

    def _measure(self, rows: Sequence[Any]) -> tuple[float, list[Any]]:
        """Return the seconds of a call and the predictions."""
        seconds, predictions = self._call(rows)
        if seconds > QUICK_SECONDS:
            seconds = min(seconds, self._call(rows)[0])
        return seconds, predictions

    def _call(self, rows: Sequence[Any]) -> tuple[float, list[Any]]:
        started = time.perf_counter()
        try:
            predictions = self._predict(rows)
        except InvalidInput as error:
            if not self._first:  # the first row is the one that a client sent
                raise
            raise CannotExplain(f"the model rejects a typical row: {error}") from error
        return time.perf_counter() - started, predictions
