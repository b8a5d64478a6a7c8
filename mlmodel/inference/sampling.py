"""What a sample of rows shows of its columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.errors import InvalidModel
from mlmodel.inference.column import Column, kind_of
from mlmodel.inference.knowledge import plain, rounded

#: Distinct texts up to which a column of them is a list to choose from.
MOST_CHOICES = 50
#: Rows that are looked at, and cells of them; of a larger sample rows are taken at even steps.
MOST_ROWS = 100_000
MOST_CELLS = 5_000_000
#: Cells of the rows that are given as JSON.
MOST_SHOWN = 100_000

#: What pandas calls a column, where the kind says no less.
IMPLIED_DTYPES: Mapping[str, frozenset[str]] = {
    "boolean": frozenset({"bool"}),
    "integer": frozenset({"int64"}),
    "number": frozenset({"float64"}),
    "string": frozenset({"object", "str", "string"}),
    "date": frozenset(),
    "date-time": frozenset(),
    "": frozenset({"object"}),
}

#: Values that are texts in JSON: ISO 8601, which pandas reads again.
TEXTS: Mapping[type, Callable[[Any], str]] = {
    time: time.isoformat,
    pd.Period: str,
    pd.Timedelta: pd.Timedelta.isoformat,
}
#: Stands for a value that JSON cannot say.
UNSAID = object()


@dataclass(frozen=True)
class Sample:
    """A sample as a table. ``is_named`` says whether its columns have names of their own."""

    table: pd.DataFrame
    is_named: bool

    def columns(self) -> dict[str, Column]:
        """Return what each column shows, by its name."""
        return {str(name): seen(str(name), values) for name, values in self.table.items()}

    def lacking(self, name: str) -> int:
        """Return in how many rows a column is missing."""
        return self._lacking[name]

    @cached_property
    def _lacking(self) -> dict[str, int]:
        return {str(name): int(count) for name, count in self.table.isna().sum().items()}

    def rows(self, columns: Sequence[Column]) -> Iterable[dict[str, Any]]:
        """Yield rows as JSON, those with nothing missing first; of a wide table only a few.

        What is missing is ``null``. Columns that are not asked are left out, and so are rows with
        a value that JSON cannot say: if all have one, there is one row, without such values.
        """
        asked = [column for column in columns if column.is_asked]
        table = self.table[[column.name for column in asked]]
        order = np.argsort(table.isna().sum(axis=1).to_numpy(), kind="stable")
        some = table.iloc[order[: MOST_SHOWN // max(len(asked), 1) + 1]]
        said = _said(some, asked)
        first = next(said, None)
        if first is None:
            row = next(_rows(some, asked))
            first = {name: value for name, value in row.items() if value is not UNSAID}
        yield first
        yield from said

    def doubts(self) -> list[str]:
        """Return a sentence on each column with values that JSON cannot say."""
        return [
            f"{name} has values that cannot be shown as JSON, of type {', '.join(kinds)}: "
            "rows with them are no examples"
            for name, values in self.table.items()
            if (kinds := _unsaid(values))
        ]


def _said(table: pd.DataFrame, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    return (row for row in _rows(table, columns) if UNSAID not in row.values())


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


def _unsaid(values: pd.Series) -> list[str]:
    """Return the types of the values that JSON cannot say."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "bium":
        return []
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f":
        return ["infinity"] if np.isinf(values.to_numpy()).any() else []
    kinds = {type(value): value for value in values.dropna()}
    return sorted(kind.__name__ for kind, value in kinds.items() if _plain(value) is UNSAID)


def sampled(sample: Any) -> Sample:
    """Return a sample in whatever shape as a table.

    :raises InvalidModel: if it is not of rows, or of none.
    """
    found = _sampled(sample)
    if found.table.empty:
        raise InvalidModel("the sample has no rows")
    if not found.table.columns.is_unique:
        raise InvalidModel("the sample has two columns of the same name")
    return found


def seen(name: str, values: pd.Series) -> Column:
    """Return what a column of a sample shows."""
    present = _present(values)
    lacks = len(present) < len(values)
    kind = _kind(values.dtype, present)
    return Column(
        name,
        kind,
        is_sure=len(present) > 0,
        is_nullable=lacks,
        choices=_choices(kind, values.dtype, present),
        examples=_examples(kind, present),
        span=_span(kind, present),
        dtype=_dtype(kind, values.dtype),
    )


def _present(values: pd.Series) -> pd.Series:
    # Said to numpy where it can be: a wide table has many columns of few rows.
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        lacking = np.isnan(values.to_numpy()) if values.dtype.kind == "f" else np.False_
        return values.dropna() if lacking.any() else values
    return values.dropna()


def as_json(value: Any, column: Column) -> Any:
    """Return a value of a table as JSON: moments as ISO 8601, what is missing as ``None``.

    What JSON cannot say is :data:`UNSAID`.
    """
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if column.kind == "date" and isinstance(value, date):
        return value.strftime("%Y-%m-%d")
    if column.kind == "date-time" and isinstance(value, date):
        return _moment(value)
    said = _plain(value)
    if said is UNSAID:
        return said
    if column.kind in ("string", "text"):
        return str(said)
    is_whole = isinstance(said, bool) or (isinstance(said, float) and said.is_integer())
    return int(said) if column.kind == "integer" and is_whole else said


def _plain(value: Any) -> Any:
    """Return a value that is not missing as plain JSON."""
    if type(value) in TEXTS:
        return TEXTS[type(value)](value)
    if isinstance(value, date):
        return value.isoformat()
    said = plain(float(value) if isinstance(value, Decimal) else value)
    return UNSAID if said is None else said


def _sampled(sample: Any) -> Sample:
    if isinstance(sample, Sample):
        return sample
    if isinstance(sample, pd.DataFrame):
        is_named = not pd.api.types.is_integer_dtype(sample.columns)
        return Sample(
            _thinned(sample).rename(columns=str) if is_named else _thinned(sample), is_named
        )
    if isinstance(sample, pd.Series):
        return Sample(_thinned(sample.to_frame(str(sample.name))), sample.name is not None)
    if hasattr(sample, "toarray"):
        return _of_array(_thinned(sample.tocsr()).toarray())
    if isinstance(sample, np.ndarray):
        return _of_array(_thinned(sample))
    if isinstance(sample, list | tuple):
        return _of_list(_thinned(list(sample)))
    raise InvalidModel(
        "the sample must be a data frame, an array, a series or a list of rows, "
        f"got {type(sample).__name__}"
    )


def _thinned(sample: Any) -> Any:
    count, width = _size(sample)
    step = -(-count // min(MOST_ROWS, max(MOST_CELLS // width, 1)))
    if step <= 1:
        return sample
    return sample.iloc[::step] if hasattr(sample, "iloc") else sample[::step]


def _size(sample: Any) -> tuple[int, int]:
    """Return how many rows a sample has, and how many columns: at least one."""
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
        raise InvalidModel("the sample's rows must all be objects, or none of them")
    return Sample(pd.DataFrame(rows), is_named=False)


def _kind(dtype: Any, present: pd.Series) -> str:
    if isinstance(dtype, pd.CategoricalDtype):
        return kind_of(map(plain, dtype.categories))
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date" if _is_midnight(present) else "date-time"
    return _kind_of_objects(list(present))


def _kind_of_objects(values: list[Any]) -> str:
    types = {type(value) for value in values}
    if types and types <= {datetime, pd.Timestamp}:
        return "date-time"
    if types == {date}:
        return "date"
    if types == {Decimal}:
        return "number"
    if types <= {str, np.str_, *TEXTS}:
        return "string"
    return kind_of(map(plain, values))


def _is_midnight(moments: pd.Series) -> bool:
    if moments.dt.tz is not None or moments.empty:
        return False
    return bool((moments == moments.dt.normalize()).all())


def _choices(kind: str, dtype: Any, present: pd.Series) -> tuple[Any, ...]:
    """Return the categories of a column, or the texts that come again and again in it."""
    if isinstance(dtype, pd.CategoricalDtype):
        return tuple(value for value in map(plain, dtype.categories) if value is not None)
    if kind != "string" or _dtype(kind, dtype):
        return ()
    texts = sorted(set(map(str, present)))
    return tuple(texts) if len(texts) <= min(MOST_CHOICES, len(present) // 2) else ()


def _examples(kind: str, present: pd.Series) -> tuple[Any, ...]:
    """Return a value from the middle; of texts, which have none, the first."""
    if present.empty or isinstance(present.dtype, pd.CategoricalDtype):
        return ()
    column = Column("", kind)
    if kind == "number":
        middle = rounded(np.median(present.to_numpy(dtype=float)))
        return () if middle is None else (middle,)
    if kind in ("integer", "date", "date-time"):
        return (as_json(present.sort_values().iloc[len(present) // 2], column),)
    return (as_json(present.iloc[0], column),) if kind == "string" else ()


def _span(kind: str, present: pd.Series) -> tuple[float, float] | None:
    if kind not in ("integer", "number") or present.empty:
        return None
    if isinstance(present.dtype, pd.CategoricalDtype):
        return None
    known = present.to_numpy()
    low, high = (
        plain(value) if kind == "integer" else rounded(value)
        for value in (known.min(), known.max())
    )
    return None if low is None or high is None or low == high else (low, high)


def _dtype(kind: str, dtype: Any) -> str:
    """Return what pandas calls the column, unless that follows from its kind."""
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if str(dtype) in IMPLIED_DTYPES[kind]:
        return ""
    if dtype.kind == "O" and not isinstance(dtype, pd.PeriodDtype):
        return "object" if kind == "date" else ""
    return str(dtype)


def _moment(value: Any) -> str:
    stamp = pd.Timestamp(value)
    return f"{stamp.isoformat()}{'' if stamp.tzinfo else 'Z'}"
