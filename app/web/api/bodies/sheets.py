"""CSV files and workbooks in request bodies, and predictions as CSV."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from flask import current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.serving.errors import TooManyRows
from app.serving.models.hosted import HostedModel
from app.serving.tables import csv_file, tables
from app.web.api.bodies.envelopes import Rows, name_line
from app.web.api.bodies.request_body import read_table
from app.web.http.query import read_choice
from mlmodel.errors import InvalidInput, TooLarge, Violation
from mlmodel.schema.texts.numerals import COMMA, POINT

#: The media type of predictions as CSV.
CSV = "text/csv"


def read_sheet(model: HostedModel) -> tuple[csv_file.CsvFile, list[csv_file.Line]]:
    """Return the table in the current request, and its lines.

    :raises BadRequest: if the query names another decimal mark than those that exist.
    :raises InvalidInput: if the table is not valid.
    :raises TooManyRows: if it has more lines than ``MAX_ROWS``.
    :raises HTTPException: as :func:`.request_body.read_table` does.
    """
    decimal = read_choice("decimal", ("", POINT, COMMA))
    content, charset = read_table()
    limit, max_rows = current_app.config["MAX_BODY_BYTES"], current_app.config["MAX_ROWS"]
    try:
        sheet = csv_file.open_table(content, model.input_schema or True, decimal, charset, limit)
    except TooLarge as error:
        raise RequestEntityTooLarge(f"the file expands to more than {limit:,} bytes") from error
    lines = list(islice(sheet.lines(), max_rows + 1))
    if len(lines) > max_rows:
        raise TooManyRows(max_rows, len(lines))
    return sheet, lines


def read_rows(model: HostedModel, *, is_partial: bool) -> Rows:
    """Return the rows of the table in the current request. Violations name the line.

    :param is_partial: whether the error of a line that cannot be read takes the place of its row.
    :raises InvalidInput: also if a required column is missing, or if a line cannot be read.
    """
    sheet, lines = read_sheet(model)
    numbers = [each.line for each in lines]

    def locate(found: Sequence[Violation]) -> Sequence[Violation]:
        return [
            name_line(replace(each, pointer=f"/{each.row}{each.pointer}"), numbers[each.row])
            for each in found
        ]

    broken = [Violation("", each.problem, at) for at, each in enumerate(lines) if each.problem]
    missing = sheet.columns.find_missing()
    if missing or (broken and not is_partial):
        found = [*missing, *locate(broken)]
        raise InvalidInput("the table cannot be read as rows", violations=found)
    rows = [InvalidInput(line.problem) if line.problem else sheet.row(line) for line in lines]
    return Rows(rows, locate, numbers)


def is_csv_accepted() -> bool:
    """Return whether the client of the current request names CSV and prefers it to JSON."""
    accepted = request.accept_mimetypes
    is_named = any(each.lower() == CSV for each in accepted.values())
    return is_named and accepted.best_match(["application/json", CSV]) == CSV


def to_csv(predictions: Iterable[Any]) -> bytes:
    """Return predictions as CSV, a line for each. A nested member becomes a column ``a.b``."""
    stream = io.StringIO()
    tables.write_csv(predictions, stream)
    return stream.getvalue().encode()


def with_problem(prediction: Any, problem: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of a prediction behind the column ``problem``, which is blank for none."""
    found = () if problem is None else problem.get("errors", [{"pointer": "", **problem}])
    column = {"problem": tables.join_problems(found)}
    return column | tables.add_columns(tables.to_members(prediction), column)
