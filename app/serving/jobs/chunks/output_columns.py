"""Predictions as columns of a table, and back.

If all predictions are objects, each of their members becomes a column ``a.b``. What has another
form becomes a column of JSON. The metadata of each column has its path, and the rows without the
member, so that the predictions can be restored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from app.serving.json_text import to_json
from app.serving.tables.tables import PREDICTION

#: Members of an object beyond which it is one column.
MAX_MEMBERS = 200
#: Keys of a column's metadata: the path of the member, whether the values are JSON, and a bit for
#: each row, as hexadecimal digits: 1 if the row has no such member.
PATH, IS_JSON, GAPS = b"path", b"json", b"gaps"
_ABSENT = object()


def to_columns(predictions: Sequence[Any]) -> list[tuple[pa.Field, pa.Array]]:
    """Return the columns of predictions in plain JSON."""
    members = _members((), predictions) if predictions else ()
    return [_column(path, values) for path, values in members]


def to_predictions(table: pa.Table) -> list[Any]:
    """Return the predictions in the columns that :func:`to_columns` made."""
    predictions: list[Any] = [{} for _ in range(len(table))]
    for at, field in enumerate(table.schema):
        path = json.loads(field.metadata[PATH])
        values = table.column(at).to_pylist()
        if IS_JSON in field.metadata:
            values = list(map(json.loads, values))
        if not path:
            return list(values)
        if GAPS in field.metadata:
            bits = np.frombuffer(bytes.fromhex(field.metadata[GAPS].decode()), np.uint8)
            for row in np.flatnonzero(np.unpackbits(bits, count=len(table))):
                values[row] = _ABSENT
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
    names = _split(values, is_part=bool(path))
    if names is None:
        yield path, values
        return
    for name, is_everywhere in names.items():
        get = itemgetter(name) if is_everywhere else partial(_get, name)
        yield from _members((*path, name), list(map(get, values)))


def _split(values: Sequence[Any], is_part: bool) -> Mapping[str, bool] | None:
    """Return the names of the members of objects, and whether all of them have it.

    :param is_part: whether the objects are members: an empty one is not split, because it would be
        the same as none.
    :returns: ``None`` if other values are among them, or they have too many members.
    """
    if values[0] is not _ABSENT and not isinstance(values[0], dict):
        return None
    objects = [each for each in values if each is not _ABSENT] if _has_gaps(values) else values
    if set(map(type, objects)) != {dict} or (is_part and not all(objects)):
        return None
    first = objects[0].keys()
    if len(objects) == len(values) and all(map(first.__eq__, map(dict.keys, objects))):
        names = dict.fromkeys(first, True)
    else:
        names = dict.fromkeys((name for each in objects for name in each), False)
    return names if len(names) <= MAX_MEMBERS else None


def _has_gaps(values: Sequence[Any]) -> bool:
    return type(_ABSENT) in set(map(type, values))


def _get(name: str, value: Any) -> Any:
    return _ABSENT if value is _ABSENT else value.get(name, _ABSENT)


def _column(path: Sequence[str], values: Sequence[Any]) -> tuple[pa.Field, pa.Array]:
    metadata: dict[bytes, str] = {PATH: json.dumps(path)}
    if _has_gaps(values):
        metadata[GAPS] = np.packbits([each is _ABSENT for each in values]).tobytes().hex()
        values = [None if each is _ABSENT else each for each in values]
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
    for each, value in zip(predictions, values, strict=True):
        if value is not _ABSENT:
            inner = each
            for step in above:
                inner = inner.setdefault(step, {})
            inner[name] = value
