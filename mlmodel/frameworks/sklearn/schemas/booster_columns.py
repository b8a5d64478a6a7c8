"""What the boosters of LightGBM, XGBoost and CatBoost store about the columns that they read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from mlmodel.frameworks.sklearn.schemas.column import Column, Columns, MaybeColumn, with_examples

#: Trees whose thresholds are read.
MOST_TREES = 20


def from_lightgbm(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
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
        return column.with_span(low, high, (low + high) / 2)
    values = next(categories, None) if ":" in _codes(info) else None
    return column if values is None else replace(column.with_choices(values), dtype="category")


def from_xgboost(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    """Read the types, the categories and the splits of XGBoost's columns."""
    if not type(estimator).__module__.startswith("xgboost"):
        return None
    booster = estimator.get_booster()
    types = booster.feature_types or [""] * len(columns)
    choices = _xgboost_categories(booster) if "c" in types else []
    known = [
        column and replace(column, kind="boolean" if kind == "i" else "number", is_sure=True)
        for column, kind in zip(
            with_examples(columns, _xgboost_splits(booster, len(columns))), types, strict=True
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
    return list(map(median, splits))


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


def from_catboost(estimator: Any, columns: Columns) -> list[MaybeColumn] | None:
    """Read the borders of CatBoost's columns, and which hold categories or texts."""
    if not hasattr(estimator, "get_cat_feature_indices"):
        return None
    borders = estimator.get_borders()
    kinds = dict.fromkeys(estimator.get_cat_feature_indices(), "code")
    kinds |= dict.fromkeys(estimator.get_text_feature_indices(), "text")
    # A category may have been a whole number, and CatBoost reads that as its digits.
    names = dict.fromkeys(estimator.get_cat_feature_indices(), "str")
    known = with_examples(columns, [median(borders.get(at, ())) for at in range(len(columns))])
    return [
        column
        and replace(
            column, kind=kinds.get(at, "number"), dtype=names.get(at, column.dtype), is_sure=True
        )
        for at, column in enumerate(known)
    ]


def median(values: Any) -> Any:
    """Return the median of numbers; ``None`` if there are none."""
    return np.median(values) if len(values) else None
