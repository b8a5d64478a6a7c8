"""Rows as the tensors of a graph.

A single row is checked in Python: each call of numpy takes longer than a few comparisons. A row
with anything unusual, such as a missing value, takes the path for many rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmodel.frameworks.sklearn.onnx.convert import (
    LARGEST,
    NAN_TEXT,
    NO_TEXT,
    NUMBERS,
    TEXTS,
    Input,
    Inputs,
)
from mlmodel.model import Row

#: From rows to a tensor of some of their members.
Build = Callable[[Sequence[Row]], NDArray[Any]]


class NotTaken(ValueError):
    """A value of the rows that the graph rejects, or a prediction that is not a finite number."""


def feeding(inputs: Inputs, dtype: Any) -> Callable[[Sequence[Row]], dict[str, NDArray[Any]]]:
    """Return the function that builds tensors from rows.

    It raises :class:`NotTaken` or another error for rows that the graph rejects.

    :param dtype: of the tensor of numbers.
    """
    builds: list[tuple[str, Build]] = []
    if inputs.numbers:
        builds.append((NUMBERS, _numbers(inputs.numbers, dtype)))
    if inputs.texts:
        builds.append((TEXTS, _texts(inputs.texts)))
    return lambda rows: {name: build(rows) for name, build in builds}


def _numbers(columns: Sequence[Input], dtype: Any) -> Build:
    pick = _picking(columns)
    whole = [at for at, each in enumerate(columns) if each.is_whole]
    array, least = np.array, -LARGEST

    def one(row: Row) -> NDArray[Any] | None:
        values = pick(row)
        if not (least <= min(values) and max(values) <= LARGEST):
            return None
        for at in whole:
            if type(values[at]) is not int:
                return None
        return array([values], dtype=dtype)

    return _building(columns, one, lambda rows: _checked(_table(rows, columns), columns, dtype))


def _texts(columns: Sequence[Input]) -> Build:
    pick = _picking(columns)
    known = [each.known for each in columns]
    shape, empty = (1, len(columns)), np.empty

    def one(row: Row) -> NDArray[Any] | None:
        words = pick(row)
        for word, choices in zip(words, known, strict=True):
            if not _is_plain(word) if choices is None else word not in choices:
                return None
        table = empty(shape, dtype=object)
        table[0] = words
        return table

    def many(rows: Sequence[Row]) -> NDArray[Any]:
        table = empty((len(rows), len(columns)), dtype=object)
        for at, column in enumerate(columns):
            table[:, at] = [_text(row, column) for row in rows]
        return table

    return _building(columns, one, many)


def _building(
    columns: Sequence[Input], one: Callable[[Row], NDArray[Any] | None], many: Build
) -> Build:
    """Return a function that tries ``one`` for a single row first, unless a column has a filler."""

    def build(rows: Sequence[Row]) -> NDArray[Any]:
        if len(rows) == 1:
            try:
                found = one(rows[0])
            except (KeyError, TypeError):  # something is missing
                found = None
            if found is not None:
                return found
        return many(rows)

    return many if any(each.filler is not None for each in columns) else build


def _picking(columns: Sequence[Input]) -> Callable[[Row], tuple[Any, ...]]:
    names = [each.name for each in columns]
    if len(names) > 1:
        return itemgetter(*names)
    (name,) = names
    return lambda row: (row[name],)


def _table(rows: Sequence[Row], columns: Sequence[Input]) -> NDArray[Any]:
    names = [each.name for each in columns]
    fillers = [(at, each.filler) for at, each in enumerate(columns) if each.filler is not None]
    table = [[row.get(name) for name in names] for row in rows]
    for values in table if fillers else ():
        for at, filler in fillers:
            values[at] = filler
    # numpy converts None to NaN when it makes floats.
    return np.array(table, dtype=float).reshape(len(rows), len(names))


def _checked(table: NDArray[Any], columns: Sequence[Input], dtype: Any) -> NDArray[Any]:
    """Return a table of numbers that the graph accepts.

    :raises NotTaken: if it rejects one of them.
    """
    missing = np.isnan(table)
    if missing.any() and missing[:, [each.absent is None for each in columns]].any():
        raise NotTaken("a number is missing")
    if not (missing | (np.abs(table) <= LARGEST)).all():
        raise NotTaken("a number is too large")
    whole = [at for at, each in enumerate(columns) if each.is_whole]
    if whole and not (missing | (table == np.rint(table)))[:, whole].all():
        raise NotTaken("a number is not whole")
    return table.astype(dtype, copy=False)


def _text(row: Row, column: Input) -> str:
    if column.filler is not None:
        return str(column.filler)
    value = row.get(column.name)
    if value is None and column.absent is not None:
        return str(column.absent)
    if _is_plain(value) if column.known is None else value in column.known:
        return str(value)
    raise NotTaken("a text is missing, or none that is taken")


def _is_plain(value: Any) -> bool:
    """Return whether a value is a text without NUL, at which ONNX stops, and no stand-in."""
    return type(value) is str and "\0" not in value and value not in (NO_TEXT, NAN_TEXT)
