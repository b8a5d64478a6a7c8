"""Reads truths from CSV files and workbooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from app.serving.errors import TooManyRows
from app.serving.prediction_log.comparison import get_cell_schema
from app.serving.prediction_log.truths import INDEX, Truth, parse_time
from app.serving.tables import csv_file
from app.serving.tables.csv_cells import unescape_formula
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.validator import Schema

#: The columns with the index of a row: that of exports, the one of the API, and, for a row of a
#: file, the line in its result.
RESULT_LINE = "line"
INDEXES = ("index", "row", RESULT_LINE)
REQUEST_ID = {"type": "string", "minLength": 1}
#: The schema of a line, as far as it does not depend on the model.
LINE = Schema(
    {
        "type": "object",
        "properties": {"request_id": REQUEST_ID, **dict.fromkeys(INDEXES, INDEX)},
        "required": ["request_id"],
    }
)
#: Maximum number of violations in one error.
MAX_VIOLATIONS = 200


def read_truths(
    stream: BinaryIO,
    max_rows: int | None,
    output_schema: Mapping[str, Any] | None,
    *,
    decimal: str = "",
    charset: str = "",
    max_bytes: int | None = None,
) -> list[Truth]:
    """Return the truths of a table with the columns ``request_id``, ``row`` and ``truth``.

    The index of the row may be in a column ``index`` instead, as in an export of the log, or in a
    column ``line``, as in the result of a file; without these, each truth belongs to the first row
    of its request. A column ``time``, as in an export,
    selects one of several predictions. Lines without a truth are skipped, other columns ignored.

    :param stream: a seekable stream at its beginning.
    :param max_rows: maximum number of lines; ``None`` for any number.
    :param output_schema: of the model, by which numbers are recognized.
    :param decimal: the decimal mark, if known.
    :raises InvalidInput: naming the lines, if a column is missing or a line is not valid.
    :raises TooManyRows: if there are more lines than ``max_rows``.
    :raises UnreadableFile: if it is neither a CSV file nor a workbook.
    :raises TooLarge: if it is compressed and expands to more than ``max_bytes``.
    """
    schema = {
        "type": "object",
        "properties": {
            "request_id": REQUEST_ID,
            **dict.fromkeys(INDEXES, INDEX),
            "time": {"type": "string"},
            "truth": get_cell_schema(output_schema),
        },
    }
    sheet = csv_file.open_table(stream, schema, decimal, charset, max_bytes)
    absent = [name for name in ("request_id", "truth") if name in sheet.columns.missing]
    if absent:
        names = " and ".join(map(repr, absent))
        raise InvalidInput(f"must have a column {names}", pointer="")
    indexes = [name for name in INDEXES if name in sheet.columns.names]
    if RESULT_LINE in indexes[1:]:
        names = " and ".join(map(repr, indexes))
        raise InvalidInput(f"must have only one of the columns {names}", pointer="")
    index = indexes[0] if indexes else ""
    violations: list[Violation] = []
    truths: dict[tuple[str, int, str | None], Truth] = {}
    lines = sheet.lines()
    for count, line in enumerate(lines, start=1):
        if max_rows is not None and count > max_rows:
            raise TooManyRows(max_rows, count + sum(1 for _ in lines))
        cells = sheet.row(line) or {}
        row: dict[str, Any] = {
            name: unescape_formula(value) if isinstance(value, str) else value
            for name, value in cells.items()
            if value not in ("", None)
        }
        found = list(_find_violations(line, row, index))
        if not found and "truth" in row:
            request_id, at, when = row["request_id"], row.get(index, 0), parse_time(row.get("time"))
            key = request_id, at, when
            found += _find_repetition(truths.get(key), line, index)
            pointer = f"/{len(truths)}"
            truths[key] = Truth(request_id, at, row["truth"], pointer, line.line, when)
        violations += found
    if violations:
        raise InvalidInput("the table has mistakes", violations=violations[:MAX_VIOLATIONS])
    return list(truths.values())


def _find_violations(
    line: csv_file.Line, row: Mapping[str, Any], index: str
) -> Iterator[Violation]:
    if line.problem:
        yield Violation("", f"line {line.line} {line.problem}")
        return
    identity = {name: row[name] for name in ("request_id", index) if name in row}
    for each in LINE.violations(identity):
        yield Violation(each.pointer, f"{each.detail} (line {line.line})")
    try:
        parse_time(row.get("time") if "truth" in row else None)
    except ValueError as error:
        yield Violation("/time", f"{error} (line {line.line})")


def _find_repetition(first: Truth | None, line: csv_file.Line, index: str) -> Iterator[Violation]:
    if first is not None:
        need = "" if index else ": the rows of a request require a column 'row'"
        yield Violation("", f"line {line.line} has the same row as line {first.line}{need}")
