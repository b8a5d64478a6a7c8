"""What a model accepts, found by calling it.

Only a call shows for sure whether a model accepts a missing value or a new category: that depends
on every estimator that a value passes. So one row that the model accepts is changed in one place,
and the model is called again.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from threadpoolctl import ThreadpoolController

from mlmodel.frameworks import Predict, Rows
from mlmodel.frameworks.sklearn.schemas.column import Column, ModelInput, name_list
from mlmodel.frameworks.sklearn.schemas.dtypes import MISSING, NONE

#: Calls of the model to probe one property of all columns.
MOST_CALLS = 2000
#: A text that no encoder has been fitted on.
UNKNOWN_TEXT = "\N{WHITE QUESTION MARK ORNAMENT} none of them"

# Catching warnings changes a global: two threads at once would leave it changed.
_catching_warnings = threading.RLock()


@contextmanager
def caught_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the warnings of a block instead of showing them."""
    with _catching_warnings, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def limit_to_one_thread(predict: Predict) -> Predict:
    """Return a function that calls a model in one thread and suppresses its warnings.

    A thread pool of OpenMP does not survive the fork of workers, which would wait for it forever.
    """
    pools = ThreadpoolController()

    def call(rows: Rows) -> list[Any]:
        with caught_warnings(), pools.limit(limits=1):
            return predict(rows)

    return call


def probe_columns(
    columns: list[Column], model_input: ModelInput | None, probe: Probe, *, is_sampled: bool = False
) -> tuple[list[Column], list[str]]:
    """Return the columns after probing missing values, new categories and fractions.

    The notes name columns that were not probed, for which the schema is not strict.

    :param is_sampled: whether the columns have the types of a sample.
    """
    if model_input is not None and model_input.layout == "records":
        return columns, []
    if probe.prediction is None:
        return [replace(column, is_open=bool(column.choices)) for column in columns], []
    strict = model_input.strict if model_input is not None else set()
    read = [at for at, column in enumerate(columns) if column.is_read]
    closed = [at for at in read if _has_choices(columns[at])]
    whole = [at for at in closed if columns[at].kind == "integer" and not is_sampled]
    whole += [at for at in read if columns[at].is_whole and not columns[at].choices]

    null = _try_values(probe, columns, [at for at in read if at not in strict], _null)
    none = _try_values(probe, columns, _rejecting_nan(columns, null), _none_value)
    unknown = _try_values(probe, columns, closed, _unknown_value)
    fraction = _try_values(probe, columns, whole, _fraction)
    probed = [
        replace(
            column,
            # Not tried for lack of calls: the schema accepts what the model may reject.
            is_nullable=null.get(at, False) is not False or none.get(at) is True,
            missing=("None",) if none.get(at) else column.missing,
            is_open=(
                unknown.get(at, False) is not False or column.is_open or column.has_texts_of_values
            ),
            kind="number" if fraction.get(at) else column.kind,
        )
        for at, column in enumerate(columns)
    ]
    probed, notes = _unambiguous(probed, probe)
    untried = {at for found in (null, unknown) for at in found if found[at] is None}
    if untried:
        names = name_list([columns[at].name for at in sorted(untried)])
        notes.append(
            "the model has too many columns to probe all of them: the schema accepts missing and "
            f"new values in {names}, and the model may reject them"
        )
    return probed, notes


class Probe:
    """A model, and one row that it accepts.

    ``prediction`` is the prediction for that row; ``None`` if it raises, and then nothing can be
    probed. ``error`` is the last error.
    """

    def __init__(self, predict: Predict, row: Mapping[str, Any]) -> None:
        self._predict = limit_to_one_thread(predict)
        self.row = dict(row)
        self.error: Exception | None = None
        predictions = self._predictions([self.row])
        self.prediction: Any = predictions[0] if predictions else None

    def accepts(self, changes: Sequence[Mapping[str, Any]], most_calls: int) -> list[bool | None]:
        """Return for each change of the row whether the model accepts the changed row.

        :param most_calls: of the model. ``None`` is returned where more would be needed.
        """
        if self.prediction is None:
            return [False] * len(changes)
        rejected, unknown = self._find_rejected(
            [{**self.row, **change} for change in changes], len(changes), most_calls
        )
        accepted: list[bool | None] = [True] * len(changes)
        for places, word in ((rejected, False), (unknown, None)):
            for at in places:
                accepted[at] = word
        return accepted

    def predict_with(self, change: Mapping[str, Any]) -> Any:
        """Return the prediction for the row with a change; ``None`` if the model raises."""
        predictions = self._predictions([{**self.row, **change}])
        return predictions[0] if predictions else None

    def rejected(self, rows: Sequence[Mapping[str, Any]], most: int, most_calls: int) -> list[int]:
        """Return the indices of the first rows that the model rejects.

        :param most: the maximum to return.
        """
        return self._find_rejected(rows, most, most_calls)[0]

    def _find_rejected(
        self, rows: Sequence[Mapping[str, Any]], most: int, most_calls: int
    ) -> tuple[list[int], list[int]]:
        """Return the indices of rejected rows, and of rows that were not tried."""
        found: list[int] = []
        parts = [(0, len(rows))] if rows else []
        for _ in range(most_calls):
            if not parts or len(found) >= most:
                break
            start, end = parts.pop()
            if self._predictions(rows[start:end]) is not None:
                continue
            if end - start == 1:
                found.append(start)
            else:
                middle = (start + end) // 2
                parts += [(middle, end), (start, middle)]
        return found, [at for start, end in parts for at in range(start, end)]

    def _predictions(self, rows: Sequence[Mapping[str, Any]]) -> list[Any] | None:
        # The model's code may raise anything for a row that it rejects.
        try:
            predictions = self._predict(rows)
            json.dumps(predictions, allow_nan=False)
        except Exception as error:
            self.error = error
            return None
        return predictions


def _has_choices(column: Column) -> bool:
    """Return whether another value than a column's choices can be tried."""
    return bool(column.choices) and column.kind != "boolean" and not column.has_texts_of_values


def _try_values(
    probe: Probe, columns: list[Column], places: list[int], get_value: Callable[[Column], Any]
) -> dict[int, bool | None]:
    """Return for some columns whether the model accepts another value; ``None`` if not tried."""
    changes = [{columns[at].name: get_value(columns[at])} for at in places]
    return dict(zip(places, probe.accepts(changes, MOST_CALLS), strict=True))


def _null(_column: Column) -> None:
    return None


def _none_value(_column: Column) -> Any:
    return NONE


def _unknown_value(column: Column) -> Any:
    """Return a value of a column's kind that is not among its choices."""
    return max(column.choices) + 1 if column.is_numeric else UNKNOWN_TEXT


def _fraction(column: Column) -> float:
    """Return a fraction that is not among a column's choices."""
    return float(max(column.choices or column.examples or (0,)) + 1.5)


def _rejecting_nan(columns: list[Column], null: Mapping[int, bool | None]) -> list[int]:
    """Return the columns of Python objects in which the model rejects NaN but may accept None."""
    return [
        at
        for at, is_accepted in null.items()
        if is_accepted is False and columns[at].dtype == "object" and not columns[at].missing
    ]


def _unambiguous(columns: list[Column], probe: Probe) -> tuple[list[Column], list[str]]:
    """Return the columns; not nullable are those in which None and NaN predict differently."""
    kept, notes = list(columns), []
    for at, column in enumerate(columns):
        if len(column.missing) < 2 or not (column.is_nullable and column.is_read):  # noqa: PLR2004
            continue
        values = [NONE if name == "None" else MISSING[name] for name in column.missing]
        first, *others = [probe.predict_with({column.name: value}) for value in values]
        if any(other != first for other in others):
            kept[at] = replace(column, is_nullable=False)
            names = " and ".join(column.missing)
            notes.append(
                f"{column.name} has both {names} as missing values, and the model predicts "
                "differently for them: null is not accepted"
            )
    return kept, notes
