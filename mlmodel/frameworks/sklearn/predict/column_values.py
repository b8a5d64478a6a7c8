"""Values of one member of rows as a column of the type that a model was fitted on.

If a value does not fit the type of its column, such as a missing one among integers, the column
gets another type, as in pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.schema.coercion import WHOLE

#: From JSON values to the type of each one's column; ``None`` if all types are the same.
TypeKeys = Callable[[list[Any]], list[Hashable] | None]
#: From JSON values, ``None`` for a missing one, to a column.
Convert = Callable[[list[Any]], Any]


def converter(schema: Mapping[str, Any]) -> Convert:
    """Return the function that makes a column of JSON values, as their schema requires.

    :raises TypeError: if pandas has no such type.
    """
    dtype, form = str(schema.get("x-dtype", "")), keyword(schema, "format")
    if dtype == "category":
        return _categories(schema)
    if dtype == "object" and form == "date":
        dtype = "object[date]"  # in files of earlier releases
    if not dtype.startswith("object") and form in ("date", "date-time", "date-time-local"):
        return dtypes.time_builder(dtype)
    special = Whole(dtype) if WHOLE.fullmatch(dtype) else _SPECIAL.get(dtype)
    if special is not None:
        return special
    if dtype:
        is_local = form == "date-time-local"
        return dtypes.column_builder(dtype, str(schema.get("x-missing", "")), is_local=is_local)
    types = _types(schema)
    return _plain_converter(types.pop()) if len(types) == 1 else mixed_values


def keyword(schema: Mapping[str, Any], word: str) -> Any:
    """Return the value of a keyword in a schema or in the first alternative that has it."""
    parts = [schema, *schema.get("anyOf", ())]
    return next((part[word] for part in parts if word in part), None)


def type_keys_of(convert: Convert) -> TypeKeys | None:
    """Return the function that returns the column types of values, see :class:`.Cells`."""
    if isinstance(convert, Whole | dtypes.Categorical):
        return convert.type_keys
    return _TYPE_KEYS.get(convert)


@dataclass(frozen=True)
class Floats:
    """Makes a column of floats of a type, with NaN for missing values."""

    dtype: str

    def __call__(self, values: list[Any]) -> Any:
        """Return the column."""
        return np.array([np.nan if value is None else value for value in values], dtype=self.dtype)


numbers = Floats("float64")


class Whole:
    """Makes a column of integers of a type, or of wider ones or floats if needed."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        limits = np.iinfo(dtype)
        self._least, self._most = int(limits.min), int(limits.max)

    def __call__(self, values: list[Any]) -> Any:
        """Return the column: of floats if a value is missing, or has a fraction or 20 digits."""
        if not all(map(_is_whole, values)):
            return numbers(values)
        whole = list(map(int, values))
        for dtype in (self._dtype, "int64"):
            with suppress(OverflowError):
                return np.array(whole, dtype=dtype)
        return np.array(whole, dtype=float)

    def type_keys(self, values: list[Any]) -> list[Hashable] | None:
        """Return the column type that each value needs; ``None`` if all need this one."""
        if (
            set(map(type, values)) == {int}
            and self._least <= min(values) <= max(values) <= self._most
        ):
            return None
        return [self._type_key(value) for value in values]

    def _type_key(self, value: Any) -> Hashable:
        if _is_whole(value) and self._least <= value <= self._most:
            return self._dtype
        return str(self([value]).dtype)


def booleans(values: list[Any]) -> Any:
    """Return a column of booleans, or of objects if one is missing."""
    if None in values:
        return _objects_or_nan(values)
    return np.array(values, dtype=bool)


def mixed_values(values: list[Any]) -> Any:
    """Return a column of floats if all are numbers, otherwise of objects."""
    if values and all(map(_is_number, values)):
        return numbers(values)
    return _objects_or_nan(values)


def _type_keys_of_booleans(values: list[Any]) -> list[Hashable] | None:
    return [value is None for value in values] if None in values else None


def _type_keys_of_mixed(values: list[Any]) -> list[Hashable]:
    return list(map(_is_number, values))


_TYPE_KEYS: Mapping[Convert, TypeKeys] = {
    booleans: _type_keys_of_booleans,
    mixed_values: _type_keys_of_mixed,
}
#: Makes a column of Python objects, with NaN for missing values.
_objects_or_nan = dtypes.column_builder("object", "NaN")
_PLAIN: Mapping[str, Convert] = {"number": numbers, "boolean": booleans}
_SPECIAL: Mapping[str, Convert] = {
    **{dtype: Floats(dtype) for dtype in ("float16", "float32", "float64")},
    "bool": booleans,
}


def _plain_converter(kind: str) -> Convert:
    if kind == "string":
        return dtypes.column_builder(str(dtypes.TEXT), "NaN")
    return Whole("int64") if kind == "integer" else _PLAIN.get(kind, mixed_values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _categories(schema: Mapping[str, Any]) -> Convert:
    """Return the function that makes a column of categories."""
    stored = keyword(schema, "x-categories")
    if stored is not None:
        values, dtype = tuple(stored["values"]), str(stored["dtype"])
        return dtypes.Categorical(dtypes.Categories(values, dtype, bool(stored.get("ordered"))))
    known = keyword(schema, "enum") or schema.get("examples")
    if known is None:
        inferred: Convert = pd.Categorical
        return inferred
    return dtypes.Categorical(dtypes.implied_categories(tuple(known)))


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Return the types of values other than null."""
    found: set[str] = set()
    for part in [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        types = part.get("type", [])
        found.update([types] if isinstance(types, str) else types)
        found.update(_type_of(value) for value in part.get("enum", ()))
    found -= {"null"}
    return {"number"} if found == {"number", "integer"} else found


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")
