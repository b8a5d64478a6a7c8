"""Conversion of predictions to plain JSON."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from app.serving.errors import InvalidPrediction
from mlmodel.schema.messages import to_pointer
from mlmodel.schema.rows import Table

#: Maximum nesting of a prediction; deeper ones are assumed to contain themselves.
DEPTH = 100

#: Maximum number of bits of an integer: some 3,000 digits.
INTEGER_BITS = 10_000


def rows_to_json(predictions: Any) -> Any:
    """Return what :func:`to_json` returns for the predictions of a call.

    Objects with plain values, as most models return, are recognized column by column: for
    1,000,000 predictions, that takes 0.6 seconds instead of 4.

    :raises InvalidPrediction: as :func:`to_json` does.
    """
    if isinstance(predictions, Table):  # its columns are stale if the author changed a row
        predictions = list(predictions)
    if type(predictions) is list and set(map(type, predictions)) == {dict}:
        names = predictions[0].keys()
        if set(map(type, names)) == {str} and all(map(names.__eq__, map(dict.keys, predictions))):
            columns = ([row[name] for row in predictions] for name in names)
            if "".join(names).isascii() and all(map(_is_plain, columns)):
                return predictions
    try:
        return to_json(predictions)
    except InvalidPrediction as error:
        row, *path = _find_path(predictions) or [0]
        place = f"row {row}, at {to_pointer(path)}" if path else f"row {row}"
        raise InvalidPrediction(f"{error} ({place})") from error.__cause__


def to_json(value: Any, depth: int = DEPTH) -> Any:
    """Convert a prediction to dicts with string keys, lists, strings, numbers, booleans and None.

    Supports scalars, arrays, series and frames (as a list of rows) of numpy and pandas, dates and
    times (ISO 8601), UUID, Enum (its value), Decimal, sets, dataclasses, bytes (base64) and
    pydantic models (by their own conversion). NaN and the infinities, which JSON lacks, become
    None.

    :raises InvalidPrediction: for anything else.
    """
    convert = _SCALARS.get(type(value))
    if convert:
        return convert(value)
    if isinstance(value, Enum):
        return to_json(value.value, depth)
    if depth == 0:
        raise InvalidPrediction(f"the prediction is nested deeper than {DEPTH}")
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item, depth - 1) for item in value]
    return _other(value, depth)


def _find_path(value: Any, depth: int = DEPTH) -> list[str | int]:
    """Return the keys and indexes that lead to what :func:`to_json` does not convert."""
    is_object = isinstance(value, Mapping)
    members = value.items() if is_object else enumerate(value if isinstance(value, list) else ())
    for key, member in members if depth else ():
        try:
            to_json(member)
        except InvalidPrediction:
            return [key if isinstance(key, int) else str(key), *_find_path(member, depth - 1)]
    return []


def _is_plain(column: list[Any]) -> bool:
    """Return whether all values are texts in ASCII, booleans, or finite floats."""
    types = set(map(type, column))
    if types == {str}:
        return "".join(column).isascii()
    # A sum with NaN or an infinity is not finite.
    return types == {bool} or (types == {float} and math.isfinite(sum(column)))


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidPrediction(
                "the prediction has a string with an unpaired surrogate"
            ) from error
    return value


def _integer(value: int) -> int:
    if value.bit_length() > INTEGER_BITS:
        raise InvalidPrediction("the prediction has a number with too many digits")
    return value


def _float(value: float) -> float | None:
    return value if math.isfinite(value) else None


#: Conversions of the most frequent types, by exact type.
_SCALARS: Mapping[type, Any] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    str: _text,
    int: _integer,
    float: _float,
}


def _object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    members = {_key(key): to_json(member, depth - 1) for key, member in value.items()}
    if len(members) < len(value):
        raise InvalidPrediction("the prediction has an object in which two keys have the same name")
    return members


def _other(value: Any, depth: int) -> Any:
    for kind, convert in _CONVERSIONS.items():
        if isinstance(value, kind):
            return to_json(convert(value), depth - 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return to_json({each.name: getattr(value, each.name) for each in fields}, depth - 1)
    return _foreign(value, depth)


def _foreign(value: Any, depth: int) -> Any:
    """Convert objects of numpy, scipy, pandas and pydantic without importing these packages."""
    if type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return _table(value, depth)
    if hasattr(value, "toarray"):
        return to_json(value.toarray(), depth - 1)
    if hasattr(value, "model_dump") or hasattr(value, "__fields__"):
        return to_json(_dump(value), depth - 1)
    if hasattr(value, "tolist"):
        return _array(value, depth)
    if isinstance(value, Iterable) and not isinstance(value, type):
        return to_json(list(value), depth - 1)
    raise InvalidPrediction(f"the prediction has a value of {type(value)}, which has no JSON form")


def _dump(value: Any) -> Any:
    """Return the JSON form of a pydantic model, version 1 or 2."""
    is_of_2 = hasattr(value, "model_dump")
    try:
        if is_of_2:
            return value.model_dump(mode="json", by_alias=True)
        return json.loads(value.json(by_alias=True))
    except (TypeError, ValueError):  # a member that pydantic cannot convert, but `to_json` may
        return value.model_dump(by_alias=True) if is_of_2 else value.dict(by_alias=True)


def _table(value: Any, depth: int) -> Any:
    if not value.columns.is_unique:
        raise InvalidPrediction(
            "the prediction has a table in which two columns have the same name"
        )
    return to_json(value.to_dict(orient="records"), depth - 1)


def _array(value: Any, depth: int) -> Any:
    kind = str(getattr(value, "dtype", ""))
    if kind.endswith(("[ns]", "[ps]", "[fs]", "[as]")):
        # Python's times stop at microseconds: for finer ones, numpy returns bare integers.
        value = value.astype(f"{kind.partition('[')[0]}[us]")
    plain = value.tolist()
    if type(plain) is type(value):  # a long double, which numpy returns unchanged
        plain = float(plain)
    return to_json(plain, depth - 1)


def _key(key: Any) -> str:
    plain = to_json(key, 1)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool | int | float):
        return str(plain).lower() if isinstance(plain, bool) else str(plain)
    raise InvalidPrediction(
        f"the prediction has an object with the key {key!r:.60}: keys must be strings"
    )


def _decimal(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return int(value) if value == value.to_integral_value() else float(value)


_CONVERSIONS: Mapping[Any, Any] = {
    datetime: lambda value: None if value != value else value.isoformat(),  # noqa: PLR0124  NaT
    date: date.isoformat,
    time: time.isoformat,
    timedelta: lambda value: f"PT{value.total_seconds():f}".rstrip("0").rstrip(".") + "S",
    UUID: str,
    Decimal: _decimal,
    str: str,  # a subclass, such as numpy's
    int: int,
    float: float,
    bytes | bytearray | memoryview: lambda value: base64.b64encode(value).decode("ascii"),
}
