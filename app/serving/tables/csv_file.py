"""Rows in CSV files and workbooks, read by a model's input schema."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, BinaryIO, NamedTuple, TextIO

from app.serving.errors import UnreadableFile
from app.serving.tables import encodings, workbooks
from app.serving.tables.columns import Columns, to_cell_text
from app.serving.tables.csv_cells import (
    NOT_GIVEN,
    Cell,
    Members,
    csv_line,
    unescape_formula,
)
from app.serving.tables.decimal_marks import DecimalMark
from mlmodel.errors import InvalidInput
from mlmodel.schema.subschemas import JsonSchema
from mlmodel.schema.texts.numerals import POINT

#: Possible delimiters; the one most frequent in the header is used.
DELIMITERS = ",;\t"
#: What is wrong with a formula that a program has written without its value.
NO_VALUE = "without a value: open the workbook in a spreadsheet program, and save it"
#: Maximum characters of a line, which is read at once.
MAX_LINE_CHARACTERS = 32_000_000
#: Excel's first line that sets the delimiter.
_SEPARATOR = re.compile(r"(?i:sep=)(.)\s*")
_QUOTED = re.compile(r'"[^"]*"')
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Line:
    """One line of a sheet, counted from 1: its cells, or the problem with it.

    There is one cell for each of the sheet's columns: a value or ``NOT_GIVEN`` if the column is
    part of the row, else its text. ``texts`` are the cells of a workbook's line with a problem.
    """

    line: int
    cells: tuple[Any, ...] | None = None
    problem: str = ""
    texts: Sequence[str] = ()

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
    """The unconverted cells of a line, or the problem with it and its text.

    ``unsaved`` are those of :class:`.workbooks.SheetRow`.
    """

    line: int
    cells: Sequence[Cell] = ()
    unsaved: Sequence[int] = ()
    problem: str = ""
    text: str = ""


@dataclass(frozen=True)
class Dialect:
    """How the text of a CSV file is written.

    ``codec`` is Python's name of its encoding, without a byte order mark. ``first_line`` is the
    line below the header, counted from 1 by line breaks, with those in quoted cells.
    """

    codec: str
    delimiter: str
    first_line: int = 1

    @property
    def encoding(self) -> str:
        """The common name of the encoding."""
        return encodings.NAMES.get(self.codec, self.codec)


def open_table(
    stream: BinaryIO,
    schema: JsonSchema,
    decimal: str = "",
    charset: str = "",
    max_bytes: int | None = None,
) -> CsvFile:
    """Return the table of a CSV file or a workbook, recognized by its content.

    :param stream: a seekable stream at its beginning; it may be compressed with gzip or zstd.
    :param schema: of a row; its references must be resolvable.
    :param decimal: the decimal mark, if known.
    :param charset: the encoding of a CSV file, if known.
    :param max_bytes: the bytes to which a compressed file may expand; ``None`` for any number.
    :raises UnreadableFile: if it is neither, or cannot be read.
    :raises TooLarge: if it expands to more.
    :raises InvalidInput: as :class:`CsvFile` does.
    """
    stream = encodings.expand(stream, max_bytes)
    if workbooks.is_workbook(stream):
        title, rows = workbooks.first_sheet(stream)
        return CsvFile((RawLine(*row) for row in rows), schema, decimal, title=title)
    text, codec = encodings.open_text(stream, charset)
    delimiter, lines = csv_lines(text)
    return CsvFile(lines, schema, decimal, dialect=Dialect(codec, delimiter))


class CsvFile:
    """A table with a header, read lazily line by line.

    A cell is converted to a type that its column's schema allows: a number, boolean, null, one of
    the choices, a date, or JSON for a list or an object; otherwise it stays text. An empty cell is
    null if the column allows null, and else left out. Rows are not validated here.

    If the decimal mark is not given, :class:`DecimalMark` detects it from the columns of numbers.
    If it is unknown, cells that depend on it stay text.
    """

    def __init__(
        self,
        lines: Iterator[RawLine],
        schema: JsonSchema,
        decimal: str = "",
        *,
        dialect: Dialect | None = None,
        title: str = "",
    ) -> None:
        """Read the header.

        :param lines: the first line with a filled cell is the header.
        :param schema: of a row; its references must be resolvable.
        :param decimal: the decimal mark, if known.
        :raises InvalidInput: if the header has a problem, or :class:`Columns` rejects it.
        """
        self._lines = lines
        header = self._header()
        cells = [to_cell_text(cell) for cell in header.cells]
        #: The texts of the header's cells.
        self.header = cells
        self.columns = Columns(cells, schema)
        if self.columns.is_corrected:
            self._lines = map(_unescape, lines)
        #: The decimal mark; empty if unknown. Final once all lines are read.
        self.decimal = decimal or POINT
        self._is_decided = bool(decimal)
        #: How a CSV file is written, and the name of a workbook's sheet; nothing for the other.
        self.dialect = dialect and replace(dialect, first_line=_line_below(header.line, cells))
        self.title = title

    def lines(self) -> Iterator[Line]:
        """Yield the lines below the header, without empty ones."""
        for raw in self._lines:
            if not self._is_decided and self._has_mark(raw):
                self._lines = self._decide(chain([raw], self._lines))
                yield from self.lines()
                return
            if raw.problem:
                yield Line(raw.line, problem=raw.problem)
            elif problem := self._formula_problem(raw):
                yield Line(raw.line, problem=problem, texts=list(map(to_cell_text, raw.cells)))
            elif not is_blank(raw.cells, len(self.columns.names)):
                yield self._line(raw)

    def detect_decimal(self) -> str:
        """Return the decimal mark, without the lines: those that it reads are not read again."""
        if not self._is_decided:
            mark = DecimalMark()
            for raw in self._lines:
                mark.add(self.columns.number_texts(raw.cells))
                if mark.is_final:
                    break
            self.decimal, self._is_decided = mark.value, True
        return self.decimal

    def row(self, line: Line) -> dict[str, Any] | None:
        """Return the row of one of the sheet's lines; ``None`` if the line has a problem."""
        return None if line.cells is None else self.columns.row(line.cells)

    def _header(self) -> RawLine:
        raw = RawLine(1)
        for raw in self._lines:
            if raw.problem:
                raise InvalidInput(f"line {raw.line} {raw.problem}")
            if any(to_cell_text(cell).strip() for cell in raw.cells):
                break
        if raw.unsaved:
            raise InvalidInput(f"line {raw.line} has a formula {NO_VALUE}")
        return raw

    def _line(self, raw: RawLine) -> Line:
        if len(raw.cells) != len(self.columns.names):
            return Line(raw.line, problem=width_problem(len(raw.cells), len(self.columns.names)))
        return Line(raw.line, self.columns.values(raw.cells, self.decimal))

    def _formula_problem(self, raw: RawLine) -> str:
        """Return the problem of a line with formulas without a value in the columns of the row."""
        columns = [each for each in map(self.columns.converters.__getitem__, raw.unsaved) if each]
        return f"has a formula in {columns[0].name!r:.100} {NO_VALUE}" if columns else ""

    def _has_mark(self, raw: RawLine) -> bool:
        return DecimalMark().add(self.columns.number_texts(raw.cells))

    def _decide(self, lines: Iterator[RawLine]) -> Iterator[RawLine]:
        """Detect the decimal mark, and return all lines, including those read ahead for it."""
        ahead: list[RawLine] = []
        mark = DecimalMark()
        for raw in lines:
            ahead.append(raw)
            mark.add(self.columns.number_texts(raw.cells))
            if mark.is_final:
                break
        self.decimal, self._is_decided = mark.value, True
        return chain(ahead, lines)


def csv_lines(stream: TextIO) -> tuple[str, Iterator[RawLine]]:
    """Return the delimiter and the lines of a CSV file, without one that only sets the delimiter.

    :param stream: opened with ``newline=""``; closed after the last line.
    :raises UnreadableFile: if a line is too long; also while iterating.
    :raises InvalidInput: if all lines are blank.
    """
    first, before = read_line(stream), 0
    while first and not first.strip():
        first, before = read_line(stream), before + 1
    named = _SEPARATOR.fullmatch(first)
    if named:
        first, before = read_line(stream), before + 1
    if not first:
        raise InvalidInput("the file is empty")
    delimiter = named[1] if named else _delimiter(first)
    return delimiter, _closing(
        stream, raw_lines(chain([first], rest_of(stream)), before, delimiter)
    )


def raw_lines(texts: Iterable[str], before: int, delimiter: str) -> Iterator[RawLine]:
    """Return the lines of a CSV file.

    :param texts: its lines as text, of which those in a quoted cell are one line.
    :param before: the number of lines above them.
    """
    taken: list[str] = []
    reader = csv.reader(_record(texts, taken), delimiter=delimiter, strict=True)
    while True:
        line = before + reader.line_num + 1
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            text = "".join(taken).rstrip("\r\n")
            problem = _csv_problem(error, line, before + reader.line_num)
            yield RawLine(line, problem=problem, text=text)
            continue
        yield RawLine(line, cells)


def _csv_problem(error: csv.Error, line: int, last: int) -> str:
    """Return the problem of a line, whose quoted cells may reach to a later one, the last."""
    if str(error) == "unexpected end of data":
        reach = f": lines {line} to {last}, the rest of the file, are one cell"
        return f"is not CSV: a quote is never closed{reach if last > line else ''}"
    reach = f"; quoted text reaches from line {line} to line {last}"
    return f"is not CSV: {error}{reach if last > line else ''}"


def _record(texts: Iterable[str], taken: list[str]) -> Iterator[str]:
    """Yield texts, and add each to a list."""
    for text in texts:
        taken.append(text)
        yield text


def read_line(stream: TextIO) -> str:
    """Return the next line of text; empty at the end.

    :raises UnreadableFile: if it is too long.
    """
    line = stream.readline(MAX_LINE_CHARACTERS + 1)
    if len(line) > MAX_LINE_CHARACTERS:
        raise UnreadableFile(f"a line has more than {MAX_LINE_CHARACTERS:,} characters")
    return line


def is_blank(cells: Sequence[Cell], width: int) -> bool:
    """Return whether a line is empty, or only spaces. One with 0 or FALSE of a workbook is not.

    In a file of one column, ``""`` is not empty: a blank line is written without quotes.
    """
    if len(cells) == 1:
        return width > 1 and not str(cells[0]).strip()
    return not any(cells) and 0 not in cells


def width_problem(cells: int, width: int) -> str:
    """Return the problem of a line whose number of cells differs from that of the header."""
    return f"has {cells} cells, but the header has {width}"


def rest_of(stream: TextIO) -> Iterator[str]:
    """Yield the lines of text that follow.

    :raises UnreadableFile: if one is too long.
    """
    while line := read_line(stream):
        yield line


def header_line(schema: JsonSchema) -> str:
    """Return the header line of a CSV file for a schema; empty if the schema names no members."""
    return csv_line(Members(schema).names).lstrip()


def _unescape(raw: RawLine) -> RawLine:
    """Return a line of a corrected file of problems with the cells of the original file."""
    cells = [unescape_formula(cell) if isinstance(cell, str) else cell for cell in raw.cells]
    return raw._replace(cells=cells)


def _closing(stream: TextIO, lines: Iterator[RawLine]) -> Iterator[RawLine]:
    with stream:
        yield from lines


def _delimiter(first: str) -> str:
    return max(DELIMITERS, key=_QUOTED.sub("", first).count)


def _line_below(line: int, cells: Sequence[str]) -> int:
    return line + 1 + sum(len(_LINE_BREAK.findall(cell)) for cell in cells)
