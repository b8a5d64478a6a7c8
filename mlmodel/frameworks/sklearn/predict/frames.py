"""Rows as the input that a model was fitted on: a frame, an array, texts or objects.

How a row is converted does not depend on the other rows. If a value does not fit the type of its
column, such as a missing one among integers, the column gets another type, as in pandas;
:func:`row_grouper` keeps such rows apart from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.errors import InvalidInput
from mlmodel.frameworks.sklearn.predict.column_values import (
    Convert,
    Floats,
    TypeKeys,
    Whole,
    booleans,
    mixed_values,
    numbers,
)
from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.model import Row
from mlmodel.schema.messages import to_pointer
from mlmodel.schema.rows import Table, get_values

#: Doubles hold each integer up to here.
LARGEST_EXACT = 2**53

#: From rows to the input of the model's methods.
Builder = Callable[[Sequence[Row]], Any]


@dataclass(frozen=True)
class Cells:
    """One column of a table, made from a member of rows.

    ``name`` is the member's, ``label`` the column's. ``convert`` makes a column of values, in which
    ``None`` is a missing one. ``filler`` is the value of a column that the model ignores.
    ``plain`` is a value that the model most likely accepts. ``type_keys`` returns the column type
    that each value needs; ``None`` if all need the same.
    """

    name: str
    label: str
    convert: Convert
    filler: Any = None
    plain: Any = None
    type_keys: TypeKeys | None = None

    def of(self, rows: Sequence[Row]) -> Any:
        """Return the column.

        :raises InvalidInput: if the column cannot hold a value.
        """
        values = self.values(rows)
        try:
            return self.convert(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._to_invalid_input(values) from error

    def values(self, rows: Sequence[Row]) -> list[Any]:
        """Return the values of this column, ``None`` for missing ones."""
        if self.filler is not None:
            return [self.filler] * len(rows)
        return get_values(rows, self.name)

    def _to_invalid_input(self, values: list[Any]) -> InvalidInput:
        detail, at = "does not fit the type of this column", 0
        for place, value in enumerate(values):
            try:
                self.convert([value])
            except (ValueError, TypeError, OverflowError) as error:
                at = place
                detail = f"must be {error}" if isinstance(error, dtypes.Unreadable) else detail
                break
        return InvalidInput(detail, to_pointer([self.name])).at(at)


def row_grouper(cells: Sequence[Cells]) -> Callable[[Sequence[Row]], list[list[int]]]:
    """Return the function that groups the indices of rows that may share a table."""
    members = [
        (cell.name, cell.type_keys) for cell in cells if cell.type_keys and cell.filler is None
    ]

    def group(rows: Sequence[Row]) -> list[list[int]]:
        by_member = (type_keys(get_values(rows, name)) for name, type_keys in members)
        keys = [each for each in by_member if each is not None]
        if not keys:
            return [list(range(len(rows)))]
        found: dict[Hashable, list[int]] = {}
        for at, key in enumerate(zip(*keys, strict=True)):
            found.setdefault(key, []).append(at)
        return list(found.values())

    return group


def are_floats(cells: Sequence[Cells]) -> bool:
    """Return whether all columns are of floats of one type."""
    return len({cell.convert for cell in cells}) == 1 and isinstance(cells[0].convert, Floats)


def frame_builder(cells: Sequence[Cells]) -> Builder:
    """Return the function from rows to a data frame."""
    labels = [cell.label for cell in cells]
    if are_floats(cells):
        flat = column_major_builder(cells)
        return lambda rows: pd.DataFrame(flat(rows), columns=labels)

    def build(rows: Sequence[Row]) -> Any:
        index = pd.RangeIndex(len(rows))
        columns = {cell.label: _with_type(cell.of(rows), index) for cell in cells}
        return pd.DataFrame(columns, index=index, columns=labels)

    return build


def column_major_builder(cells: Sequence[Cells]) -> Builder:
    """Return the function from rows to an array in the memory order of a frame's columns.

    In another memory order, matrices are multiplied in another order, and the last digit differs.
    """
    flat = matrix_builder([(cell.name, cell.filler) for cell in cells], _float_of(cells))
    return lambda rows: np.asfortranarray(flat(rows))


def array_builder(cells: Sequence[Cells]) -> Builder:
    """Return the function from rows to an array: of numbers if all columns are numbers."""
    if are_floats(cells):
        return matrix_builder([(cell.name, cell.filler) for cell in cells], _float_of(cells))
    if all(isinstance(cell.convert, Whole) for cell in cells):
        # Integers of one type stay integers: doubles hold only 53 bits.
        return lambda rows: np.column_stack([cell.of(rows) for cell in cells])
    if all(cell.convert in _NUMERIC or isinstance(cell.convert, Whole) for cell in cells):
        return _exact(cells, matrix_builder([(cell.name, cell.filler) for cell in cells], float))
    if any(cell.convert is mixed_values for cell in cells):
        # An array has one type: together with texts, numbers are objects too.
        return lambda rows: _narrow(_objects([cell.of(rows) for cell in cells], len(rows)))
    return lambda rows: _objects([cell.of(rows) for cell in cells], len(rows))


def matrix_builder(columns: Sequence[tuple[str, Any]], dtype: Any) -> Builder:
    """Return the function from rows to an array of numbers, with NaN for missing ones.

    :param columns: the members of a row, each with the value that replaces the row's, or ``None``.
    """
    names = [name for name, _ in columns]
    fillers = {at: filler for at, (_, filler) in enumerate(columns) if filler is not None}
    # A single name would give a value instead of a list of one.
    whole = itemgetter(*names) if len(names) > 1 and not fillers else None

    def build(rows: Sequence[Row]) -> Any:
        if isinstance(rows, Table) and not fillers:
            columns = [rows.columns.get(name) for name in names]
            if all(isinstance(each, np.ndarray) for each in columns):
                return _matrix(columns, dtype)
        return _from_lines(_lines(rows), len(names), dtype)

    def _lines(rows: Sequence[Row]) -> list[Any]:
        if whole is not None:
            with suppress(KeyError):
                return list(map(whole, rows))
        lines = [[row.get(name) for name in names] for row in rows]
        for values in lines if fillers else ():
            for at, filler in fillers.items():
                values[at] = filler
        return lines

    return build


def _from_lines(lines: Sequence[Any], width: int, dtype: Any) -> Any:
    """Return an array of rows of values, with NaN for ``None``."""
    if len(lines) == 1:
        return np.array(lines, dtype)
    values = np.fromiter(chain.from_iterable(lines), dtype, len(lines) * width)
    return values.reshape(len(lines), width)


def _matrix(columns: Sequence[Any], dtype: Any) -> Any:
    """Return an array of columns in the memory order of rows."""
    matrix = np.empty((len(columns[0]), len(columns)), dtype)
    for at, column in enumerate(columns):
        matrix[:, at] = column
    return matrix


def _exact(cells: Sequence[Cells], build: Builder) -> Builder:
    """Return the function from rows to doubles that rejects integers beyond 53 bits."""
    whole = [cell.name for cell in cells if isinstance(cell.convert, Whole)]

    def checked(rows: Sequence[Row]) -> Any:
        for at, row in enumerate(rows):
            for name in whole:
                value = row.get(name)
                if type(value) is int and abs(value) > LARGEST_EXACT:
                    detail = f"must be at most {LARGEST_EXACT} next to columns of floats"
                    raise InvalidInput(detail, to_pointer([name])).at(at)
        return build(rows)

    return checked if whole else build


def text_builder(cells: Sequence[Cells]) -> Builder:
    """Return the function from rows to a list of the values of their one column."""
    (cell,) = cells
    return lambda rows: list(cell.of(rows))


def record_builder(_cells: Sequence[Cells]) -> Builder:
    """Return the function from rows to objects without missing members."""
    return lambda rows: [
        {name: value for name, value in row.items() if value is not None} for row in rows
    ]


#: Converters of columns that an array holds as doubles.
_NUMERIC = (numbers, booleans)


def _float_of(cells: Sequence[Cells]) -> Any:
    convert = cells[0].convert
    return convert.dtype if isinstance(convert, Floats) else float


def _with_type(column: Any, index: pd.Index) -> Any:
    """Return a column that a frame does not convert: it would turn objects into strings."""
    if isinstance(column, np.ndarray) and column.dtype == object:
        return pd.Series(column, index=index, dtype=object)
    return column


def _narrow(table: Any) -> Any:
    are_numbers = all(isinstance(value, int | float) for value in table.flat)
    return table.astype(float) if are_numbers else table


def _objects(columns: Sequence[Any], count: int) -> Any:
    table = np.empty((count, len(columns)), dtype=object)
    for at, column in enumerate(columns):
        table[:, at] = np.asarray(column, dtype=object)
    return table
