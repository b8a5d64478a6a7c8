"""Rows as the input that a model was fitted on: a frame, an array, texts or objects.

How a row is converted does not depend on the other rows. If a value does not fit the type of its
column, such as a missing one among integers, the column gets another type, as in pandas;
:func:`row_grouper` keeps such rows apart from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.errors import InvalidInput
from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.model import Row
from mlmodel.schema.coercion import WHOLE
from mlmodel.schema.messages import pointer_to

#: Doubles hold each integer up to here.
LARGEST_EXACT = 2**53

#: From rows to the input of the model's methods.
Builder = Callable[[Sequence[Row]], Any]
#: From JSON values to the type of each one's column; ``None`` if all types are the same.
TypeKeys = Callable[[list[Any]], list[Hashable] | None]
#: From JSON values, ``None`` for a missing one, to a column.
Convert = Callable[[list[Any]], Any]


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
            raise self._wrong(values) from error

    def values(self, rows: Sequence[Row]) -> list[Any]:
        """Return the values of this column, ``None`` for missing ones."""
        if self.filler is not None:
            return [self.filler] * len(rows)
        return [row.get(self.name) for row in rows]

    def _wrong(self, values: list[Any]) -> InvalidInput:
        detail, at = "is outside what this model can hold", 0
        for place, value in enumerate(values):
            try:
                self.convert([value])
            except (ValueError, TypeError, OverflowError) as error:
                at = place
                detail = f"must be {error}" if isinstance(error, dtypes.Unreadable) else detail
                break
        return InvalidInput(detail, pointer_to([self.name])).at(at)


def row_grouper(cells: Sequence[Cells]) -> Callable[[Sequence[Row]], list[list[int]]]:
    """Return the function that groups the indices of rows that may share a table."""
    members = [
        (cell.name, cell.type_keys) for cell in cells if cell.type_keys and cell.filler is None
    ]

    def group(rows: Sequence[Row]) -> list[list[int]]:
        by_member = (
            type_keys([row.get(name) for row in rows])
            for name, type_keys in (members if len(rows) > 1 else ())
        )
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
        columns = {cell.label: _typed(cell.of(rows), index) for cell in cells}
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
        # An array has one type: beside texts, numbers are objects too.
        return lambda rows: _narrowed(_objects([cell.of(rows) for cell in cells], len(rows)))
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
        # numpy converts None to NaN in floats.
        return np.array(_lines(rows), dtype=dtype).reshape(len(rows), len(names))

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


def _exact(cells: Sequence[Cells], build: Builder) -> Builder:
    """Return the function from rows to doubles that rejects integers beyond 53 bits."""
    whole = [cell.name for cell in cells if isinstance(cell.convert, Whole)]

    def checked(rows: Sequence[Row]) -> Any:
        for at, row in enumerate(rows):
            for name in whole:
                value = row.get(name)
                if type(value) is int and abs(value) > LARGEST_EXACT:
                    detail = f"must be at most {LARGEST_EXACT} beside columns of floats"
                    raise InvalidInput(detail, pointer_to([name])).at(at)
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


def converter(schema: Mapping[str, Any]) -> Convert:
    """Return the function that makes a column of JSON values, as their schema requires.

    :raises TypeError: if pandas has no such type.
    """
    dtype, form = str(schema.get("x-dtype", "")), keyword(schema, "format")
    if dtype == "category":
        return _categories(schema)
    if dtype == "object" and form == "date":
        dtype = "object[date]"  # in files of earlier releases
    if not dtype.startswith("object") and form in ("date", "date-time", "date-time-local"):
        return dtypes.time_builder(dtype)
    special = Whole(dtype) if WHOLE.fullmatch(dtype) else _SPECIAL.get(dtype)
    if special is not None:
        return special
    if dtype:
        is_local = form == "date-time-local"
        return dtypes.column_builder(dtype, str(schema.get("x-missing", "")), is_local=is_local)
    types = _types(schema)
    return _plain_converter(types.pop()) if len(types) == 1 else mixed_values


def _plain_converter(kind: str) -> Convert:
    if kind == "string":
        return dtypes.column_builder(str(dtypes.TEXT), "NaN")
    return Whole("int64") if kind == "integer" else _PLAIN.get(kind, mixed_values)


def keyword(schema: Mapping[str, Any], word: str) -> Any:
    """Return the value of a keyword in a schema or in the first alternative that has it."""
    parts = [schema, *schema.get("anyOf", ())]
    return next((part[word] for part in parts if word in part), None)


def type_keys_of(convert: Convert) -> TypeKeys | None:
    """Return the function that returns the column types of values, see :class:`Cells`."""
    if isinstance(convert, Whole | dtypes.Categorical):
        return convert.type_keys
    return _TYPE_KEYS.get(convert)


@dataclass(frozen=True)
class Floats:
    """Makes a column of floats of a type, with NaN for missing values."""

    dtype: str

    def __call__(self, values: list[Any]) -> Any:
        """Return the column."""
        return np.array([np.nan if value is None else value for value in values], dtype=self.dtype)


numbers = Floats("float64")


class Whole:
    """Makes a column of integers of a type, or of wider ones or floats if needed."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        limits = np.iinfo(dtype)
        self._least, self._most = int(limits.min), int(limits.max)

    def __call__(self, values: list[Any]) -> Any:
        """Return the column: of floats if a value is missing, or has a fraction or 20 digits."""
        if not all(map(_is_whole, values)):
            return numbers(values)
        whole = list(map(int, values))
        for dtype in (self._dtype, "int64"):
            with suppress(OverflowError):
                return np.array(whole, dtype=dtype)
        return np.array(whole, dtype=float)

    def type_keys(self, values: list[Any]) -> list[Hashable] | None:
        """Return the column type that each value needs; ``None`` if all need this one."""
        if (
            set(map(type, values)) == {int}
            and self._least <= min(values) <= max(values) <= self._most
        ):
            return None
        return [self._type_key(value) for value in values]

    def _type_key(self, value: Any) -> Hashable:
        if _is_whole(value) and self._least <= value <= self._most:
            return self._dtype
        return str(self([value]).dtype)


def booleans(values: list[Any]) -> Any:
    """Return a column of booleans, or of objects if one is missing."""
    if None in values:
        return _objects_or_nan(values)
    return np.array(values, dtype=bool)


def mixed_values(values: list[Any]) -> Any:
    """Return a column of floats if all are numbers, otherwise of objects."""
    if values and all(map(_is_number, values)):
        return numbers(values)
    return _objects_or_nan(values)


def _type_keys_of_booleans(values: list[Any]) -> list[Hashable] | None:
    return [value is None for value in values] if None in values else None


def _type_keys_of_mixed(values: list[Any]) -> list[Hashable]:
    return list(map(_is_number, values))


_TYPE_KEYS: Mapping[Convert, TypeKeys] = {
    booleans: _type_keys_of_booleans,
    mixed_values: _type_keys_of_mixed,
}

#: Makes a column of Python objects, with NaN for missing values.
_objects_or_nan = dtypes.column_builder("object", "NaN")

#: Converters of columns that an array holds as doubles.
_NUMERIC = (numbers, booleans)
_PLAIN: Mapping[str, Convert] = {"number": numbers, "boolean": booleans}
_SPECIAL: Mapping[str, Convert] = {
    **{dtype: Floats(dtype) for dtype in ("float16", "float32", "float64")},
    "bool": booleans,
}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _float_of(cells: Sequence[Cells]) -> Any:
    convert = cells[0].convert
    return convert.dtype if isinstance(convert, Floats) else float


def _typed(column: Any, index: pd.Index) -> Any:
    """Return a column that a frame does not convert: it would turn objects into strings."""
    if isinstance(column, np.ndarray) and column.dtype == object:
        return pd.Series(column, index=index, dtype=object)
    return column


def _categories(schema: Mapping[str, Any]) -> Convert:
    """Return the function that makes a column of categories."""
    stored = keyword(schema, "x-categories")
    if stored is not None:
        values, dtype = tuple(stored["values"]), str(stored["dtype"])
        return dtypes.Categorical(dtypes.Categories(values, dtype, bool(stored.get("ordered"))))
    known = keyword(schema, "enum") or schema.get("examples")
    if known is None:
        inferred: Convert = pd.Categorical
        return inferred
    return dtypes.Categorical(dtypes.implied_categories(tuple(known)))


def _narrowed(table: Any) -> Any:
    are_numbers = all(isinstance(value, int | float) for value in table.flat)
    return table.astype(float) if are_numbers else table


def _objects(columns: Sequence[Any], count: int) -> Any:
    table = np.empty((count, len(columns)), dtype=object)
    for at, column in enumerate(columns):
        table[:, at] = np.asarray(column, dtype=object)
    return table


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Return the types of values other than null."""
    found: set[str] = set()
    for part in [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        types = part.get("type", [])
        found.update([types] if isinstance(types, str) else types)
        found.update(_type_of(value) for value in part.get("enum", ()))
    found -= {"null"}
    return {"number"} if found == {"number", "integer"} else found


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")
