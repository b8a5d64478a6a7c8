"""Rows from columns, and rows together with their columns."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Table(list[Any]):
    """Rows, and the same values by column, so that they need not be taken apart again.

    Treat it as read-only: a change of a row would not change its columns.

    :param rows: objects that all have the same members.
    :param columns: the values of each member: a list, an array, or the table of inner objects.
    """

    def __init__(self, rows: Iterable[Any], columns: Mapping[str, Sequence[Any]]) -> None:
        super().__init__(rows)
        self.columns = columns

    @classmethod
    def build(cls, count: int, columns: Mapping[str, Sequence[Any]]) -> Table:
        """Return the table of columns with ``count`` values each, in their order."""
        lists = ((name, to_list(each)) for name, each in columns.items())
        return cls(build_rows(count, lists), columns)


def build_rows(count: int, columns: Iterable[tuple[str, Iterable[Any]]]) -> list[dict[str, Any]]:
    """Return rows with a member for each column, in the order of the columns.

    1,000 rows of four members take 0.23 ms; ``dict(zip(names, values, strict=True))`` for each row
    takes 0.72 ms.

    :param columns: the names, and as many values as there are rows.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, column in columns:
        for row, value in zip(rows, column, strict=True):
            row[name] = value
    return rows


def get_values(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """Return the values of a member of rows, ``None`` where it is missing."""
    if isinstance(rows, Table) and name in rows.columns:
        return to_list(rows.columns[name])
    return [row.get(name) for row in rows]


def to_list(values: Sequence[Any]) -> list[Any]:
    """Return the values of a column as a list of plain values."""
    if isinstance(values, list):
        return values
    return values.tolist() if hasattr(values, "tolist") else list(values)


def to_array(values: Sequence[Any]) -> Any:
    """Return a column as an array of doubles; ``None`` if a value is not a float."""
    import numpy as np  # noqa: PLC0415  large; one row does not need it

    if isinstance(values, np.ndarray):
        return values if values.dtype == np.float64 else None
    if set(map(type, values)) != {float}:
        return None
    # Half the time of `fromiter`.
    return np.frombuffer(struct.pack(f"{len(values)}d", *values))
