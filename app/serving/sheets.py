"""CSV files: their columns beside a model's input schema, and their lines as rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from app.serving.cells import NOT_GIVEN, Column, Members, guarded, unguarded
from mlmodel.errors import InvalidInput
from mlmodel.references import JsonSchema

#: What may stand between the cells of a line; the one that the header has most often does.
DELIMITERS = ",;\t"
#: Columns that a file may have beyond as many as the schema names members.
MAX_OTHERS = 1_000


@dataclass(frozen=True)
class Line:
    """One line of a sheet, counted from 1: its cells, or the problem why it has none.

    There is a cell for each of the sheet's columns. One that is part of the row is a value, or
    ``NOT_GIVEN``; any other is the text that it is.
    """

    line: int
    cells: tuple[Any, ...] | None = None
    problem: str = ""

    @property
    def values(self) -> list[Any] | None:
        """The cells as JSON has them: null where nothing is given."""
        if self.cells is None:
            return None
        return [None if cell is NOT_GIVEN else cell for cell in self.cells]

    @property
    def blank(self) -> list[int]:
        """The places, from 0, of the cells that give nothing."""
        return [place for place, cell in enumerate(self.cells or ()) if cell is NOT_GIVEN]


class Sheet:
    """A CSV file with a header, read as its lines are taken.

    A cell becomes what its column's schema allows: a number, true or false, null, one of the
    choices, JSON for a list or an object; a text otherwise. An empty cell is null where the column
    may be null, and else not given. Whether a row is right is for the schema to say.
    """

    def __init__(self, stream: TextIO, schema: JsonSchema, *, with_others: bool = False) -> None:
        """Read the header.

        :param stream: opened with ``newline=""``.
        :param schema: of a row; its references must lead somewhere.
        :param with_others: whether the columns that the schema does not name go into the rows.
        :raises InvalidInput: if the first line names no columns, too many, or one of them twice.
        """
        first = stream.readline()
        self._reader = csv.reader(_chain(first, stream), delimiter=_delimiter(first), strict=True)
        self._members = Members(schema)
        #: The columns' names; a column without one is the numbering that pandas writes.
        self.names = _names(self._header(), MAX_OTHERS + len(self._members.names))
        self._columns = [
            Column(name, schema) if name and (with_others or self._members.has(name)) else None
            for name in self.names
        ]

    @property
    def known(self) -> list[str]:
        """The columns that are part of a row."""
        return [column.name for column in self._columns if column]

    @property
    def unknown(self) -> list[str]:
        """The columns that are not, but have a name."""
        pairs = zip(self.names, self._columns, strict=True)
        return [name for name, column in pairs if name and not column]

    @property
    def missing(self) -> dict[str, bool]:
        """The members that have no column, and whether a row must have them."""
        present = set(self.names)
        absent = [name for name in self._members.names if name not in present]
        return {name: name in self._members.required for name in absent}

    def lines(self) -> Iterator[Line]:
        """Yield the lines below the header; empty ones are passed over."""
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(line, problem=f"is not CSV: {error}")
                continue
            if cells:
                yield self._line(line, cells)

    def row(self, line: Line) -> dict[str, Any] | None:
        """Return the row of one of the sheet's lines; ``None`` if the line has a problem."""
        if line.cells is None:
            return None
        pairs = zip(self._columns, line.cells, strict=True)
        return {column.name: cell for column, cell in pairs if column and cell is not NOT_GIVEN}

    def _header(self) -> list[str]:
        try:
            return next(self._reader, [])
        except csv.Error as error:
            raise InvalidInput(f"line 1 is not CSV: {error}") from error

    def _line(self, line: int, cells: Sequence[str]) -> Line:
        if len(cells) != len(self.names):
            problem = f"has {len(cells)} cells, the header has {len(self.names)}"
            return Line(line, problem=problem)
        pairs = zip(self._columns, cells, strict=True)
        return Line(line, tuple(column.value(cell) if column else cell for column, cell in pairs))


def header(schema: JsonSchema) -> str:
    """Return the first line of a CSV file for a schema's rows; empty where it names no members."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(guarded, Members(schema).names))
    return text.getvalue().lstrip()


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(first: str) -> str:
    return max(DELIMITERS, key=first.count)


def _names(cells: Sequence[str], most: int) -> list[str]:
    if len(cells) > most:
        raise InvalidInput(f"line 1 must name at most {most:,} columns, got {len(cells):,}")
    names = [unguarded(name.strip()) for name in cells]
    if not any(names):
        raise InvalidInput("line 1 must name the columns")
    counted = Counter(filter(None, names))
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        raise InvalidInput(f"line 1 names the column {min(twice)!r:.100} more than once")
    return names
