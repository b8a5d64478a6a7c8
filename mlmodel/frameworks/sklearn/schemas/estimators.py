"""What each estimator stores about the columns that it reads.

Estimators are recognized by their fitted attributes, not by their classes, so those of other
packages are understood if they use scikit-learn's names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.frameworks.sklearn.schemas.booster_columns import (
    from_catboost,
    from_lightgbm,
    from_xgboost,
    median,
)
from mlmodel.frameworks.sklearn.schemas.column import (
    Column,
    Columns,
    MaybeColumn,
    to_short_number,
    with_examples,
)
from mlmodel.frameworks.sklearn.schemas.dtypes import plain

#: Attributes with typical values: one number for each column, or rows of them.
CENTRES = (
    "mean_",
    "center_",
    "location_",
    "xbar_",
    "_x_mean",
    "theta_",
    "cluster_centers_",
    "centroids_",
    "means_",
    "_fit_X",
    "X_fit_",
    "X_train_",
    "support_vectors_",
)
#: Imputers whose statistic is a value that stands for a missing one.
STATISTICS = {"median", "most_frequent", "mean"}


def with_stored_facts(estimator: Any, columns: Columns) -> list[MaybeColumn]:
    """Return the columns with what an estimator stores about them.

    :param columns: as the estimator reads them; ``None`` for one whose values have changed.
    """
    known = list(columns)
    for find_facts in FACTS:
        found = find_facts(estimator, known)
        if found is not None and len(found) == len(known):
            known = [before and after for before, after in zip(known, found, strict=True)]
    return known


def reads_texts(estimator: Any) -> bool:
    """Return whether an estimator reads a list of texts, and not a table."""
    return hasattr(estimator, "build_analyzer")


def reads_records(estimator: Any) -> bool:
    """Return whether an estimator reads a list of objects, and not a table."""
    return type(estimator).__name__ == "DictVectorizer"


def record_members(estimator: Any) -> list[Column]:
    """Return the members of the objects that a DictVectorizer was fitted on.

    It writes a text as ``name=value``, and accepts unknown members.
    """
    members: dict[str, Column] = {}
    for feature in estimator.feature_names_:
        name, separator, value = str(feature).partition(estimator.separator)
        member = members.get(name, Column(name, is_sure=True, is_nullable=True))
        if separator:
            member = member.with_choices([*member.choices, value])
        members[name] = replace(member, is_open=bool(member.choices))
    return list(members.values())


def _from_vectorizer(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    if not reads_texts(estimator):
        return None
    return [column and replace(column, kind="text", is_sure=True) for column in columns]


def _from_encoder(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    """Read the categories of an encoder. A missing category makes the column nullable."""
    categories = getattr(estimator, "categories_", None)
    if not isinstance(categories, list) or len(categories) != len(columns):
        return None
    return [
        column and _with_categories(column, pd.Series(values, dtype=np.asarray(values).dtype))
        for column, values in zip(columns, categories, strict=True)
    ]


def _with_categories(column: Column, values: pd.Series) -> Column:
    """Return a column with an encoder's categories as choices."""
    present = values.dropna()
    known = column.with_choices(map(dtypes.write, present))
    missing = dtypes.missing_values_of(values)
    if values.dtype == object:
        dtype = dtypes.object_dtype_of(present)
        # Texts and numbers may be in any column; one with None is of Python objects.
        is_plain = dtype == "object" and "None" not in missing
        return replace(known, dtype="" if is_plain else dtype, missing=missing)
    is_typed = values.dtype.kind in "mMiu"
    kind = "date-time-local" if values.dtype.kind == "M" else known.kind
    return replace(known, dtype=str(values.dtype) if is_typed else "", kind=kind)


def _from_imputer(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    statistics = getattr(estimator, "statistics_", None)
    if statistics is None or len(statistics) != len(columns):
        return None
    stands_in = estimator.strategy in STATISTICS and not estimator.add_indicator
    return [
        column and _with_statistic(column, plain(value), stands_in)
        for column, value in zip(columns, statistics, strict=True)
    ]


def _with_statistic(column: Column, value: Any, stands_in: bool) -> Column:
    if value is None:
        return column
    kind = "string" if isinstance(value, str) else "number"
    known = replace(column, kind=kind, is_sure=True)
    # A default must be exact to the last digit: a long one is only an example.
    if stands_in and (isinstance(value, str) or to_short_number(value) == value):
        return replace(known, default=value, examples=known.examples or (value,))
    if isinstance(value, str):
        return known
    return known.with_example(value)


def _from_centres(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    for name in CENTRES:
        centre = _by_column(getattr(estimator, name, None), len(columns))
        if centre is not None:
            return with_examples(columns, centre)
    return None


def _by_column(values: Any, count: int) -> Any:
    """Return one number for each column: the median of rows. ``None`` if it is not of columns."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        return None
    if values.ndim == 2 and values.shape[0] > 0 and values.shape[1] == count:  # noqa: PLR2004
        lacking = np.isnan(values).all(axis=0) if values.dtype.kind == "f" else np.zeros(count)
        return np.where(lacking, np.nan, np.nanmedian(np.where(lacking, 0, values), axis=0))
    return values if values.shape == (count,) else None


def _from_ranges(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    """Read the range of the values that an estimator was fitted on."""
    spans = _spans(estimator)
    if spans is None or len(spans) != len(columns):
        return None
    return [
        column and column.with_span(plain(low), plain(high), to_short_number(middle))
        for column, (low, high, middle) in zip(columns, spans, strict=True)
    ]


def _spans(estimator: Any) -> list[tuple[Any, Any, Any]] | None:
    if hasattr(estimator, "data_min_"):
        low, high = estimator.data_min_, estimator.data_max_
        return list(zip(low, high, (low + high) / 2, strict=True))
    quantiles = getattr(estimator, "quantiles_", None)
    if isinstance(quantiles, np.ndarray) and quantiles.ndim > 1:
        return [(row[0], row[-1], row[len(row) // 2]) for row in quantiles.T]
    edges = getattr(estimator, "bin_edges_", None)
    if edges is not None and all(np.ndim(row) == 1 for row in edges):
        return [(row[0], row[-1], row[len(row) // 2]) for row in edges]
    return None


def _from_tree(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    """Read the thresholds of a tree: values near them make a difference."""
    tree = getattr(estimator, "tree_", None)
    if tree is None or not hasattr(tree, "threshold"):
        return None
    thresholds = [tree.threshold[tree.feature == at] for at in range(len(columns))]
    return with_examples(columns, map(median, thresholds))


def _from_bins(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    mapper = getattr(estimator, "_bin_mapper", None)
    if mapper is None:
        return None
    categorical = getattr(estimator, "is_categorical_", None)
    if categorical is None:
        return with_examples(columns, map(median, mapper.bin_thresholds_))
    # The categories were put before the numbers.
    order = [*np.flatnonzero(categorical), *np.flatnonzero(~categorical)]
    middles = dict(zip(order, map(median, mapper.bin_thresholds_), strict=True))
    return with_examples(columns, [middles[at] for at in range(len(columns))])


#: In order of precedence: an imputer's statistic is exact, so imputers come first.
FACTS: Sequence[Callable[[Any, Columns], list[MaybeColumn] | None]] = (
    _from_vectorizer,
    _from_encoder,
    _from_imputer,
    _from_ranges,
    _from_centres,
    _from_tree,
    _from_bins,
    from_lightgbm,
    from_xgboost,
    from_catboost,
)
