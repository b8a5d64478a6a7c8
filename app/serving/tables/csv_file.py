"""Rows in CSV files and workbooks, read by a model's input schema."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple, TextIO

from app.serving.tables import encodings, workbooks
from app.serving.tables.csv_cells import NOT_GIVEN, Cell, Members, escape_formula, to_text
from app.serving.tables.headers import column_names
from mlmodel.errors import InvalidInput
from mlmodel.numerals import COMMA, POINT, decimal_marks
from mlmodel.schema.subschemas import JsonSchema

#: Possible delimiters; the one most frequent in the header is used.
DELIMITERS = ",;\t"
#: Columns that a file may have in addition to the members of the schema.
MAX_OTHERS = 1_000
#: Lines read ahead to detect the decimal mark.
MAX_AHEAD = 100_000

#: Excel's first line that sets the delimiter.
_SEPARATOR = re.compile(r"(?i:sep=)(.)\s*")
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Line:
    """One line of a sheet, counted from 1: its cells, or the problem with it.

    There is one cell for each of the sheet's columns: a value or ``NOT_GIVEN`` if the column is
    part of the row, else its text.
    """

    line: int
    cells: tuple[Any, ...] | None = None
    problem: str = ""

    @property
    def values(self) -> list[Any] | None:
        """The cells as JSON values, with ``None`` for ``NOT_GIVEN``."""
        if self.cells is None:
            return None
        return [None if cell is NOT_GIVEN else cell for cell in self.cells]

    @property
    def blank(self) -> list[int]:
        """The indices of the cells that are ``NOT_GIVEN``."""
        return [place for place, cell in enumerate(self.cells or ()) if cell is NOT_GIVEN]


class RawLine(NamedTuple):
    """The unconverted cells of a line, or the problem with it."""

    line: int
    cells: Sequence[Cell] = ()
    problem: str = ""


def open_table(
    stream: BinaryIO, schema: JsonSchema, decimal: str = "", charset: str = ""
) -> CsvFile:
    """Return the table of a CSV file or a workbook, recognized by its content.

    :param stream: a seekable stream at its beginning.
    :param schema: of a row; its references must be resolvable.
    :param decimal: the decimal mark, if known.
    :param charset: the encoding of a CSV file, if known.
    :raises UnreadableFile: if it is neither, or cannot be read.
    :raises InvalidInput: as :class:`CsvFile` does.
    """
    if workbooks.is_workbook(stream):
        title, rows = workbooks.first_sheet(stream)
        return CsvFile((RawLine(*row) for row in rows), schema, decimal, title=title)
    text, encoding = encodings.open_text(stream, charset)
    return CsvFile(csv_lines(text), schema, decimal, encoding=encoding)


class CsvFile:
    """A table with a header, read lazily line by line.

    A cell is converted to a type that its column's schema allows: a number, boolean, null, one of
    the choices, a date, or JSON for a list or an object; otherwise it stays text. An empty cell is
    null if the column allows null, and else left out. Rows are not validated here.

    If the decimal mark is not given, it is detected from the columns of numbers: it is a comma if
    some cell is a number only with a comma (``14,9``) and none only with a point. If every mark
    could group digits (``52.000``), it is unknown and such cells stay text.
    """

    def __init__(
        self,
        lines: Iterator[RawLine],
        schema: JsonSchema,
        decimal: str = "",
        *,
        encoding: str = "",
        title: str = "",
    ) -> None:
        """Read the header.

        :param lines: the first line with a filled cell is the header.
        :param schema: of a row; its references must be resolvable.
        :param decimal: the decimal mark, if known.
        :raises InvalidInput: if the header has a problem, or :func:`column_names` rejects it.
        """
        self._lines = lines
        self._members = Members(schema)
        #: The columns' names; a column without one is an index that pandas wrote.
        self.names = column_names(self._header(), self._members, MAX_OTHERS)
        self._columns = [
            self._members.column(name) if self._members.has(name) else None for name in self.names
        ]
        self._numbers = [
            place for place, column in enumerate(self._columns) if column and column.is_number
        ]
        #: The decimal mark; empty if it could not be detected. Final once all lines are read.
        self.decimal = decimal or POINT
        self._is_decided = bool(decimal)
        #: The encoding of a CSV file, and the name of a workbook's sheet; empty for the other.
        self.encoding = encoding
        self.title = title

    @property
    def known(self) -> list[str]:
        """The columns that are part of a row."""
        return [column.name for column in self._columns if column]

    @property
    def unknown(self) -> list[str]:
        """The columns that have a name but are not part of a row."""
        pairs = zip(self.names, self._columns, strict=True)
        return [name for name, column in pairs if name and not column]

    @property
    def missing(self) -> dict[str, bool]:
        """The members without a column, and whether the schema requires them."""
        present = set(self.names)
        absent = [name for name in self._members.names if name not in present]
        return {name: name in self._members.required for name in absent}

    def lines(self) -> Iterator[Line]:
        """Yield the lines below the header, without empty ones."""
        for raw in self._lines:
            if not self._is_decided and self._has_mark(raw):
                self._lines = self._decide(chain([raw], self._lines))
                yield from self.lines()
                return
            if raw.problem:
                yield Line(raw.line, problem=raw.problem)
            elif any(raw.cells):
                yield self._line(raw)

    def row(self, line: Line) -> dict[str, Any] | None:
        """Return the row of one of the sheet's lines; ``None`` if the line has a problem."""
        if line.cells is None:
            return None
        pairs = zip(self._columns, line.cells, strict=True)
        return {column.name: cell for column, cell in pairs if column and cell is not NOT_GIVEN}

    def _header(self) -> list[str]:
        cells: list[str] = []
        for raw in self._lines:
            if raw.problem:
                raise InvalidInput(f"line {raw.line} {raw.problem}")
            cells = [_cell_text(cell) for cell in raw.cells]
            if any(cell.strip() for cell in cells):
                break
        return cells

    def _line(self, raw: RawLine) -> Line:
        if len(raw.cells) != len(self.names):
            problem = f"has {len(raw.cells)} cells, the header has {len(self.names)}"
            return Line(raw.line, problem=problem)
        decimal = self.decimal
        pairs = zip(self._columns, raw.cells, strict=True)
        cells = [
            column.value(cell, decimal) if column else _cell_text(cell) for column, cell in pairs
        ]
        return Line(raw.line, tuple(cells))

    def _has_mark(self, raw: RawLine) -> bool:
        return any(POINT in cell or COMMA in cell for cell in self._texts(raw))

    def _texts(self, raw: RawLine) -> list[str]:
        cells = raw.cells
        found = [cells[place] for place in self._numbers if place < len(cells)]
        return [cell for cell in found if isinstance(cell, str)]

    def _decide(self, lines: Iterator[RawLine]) -> Iterator[RawLine]:
        """Detect the decimal mark, and return all lines, including those read ahead for it."""
        ahead: list[RawLine] = []
        is_comma = is_either = False
        for raw in islice(lines, MAX_AHEAD):
            ahead.append(raw)
            marks = [decimal_marks(cell) for cell in self._texts(raw) if "." in cell or "," in cell]
            if POINT in marks:
                break
            is_comma |= COMMA in marks
            is_either |= POINT + COMMA in marks
        else:
            self.decimal = COMMA if is_comma else "" if is_either else POINT
        self._is_decided = True
        return chain(ahead, lines)


def csv_lines(stream: TextIO) -> Iterator[RawLine]:
    """Yield the lines of a CSV file, without a first line that only sets the delimiter.

    :param stream: opened with ``newline=""``; closed at the end.
    """
    with stream:
        first, before = stream.readline(), 0
        while first and not first.strip():
            first, before = stream.readline(), before + 1
        named = _SEPARATOR.fullmatch(first)
        if named:
            first, before = stream.readline(), before + 1
        delimiter = named[1] if named else _delimiter(first)
        reader = csv.reader(_chain(first, stream), delimiter=delimiter, strict=True)
        while True:
            line = before + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield RawLine(line, problem=f"is not CSV: {error}")
                continue
            yield RawLine(line, cells)


def header_line(schema: JsonSchema) -> str:
    """Return the header line of a CSV file for a schema; empty if the schema names no members."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(escape_formula, Members(schema).names))
    return text.getvalue().lstrip()


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(first: str) -> str:
    return max(DELIMITERS, key=_QUOTED.sub("", first).count)


def _cell_text(cell: Cell) -> str:
    return "" if cell is None else to_text(cell)
