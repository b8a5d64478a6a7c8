"""The columns of a table, and the rows that its cells form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from app.serving.tables.csv_cells import NOT_GIVEN, Cell, Column, Members, to_text
from app.serving.tables.headers import (
    PROBLEM_COLUMNS,
    check_required,
    column_names,
    find_missing,
    problem_columns,
)
from mlmodel.errors import Violation
from mlmodel.schema.subschemas import JsonSchema
from mlmodel.schema.texts.numerals import POINT

#: Columns that a file may have in addition to the members of the schema.
MAX_OTHERS = 1_000


class Columns:
    """The columns of a table, by the members of a row that their headers match."""

    def __init__(self, header: Sequence[str], schema: JsonSchema) -> None:
        """Match the headers.

        :param header: the header's cells, or the :attr:`names` of other columns.
        :param schema: of a row; its references must be resolvable.
        :raises InvalidInput: as :func:`column_names` does.
        """
        self._members = Members(schema)
        first = len(PROBLEM_COLUMNS)
        #: Whether it is a file of problems, whose rows were corrected.
        self.is_corrected = list(header[:first]) == problem_columns(header[first:], self._members)
        #: The names of the first columns in its file of problems.
        self.problem_columns = problem_columns(
            header[first if self.is_corrected else 0 :], self._members
        )
        if self.is_corrected:
            header = [*[""] * first, *header[first:]]
        #: The columns' names; a column without one is not part of the row, such as an index that
        #: pandas wrote, or one of a file of problems.
        self.names = column_names(header, self._members, MAX_OTHERS)
        #: How the cells of each column are converted; ``None`` if it is not part of the row.
        self.converters: list[Column | None] = [
            self._members.column(name) if self._members.has(name) else None for name in self.names
        ]
        self._numbers = [
            place for place, column in enumerate(self.converters) if column and column.is_number
        ]

    @property
    def known(self) -> list[str]:
        """The columns that are part of a row."""
        return [column.name for column in self.converters if column]

    @property
    def unknown(self) -> list[str]:
        """The columns that have a name but are not part of a row."""
        pairs = zip(self.names, self.converters, strict=True)
        return [name for name, column in pairs if name and not column]

    @property
    def missing(self) -> dict[str, bool]:
        """The members without a column, and whether the schema requires them."""
        present = set(self.names)
        absent = [name for name in self._members.names if name not in present]
        return {name: name in self._members.required for name in absent}

    def find_missing(self) -> list[Violation]:
        """Return a violation for each required member without a column."""
        return find_missing(self.names, self._members)

    def check_required(self) -> None:
        """Check that there is a column for each required member, as :func:`check_required` does."""
        check_required(self.names, self._members)

    def number_texts(self, cells: Sequence[Cell]) -> list[str]:
        """Return the cells of numeric columns that are text."""
        found = [cells[place] for place in self._numbers if place < len(cells)]
        return [cell for cell in found if isinstance(cell, str)]

    def values(self, cells: Sequence[Cell], decimal: str = POINT) -> tuple[Any, ...]:
        """Return the cells of a line as values, or ``NOT_GIVEN``; those of no member, as text.

        :param cells: one for each column.
        :param decimal: the decimal mark of texts; empty if unknown.
        """
        return tuple(
            column.value(cell, decimal) if column else to_cell_text(cell)
            for column, cell in zip(self.converters, cells, strict=True)
        )

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the row that the values of a line form."""
        pairs = zip(self.converters, values, strict=True)
        return {column.name: value for column, value in pairs if column and value is not NOT_GIVEN}


def to_cell_text(cell: Cell) -> str:
    """Return the text of a cell; empty for a blank one. Dates and times are in ISO 8601."""
    if isinstance(cell, datetime | time):
        return cell.isoformat()
    return "" if cell is None else to_text(cell)
