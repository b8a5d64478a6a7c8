"""Column types of pandas, and their values in JSON.

Types have the names that pandas gives them: ``"int32"``, ``"datetime64[us, Europe/Berlin]"``,
``"interval[int64, right]"``. A column of Python objects of one type is ``"object[<type>]"``, such
as ``"object[Decimal]"``; one of texts, numbers and booleans is ``"object"``. Each type reads what
it writes: ``read(write(value))`` equals the value, or :func:`write` returns :data:`NOT_JSON`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

from mlmodel.schema.messages import join_first

#: Stands for a value that JSON cannot write.
NOT_JSON = object()
#: Stands for ``None`` itself in a column in which ``null`` is another missing value.
NONE = object()

#: What ``null`` becomes in a column of Python objects, by the name that a schema gives it.
MISSING: Mapping[str, Any] = {"NaN": np.nan, "None": None, "NA": pd.NA, "NaT": pd.NaT}

#: The type of a text column in the installed pandas: ``str`` since 3.0, ``object`` before.
TEXT = pd.Series(["text"]).dtype

#: Categories that an error lists.
MOST_LISTED = 20

_OBJECT = re.compile(r"object\[(.+)\]")
_SPARSE = re.compile(r"Sparse\[(\w+), (.+)\]")
_DURATION = re.compile(
    r"-?P(?=.)(-?\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?"
    r"|-?\d+ days?(,? [+-]?\d+:\d\d:\d\d(\.\d+)?)?"
    r"|-?\d+:\d\d:\d\d(\.\d+)?",
    re.ASCII,
)
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
    """A text that a column of its type cannot hold. The message follows "must be"."""


@dataclass(frozen=True)
class _Codec:
    """How the values of one Python type are written to JSON and read from it."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def plain(value: Any) -> Any:
    """Return a value as plain JSON; ``None`` if it is missing or JSON cannot represent it."""
    scalar = value.item() if isinstance(value, np.generic) else value
    if isinstance(scalar, float):
        return scalar if math.isfinite(scalar) else None
    return scalar if isinstance(scalar, bool | int | str) else None


def write(value: Any) -> Any:
    """Return a value that is not missing as JSON: a number, text or boolean, any other as text.

    Times are ISO 8601, without an offset if they have none. Returns :data:`NOT_JSON` for a value
    that JSON cannot write.
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    codec = _CODECS.get(type(value))
    if codec is not None:
        return codec.write(value)
    written = plain(value)
    return NOT_JSON if written is None else written


def object_dtype_of(values: Iterable[Any]) -> str:
    """Return the type of a column of Python objects without missing values."""
    names = {_type_name(value) for value in values}
    if len(names) == 1 and (name := names.pop()):
        return f"object[{name}]"
    return "object"


def missing_values_of(values: pd.Series) -> tuple[str, ...]:
    """Return the names of the missing values in a column of Python objects."""
    if values.dtype != object:
        return ()
    lacking = values[values.isna()]
    return tuple(name for name in MISSING if any(_is_missing(name, each) for each in lacking))


def column_builder(
    dtype: str, missing: str = "", *, is_local: bool = False
) -> Callable[[list[Any]], Any]:
    """Return the function from a list of JSON values, ``None`` for missing, to a column.

    :param missing: what ``None`` becomes in a column of Python objects, see :data:`MISSING`.
    :param is_local: whether times keep the clock time as written and drop the offset.
    :raises TypeError: if pandas does not have the type.
    """
    found = _OBJECT.fullmatch(dtype)
    if found:
        read = _reader(found[1])
        return _objects(MISSING[missing or "NaN"], _local(read) if is_local else read)
    if dtype == "object":
        # Earlier releases wrote "object" for columns in which None is the missing value.
        return _objects(MISSING[missing or "None"], None)
    return _extension(dtype)


def _local(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda text: read(text).replace(tzinfo=None)


class Categorical:
    """Builds a column of categories from JSON values.

    A value that is not a category becomes a new one behind the others, as in a data frame: the
    model decides what to do with it. If the categories are ordered, or are written as texts (such
    as intervals), such a value raises :class:`Unreadable`.
    """

    def __init__(self, categories: Categories) -> None:
        read = _category_reader(categories.dtype)
        values = categories.values if read is None else tuple(map(read, categories.values))
        self._index = pd.Index(list(values), dtype=_index_dtype(categories.dtype))
        self._is_ordered = categories.is_ordered
        self._codes = {value: code for code, value in enumerate(categories.values)}
        self._read = read
        self._by_value: dict[Any, int] = dict(zip(values, self._codes.values(), strict=True))

    def __call__(self, values: list[Any]) -> Any:
        """Return the column. ``None`` is missing."""
        codes = [-1 if value is None else self._code(value) for value in values]
        new = list(dict.fromkeys(v for v, code in zip(values, codes, strict=True) if code is None))
        if not new:
            return pd.Categorical.from_codes(codes, dtype=self._dtype(self._index))
        index = self._index.append(pd.Index(new))
        places = {value: len(self._index) + at for at, value in enumerate(new)}
        known = [places[v] if code is None else code for v, code in zip(values, codes, strict=True)]
        return pd.Categorical.from_codes(known, dtype=self._dtype(index))

    def type_keys(self, values: list[Any]) -> list[Any] | None:
        """Return each value that is not a category, ``None`` for others.

        ``None`` if all are categories, or if only categories are accepted: ordered or parsed ones.
        """
        if self._read is not None or self._is_ordered or self._codes.keys() >= set(values):
            return None
        return [None if value in self._codes else value for value in values]

    def _dtype(self, index: pd.Index) -> pd.CategoricalDtype:
        return pd.CategoricalDtype(index, ordered=self._is_ordered)

    def _code(self, value: Any) -> int | None:
        code = self._codes.get(value)
        if code is not None or (self._read is None and not self._is_ordered):
            return code
        try:
            read = value if self._read is None else self._read(value)
            return self._by_value[read]
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(
                f"one of {join_first(self._codes, MOST_LISTED)}, got {value!r}"
            ) from error


def join_categories(categories: Categories, choices: Iterable[Any]) -> Categories:
    """Return the categories, followed by those choices of a model that they lack."""
    read = _category_reader(categories.dtype)
    known = set(categories.values) | (set(map(read, categories.values)) if read else set())
    lacking = [each for each in choices if each not in known and not (read and read(each) in known)]
    return replace(categories, values=(*categories.values, *lacking)) if lacking else categories


def _category_reader(dtype: str) -> Callable[[Any], Any] | None:
    """Return the function that reads a category's text; ``None`` if JSON has the value itself."""
    found = _OBJECT.fullmatch(dtype)
    if found:
        return _reader(found[1])
    kept = _pandas_dtype(dtype)
    if isinstance(kept, pd.IntervalDtype):
        return _interval_reader(str(kept.subtype))
    if isinstance(kept, pd.PeriodDtype):
        return _period_reader(kept.freq)
    if pd.api.types.is_timedelta64_dtype(kept):
        return _read_duration
    timestamp: Callable[[Any], Any] = pd.Timestamp
    return timestamp if pd.api.types.is_datetime64_any_dtype(kept) else None


def _index_dtype(dtype: str) -> Any:
    return object if _OBJECT.fullmatch(dtype) else _pandas_dtype(dtype)


def time_builder(dtype: str) -> Callable[[list[Any]], Any]:
    """Return the function from ISO texts to a column of points in time.

    A type without a time zone holds the time in UTC; a text without an offset stays as written.
    """
    kept = _pandas_dtype(dtype or "datetime64[us]")

    def convert(values: list[Any]) -> Any:
        texts = [value and value.upper() for value in values]
        read = pd.to_datetime(pd.Series(texts, dtype=object), utc=True, format="ISO8601")
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
    found, read = _pandas_dtype(dtype), None
    if not pd.api.types.is_datetime64_any_dtype(found):
        read = _category_reader(dtype)

    def convert(values: list[Any]) -> Any:
        if read is not None:
            values = [None if value is None else read(value) for value in values]
        return pd.array(values, dtype=found)

    return convert


def _pandas_dtype(dtype: str) -> Any:
    sparse = _SPARSE.fullmatch(dtype)
    if sparse:
        fill = {"True": True, "False": False}.get(sparse[2], sparse[2])
        return pd.SparseDtype(sparse[1], np.dtype(sparse[1]).type(fill).item())
    return pd.api.types.pandas_dtype(dtype)


def categories_of(dtype: pd.CategoricalDtype) -> Categories:
    """Return the categories of a pandas type; :data:`NOT_JSON` for those JSON cannot write."""
    index = dtype.categories
    name = object_dtype_of(index) if index.dtype == object else str(index.dtype)
    return Categories(tuple(map(write, index)), name, bool(dtype.ordered))


def implied_categories(values: Sequence[Any]) -> Categories:
    """Return the categories of which only the values are known."""
    return Categories(tuple(values), _implied_dtype(values))


def _implied_dtype(values: Sequence[Any]) -> str:
    return str(pd.Index(list(values)).dtype) if values else "object"


def _type_name(value: Any) -> str:
    """Return the type's name in ``object[<type>]``; empty for a type without a codec."""
    kind = type(value)
    if kind is pd.Interval:
        return str(pd.IntervalDtype(pd.Index([value.left]).dtype, value.closed))
    if kind is pd.Period:
        return f"period[{value.freqstr}]"
    return kind.__name__ if kind in _CODECS else ""


def _reader(name: str) -> Callable[[Any], Any]:
    if name.startswith("interval["):
        return _interval_reader(name.removeprefix("interval[").partition(",")[0])
    if name.startswith("period["):
        return _period_reader(name[len("period[") : -1])
    readers = {kind.__name__: codec.read for kind, codec in _CODECS.items()}
    if name not in readers:
        raise TypeError(f"data type 'object[{name}]' not understood")
    return readers[name]


def _period_reader(freq: Any) -> Callable[[Any], Any]:
    def period(text: Any) -> Any:
        found = pd.Period(text, freq=freq)
        # Reject a year for a month: pandas would use its first month.
        if str(found) != text:
            raise Unreadable(f"a period such as {found}, got {text!r}")
        return found

    return period


def _read_duration(text: Any) -> Any:
    # pandas would read digits alone as nanoseconds.
    if not _DURATION.fullmatch(text):
        raise Unreadable(f"a duration such as P1DT12H or 1 days 12:00:00, got {text!r}")
    return pd.Timedelta(text)


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
    # repr has the shortest digits that give this double: those in the request.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _written_decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return NOT_JSON
    return int(value) if value == value.to_integral_value() else float(value)


#: The texts of intervals and periods are read by the type of their column, see :func:`_reader`.
_CODECS: Mapping[type, _Codec] = {
    date: _Codec(date.isoformat, lambda text: date.fromisoformat(text[:10])),
    datetime: _Codec(datetime.isoformat, datetime.fromisoformat),
    pd.Timestamp: _Codec(lambda value: value.isoformat(), pd.Timestamp),
    time: _Codec(time.isoformat, time.fromisoformat),
    timedelta: _Codec(
        lambda value: pd.Timedelta(value).isoformat(),
        lambda text: _read_duration(text).to_pytimedelta(),
    ),
    pd.Timedelta: _Codec(lambda value: value.isoformat(), _read_duration),
    Decimal: _Codec(_written_decimal, _decimal),
    UUID: _Codec(str, UUID),
    pd.Period: _Codec(str, pd.Period),
    pd.Interval: _Codec(str, pd.Interval),
}
