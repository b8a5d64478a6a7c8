"""Reading rows from JSON, NDJSON, CSV and workbooks, and writing predictions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

from app.serving.tables.csv_cells import escape_formula, parse_json, to_json, to_text
from app.serving.tables.csv_file import CsvFile, open_table
from mlmodel.errors import InvalidInput
from mlmodel.schema.messages import json_reason
from mlmodel.schema.subschemas import JsonSchema

#: File extensions, and the format in which predictions are written.
WRITTEN = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
}
#: File extensions, and the format in which rows are read.
FORMATS = {**WRITTEN, ".tsv": "csv", ".xlsx": "xlsx"}
#: Formats of tables. CSV and workbooks are recognized by their content.
SHEETS = frozenset({"csv", "xlsx"})


@dataclass(frozen=True)
class TableRow:
    """A row, its index from 0, and the line in which it begins.

    ``line`` counts from 1 and is ``None`` in a JSON document.
    """

    row: Any
    index: int
    line: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows, which can be iterated once.

    ``is_single`` is true if a JSON document is not a list. ``sheet`` holds columns and encoding of
    a CSV file or a workbook.
    """

    rows: Iterator[TableRow]
    is_single: bool = False
    sheet: CsvFile | None = None


def read(stream: BinaryIO, form: str, schema: JsonSchema, decimal: str = "") -> Table:
    """Return the rows of a file, read lazily; a JSON document is read at once.

    :class:`~app.serving.tables.csv_file.CsvFile` describes how the cells of a CSV file or a
    workbook are converted. Iterating over the rows can raise the same errors as this function.

    :param form: one of the values of :data:`FORMATS`.
    :param stream: at its beginning; seekable for CSV files and workbooks.
    :param schema: of a row; its references must be resolvable.
    :param decimal: the decimal mark of a CSV file, if known.
    :raises InvalidInput: naming the line, if the file is not of that format.
    :raises UnreadableFile: if a CSV file or a workbook cannot be read.
    :raises UnicodeDecodeError: if a JSON or NDJSON file is not UTF-8.
    """
    if form in SHEETS:
        sheet = open_table(stream, schema, decimal)
        return Table(_with_places(_sheet(sheet)), sheet=sheet)
    if form == "ndjson":
        return Table(_with_places(_ndjson(stream)))
    document = _parse(stream.read().decode("utf-8-sig"))
    if isinstance(document, list):
        return Table(_with_places((row, None) for row in document))
    return Table(_with_places([(document, None)]), is_single=True)


def write(answers: Sequence[Any], stream: TextIO, form: str) -> None:
    """Write predictions to a file, in order. In CSV, a nested member becomes a column ``a.b``.

    :param form: one of the values of :data:`WRITTEN`.
    """
    if form == "csv":
        _write_csv([flatten(answer) for answer in answers], stream)
        return
    if form == "json":
        stream.write(to_json(list(answers)) + "\n")
        return
    stream.writelines(to_json(answer) + "\n" for answer in answers)


def flatten(answer: Any) -> dict[str, Any]:
    """Flatten a prediction to columns; one that is not an object gets the column ``answer``."""
    if not isinstance(answer, Mapping):
        return {"answer": answer}
    return dict(_flat(answer, ""))


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all rows, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _with_places(rows: Iterable[tuple[Any, int | None]]) -> Iterator[TableRow]:
    for index, (row, line) in enumerate(rows):
        yield TableRow(row, index, line)


def _parse(text: str, line: int | None = None) -> Any:
    place = f"line {line}" if line else "the file"
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if line else f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{place} is not JSON: {json_reason(error)} ({at})") from error
    except ValueError as error:
        raise InvalidInput(f"{place} is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput(f"{place} is nested too deeply") from error


def _ndjson(stream: BinaryIO) -> Iterator[tuple[Any, int]]:
    for line, content in enumerate(stream, start=1):
        text = content.decode("utf-8-sig" if line == 1 else "utf-8")
        if text.strip():
            yield _parse(text.rstrip("\r\n"), line), line


def _sheet(sheet: CsvFile) -> Iterator[tuple[Any, int]]:
    for each in sheet.lines():
        if each.problem:
            raise InvalidInput(f"line {each.line} {each.problem}")
        yield sheet.row(each), each.line


def _flat(members: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _write_csv(rows: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    names = columns(rows)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(escape_formula, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else escape_formula(to_text(value))
