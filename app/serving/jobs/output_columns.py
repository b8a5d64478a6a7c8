"""Predictions as columns of a table, and back.

A member of an object becomes a column ``a.b``, if all predictions have the same members. What has
another form becomes a column of JSON. The metadata of each column has its path, so that the
predictions can be restored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import pyarrow as pa

from app.serving.json_text import to_json
from app.serving.tables.tables import PREDICTION

#: Members of an object beyond which it is one column.
MAX_MEMBERS = 200
#: Keys of a column's metadata: the path of the member, and whether the values are JSON.
PATH, IS_JSON = b"path", b"json"


def to_columns(predictions: Sequence[Any]) -> list[tuple[pa.Field, pa.Array]]:
    """Return the columns of predictions in plain JSON."""
    members = _members((), predictions) if predictions else ()
    return [_column(path, values) for path, values in members]


def to_predictions(table: pa.Table) -> list[Any]:
    """Return the predictions in the columns that :func:`to_columns` made."""
    predictions: list[Any] = [{} for _ in range(len(table))]
    for field in table.schema:
        path = json.loads(field.metadata[PATH])
        values = table.column(field.name).to_pylist()
        if IS_JSON in field.metadata:
            values = list(map(json.loads, values))
        if not path:
            return list(values)
        _set(predictions, path, values)
    return predictions


def narrow(column: pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, bool]:
    """Return a column of JSON as one of plain values if they have one type; and whether it is JSON.

    Whole numbers and others have the type of the others.
    """
    values = [None if text is None else json.loads(text) for text in column.to_pylist()]
    is_mixed = {int, float} <= set(map(type, values))
    array = _to_array(
        [float(each) if type(each) is int else each for each in values] if is_mixed else values
    )
    return (column, True) if array is None else (array, False)


def _members(path: tuple[str, ...], values: Sequence[Any]) -> Iterator[tuple[Any, Sequence[Any]]]:
    first = values[0] if values else None
    is_split = (
        isinstance(first, dict)
        and 0 < len(first) <= MAX_MEMBERS
        and set(map(type, values)) == {dict}
        and all(map(first.keys().__eq__, map(dict.keys, values)))
    )
    if not is_split:
        yield path, values
        return
    for name in first or ():
        yield from _members((*path, name), list(map(itemgetter(name), values)))


def _column(path: Sequence[str], values: Sequence[Any]) -> tuple[pa.Field, pa.Array]:
    metadata = {PATH: json.dumps(path)}
    array = _to_array(values)
    if array is None:
        array = pa.array(list(map(to_json, values)), pa.string())
        metadata[IS_JSON] = "true"
    return pa.field(".".join(path) or PREDICTION, array.type, metadata=metadata), array


def _to_array(values: Sequence[Any]) -> pa.Array | None:
    """Return a column of one type; ``None`` if the values have several, or are no scalars."""
    types = set(map(type, values)) - {type(None)}
    if len(types) > 1 or not types <= {bool, int, float, str}:
        return None
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, OverflowError):  # an integer of more than 64 bits
        return None


def _set(predictions: list[Any], path: Sequence[str], values: Sequence[Any]) -> None:
    *above, name = path
    inner = predictions
    for step in above:
        inner = [each.setdefault(step, {}) for each in inner]
    for each, value in zip(inner, values, strict=True):
        each[name] = value
