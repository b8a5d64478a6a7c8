"""Rows as what a model was fitted on: a frame of the right types, an array, texts or objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.errors import InvalidInput
from mlmodel.model import Row

#: numpy's types of whole numbers, which have no missing one.
WHOLE = re.compile(r"u?int(8|16|32|64)")

#: From rows to what the model's own methods take.
Builder = Callable[[Sequence[Row]], Any]


@dataclass(frozen=True)
class Cells:
    """One column of a table, made of a row's member.

    ``name`` is the member's, ``label`` the table's. ``convert`` makes a column of values, in which
    ``None`` is what is missing. A ``filler`` is the value of a column that the model does not
    read, whatever the rows have there. ``plain`` is a value that the model most likely takes.
    """

    name: str
    label: str
    convert: Callable[[list[Any]], Any]
    filler: Any = None
    plain: Any = None

    def of(self, rows: Sequence[Row]) -> Any:
        """Return the column.

        :raises InvalidInput: if a value is none that such a column can hold.
        """
        values = self.values(rows)
        try:
            return self.convert(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._wrong(values) from error

    def values(self, rows: Sequence[Row]) -> list[Any]:
        """Return what the rows have in this column, ``None`` where it is missing."""
        if self.filler is not None:
            return [self.filler] * len(rows)
        return [row.get(self.name) for row in rows]

    def _wrong(self, values: list[Any]) -> InvalidInput:
        detail = "is outside what this model can hold"
        for at, value in enumerate(values):
            try:
                self.convert([value])
            except (ValueError, TypeError, OverflowError):
                return InvalidInput(f"{self.name} {detail}", f"/{self.name}").at(at)
        return InvalidInput(f"{self.name} {detail}", f"/{self.name}")


def are_numbers(cells: Sequence[Cells]) -> bool:
    """Tell whether all columns are of floats."""
    return all(cell.convert is numbers for cell in cells)


def frames(cells: Sequence[Cells]) -> Builder:
    """Return the way from rows to a data frame."""
    labels = [cell.label for cell in cells]
    if are_numbers(cells):
        flat = _matrix(cells, float)
        return lambda rows: pd.DataFrame(flat(rows), columns=labels)
    return lambda rows: pd.DataFrame({cell.label: cell.of(rows) for cell in cells}, columns=labels)


def arrays(cells: Sequence[Cells]) -> Builder:
    """Return the way from rows to an array: of numbers, if all are such."""
    if all(cell.convert in (numbers, integers, booleans) for cell in cells):
        return _matrix(cells, float)
    if any(cell.convert is anything for cell in cells):
        # An array has one type: with a text in it, its numbers are objects too.
        return lambda rows: _narrowed(_objects([cell.of(rows) for cell in cells], len(rows)))
    return lambda rows: _objects([cell.of(rows) for cell in cells], len(rows))


def texts(cells: Sequence[Cells]) -> Builder:
    """Return the way from rows to a list of the values of their one column."""
    (cell,) = cells
    return lambda rows: list(cell.of(rows))


def records(_cells: Sequence[Cells]) -> Builder:
    """Return the way from rows to objects, without the members that are missing."""
    return lambda rows: [
        {name: value for name, value in row.items() if value is not None} for row in rows
    ]


def converter(schema: Mapping[str, Any]) -> Callable[[list[Any]], Any]:
    """Return what makes a column of JSON values, as its schema says."""
    dtype, form = str(schema.get("x-dtype", "")), _word(schema, "format")
    if dtype == "category":
        return _categories(_word(schema, "enum") or schema.get("examples"))
    if form in ("date", "date-time"):
        return _days if dtype == "object" else _moments(dtype)
    if WHOLE.fullmatch(dtype):
        return _whole(dtype)
    if dtype and dtype != "object":
        return lambda values: pd.array(values, dtype=pd.api.types.pandas_dtype(dtype))
    if dtype == "object":
        return objects_or_none
    types = _types(schema)
    plain = {"number": numbers, "integer": integers, "boolean": booleans, "string": objects}
    return plain.get(types.pop(), anything) if len(types) == 1 else anything


def numbers(values: list[Any]) -> Any:
    """Return a column of floats; NaN is what is missing."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def integers(values: list[Any]) -> Any:
    """Return a column of whole numbers; of floats, if one is missing or has 20 digits."""
    if None in values:
        return numbers(values)
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return numbers(values)


def _whole(dtype: str) -> Callable[[list[Any]], Any]:
    """Return what makes a column of whole numbers of a type, or of more bytes where it must."""

    def convert(values: list[Any]) -> Any:
        try:
            return integers(values) if None in values else np.array(values, dtype=dtype)
        except OverflowError:
            return integers(values)

    return convert


def booleans(values: list[Any]) -> Any:
    """Return a column of booleans; of objects, if one is missing."""
    return objects(values) if None in values else np.array(values, dtype=bool)


def objects(values: list[Any]) -> Any:
    """Return a column of whatever it is; NaN is what is missing."""
    return objects_or_none([np.nan if value is None else value for value in values])


def anything(values: list[Any]) -> Any:
    """Return a column of floats, if all are numbers; of objects otherwise."""
    known = [value for value in values if value is not None]
    are_numbers = all(type(value) in (int, float) for value in known)
    return numbers(values) if known and are_numbers else objects(values)


def objects_or_none(values: list[Any]) -> Any:
    """Return a column of whatever it is; ``None`` is what is missing."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _categories(known: Sequence[Any] | None) -> Callable[[list[Any]], Any]:
    """Return what makes a column of categories. What is none of them is missing."""
    if known is None:
        as_they_come: Callable[[list[Any]], Any] = pd.Categorical
        return as_they_come
    whole = pd.CategoricalDtype(list(known))
    names = set(known)
    return lambda values: pd.Categorical(
        [value if value in names else None for value in values], dtype=whole
    )


def _days(values: list[Any]) -> Any:
    return objects_or_none([value and date.fromisoformat(value) for value in values])


def _moments(dtype: str) -> Callable[[list[Any]], Any]:
    """Return what makes a column of moments; a type without a time zone means UTC."""
    aware = "," in dtype

    def convert(values: list[Any]) -> Any:
        moments = pd.to_datetime(pd.Series(values, dtype=object), utc=True, format="ISO8601")
        plain = moments if aware else moments.dt.tz_localize(None)
        return plain.astype(dtype) if dtype else plain

    return convert


def _matrix(cells: Sequence[Cells], dtype: Any) -> Builder:
    names = [cell.name for cell in cells]
    fillers = {at: cell.filler for at, cell in enumerate(cells) if cell.filler is not None}
    # One name alone would give a value instead of a list of one.
    whole = itemgetter(*names) if len(names) > 1 and not fillers else None

    def build(rows: Sequence[Row]) -> Any:
        # numpy reads None as NaN where it makes floats.
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


def _narrowed(table: Any) -> Any:
    are_numbers = all(isinstance(value, int | float) for value in table.flat)
    return table.astype(float) if are_numbers else table


def _objects(columns: Sequence[Any], count: int) -> Any:
    table = np.empty((count, len(columns)), dtype=object)
    for at, column in enumerate(columns):
        table[:, at] = np.asarray(column, dtype=object)
    return table


def _word(schema: Mapping[str, Any], word: str) -> Any:
    """Return what a schema, or the first alternative that says so, has for a keyword."""
    parts = [schema, *schema.get("anyOf", ())]
    return next((part[word] for part in parts if word in part), None)


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Return the types that values may be of, but for null."""
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
