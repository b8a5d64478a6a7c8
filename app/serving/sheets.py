"""CSV files: their columns beside a model's input schema, and their lines as rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from app.serving.cells import NOT_GIVEN, Column, Members
from mlmodel.errors import InvalidInput
from mlmodel.references import JsonSchema

#: What may stand between the cells of a line; the one that the header has most often does.
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Line:
    """One line of a sheet, counted from 1: its row, or the problem why it has none.

    ``others`` are the cells of columns that are no part of the row, as they stand.
    """

    line: int
    row: dict[str, Any] | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


class Sheet:
    """A CSV file with a header, read as its lines are taken.

    A cell becomes what its column's schema allows: a number, true or false, null, one of the
    choices, JSON for a list or an object; a text otherwise. An empty cell is null where the column
    may be null, and else not given. Whether a row is right is for the schema to say.
    """

    def __init__(self, stream: TextIO, schema: JsonSchema) -> None:
        """Read the header.

        :param stream: opened with ``newline=""``.
        :param schema: of a row; its references must lead somewhere.
        :raises InvalidInput: if the first line names no columns, or one of them twice.
        """
        first = stream.readline()
        self._reader = csv.reader(_chain(first, stream), delimiter=_delimiter(first), strict=True)
        #: The columns' names; a column without one is the numbering that pandas writes.
        self.names = _names(self._header())
        self._columns = [Column(name, schema) for name in self.names]
        self._members = Members(schema)

    @property
    def known(self) -> list[str]:
        """The columns that are part of a row."""
        return [name for name in self.names if self._members.has(name)]

    @property
    def unknown(self) -> list[str]:
        """The columns that the schema does not name."""
        return [name for name in self.names if name and not self._members.has(name)]

    @property
    def missing(self) -> dict[str, bool]:
        """The members that have no column, and whether a row must have them."""
        absent = [name for name in self._members.names if name not in self.names]
        return {name: name in self._members.required for name in absent}

    def lines(self, *, with_others: bool = False) -> Iterator[Line]:
        """Yield the lines below the header; empty ones are passed over.

        :param with_others: whether the columns that the schema does not name go into the rows.
        """
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
                yield self._line(line, cells, with_others)

    def _header(self) -> list[str]:
        try:
            return next(self._reader, [])
        except csv.Error as error:
            raise InvalidInput(f"line 1 is not CSV: {error}") from error

    def _line(self, line: int, cells: Sequence[str], with_others: bool) -> Line:
        if len(cells) != len(self.names):
            problem = f"has {len(cells)} cells, the header has {len(self.names)}"
            return Line(line, problem=problem)
        row, others = {}, {}
        for column, cell in zip(self._columns, cells, strict=True):
            if (with_others and column.name) or self._members.has(column.name):
                row[column.name] = column.value(cell)
            elif column.name:
                others[column.name] = cell
        given = {name: value for name, value in row.items() if value is not NOT_GIVEN}
        return Line(line, given, others)


def header(schema: JsonSchema) -> str:
    """Return the first line of a CSV file for a schema's rows; empty where it names no members."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(Members(schema).names)
    return text.getvalue().lstrip()


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(first: str) -> str:
    return max(DELIMITERS, key=first.count)


def _names(cells: Sequence[str]) -> list[str]:
    names = [name.strip() for name in cells]
    if not any(names):
        raise InvalidInput("line 1 must name the columns")
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise InvalidInput(f"line 1 names the column {min(twice)!r} more than once")
    return names
