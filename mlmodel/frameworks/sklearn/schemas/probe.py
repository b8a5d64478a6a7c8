"""What a model accepts, found by calling it.

Only a call shows for sure whether a model accepts a missing value or a new category: that depends
on every estimator that a value passes. So one row that the model accepts is changed in one place,
and the model is called again.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

from mlmodel.frameworks import Predict
from mlmodel.model import Row

# Catching warnings changes a global: two threads at once would leave it changed.
_catching_warnings = threading.RLock()


@contextmanager
def caught_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the warnings of a block instead of showing them."""
    with _catching_warnings, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def single_threaded(predict: Predict) -> Predict:
    """Return a function that calls a model in one thread and suppresses its warnings.

    A thread pool of OpenMP does not survive the fork of workers, which would wait for it forever.
    """
    pools = ThreadpoolController()

    def call(rows: Sequence[Row]) -> list[Any]:
        with caught_warnings(), pools.limit(limits=1):
            return predict(rows)

    return call


class Trial:
    """A model, and one row that it accepts.

    ``answer`` is the prediction for that row; ``None`` if it raises, and then nothing can be
    probed. ``error`` is the last error.
    """

    def __init__(self, predict: Predict, row: Mapping[str, Any]) -> None:
        self._predict = single_threaded(predict)
        self.row = dict(row)
        self.error: Exception | None = None
        answers = self._answers([self.row])
        self.answer: Any = answers[0] if answers else None

    def takes(self, changes: Sequence[Mapping[str, Any]], most_calls: int) -> list[bool | None]:
        """Return for each change of the row whether the model accepts the changed row.

        :param most_calls: of the model. ``None`` is returned where more would be needed.
        """
        if self.answer is None:
            return [False] * len(changes)
        refused, unknown = self._refused(
            [{**self.row, **change} for change in changes], len(changes), most_calls
        )
        says: list[bool | None] = [True] * len(changes)
        for places, word in ((refused, False), (unknown, None)):
            for at in places:
                says[at] = word
        return says

    def answer_with(self, change: Mapping[str, Any]) -> Any:
        """Return the prediction for the row with a change; ``None`` if the model raises."""
        answers = self._answers([{**self.row, **change}])
        return answers[0] if answers else None

    def refused(self, rows: Sequence[Mapping[str, Any]], most: int, most_calls: int) -> list[int]:
        """Return the indices of the first rows that the model rejects.

        :param most: the maximum to return.
        """
        return self._refused(rows, most, most_calls)[0]

    def _refused(
        self, rows: Sequence[Mapping[str, Any]], most: int, most_calls: int
    ) -> tuple[list[int], list[int]]:
        """Return the indices of rejected rows, and of rows that were not tried."""
        found: list[int] = []
        parts = [(0, len(rows))] if rows else []
        for _ in range(most_calls):
            if not parts or len(found) >= most:
                break
            start, end = parts.pop()
            if self._answers(rows[start:end]) is not None:
                continue
            if end - start == 1:
                found.append(start)
            else:
                middle = (start + end) // 2
                parts += [(middle, end), (start, middle)]
        return found, [at for start, end in parts for at in range(start, end)]

    def _answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Any] | None:
        # The model's code may raise anything for a row that it rejects.
        try:
            answers = self._predict(rows)
            json.dumps(answers, allow_nan=False)
        except Exception as error:
            self.error = error
            return None
        return answers
