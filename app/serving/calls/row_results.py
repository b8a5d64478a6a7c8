"""Results of single rows, which calls of many rows yield even if some rows fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.serving.errors import InvalidPrediction, PredictionFailed
from mlmodel.errors import InvalidInput, Violation

#: Failed calls after which the rows of a failing call are no longer separated.
MAX_FAILED_CALLS = 10


@dataclass(frozen=True)
class RowResult:
    """The prediction for a row, or the error for which it has none."""

    prediction: Any = None
    error: InvalidInput | PredictionFailed | InvalidPrediction | None = None


def predict_separately(
    predict: Callable[[Sequence[Any], Sequence[int]], list[Any]],
    rows: Sequence[Any],
    max_failed_calls: int,
) -> list[RowResult]:
    """Return the result for each row, from one call if no row fails.

    The rows that a call rejects are left out of the next one, and if the model fails, the rows are
    halved to find those on which it fails.

    :param predict: receives readable rows, and their indexes.
    :param rows: of which some may be the errors for which they could not be read.
    :param max_failed_calls: after them, all rows of a failing call have its error.
    """
    results = {
        at: RowResult(error=row) for at, row in enumerate(rows) if isinstance(row, InvalidInput)
    }
    chunks = [[at for at in range(len(rows)) if at not in results]]
    failed_calls = 0
    while chunks:
        chunk = chunks.pop()
        try:
            chosen = [rows[index] for index in chunk]
            predictions = predict(chosen, chunk)
        except InvalidInput as error:
            rejections = _by_row(error, len(chunk))
            results |= {chunk[place]: RowResult(error=each) for place, each in rejections.items()}
            chunks += _without(chunk, list(rejections))
        except (PredictionFailed, InvalidPrediction) as error:
            failed_calls += 1
            if len(chunk) > 1 and failed_calls <= max_failed_calls:
                half = len(chunk) // 2
                chunks += [chunk[half:], chunk[:half]]
            else:
                results |= dict.fromkeys(chunk, RowResult(error=error))
        else:
            results |= zip(chunk, map(RowResult, predictions), strict=True)
    return [results[index] for index in range(len(rows))]


def _by_row(error: InvalidInput, count: int) -> dict[int, InvalidInput]:
    """Return the error of each rejected row, as that of a row on its own.

    A model may name a row that does not exist. All rows are rejected if it names no other.
    """
    rows: dict[int, list[Violation]] = defaultdict(list)
    for each in error.violations:
        if each.row < count:
            rows[each.row].append(replace(each, row=0))
    rows = rows or {place: [replace(error.violations[0], row=0)] for place in range(count)}
    return {place: InvalidInput("", violations=found) for place, found in rows.items()}


def _without(chunk: Sequence[int], places: Sequence[int]) -> list[list[int]]:
    """Return the rest of a chunk, to be predicted from the end of the list.

    A single rejected row may be the first of many that the model rejects one by one: the rows
    before it are valid, and are predicted on their own, so that they are not repeated.
    """
    if len(places) == 1:
        parts = [list(chunk[places[0] + 1 :]), list(chunk[: places[0]])]
    else:
        rejected = {chunk[place] for place in places}
        parts = [[index for index in chunk if index not in rejected]]
    return [part for part in parts if part]
