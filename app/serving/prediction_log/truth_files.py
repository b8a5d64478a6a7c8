"""Reads truths from CSV files and workbooks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from app.serving.errors import TooManyRows
from app.serving.prediction_log.truths import INDEX, Truth
from app.serving.tables import csv_file
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.validator import Schema

#: The schema of a line, whose truth is converted once its prediction is known.
SCHEMA = {
    "type": "object",
    "properties": {
        "request_id": {"type": "string", "minLength": 1},
        "row": INDEX,
        "truth": {"type": "string"},
    },
    "required": ["request_id", "truth"],
}
LINE = Schema({**SCHEMA, "required": ["request_id"]})
#: Maximum number of violations in one error.
MAX_VIOLATIONS = 200


def read_truths(
    stream: BinaryIO, max_rows: int, *, charset: str = "", max_bytes: int | None = None
) -> list[Truth]:
    """Return the truths of a table with the columns ``request_id``, ``row`` and ``truth``.

    Without a column ``row``, each truth belongs to the first row of its request. Lines without a
    truth are skipped. Other columns are ignored.

    :param stream: a seekable stream at its beginning.
    :raises InvalidInput: naming the lines, if a column is missing or a line is not valid.
    :raises TooManyRows: if there are more lines than ``max_rows``.
    :raises UnreadableFile: if it is neither a CSV file nor a workbook.
    :raises TooLarge: if it is compressed and expands to more than ``max_bytes``.
    """
    sheet = csv_file.open_table(stream, SCHEMA, charset=charset, max_bytes=max_bytes)
    absent = [name for name in SCHEMA["required"] if name in sheet.columns.missing]
    if absent:
        names = " and ".join(map(repr, absent))
        raise InvalidInput(f"must have a column {names}", pointer="")
    lines = list(islice(sheet.lines(), max_rows + 1))
    if len(lines) > max_rows:
        raise TooManyRows(max_rows, len(lines))
    violations: list[Violation] = []
    truths: list[Truth] = []
    for line in lines:
        row = sheet.row(line)
        found = list(_find_violations(line, row))
        violations += found
        if not found and row is not None and row.get("truth"):
            place = f"/{len(truths)}"
            index = row.get("row", 0)
            truths.append(Truth(row["request_id"], index, row["truth"], place, line.line))
    if violations:
        raise InvalidInput("the table has mistakes", violations=violations[:MAX_VIOLATIONS])
    return truths


def _find_violations(line: csv_file.Line, row: dict[str, object] | None) -> Iterator[Violation]:
    if line.problem:
        yield Violation("", f"line {line.line} {line.problem}")
    for each in LINE.violations(row) if row is not None else ():
        yield Violation(each.pointer, f"{each.detail} (line {line.line})")
