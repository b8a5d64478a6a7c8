"""The work on one chunk: its rows, their predictions, and the rows that are invalid."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from app.serving.calls.caller import CALLER
from app.serving.calls.row_results import RowResult
from app.serving.errors import InvalidPrediction, PredictionFailed, ServingError
from app.serving.explaining.added_columns import Extend
from app.serving.jobs.chunks.chunk_rows import (
    JSON_ROW,
    PROBLEMS,
    ChunkRows,
    input_columns,
    read_sheet,
)
from app.serving.jobs.chunks.chunk_tables import BROKEN, LINE, PROBLEM, write_table
from app.serving.jobs.chunks.output_columns import IS_JSON, narrow, to_columns
from app.serving.json_text import to_json
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Predictor
from app.serving.tables.tables import FROM_MODEL
from mlmodel.errors import InvalidInput

#: What is appended to the name of a column of the file if a column of the result has that name.
FROM_FILE = " (file)"
#: The pointer and the detail of a violation.
Problem = tuple[str, str]
#: Rows of one call of the model.
CALL_ROWS = 4096
#: Failed calls of the model for the rows of one call, after which the rest is not separated.
#: Finding one row among 4096 takes 13.
MAX_FAILED_CALLS = 500
#: Rows that may all fail on their own without a sign that the model fails for any row.
MAX_FAILED_ROWS = 10
#: The prefix of the name of a column, before a point: whether it comes from the file or the
#: model. The column of rows in JSON has no other name.
INPUT, OUTPUT = "input", "output"


@dataclass
class Outcome:
    """The predictions of a chunk, in the order of ``places`` in its table, and the invalid rows.

    An invalid row has its ``line``, its ``problems``, and its ``cells`` by column or its ``row``,
    or its ``text`` if it cannot be read.
    ``failure`` is the error of the first row on which the model failed.
    """

    places: list[int] = field(default_factory=list)
    predictions: list[Any] = field(default_factory=list)
    invalid: list[dict[str, Any]] = field(default_factory=list)
    failure: ServingError | None = None


def predict_chunk(
    predictor: Predictor,
    model: HostedModel,
    table: pa.Table,
    proceed: Callable[[], None] = lambda: None,
    extend: Extend = lambda _, predictions: predictions,
) -> Outcome:
    """Return the predictions of the rows of a chunk.

    :param model: one of the predictor's.
    :param proceed: called before each call of the model; raises an error to stop.
    :param extend: adds columns to the predictions.
    :raises ServingError: as :meth:`Predictor.predict_each` does, or if the model fails for all
        of many rows.
    """
    outcome = Outcome()
    rows = ChunkRows(table, model.input_schema or True)
    found = enumerate(table.column(PROBLEM).to_pylist() if len(rows) < len(table) else ())
    problems: dict[int, list[Problem]] = {at: [("", each)] for at, each in found if each}
    size = min(CALL_ROWS, predictor.max_rows)
    caller = CALLER.get()
    for start in range(0, len(rows), size):
        proceed()
        places = rows.places[start : start + size]
        batch = rows.read(start, size)
        if caller is not None:
            CALLER.set(caller._replace(lines=rows.lines[start : start + size]))
        try:
            predictions = predictor.predict(model.public_name, batch)
        except (InvalidInput, PredictionFailed, InvalidPrediction):
            _, results = predictor.predict_each(model.public_name, batch, MAX_FAILED_CALLS)
            batch = [row for row, each in zip(batch, results, strict=True) if each.error is None]
            errors = (each.error for each in results)
            failures = (each for each in errors if isinstance(each, ServingError))
            outcome.failure = outcome.failure or next(failures, None)
            places, predictions = _separate(places, results, problems)
        predictor.prediction_log.flush()  # before its queue is full
        outcome.places += places
        outcome.predictions += extend(batch, predictions)
    outcome.invalid = [_describe(table, at, problems[at]) for at in sorted(problems)]
    return outcome


def _separate(
    places: Sequence[int], results: Sequence[RowResult], problems: dict[int, list[Problem]]
) -> tuple[list[int], list[Any]]:
    """Return the places of the rows with a prediction, and these; add the problems of others.

    :raises PredictionFailed: if the model fails for each of many rows.
    """
    errors = [each.error for each in results]
    is_model = [isinstance(each, PredictionFailed | InvalidPrediction) for each in errors]
    if len(is_model) > MAX_FAILED_ROWS and all(is_model):
        raise cast(ServingError, errors[0])
    valid = []
    for place, error in zip(places, errors, strict=True):
        if error is None:
            valid.append(place)
        elif isinstance(error, InvalidInput):
            problems[place] = [(each.pointer, each.detail) for each in error.violations]
        else:
            problems[place] = [("", str(error))]
    return valid, [each.prediction for each in results if each.error is None]


def write_outcome(
    table: pa.Table,
    outcome: Outcome,
    part: Path,
    bad: Path,
    check_room: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the valid rows of a chunk with their predictions to a file, the others to another.

    :param check_room: called with the bytes to write; raises an error if there is no room.
    """
    invalid = "".join(to_json(each) + "\n" for each in outcome.invalid).encode()
    valid = _to_part(table, outcome)
    check_room(len(invalid) + valid.nbytes)
    bad.write_bytes(invalid)
    write_table(valid, part, "zstd")


def _to_part(table: pa.Table, outcome: Outcome) -> pa.Table:
    """Return the table of the valid rows: their lines, the columns of the file, the predictions.

    The names of the columns of the file depend only on its header; those of predictions may differ
    between chunks. The metadata is that of the table: see :func:`read_sheet`.
    """
    valid = (
        table
        if len(outcome.places) == len(table)
        else table.take(pa.array(outcome.places, pa.int64()))
    )
    columns = [
        (pa.field(LINE, pa.int64()), valid.column(LINE)),
        *_input_columns(valid),
        *_output_columns(outcome.predictions),
    ]
    fields, arrays = zip(*columns, strict=True)
    return pa.table(list(arrays), schema=pa.schema(fields, metadata=table.schema.metadata))


def _input_columns(table: pa.Table) -> Iterator[tuple[pa.Field, pa.ChunkedArray]]:
    sheet = read_sheet(table)
    if sheet is None:
        yield pa.field(INPUT, pa.string()), table.column(JSON_ROW)
        return
    taken: set[str] = set()
    triples = zip(sheet["header"], sheet["names"], input_columns(table), strict=True)
    for header, name, column in triples:
        title = unique_name(header, taken, after=FROM_FILE)
        taken.add(title)
        is_json = name in sheet.get("structures", ())
        narrowed, is_json = narrow(column) if is_json else (column, False)
        metadata = {IS_JSON: b"true"} if is_json else {}
        yield pa.field(f"{INPUT}.{title}", narrowed.type, metadata=metadata), narrowed


def _output_columns(predictions: Sequence[Any]) -> Iterator[tuple[pa.Field, pa.Array]]:
    taken: set[str] = set()
    for each, array in to_columns(predictions):
        name = unique_name(each.name, taken, before=FROM_MODEL)
        taken.add(name)
        yield each.with_name(f"{OUTPUT}.{name}"), array


def unique_name(name: str, taken: Collection[str], before: str = "", after: str = "") -> str:
    """Return a name, with an addition before or after it as long as it is taken."""
    while name in taken:
        name = f"{before}{name}{after}"
    return name


def _describe(table: pa.Table, at: int, problems: Sequence[tuple[str, str]]) -> dict[str, Any]:
    one = table.slice(at, 1)
    found: dict[str, Any] = {
        LINE: one.column(LINE)[0].as_py(),
        PROBLEMS: [{"pointer": pointer, "detail": detail} for pointer, detail in problems],
    }
    broken = one.column(BROKEN)[0].as_py()
    sheet = read_sheet(table)
    if sheet is None:
        text = one.column(JSON_ROW)[0].as_py()
        return {**found, "text": broken} if text is None else {**found, "row": json.loads(text)}
    if broken:
        value = json.loads(broken)
        return {**found, "text" if isinstance(value, str) else "cells": value}
    cells = [each[0].as_py() for each in input_columns(one)]
    for place, name in enumerate(sheet["names"]):
        if name in sheet.get("structures", ()) and cells[place] is not None:
            cells[place] = json.loads(cells[place])
    return {**found, "cells": cells}
