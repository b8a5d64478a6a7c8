"""Column types of pandas, and how JSON writes their values.

A type is named as pandas names it: ``"int32"``, ``"datetime64[us, Europe/Berlin]"``,
``"interval[int64, right]"``. A column of Python objects of one type is ``"object[<type>]"``, such
as ``"object[Decimal]"``; one of texts, numbers and booleans is ``"object"``. Each type reads what
it has written: ``read(write(value))`` equals the value, or :func:`write` returns :data:`UNSAID`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

#: Stands for a value that JSON cannot write.
UNSAID = object()
#: Stands for ``None`` itself in a column in which ``null`` is another missing value.
NONE = object()

#: What ``null`` becomes in a column of Python objects, by the name that a schema gives it.
MISSING: Mapping[str, Any] = {"NaN": np.nan, "None": None, "NA": pd.NA, "NaT": pd.NaT}

FLOATS = re.compile(r"float(16|32|64)")

#: What a column of texts is to this pandas: ``str`` since 3.0, ``object`` before.
TEXT = pd.Series(["text"]).dtype

#: Categories that an error lists.
MOST_LISTED = 20

_OBJECT = re.compile(r"object\[(.+)\]")
_SPARSE = re.compile(r"Sparse\[(\w+), (.+)\]")
_INTERVAL = re.compile(r"([\[(])(.+), (.+)([\])])")


@dataclass(frozen=True)
class Categories:
    """The categories of a column: their values in JSON, in order, and the type of their index."""

    values: tuple[Any, ...]
    dtype: str
    is_ordered: bool = False

    def document(self) -> dict[str, Any]:
        """Return them as the ``x-categories`` of a schema."""
        return {"values": list(self.values), "dtype": self.dtype, "ordered": self.is_ordered}


class Unreadable(ValueError):
    """A text is not of a value that a column can hold. The message follows "must be"."""


@dataclass(frozen=True)
class _Codec:
    """How the values of one Python type are written in JSON, and read."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def plain(value: Any) -> Any:
    """Return a value as plain JSON; ``None`` for a missing one and for what JSON cannot write."""
    scalar = value.item() if isinstance(value, np.generic) else value
    if isinstance(scalar, float):
        return scalar if math.isfinite(scalar) else None
    return scalar if isinstance(scalar, bool | int | str) else None


def write(value: Any) -> Any:
    """Return a value that is not missing as JSON: numbers, texts and booleans, others as text.

    Times are written as ISO 8601, without an offset where they have none. :data:`UNSAID` for a
    value that JSON cannot write.
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    name = _NAMES.get(type(value))
    if name is not None:
        return _CODECS[name].write(value)
    said = plain(value)
    return UNSAID if said is None else said


def name_of_objects(values: Iterable[Any]) -> str:
    """Return the type of a column of Python objects, none of them missing."""
    names = {_type_name(value) for value in values}
    if len(names) == 1 and (name := names.pop()):
        return f"object[{name}]"
    return "object"


def missing_in(values: pd.Series) -> tuple[str, ...]:
    """Return the names of the missing values in a column of Python objects."""
    if values.dtype != object:
        return ()
    lacking = values[values.isna()]
    return tuple(name for name in MISSING if any(_is_missing(name, each) for each in lacking))


def builder(dtype: str, missing: str = "", *, is_local: bool = False) -> Callable[[list[Any]], Any]:
    """Return the function from a list of JSON values, ``None`` for missing, to a column.

    :param missing: what ``None`` becomes in a column of Python objects, see :data:`MISSING`.
    :param is_local: whether times are kept as written, whatever offset is with them.
    :raises TypeError: if pandas knows no such type.
    """
    found = _OBJECT.fullmatch(dtype)
    if found:
        read = _reader(found[1])
        return _objects(MISSING[missing or "NaN"], _local(read) if is_local else read)
    if dtype == "object":
        # Files of earlier releases have it for columns in which None is missing.
        return _objects(MISSING[missing or "None"], None)
    if FLOATS.fullmatch(dtype):
        return lambda values: np.array(
            [np.nan if value is None else value for value in values], dtype=dtype
        )
    return _extension(dtype)


def _local(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda text: read(text).replace(tzinfo=None)


def categorical(categories: Categories) -> Callable[[list[Any]], Any]:
    """Return the function from JSON values to a column of categories.

    What is not a category is missing, as in pandas. Of categories that are written as texts, any
    text of one is read, and others raise :class:`Unreadable`.
    """
    read = _category_reader(categories.dtype)
    values = categories.values if read is None else tuple(map(read, categories.values))
    index = pd.Index(list(values), dtype=_index_dtype(categories.dtype))
    dtype = pd.CategoricalDtype(index, ordered=categories.is_ordered)
    codes = {value: code for code, value in enumerate(categories.values)}
    if read is not None:
        codes = _Codes(codes, read, dict(zip(values, codes.values(), strict=True)))
    return lambda cells: pd.Categorical.from_codes(
        [-1 if cell is None else codes.get(cell, -1) for cell in cells], dtype=dtype
    )


class _Codes(dict[Any, int]):
    """The codes of categories by the texts that they have, and by any other text of theirs."""

    def __init__(
        self, codes: Mapping[Any, int], read: Callable[[Any], Any], by_value: Mapping[Any, int]
    ) -> None:
        super().__init__(codes)
        self._read = read
        self._by_value = by_value

    def get(self, text: Any, _default: Any = None) -> int:
        if text not in self:
            try:
                return self._by_value[self._read(text)]
            except (KeyError, TypeError, ValueError) as error:
                raise Unreadable(f"one of {_listed(self)}, got {text!r}") from error
        return self[text]


def _listed(texts: Iterable[str]) -> str:
    first = list(texts)
    more = f" and {len(first) - MOST_LISTED} more" if len(first) > MOST_LISTED else ""
    return ", ".join(first[:MOST_LISTED]) + more


def _category_reader(dtype: str) -> Callable[[Any], Any] | None:
    """Return what reads the text of a category; ``None`` if JSON writes such values as they are."""
    found = _OBJECT.fullmatch(dtype)
    if found:
        return _reader(found[1])
    kept = _pandas_dtype(dtype)
    if isinstance(kept, pd.IntervalDtype):
        return _interval_reader(str(kept.subtype))
    if isinstance(kept, pd.PeriodDtype):
        return _period_reader(kept.freq)
    read: Callable[[Any], Any] = (
        pd.Timestamp if pd.api.types.is_datetime64_any_dtype(kept) else pd.Timedelta
    )
    is_time = read is pd.Timestamp or pd.api.types.is_timedelta64_dtype(kept)
    return read if is_time else None


def _index_dtype(dtype: str) -> Any:
    return object if _OBJECT.fullmatch(dtype) else _pandas_dtype(dtype)


def moments(dtype: str) -> Callable[[list[Any]], Any]:
    """Return the function from ISO texts to a column of points in time.

    A type without a time zone keeps the time that is written: ``Z`` changes nothing.
    """
    kept = _pandas_dtype(dtype or "datetime64[us]")

    def convert(values: list[Any]) -> Any:
        read = pd.to_datetime(pd.Series(values, dtype=object), utc=True, format="ISO8601")
        local = read if isinstance(kept, pd.DatetimeTZDtype) else read.dt.tz_localize(None)
        return local.astype(kept).array

    return convert


def _objects(missing: Any, read: Callable[[Any], Any] | None) -> Callable[[list[Any]], Any]:
    def convert(values: list[Any]) -> Any:
        column = np.empty(len(values), dtype=object)
        for at, value in enumerate(values):
            if value is None:
                column[at] = missing
            elif value is NONE:
                column[at] = None
            else:
                column[at] = value if read is None else read(value)
        return column

    return convert


def _extension(dtype: str) -> Callable[[list[Any]], Any]:
    found, interval = _pandas_dtype(dtype), None
    if isinstance(found, pd.IntervalDtype):
        interval = _interval_reader(str(found.subtype))

    def convert(values: list[Any]) -> Any:
        if interval is not None:
            values = [None if value is None else interval(value) for value in values]
        return pd.array(values, dtype=found)

    return convert


def _pandas_dtype(dtype: str | None) -> Any:
    sparse = _SPARSE.fullmatch(dtype or "")
    if sparse:
        fill = {"True": True, "False": False}.get(sparse[2], sparse[2])
        return pd.SparseDtype(sparse[1], np.dtype(sparse[1]).type(fill).item())
    return None if dtype is None else pd.api.types.pandas_dtype(dtype)


def categories_of(dtype: pd.CategoricalDtype) -> Categories:
    """Return the categories of a type of pandas. What JSON cannot write is :data:`UNSAID`."""
    index = dtype.categories
    name = name_of_objects(index) if index.dtype == object else str(index.dtype)
    return Categories(tuple(map(write, index)), name, bool(dtype.ordered))


def implied_categories(values: Sequence[Any]) -> Categories:
    """Return the categories of which only the values are known."""
    return Categories(tuple(values), _implied_dtype(values))


def _implied_dtype(values: Sequence[Any]) -> str:
    return str(pd.Index(list(values)).dtype) if values else "object"


def _type_name(value: Any) -> str:
    """Return the name of a type of its own; none for texts, numbers and booleans."""
    name = _NAMES.get(type(value), "")
    if name == "Interval":
        return str(pd.IntervalDtype(pd.Index([value.left]).dtype, value.closed))
    return f"period[{value.freqstr}]" if name == "Period" else name


def _reader(name: str) -> Callable[[Any], Any]:
    if name.startswith("interval["):
        return _interval_reader(name.removeprefix("interval[").partition(",")[0])
    if name.startswith("period["):
        return _period_reader(name[len("period[") : -1])
    if name not in _CODECS:
        raise TypeError(f"data type 'object[{name}]' not understood")
    return _CODECS[name].read


def _period_reader(freq: Any) -> Callable[[Any], Any]:
    return lambda text: pd.Period(text, freq=freq)


def _interval_reader(subtype: str) -> Callable[[Any], Any]:
    read: Callable[[str], Any] = float
    if subtype.startswith(("int", "uint")):
        read = _integer
    elif subtype.startswith("datetime64"):
        read = pd.Timestamp
    elif subtype.startswith("timedelta64"):
        read = pd.Timedelta

    def interval(text: Any) -> Any:
        found = _INTERVAL.fullmatch(text)
        if found is None:
            raise Unreadable(f"an interval such as (0, 10], got {text!r}")
        opening, left, right, closing = found.groups()
        closed = {"[]": "both", "()": "neither", "(]": "right", "[)": "left"}[opening + closing]
        return pd.Interval(read(left), read(right), closed)

    return interval


def _integer(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is not a whole number")
    return int(text) if text.lstrip("-").isdecimal() else int(number)


def _is_missing(name: str, value: Any) -> bool:
    marker = MISSING[name]
    if name == "NaN":
        return isinstance(value, float | np.floating)
    return value is marker


def _decimal(value: Any) -> Decimal:
    # The shortest digits that give this double: those that were written.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _written_decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return UNSAID
    return int(value) if value == value.to_integral_value() else float(value)


def _timedelta(text: str) -> Any:
    return pd.Timedelta(text).to_pytimedelta()


_CODECS: Mapping[str, _Codec] = {
    "date": _Codec(date.isoformat, lambda text: date.fromisoformat(text[:10])),
    "datetime": _Codec(datetime.isoformat, datetime.fromisoformat),
    "Timestamp": _Codec(lambda value: value.isoformat(), pd.Timestamp),
    "time": _Codec(time.isoformat, time.fromisoformat),
    "timedelta": _Codec(lambda value: pd.Timedelta(value).isoformat(), _timedelta),
    "Timedelta": _Codec(lambda value: value.isoformat(), pd.Timedelta),
    "Decimal": _Codec(_written_decimal, _decimal),
    "UUID": _Codec(str, UUID),
    "Period": _Codec(str, pd.Period),
    "Interval": _Codec(str, _interval_reader("float64")),
}
_NAMES: Mapping[type, str] = {
    date: "date",
    datetime: "datetime",
    pd.Timestamp: "Timestamp",
    time: "time",
    timedelta: "timedelta",
    pd.Timedelta: "Timedelta",
    Decimal: "Decimal",
    UUID: "UUID",
    pd.Period: "Period",
    pd.Interval: "Interval",
}
