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

from mlmodel.frameworks.sklearn.onnx.conversion import (
    LARGEST,
    NAN_TEXT,
    NO_TEXT,
    NUMBERS,
    TEXTS,
    Input,
    Inputs,
)
from mlmodel.frameworks.sklearn.predict.frames import matrix_builder
from mlmodel.model import Row

#: From rows to a tensor of some of their members.
Build = Callable[[Sequence[Row]], NDArray[Any]]


class UnsupportedRow(ValueError):
    """A value of the rows that the graph rejects, or a prediction that is not a finite number."""


def build_feed(inputs: Inputs, dtype: Any) -> Callable[[Sequence[Row]], dict[str, NDArray[Any]]]:
    """Return the function that builds tensors from rows.

    It raises :class:`UnsupportedRow` or another error for rows that the graph rejects.

    :param dtype: of the tensor of numbers.
    """
    builds: list[tuple[str, Build]] = []
    if inputs.numbers:
        builds.append((NUMBERS, _number_builder(inputs.numbers, dtype)))
    if inputs.texts:
        builds.append((TEXTS, _text_builder(inputs.texts)))
    return lambda rows: {name: build(rows) for name, build in builds}


def _number_builder(columns: Sequence[Input], dtype: Any) -> Build:
    get_values = _getter(columns)
    whole = [at for at, each in enumerate(columns) if each.is_whole]
    needed = [at for at, each in enumerate(columns) if each.absent is None]
    table = matrix_builder([(each.name, each.filler) for each in columns], float)
    array, least = np.array, -LARGEST

    def build_one(row: Row) -> NDArray[Any] | None:
        values = given = get_values(row)
        if None in values:
            if any(values[at] is None for at in needed):
                return None
            given = tuple(value for value in values if value is not None) or (0.0,)
        if not (least <= min(given) and max(given) <= LARGEST):
            return None
        for at in whole:
            if type(values[at]) is not int and values[at] is not None:
                return None
        # `None` becomes NaN.
        return array([values], dtype=dtype)

    def build_many(rows: Sequence[Row]) -> NDArray[Any]:
        numbers: NDArray[Any] = table(rows)
        _check_numbers(numbers, columns)
        return numbers.astype(dtype, copy=False)

    return _with_fast_path(columns, build_one, build_many)


def _text_builder(columns: Sequence[Input]) -> Build:
    get_values = _getter(columns)
    choices = [each.known for each in columns]
    shape, empty = (1, len(columns)), np.empty

    def build_one(row: Row) -> NDArray[Any] | None:
        texts = get_values(row)
        for text, known in zip(texts, choices, strict=True):
            if not _is_plain(text) if known is None else text not in known:
                return None
        table = empty(shape, dtype=object)
        table[0] = texts
        return table

    def build_many(rows: Sequence[Row]) -> NDArray[Any]:
        table = empty((len(rows), len(columns)), dtype=object)
        for at, column in enumerate(columns):
            table[:, at] = [_text(row, column) for row in rows]
        return table

    return _with_fast_path(columns, build_one, build_many)


def _with_fast_path(
    columns: Sequence[Input], build_one: Callable[[Row], NDArray[Any] | None], build_many: Build
) -> Build:
    """Return a function that tries ``build_one`` for a single row, unless a column has a filler."""

    def build(rows: Sequence[Row]) -> NDArray[Any]:
        if len(rows) == 1:
            try:
                tensor = build_one(rows[0])
            except (KeyError, TypeError):  # something is missing
                tensor = None
            if tensor is not None:
                return tensor
        return build_many(rows)

    return build_many if any(each.filler is not None for each in columns) else build


def _getter(columns: Sequence[Input]) -> Callable[[Row], tuple[Any, ...]]:
    names = [each.name for each in columns]
    if len(names) > 1:
        return itemgetter(*names)
    (name,) = names
    return lambda row: (row[name],)


def _check_numbers(table: NDArray[Any], columns: Sequence[Input]) -> None:
    """Check that the graph accepts all numbers of a table.

    :raises UnsupportedRow: if it rejects one of them.
    """
    missing = np.isnan(table)
    if missing.any() and missing[:, [each.absent is None for each in columns]].any():
        raise UnsupportedRow("a number is missing")
    if not (missing | (np.abs(table) <= LARGEST)).all():
        raise UnsupportedRow("a number is too large")
    whole = [at for at, each in enumerate(columns) if each.is_whole]
    if whole and not (missing | (table == np.rint(table)))[:, whole].all():
        raise UnsupportedRow("a number is not whole")


def _text(row: Row, column: Input) -> str:
    if column.filler is not None:
        return str(column.filler)
    value = row.get(column.name)
    if value is None and column.absent is not None:
        return str(column.absent)
    if _is_plain(value) if column.known is None else value in column.known:
        return str(value)
    raise UnsupportedRow("a string is missing or not accepted")


def _is_plain(value: Any) -> bool:
    """Return whether a value is a text without NUL, at which ONNX stops, and no stand-in."""
    return type(value) is str and "\0" not in value and value not in (NO_TEXT, NAN_TEXT)
