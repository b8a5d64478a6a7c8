"""Rows in files: JSON, NDJSON and CSV, their cells typed by a model's input schema."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from app.serving.cells import as_json, as_text, from_json, guarded
from app.serving.sheets import Sheet
from mlmodel.errors import InvalidInput
from mlmodel.references import JsonSchema

#: The ending of a file's name, and how its rows are written.
FORMATS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
}


@dataclass(frozen=True)
class Placed:
    """A row, its place among the others, from 0, and the line in which it begins.

    ``line`` counts from 1, and is ``None`` in a JSON document.
    """

    row: Any
    index: int
    line: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows, to be taken once. ``is_single`` tells that the file is one JSON object, no list."""

    rows: Iterator[Placed]
    is_single: bool = False


def read(stream: TextIO, form: str, schema: JsonSchema) -> Table:
    """Return the rows of a file, read as they are taken; JSON is read at once.

    The cells of a CSV file become values as :class:`~app.serving.sheets.Sheet` says.

    :param form: one of the values of :data:`FORMATS`.
    :param stream: opened with ``newline=""``.
    :param schema: of a row; its references must lead somewhere.
    :raises InvalidInput: naming the line, if the file is not of that format; from the rows as well.
    """
    if form == "csv":
        return Table(_placed(_csv(stream, schema)))
    if form == "ndjson":
        return Table(_placed(_ndjson(stream)))
    document = _parsed(stream.read())
    if isinstance(document, list):
        return Table(_placed((row, None) for row in document))
    return Table(_placed([(document, None)]), is_single=True)


def write(answers: Sequence[Any], stream: TextIO, form: str) -> None:
    """Write answers to a file, in their order. In CSV, a member of a member is a column ``a.b``.

    :param form: one of the values of :data:`FORMATS`.
    """
    if form == "csv":
        _write_csv([flat(answer) for answer in answers], stream)
        return
    if form == "json":
        stream.write(as_json(list(answers)) + "\n")
        return
    stream.writelines(as_json(answer) + "\n" for answer in answers)


def flat(answer: Any) -> dict[str, Any]:
    """Return an answer as columns without objects in them; one that is no object is ``answer``."""
    if not isinstance(answer, Mapping):
        return {"answer": answer}
    return dict(_flat(answer, ""))


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all names that rows have, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _placed(rows: Iterable[tuple[Any, int | None]]) -> Iterator[Placed]:
    for index, (row, line) in enumerate(rows):
        yield Placed(row, index, line)


def _parsed(text: str, line: int | None = None) -> Any:
    place = f"line {line}" if line else "the file"
    try:
        return from_json(text)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if line else f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{place} is not JSON: {error.msg} ({at})") from error
    except ValueError as error:
        raise InvalidInput(f"{place} is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput(f"{place} is nested too deep") from error


def _ndjson(stream: TextIO) -> Iterator[tuple[Any, int]]:
    for line, text in enumerate(stream, start=1):
        if text.strip():
            yield _parsed(text.rstrip("\r\n"), line), line


def _csv(stream: TextIO, schema: JsonSchema) -> Iterator[tuple[Any, int]]:
    sheet = Sheet(stream, schema, with_others=True)
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
    writer.writerow(map(guarded, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else guarded(as_text(value))
