"""What each estimator stores about the columns that it reads.

Estimators are recognized by their fitted attributes, not by their classes, so those of other
packages are understood if they use scikit-learn's names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.frameworks.sklearn.schemas.column import Column
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
#: Trees whose thresholds are read.
MOST_TREES = 20
#: Digits of a number that is only an example.
DIGITS = 4

Known = Column | None
Columns = Sequence[Known]


def with_stored_facts(estimator: Any, columns: Columns) -> list[Known]:
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


def rounded(value: Any) -> float | None:
    """Return a number short enough to read; ``None`` for any other value."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(f"{number:.{DIGITS}g}")


def _from_vectorizer(estimator: Any, columns: Columns) -> list[Known] | None:
    if not reads_texts(estimator):
        return None
    return [column and replace(column, kind="text", is_sure=True) for column in columns]


def _from_encoder(estimator: Any, columns: Columns) -> list[Known] | None:
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


def _from_imputer(estimator: Any, columns: Columns) -> list[Known] | None:
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
    if stands_in and (isinstance(value, str) or rounded(value) == value):
        return replace(known, default=value, examples=known.examples or (value,))
    if isinstance(value, str):
        return known
    return _with_example(known, value)


def _from_centres(estimator: Any, columns: Columns) -> list[Known] | None:
    for name in CENTRES:
        centre = _by_column(getattr(estimator, name, None), len(columns))
        if centre is not None:
            return _with_examples(columns, centre)
    return None


def _by_column(values: Any, count: int) -> Any:
    """Return one number for each column: the median of rows. ``None`` if it is not of columns."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        return None
    if values.ndim == 2 and values.shape[0] > 0 and values.shape[1] == count:  # noqa: PLR2004
        lacking = np.isnan(values).all(axis=0) if values.dtype.kind == "f" else np.zeros(count)
        return np.where(lacking, np.nan, np.nanmedian(np.where(lacking, 0, values), axis=0))
    return values if values.shape == (count,) else None


def _from_ranges(estimator: Any, columns: Columns) -> list[Known] | None:
    """Read the range of the values that an estimator was fitted on."""
    spans = _spans(estimator)
    if spans is None or len(spans) != len(columns):
        return None
    return [
        column and _with_span(column, plain(low), plain(high), rounded(middle))
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


def _with_span(column: Column, low: Any, high: Any, middle: float | None) -> Column:
    low, high = rounded(low), rounded(high)
    if low is None or high is None or middle is None:
        return column
    return replace(_with_example(column, middle), span=(low, high))


def _from_tree(estimator: Any, columns: Columns) -> list[Known] | None:
    """Read the thresholds of a tree: values near them make a difference."""
    tree = getattr(estimator, "tree_", None)
    if tree is None or not hasattr(tree, "threshold"):
        return None
    thresholds = [tree.threshold[tree.feature == at] for at in range(len(columns))]
    return _with_examples(columns, map(_median, thresholds))


def _from_bins(estimator: Any, columns: Columns) -> list[Known] | None:
    mapper = getattr(estimator, "_bin_mapper", None)
    if mapper is None:
        return None
    categorical = getattr(estimator, "is_categorical_", None)
    if categorical is None:
        return _with_examples(columns, map(_median, mapper.bin_thresholds_))
    # The categories were put before the numbers.
    order = [*np.flatnonzero(categorical), *np.flatnonzero(~categorical)]
    middles = dict(zip(order, map(_median, mapper.bin_thresholds_), strict=True))
    return _with_examples(columns, [middles[at] for at in range(len(columns))])


def _median(values: Any) -> Any:
    return np.median(values) if len(values) else None


def _from_lightgbm(estimator: Any, columns: Columns) -> list[Known] | None:
    """Read the line that LightGBM writes of its columns: spans, or codes of categories."""
    if not type(estimator).__module__.startswith("lightgbm") or not hasattr(estimator, "booster_"):
        return None
    text = estimator.booster_.model_to_string(num_iteration=1)
    found = re.search(r"^feature_infos=(.*)$", text, re.MULTILINE)
    infos = found[1].split(" ") if found else []
    # One list for each column of categories, also for those that have one value or an order: which
    # these are, only a sample shows.
    known = estimator.booster_.pandas_categorical or ()
    categories = iter(known if sum(":" in _codes(info) for info in infos) == len(known) else ())
    # Its files have underscores where the names had blanks.
    renamed = {name for name in estimator.booster_.feature_name() if "_" in name}
    return [
        column and replace(_with_info(column, info, categories), is_renamed=column.name in renamed)
        for column, info in zip(columns, infos, strict=False)
    ]


def _codes(info: str) -> str:
    """Return the codes of a column's categories, as ``0:1:2``; nothing for a span of numbers."""
    return "" if info.startswith("[") else info


def _with_info(column: Column, info: str, categories: Any) -> Column:
    span = re.fullmatch(r"\[(.+):(.+)\]", info)
    if span:
        low, high = float(span[1]), float(span[2])
        return _with_span(column, low, high, rounded((low + high) / 2))
    values = next(categories, None) if ":" in _codes(info) else None
    return column if values is None else replace(column.with_choices(values), dtype="category")


def _from_xgboost(estimator: Any, columns: Columns) -> list[Known] | None:
    if not type(estimator).__module__.startswith("xgboost"):
        return None
    booster = estimator.get_booster()
    types = booster.feature_types or [""] * len(columns)
    choices = _xgboost_categories(booster) if "c" in types else []
    known = [
        column and replace(column, kind="boolean" if kind == "i" else "number", is_sure=True)
        for column, kind in zip(
            _with_examples(columns, _xgboost_splits(booster, len(columns))), types, strict=True
        )
    ]
    for at, values in enumerate(choices):
        column = known[at]
        if column is not None and types[at] == "c":
            known[at] = replace(column.with_choices(values), dtype="category")
    return known


def _xgboost_splits(booster: Any, count: int) -> list[Any]:
    """Return where the first trees split each column in the middle."""
    splits: list[list[float]] = [[] for _ in range(count)]
    some = booster[0 : min(MOST_TREES, booster.num_boosted_rounds())]
    for tree in _xgboost_model(some).get("trees", []):
        nodes = zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
        )
        for at, value, left in nodes:
            if left >= 0:
                splits[at].append(value)
    return list(map(_median, splits))


def _xgboost_model(booster: Any) -> dict[str, Any]:
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    found: dict[str, Any] = model.get("gbtree", model).get("model", {})
    return found


def _xgboost_categories(booster: Any) -> list[list[Any]]:
    """Return each column's categories out of XGBoost's own JSON, where it has them.

    Its own method for them requires pyarrow. Texts are written as Arrow has them: all bytes in a
    line, and where each text begins and ends.
    """
    encoded = _xgboost_model(booster).get("cats", {}).get("enc", [])
    return [_arrow_values(each.get("values", []), each.get("offsets")) for each in encoded]


def _arrow_values(values: list[Any], offsets: list[int] | None) -> list[Any]:
    if not offsets:
        return values
    line = bytes(values)
    return [line[start:end].decode() for start, end in pairwise(offsets)]


def _from_catboost(estimator: Any, columns: Columns) -> list[Known] | None:
    if not hasattr(estimator, "get_cat_feature_indices"):
        return None
    borders = estimator.get_borders()
    kinds = dict.fromkeys(estimator.get_cat_feature_indices(), "code")
    kinds |= dict.fromkeys(estimator.get_text_feature_indices(), "text")
    # A category may have been a whole number, and CatBoost reads that as its digits.
    names = dict.fromkeys(estimator.get_cat_feature_indices(), "str")
    known = _with_examples(columns, [_median(borders.get(at, ())) for at in range(len(columns))])
    return [
        column
        and replace(
            column, kind=kinds.get(at, "number"), dtype=names.get(at, column.dtype), is_sure=True
        )
        for at, column in enumerate(known)
    ]


def _with_examples(columns: Columns, values: Iterable[Any]) -> list[Known]:
    return [
        column and _with_example(column, value)
        for column, value in zip(columns, values, strict=True)
    ]


def _with_example(column: Column, value: Any) -> Column:
    """Return a column with an example, unless an earlier estimator gave it one."""
    example = rounded(value)
    if example is None or not column.is_numeric or column.choices:
        return column
    return replace(column, is_sure=True, examples=column.examples or (example,))


#: In order of precedence: an imputer's statistic is exact, so imputers come first.
FACTS: Sequence[Callable[[Any, Columns], list[Known] | None]] = (
    _from_vectorizer,
    _from_encoder,
    _from_imputer,
    _from_ranges,
    _from_centres,
    _from_tree,
    _from_bins,
    _from_lightgbm,
    _from_xgboost,
    _from_catboost,
)
