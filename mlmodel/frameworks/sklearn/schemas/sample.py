"""What a sample of rows shows of its columns."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.errors import InvalidModel
from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.frameworks.sklearn.schemas.column import Column, kind_of, to_short_number
from mlmodel.frameworks.sklearn.schemas.dtypes import NOT_JSON, plain

#: Maximum of distinct texts in a column that becomes a list of choices.
MOST_CHOICES = 50
#: Maximum of rows and cells to inspect; a larger sample is thinned out evenly.
MOST_ROWS = 100_000
MOST_CELLS = 5_000_000
#: Cells of the rows that are converted to JSON.
MOST_JSON_CELLS = 100_000
#: Rows, and cells of rows, on which the model's own predictions are described.
MOST_EVEN_ROWS = 10_000
MOST_EVEN_CELLS = 200_000
#: Distinct values of a column that are written as JSON and read back when a model is packaged.
MOST_COMPARED = 1000
#: Characters of a value that an error repeats.
MOST_CHARACTERS = 60


@dataclass(frozen=True)
class Sample:
    """A sample as a table. ``is_named`` is true if its columns have names."""

    table: pd.DataFrame
    is_named: bool

    def columns(self, ignored: Collection[str] = ()) -> dict[str, Column]:
        """Return the columns of the sample by name, except ignored ones.

        :raises InvalidModel: if JSON cannot write values of its type.
        """
        return {
            str(name): column_of(str(name), values)
            for name, values in self.table.items()
            if str(name) not in ignored
        }

    def rows(self, columns: Sequence[Column]) -> Iterable[dict[str, Any]]:
        """Yield rows as JSON, those with nothing missing first; of a wide table only a few.

        A missing value is ``null``. Columns that the model does not read are left out, and so are
        rows with a value that JSON lacks: if all rows have one, the only row lacks these values.
        """
        used = [column for column in columns if column.is_read]
        table = self.table[[column.name for column in used]]
        order = np.argsort(table.isna().sum(axis=1).to_numpy(), kind="stable")
        some = table.iloc[order[: MOST_JSON_CELLS // max(len(used), 1) + 1]]
        complete = (row for row in _rows(some, used) if NOT_JSON not in row.values())
        first = next(complete, None)
        if first is None:
            row = next(_rows(some, used))
            first = {name: value for name, value in row.items() if value is not NOT_JSON}
        yield first
        yield from complete

    def values(self, columns: Sequence[Column]) -> dict[str, Sequence[Any]]:
        """Return the values by column: numbers as an array, others as JSON or ``None``."""
        return {
            column.name: _values(self.table[column.name], column)
            for column in columns
            if column.is_read and column.name in self.table
        }

    def even_rows(self, columns: Sequence[Column]) -> list[dict[str, Any]]:
        """Return evenly spaced rows as JSON, without those that JSON lacks."""
        used = [column for column in columns if column.is_read]
        most = min(MOST_EVEN_ROWS, MOST_EVEN_CELLS // max(len(used), 1) + 1)
        table = self.table[[column.name for column in used]].iloc[:: -(-len(self.table) // most)]
        return [row for row in _rows(table, used) if NOT_JSON not in row.values()]

    def doubts(self) -> list[str]:
        """Return a note on each column with values that JSON lacks."""
        return [
            f"{name} has values that cannot be shown as JSON, of type {', '.join(kinds)}: "
            "such rows are not used as examples"
            for name, values in self.table.items()
            if (kinds := _unsupported_types(values))
        ]


def _rows(table: pd.DataFrame, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """Yield rows, each value of the type that its column has: a series of one row has one type."""
    if not columns:
        return iter([{}] * len(table))
    names = [column.name for column in columns]
    values = [
        map(partial(as_json, column=column), each)
        for column, (_, each) in zip(columns, table.items(), strict=True)
    ]
    return (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))


def _values(values: pd.Series, column: Column) -> Any:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        return values.to_numpy()
    written = (as_json(value, column) for value in values)
    return [None if value is NOT_JSON else value for value in written]


def _unsupported_types(values: pd.Series) -> list[str]:
    """Return the types of the values that JSON lacks."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "bium":
        return []
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f":
        return ["infinity"] if np.isinf(values.to_numpy()).any() else []
    kinds = {type(value): value for value in values.dropna()}
    unsupported = (kind for kind, value in kinds.items() if dtypes.write(value) is NOT_JSON)
    return sorted(kind.__name__ for kind in unsupported)


def to_sample(sample: Any) -> Sample:
    """Convert a sample of any shape to a table.

    :raises InvalidModel: if it does not consist of rows, or is empty.
    """
    found = _to_sample(sample)
    if found.table.empty:
        raise InvalidModel("the sample has no rows")
    if not found.table.columns.is_unique:
        raise InvalidModel("the sample has two columns of the same name")
    return found


def column_of(name: str, values: pd.Series) -> Column:
    """Return a column of a sample.

    :raises InvalidModel: if JSON cannot write values of its type.
    """
    present = _present(values)
    kind, dtype = _kind_and_dtype(name, values.dtype, present)
    categories = None
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = dtypes.categories_of(values.dtype)
        _check_categories(name, values.dtype, categories)
    return Column(
        name,
        kind,
        is_sure=len(present) > 0,
        is_nullable=len(present) < len(values),
        choices=categories.values if categories else _choices(kind, dtype, present),
        examples=_examples(kind, present),
        span=_span(kind, present),
        dtype=dtype,
        missing=dtypes.missing_values_of(values),
        categories=categories,
        is_never_missing=len(present) == len(values),
    )


def check_reproduced(name: str, values: pd.Series, convert: Any) -> None:
    """Reject a column whose values change when they are written to JSON and read back.

    :param convert: makes a column of JSON values, see
        :func:`mlmodel.frameworks.sklearn.predict.column_values.converter`.
    :raises InvalidModel: naming the first value that does not.
    """
    some = _present(values).drop_duplicates() if _is_hashable(values) else _present(values)
    pairs = [(value, dtypes.write(value)) for value in some.head(MOST_COMPARED)]
    pairs = [(value, written) for value, written in pairs if written is not NOT_JSON]
    try:
        made = convert([written for _, written in pairs])
        back = pd.Series(made, dtype=getattr(made, "dtype", None))
    except (ValueError, TypeError, OverflowError) as error:
        raise _conversion_error(name, values.dtype, pairs[0][0]) from error
    is_objects = pd.api.types.is_object_dtype(values.dtype)
    is_same_type = is_objects or back.dtype == values.dtype or not pairs
    for (value, _), now in zip(pairs, back, strict=True):
        if not (is_same_type and _is_same(value, now)):
            raise _conversion_error(name, values.dtype, value)


def _is_same(value: Any, now: Any) -> bool:
    is_other_type = type(value) is not type(now) and not isinstance(value, str | np.generic)
    if is_other_type and not (isinstance(value, int | float) and isinstance(now, int | float)):
        return False
    return bool(value == now)


def _conversion_error(name: str, dtype: Any, value: Any) -> InvalidModel:
    shown = f"{value!r}"[:MOST_CHARACTERS]
    return InvalidModel(
        f"the sample's column {name!r} has the type {dtype}, and its value {shown} does not come "
        "back the same from JSON; convert the column to numbers, strings or times before you fit "
        "the model"
    )


def _is_hashable(values: pd.Series) -> bool:
    try:
        values.head(MOST_COMPARED).map(hash)
    except TypeError:
        return False
    return True


def _check_categories(name: str, dtype: Any, categories: dtypes.Categories) -> None:
    unsupported = [
        value
        for value, written in zip(dtype.categories, categories.values, strict=True)
        if written is NOT_JSON
    ]
    if unsupported:
        raise _conversion_error(name, dtype.categories.dtype, unsupported[0])
    back = dtypes.Categorical(categories)([*categories.values]).categories
    for value, now in zip(dtype.categories, back, strict=True):
        if not _is_same(value, now):
            raise _conversion_error(name, dtype.categories.dtype, value)


def _present(values: pd.Series) -> pd.Series:
    # With numpy if possible: a wide table has many columns of few rows.
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        is_complete = values.dtype.kind != "f" or not np.isnan(values.to_numpy()).any()
        return values if is_complete else values.dropna()
    return values.dropna()


def as_json(value: Any, column: Column) -> Any:
    """Return a value of a table as JSON: times as ISO 8601, what is missing as ``None``.

    A value that JSON lacks is :data:`~mlmodel.frameworks.sklearn.schemas.dtypes.NOT_JSON`.
    """
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    written = dtypes.write(value)
    if written is NOT_JSON:
        return written
    if column.kind == "date":
        return str(written)[: len("2026-01-31")]
    if column.kind in ("string", "text"):
        return str(written)
    if column.kind == "integer" or column.is_whole:
        is_whole = isinstance(written, bool) or (
            isinstance(written, float) and written.is_integer()
        )
        return int(written) if is_whole else written
    return written


def _to_sample(sample: Any) -> Sample:
    if isinstance(sample, pd.DataFrame):
        is_named = not pd.api.types.is_integer_dtype(sample.columns)
        table = _thin_out(sample)
        return Sample(table.rename(columns=str) if is_named else table, is_named)
    if isinstance(sample, pd.Series):
        return Sample(_thin_out(sample.to_frame(str(sample.name))), sample.name is not None)
    if hasattr(sample, "toarray"):
        return _of_array(_thin_out(sample.tocsr()).toarray())
    if isinstance(sample, np.ndarray):
        return _of_array(_thin_out(sample))
    if isinstance(sample, list | tuple):
        return _of_list(_thin_out(list(sample)))
    raise InvalidModel(
        "the sample must be a data frame, an array, a series or a list of rows, "
        f"got {type(sample).__name__}"
    )


def _thin_out(sample: Any) -> Any:
    count, width = _shape_of(sample)
    step = -(-count // min(MOST_ROWS, max(MOST_CELLS // width, 1)))
    if step <= 1:
        return sample
    return sample.iloc[::step] if hasattr(sample, "iloc") else sample[::step]


def _shape_of(sample: Any) -> tuple[int, int]:
    """Return the numbers of rows and columns of a sample, at least one each."""
    if not hasattr(sample, "shape"):
        first = sample[0] if sample else ()
        return len(sample), max(len(first), 1) if isinstance(first, list | tuple | Mapping) else 1
    return sample.shape[0], max(math.prod(sample.shape[1:]), 1)


def _of_array(array: Any) -> Sample:
    if array.ndim > 2:  # noqa: PLR2004
        raise InvalidModel(f"the sample must have one or two dimensions, got {array.ndim}")
    return Sample(pd.DataFrame(array), is_named=False)


def _of_list(rows: list[Any]) -> Sample:
    if all(isinstance(row, Mapping) for row in rows):
        return Sample(pd.DataFrame.from_records(rows), is_named=True)
    if any(isinstance(row, Mapping) for row in rows):
        raise InvalidModel("the sample mixes objects with other rows")
    return Sample(pd.DataFrame(rows), is_named=False)


def _kind_and_dtype(name: str, dtype: Any, present: pd.Series) -> tuple[str, str]:
    """Return the kind of a column's values in JSON, and its pandas type."""
    if isinstance(dtype, pd.CategoricalDtype):
        return kind_of(map(dtypes.write, dtype.categories)), "category"
    if pd.api.types.is_object_dtype(dtype):
        found = dtypes.object_dtype_of(present)
        return _kind_of_objects(found, list(present)), found
    for is_of, kind in _KINDS:
        if is_of(dtype):
            return kind(present), str(dtype)
    raise InvalidModel(
        f"the sample's column {name!r} has the type {dtype}, which JSON cannot write; convert it "
        "to numbers, strings or times before you fit the model"
    )


def _kind_of_times(present: pd.Series) -> str:
    if present.dtype.type is date:  # pyarrow's
        return "date"
    if present.dt.tz is not None:
        return "date-time"
    return "date" if _is_midnight(present) else "date-time-local"


def _kind_of_objects(dtype: str, values: list[Any]) -> str:
    if dtype in ("object[datetime]", "object[Timestamp]"):
        aware = [value.tzinfo is not None for value in values]
        return "date-time" if all(aware) else "string" if any(aware) else "date-time-local"
    kinds = {"object[date]": "date", "object[Decimal]": "number", "object": ""}
    if dtype not in kinds:
        return "string"
    return kinds[dtype] or kind_of(map(plain, values))


def _is_real(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)


def _is_text(dtype: Any) -> bool:
    return isinstance(dtype, pd.StringDtype) or pd.api.types.is_string_dtype(dtype)


def _is_text_in_json(dtype: Any) -> bool:
    return isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype) or (
        pd.api.types.is_timedelta64_dtype(dtype)
    )


#: Types of pandas, and the kind of their values in JSON. The first match counts.
_KINDS: Sequence[tuple[Any, Any]] = (
    (pd.api.types.is_bool_dtype, lambda _: "boolean"),
    (pd.api.types.is_integer_dtype, lambda _: "integer"),
    (_is_real, lambda _: "number"),
    (pd.api.types.is_datetime64_any_dtype, _kind_of_times),
    (_is_text_in_json, lambda _: "string"),
    (_is_text, lambda _: "string"),
)


def _is_midnight(moments: pd.Series) -> bool:
    return not moments.empty and bool((moments == moments.dt.normalize()).all())


def _choices(kind: str, dtype: str, present: pd.Series) -> tuple[Any, ...]:
    """Return the texts of a column that repeat."""
    if kind != "string" or dtype not in ("str", "string", "object"):
        return ()
    texts = sorted(set(map(str, present)))
    return tuple(texts) if len(texts) <= min(MOST_CHOICES, len(present) // 2) else ()


def _examples(kind: str, present: pd.Series) -> tuple[Any, ...]:
    """Return the median, or the first of texts."""
    if present.empty or isinstance(present.dtype, pd.CategoricalDtype):
        return ()
    column = Column("", kind)
    if kind == "number":
        middle = to_short_number(np.median(present.to_numpy(dtype=float)))
        return () if middle is None else (middle,)
    if kind in ("integer", "date", "date-time", "date-time-local"):
        return (as_json(present.sort_values().iloc[len(present) // 2], column),)
    return (as_json(present.iloc[0], column),) if kind == "string" else ()


def _span(kind: str, present: pd.Series) -> tuple[float, float] | None:
    if kind not in ("integer", "number") or present.empty:
        return None
    if isinstance(present.dtype, pd.CategoricalDtype):
        return None
    known = present.to_numpy()
    low, high = (
        plain(value) if kind == "integer" else to_short_number(value)
        for value in (known.min(), known.max())
    )
    return None if low is None or high is None or low == high else (low, high)
