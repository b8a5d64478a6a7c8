"""What a model takes, found by asking it.

Nobody but the model itself knows for sure whether it takes a missing value, or a category that it
has never seen: that depends on every estimator that a value passes. So one row that the model
answers is changed in one place, and the model is asked again.
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

#: Calls of the model that one question may cost. Whatever is not answered then counts as refused.
MOST_CALLS = 200

# Catching warnings changes a global: two threads at once would leave it changed.
_catching_warnings = threading.RLock()


@contextmanager
def caught_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the warnings of a block instead of showing them."""
    with _catching_warnings, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


class Trial:
    """A model, and one row that it answers.

    It is asked in one thread: before a server forks its workers, a pool of threads that OpenMP
    keeps would not survive the fork, and the workers would wait for it for good.

    ``answer`` is what it says to that row; ``None`` if it does not answer, and then nothing can be
    found out.
    """

    def __init__(self, predict: Predict, row: Mapping[str, Any]) -> None:
        self._predict = predict
        self._pools = ThreadpoolController()
        self.row = dict(row)
        answers = self._answers([self.row])
        self.answer: Any = answers[0] if answers else None

    def takes(self, changes: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Say for each change of the row whether the model takes the row with it."""
        if self.answer is None:
            return [False] * len(changes)
        refused = set(self.refused([{**self.row, **change} for change in changes]))
        return [at not in refused for at in range(len(changes))]

    def refused(self, rows: Sequence[Mapping[str, Any]], most: int | None = None) -> list[int]:
        """Return the places of the rows that the model does not answer.

        :param most: how many are enough. Without it, those that could not be asked about in
            :data:`MOST_CALLS` calls are among them too.
        """
        found: list[int] = []
        parts = [(0, len(rows))] if rows else []
        calls = 0
        while parts and (most is None or (len(found) < most and calls < MOST_CALLS)):
            start, end = parts.pop()
            calls += 1
            if calls <= MOST_CALLS and self._answers(rows[start:end]) is not None:
                continue
            if end - start == 1 or calls > MOST_CALLS:
                found += range(start, end)
            else:
                middle = (start + end) // 2
                parts += [(middle, end), (start, middle)]
        return found

    def _answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Any] | None:
        # The model's code may raise anything at a row that it does not take.
        try:
            with caught_warnings(), self._pools.limit(limits=1):
                answers = self._predict(rows)
            json.dumps(answers, allow_nan=False)
        except Exception:
            return None
        return answers
