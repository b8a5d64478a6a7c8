"""Conversion of columns of text to rows, by the rules of :class:`.csv_cells.Column`.

Only plain numbers are converted in bulk. Of any other cell, each distinct text is converted once,
by the rules themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.serving.tables.csv_cells import NOT_GIVEN, Column, Members
from mlmodel.schema.rows import Table, to_list
from mlmodel.schema.subschemas import JsonSchema
from mlmodel.schema.texts.numerals import JSON_NUMBER, POINT

_NUMBER = f"^(?:{JSON_NUMBER.pattern})$".replace(r"\d", "[0-9]")
_WHOLE = "^-?[0-9]+$"
#: Digits that fit 64 bits.
MAX_DIGITS = 18


class CellColumns:
    """The columns of a CSV file whose cells form rows.

    :param names: of the columns, see :func:`.headers.column_names`.
    :param schema: of a row; its references must be resolvable.
    :param decimal: the decimal mark; empty if unknown.
    """

    def __init__(self, names: Sequence[str], schema: JsonSchema, decimal: str) -> None:
        members = Members(schema)
        self._columns = [members.column(name) if members.has(name) else None for name in names]
        self._decimal = decimal

    def rows(self, cells: Sequence[pa.ChunkedArray]) -> list[dict[str, Any]]:
        """Return the rows of columns of text, which have no nulls."""
        columns: dict[str, Sequence[Any]] = {}
        gaps = []
        for column, texts in zip(self._columns, cells, strict=True):
            if column is None:
                continue
            values, is_complete = _convert(column, texts.combine_chunks(), self._decimal)
            columns[column.name] = values
            if not is_complete:
                gaps += [(at, column.name) for at, each in enumerate(values) if each is NOT_GIVEN]
        count = len(cells[0]) if cells else 0
        rows = Table.build(count, columns)
        for at, name in gaps:
            del rows[at][name]
        return list(rows) if gaps else rows


def _convert(column: Column, texts: Any, decimal: str) -> tuple[Sequence[Any], bool]:
    """Return the values, and whether it is certain that none is ``NOT_GIVEN``."""
    if not column.is_plain or decimal != POINT:
        return _convert_distinct(column, texts, decimal), False
    is_number = pc.match_substring_regex(texts, _NUMBER)
    if pc.all(is_number).as_py() is not False:
        return _convert_numbers(column, texts), True
    numbers = iter(to_list(_convert_numbers(column, texts.filter(is_number))))
    others = iter(_convert_distinct(column, texts.filter(pc.invert(is_number)), decimal))
    return [next(numbers) if each else next(others) for each in is_number.to_pylist()], False


def _convert_numbers(column: Column, texts: Any) -> Sequence[Any]:
    """Return the values: an array if all are floats."""
    is_whole = pc.invert(pc.match_substring(texts, POINT))
    if pc.any(is_whole).as_py():  # the expression takes five times as long
        is_whole = pc.match_substring_regex(texts, _WHOLE)
    whole = texts.filter(is_whole)
    if len(whole) and pc.max(pc.utf8_length(whole)).as_py() > MAX_DIGITS:
        return _convert_distinct(column, texts, POINT)
    if len(whole) == len(texts):
        return whole.cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]
    floats = texts.cast(pa.float64())
    if not pc.all(pc.is_finite(floats)).as_py():
        return _convert_distinct(column, texts, POINT)
    if not len(whole):
        return floats.to_numpy()  # type: ignore[no-any-return]
    values: list[Any] = floats.to_pylist()
    for at, value in zip(
        pc.indices_nonzero(is_whole).to_pylist(), whole.cast(pa.int64()).to_pylist(), strict=True
    ):
        values[at] = value
    return values


def _convert_distinct(column: Column, texts: Any, decimal: str) -> list[Any]:
    encoded = texts.dictionary_encode()
    values = [column.value(text, decimal) for text in encoded.dictionary.to_pylist()]
    found = [values[at] for at in encoded.indices.to_pylist()]
    # A model may change its rows. Of other values, the identity counts: see NOT_GIVEN.
    return [copy.deepcopy(each) if isinstance(each, dict | list) else each for each in found]
