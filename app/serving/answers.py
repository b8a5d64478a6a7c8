"""A model's answer as plain JSON."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from app.serving.errors import InvalidAnswer

#: Nesting beyond which an answer is taken for one that holds itself.
DEPTH = 100


def to_json(value: Any, depth: int = DEPTH) -> Any:
    """Return a model's answer as dicts with text keys, lists, text, numbers, booleans and None.

    numpy's and pandas' scalars, arrays, series and frames (a list of rows), dates and times
    (ISO 8601), UUID, Enum (its value), Decimal, sets, dataclasses, pydantic's models and bytes
    (base64) are understood. NaN and the infinities, which JSON lacks, become None.

    :raises InvalidAnswer: for anything else.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return to_json(value.value, depth)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth == 0:
        raise InvalidAnswer(f"the answer is nested deeper than {DEPTH}")
    if isinstance(value, Mapping):
        return {_key(key): to_json(member, depth - 1) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item, depth - 1) for item in value]
    return _other(value, depth)


_PLAIN = frozenset({type(None), str, bool, int})


def _other(value: Any, depth: int) -> Any:
    for kind, convert in _CONVERSIONS.items():
        if isinstance(value, kind):
            return convert(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return to_json({each.name: getattr(value, each.name) for each in fields}, depth - 1)
    return _foreign(value, depth)


def _foreign(value: Any, depth: int) -> Any:
    """Convert by the methods that numpy, pandas and pydantic share, without importing them."""
    if str(value) in {"NaT", "<NA>"}:
        return None
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return to_json(value.to_dict(orient="records"), depth - 1)
    if hasattr(value, "model_dump"):
        return to_json(value.model_dump(), depth - 1)
    if hasattr(value, "tolist"):
        return to_json(value.tolist(), depth - 1)
    if isinstance(value, Iterable) and not isinstance(value, type):
        return to_json(list(value), depth - 1)
    raise InvalidAnswer(f"the answer has a value of {type(value)}, which JSON cannot say")


def _key(key: Any) -> str:
    plain = to_json(key, 1)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool | int | float):
        return str(plain).lower() if isinstance(plain, bool) else str(plain)
    raise InvalidAnswer(f"the answer has an object with the key {key!r:.60}, which is no text")


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
    bytes | bytearray | memoryview: lambda value: base64.b64encode(value).decode("ascii"),
}
