"""The calls of a model for one explanation, within its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from app.serving.errors import CannotExplain
from mlmodel.errors import InvalidInput
from mlmodel.schema.validator import Schema

#: Seconds of one row from which a model is slow, and seconds for all its rows then.
SLOW_SECONDS, SECONDS = 0.25, 10.0


class Evaluator:
    """Predicts the rows that an explanation compares, and counts them.

    :param predict: predicts rows.
    :param schema: of a row.
    :param max_rows: of one call.
    :param time_limit: of one call in seconds; 0 for none.
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
        self._call_rows = max_rows
        self._time_limit = time_limit
        #: Seconds that one row took.
        self._seconds = 0.0
        self.rows = 0

    @property
    def is_slow(self) -> bool:
        """Whether the model is too slow for thousands of rows."""
        return self._seconds > SLOW_SECONDS

    def limit(self, count: int) -> int:
        """Return how many of the rows the time is enough for."""
        return min(count, int(SECONDS / self._seconds)) if self.is_slow else count

    def predict_first(self, row: Any) -> Any:
        """Return the prediction for the explained row, and measure how long it takes."""
        prediction = self._measure(row)
        if self.is_slow:  # the first call of a model may take longer than all others
            prediction = self._measure(row)
        if self.is_slow and self._time_limit:
            in_time = int(self._time_limit / 2 / self._seconds)
            self._call_rows = max(1, min(self._call_rows, in_time))
        return prediction

    def predict(self, rows: Sequence[Any]) -> list[Any]:
        """Return the predictions for rows.

        :raises CannotExplain: if the schema or the model rejects one of them.
        """
        self.rows += len(rows)
        predictions = []
        try:
            for start in range(0, len(rows), self._call_rows):
                predictions += self._predict(rows[start : start + self._call_rows])
        except InvalidInput as error:
            raise CannotExplain(f"the model rejects a typical row: {error}") from error
        return predictions

    def predict_valid(self, rows: Sequence[Any]) -> list[Any]:
        """Return the predictions for rows, ``None`` for those that the schema rejects."""
        if self._schema.accepts(rows):
            return self.predict(rows)
        are_valid = [not self._schema.violations(each, most=1) for each in rows]
        predictions = iter(self.predict([*compress(rows, are_valid)]))
        return [next(predictions) if each else None for each in are_valid]

    def _measure(self, row: Any) -> Any:
        started = time.perf_counter()
        [prediction] = self._predict([row])
        self._seconds = time.perf_counter() - started
        self.rows += 1
        return prediction
