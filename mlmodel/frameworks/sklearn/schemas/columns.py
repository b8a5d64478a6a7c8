"""The input columns of a fitted estimator, as the object itself describes them.

Columns are followed through pipelines, column transformers, unions, searches and ensembles as long
as their values do not change. Each estimator on the way may store something about a column:
see :mod:`mlmodel.frameworks.sklearn.schemas.estimators`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import get_tags

from mlmodel.frameworks.sklearn.schemas.column import Column
from mlmodel.frameworks.sklearn.schemas.estimators import learned, takes_records, takes_texts

#: Attributes in which a fitted estimator keeps estimators of its own columns.
INNER = ("best_estimator_", "estimator_", "regressor_", "classifier_", "_preprocessor")
INNER_LISTS = ("estimators_", "calibrated_classifiers_")
#: Members of an ensemble that are inspected; all of them have the same columns.
MOST_MEMBERS = 20

#: Attributes with estimators of some columns, and those that list the columns.
Part = tuple[Any, Sequence[int] | None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flow:
    """One column somewhere within a model.

    ``sources`` are the input columns that it was made from. ``raw`` is the one whose values it
    still has. If ``is_lacking``, missing values of that one are surely still missing.
    """

    sources: frozenset[int]
    raw: int | None = None
    is_lacking: bool = True


@dataclass
class Reading:
    """What was found while a model was read.

    ``strict`` are the columns in which it surely rejects missing values. ``takes`` is ``"texts"``
    or ``"records"`` for a model of lists of these instead of columns.
    """

    columns: list[Column]
    is_named: bool = False
    strict: set[int] = field(default_factory=set)
    takes: str = "columns"


def read(model: Any) -> Reading | None:
    """Return the columns of a model; ``None`` if not even their number is known."""
    # Estimators of other packages may raise anything when they are inspected.
    try:
        return _read(model)
    except Exception:
        logger.exception("nothing can be told of %s", type(model).__name__)
        return None


def column_names(model: Any) -> list[str] | None:
    """Return the names of the columns that a model was fitted on, if it stores them."""
    for estimator in _first_of_all(model):
        names = getattr(estimator, "feature_names_in_", None)
        if names is None and not takes_records(estimator):
            names = _unless_counted(getattr(estimator, "feature_names_", None))
        if names is not None and len(names) == column_count(estimator, len(names)):
            return [str(name) for name in names]
    return None


def column_count(model: Any, default: int = 0) -> int:
    """Return the number of columns that a model was fitted on, or ``default``."""
    for estimator in _first_of_all(model):
        count = getattr(estimator, "n_features_in_", None)
        if isinstance(count, int | np.integer) and count > 0:
            return int(count)
        if _is_of(estimator, "catboost"):
            # A pickle of it lacks the count but has the names.
            return len(estimator.feature_names_)
    return default


def inner_parts(estimator: Any) -> list[Part]:
    """Return the fitted estimators that get an estimator's own columns, and which of them."""
    parts: list[Part] = [
        (inner, None)
        for name in INNER
        if (inner := getattr(estimator, name, None)) is not None and _is_estimator(inner)
    ]
    for name in INNER_LISTS:
        members = _flat(getattr(estimator, name, None))
        subsets = getattr(estimator, "estimators_features_", None) or [None] * len(members)
        parts += [
            (getattr(member, "estimator", member) if name != "estimators_" else member, subset)
            for member, subset in zip(members, subsets, strict=False)
            if _is_estimator(member) or hasattr(member, "estimator")
        ]
    if not parts and _is_frozen(estimator):
        parts.append((estimator.estimator, None))
    return parts[:MOST_MEMBERS]


def steps_of(estimator: Any) -> list[Any] | None:
    """Return a pipeline's steps, or ``None`` for anything else."""
    steps = getattr(estimator, "steps", None)
    return [step for _, step in steps] if isinstance(steps, list) else None


def _read(model: Any) -> Reading | None:
    names = column_names(model)
    count = len(names or ()) or column_count(model)
    reader = _Reader([Column(name) for name in names or [f"x{at}" for at in range(count or 1)]])
    flows = reader.through(model, [Flow(frozenset({at}), at) for at in range(len(reader.columns))])
    if not count and reader.takes == "columns":
        return None
    asked = {source for flow in flows for source in flow.sources}
    columns = [
        replace(column, is_asked=at in asked or reader.takes != "columns")
        for at, column in enumerate(reader.columns)
    ]
    if reader.takes == "texts" and not names:
        columns = [replace(columns[0], name="text")]
    return Reading(columns, bool(names), reader.strict, reader.takes)


class _Reader:
    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
        self.strict: set[int] = set()
        self.takes = "columns"

    def through(self, estimator: Any, flows: list[Flow]) -> list[Flow]:
        """Read what an estimator stores about its columns, and return its output columns."""
        if _is_nothing(estimator):
            return flows
        flows = _counted(estimator, flows)
        steps = steps_of(estimator)
        if steps is not None:
            for step in steps:
                flows = self.through(step, flows)
            return flows
        if isinstance(getattr(estimator, "transformers_", None), list):
            return self._side_by_side(column_parts(estimator), flows)
        if hasattr(estimator, "transformer_list"):
            return self._side_by_side([(one, None) for _, one in estimator.transformer_list], flows)
        self._learn(estimator, flows)
        parts = inner_parts(estimator)
        read = self._side_by_side(parts, flows)
        return _mixed(read, 1) if _only_asks(estimator, parts) else _given(estimator, flows)

    def _side_by_side(self, parts: Iterable[Part], flows: list[Flow]) -> list[Flow]:
        return [
            given for part, subset in parts for given in self.through(part, _picked(flows, subset))
        ]

    def _learn(self, estimator: Any, flows: list[Flow]) -> None:
        if takes_texts(estimator):
            self._take("texts", flows)
        elif takes_records(estimator):
            self._take("records", flows)
            self.columns[:] = [each for each in learned(estimator, []) if each is not None]
            return
        raw = [None if flow.raw is None else self.columns[flow.raw] for flow in flows]
        for flow, column in zip(flows, learned(estimator, raw), strict=True):
            if flow.raw is not None and column is not None:
                self.columns[flow.raw] = column
        if _refuses_missing(estimator):
            self.strict.update(*(flow.sources for flow in flows if flow.is_lacking))

    def _take(self, kind: str, flows: list[Flow]) -> None:
        # A column transformer passes one of many columns to a vectorizer; they are still columns.
        if len(self.columns) == 1 and len(flows) == 1 and self.takes == "columns":
            self.takes = kind


def column_parts(transformer: Any) -> Iterator[Part]:
    """Yield the fitted parts of a column transformer, with the places of their columns."""
    names = list(getattr(transformer, "feature_names_in_", ()))
    resolved = getattr(transformer, "_transformer_to_input_indices", {})
    for name, part, columns in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        yield part, resolved.get(name) or _places(columns, names)


def _places(columns: Any, names: list[str]) -> list[int]:
    every = [columns] if isinstance(columns, str | int) else columns
    return [names.index(each) if isinstance(each, str) else int(each) for each in every]


def _given(estimator: Any, flows: list[Flow]) -> list[Flow]:
    """Return the output columns of an estimator for its input columns."""
    if hasattr(estimator, "fit_resample") and not hasattr(estimator, "transform"):
        return flows  # it works only while the model is fitted
    if not hasattr(estimator, "transform") or hasattr(estimator, "predict"):
        return _mixed(flows, 1)
    if hasattr(estimator, "get_support"):
        return _picked(flows, np.flatnonzero(estimator.get_support()))
    if _is_imputer(estimator):
        return _imputed(estimator, flows)
    if _is_one_to_one(estimator):
        return _each_changed(estimator, flows)
    return _mixed(flows, _width(estimator))


def _each_changed(estimator: Any, flows: list[Flow]) -> list[Flow]:
    if getattr(estimator, "func", estimator) is None:
        return flows  # a FunctionTransformer without a function
    passes = _is_own(estimator) and not hasattr(estimator, "categories_")
    return [Flow(flow.sources, is_lacking=flow.is_lacking and passes) for flow in flows]


def _imputed(estimator: Any, flows: list[Flow]) -> list[Flow]:
    """Return the columns without missing values, and without those that were always missing."""
    filled = [replace(flow, is_lacking=False) for flow in flows]
    statistics = getattr(estimator, "statistics_", None)
    if statistics is not None and not getattr(estimator, "keep_empty_features", False):
        filled = [one for one, value in zip(filled, statistics, strict=False) if value == value]  # noqa: PLR0124  NaN
    indicator = getattr(estimator, "indicator_", None)
    return [*filled, *(_mixed(flows, len(indicator.features_)) if indicator is not None else ())]


def _counted(estimator: Any, flows: list[Flow]) -> list[Flow]:
    """Return as many columns as an estimator gets. If their number differs, each may be any."""
    count = getattr(estimator, "n_features_in_", None)
    if not isinstance(count, int | np.integer) or count in (0, len(flows)):
        return flows
    return _mixed(flows, int(count))


def _mixed(flows: list[Flow], count: int) -> list[Flow]:
    sources: frozenset[int] = frozenset().union(*(flow.sources for flow in flows))
    return [Flow(sources, is_lacking=False)] * max(count, 1)


def _picked(flows: list[Flow], places: Iterable[int] | None) -> list[Flow]:
    """Return some of the columns. One beyond their number may come from any."""
    if places is None:
        return flows
    whole = _mixed(flows, 1)[0]
    return [flows[place] if place < len(flows) else whole for place in map(int, places)]


def _width(estimator: Any) -> int:
    # Estimators of other packages may raise anything for an attribute that they lack.
    try:
        return len(estimator.get_feature_names_out())
    except Exception:
        return 1


def _refuses_missing(estimator: Any) -> bool:
    """Return whether an estimator surely rejects missing values, and passes nothing on."""
    if not _is_own(estimator) or inner_parts(estimator):
        return False
    tags = get_tags(estimator)
    return not (tags.input_tags.allow_nan or tags.no_validation)


def _only_asks(estimator: Any, parts: Sequence[Part]) -> bool:
    """Return whether an estimator reads only what the known estimators in it read."""
    return (
        _is_own(estimator)
        and hasattr(estimator, "predict")
        and 0 < len(parts) < MOST_MEMBERS
        and not getattr(estimator, "passthrough", False)
        and getattr(estimator, "_preprocessor", None) is None
    )


def _is_own(estimator: Any) -> bool:
    return _is_of(estimator, "sklearn")


def _is_of(estimator: Any, package: str) -> bool:
    return type(estimator).__module__.partition(".")[0] == package


def _is_imputer(estimator: Any) -> bool:
    return _is_own(estimator) and type(estimator).__name__.endswith("Imputer")


def _is_one_to_one(estimator: Any) -> bool:
    if type(estimator).__name__ == "FunctionTransformer":
        return estimator.func is None
    return isinstance(estimator, OneToOneFeatureMixin)


def _is_nothing(estimator: Any) -> bool:
    return estimator is None or isinstance(estimator, str)


def _is_frozen(estimator: Any) -> bool:
    return type(estimator).__name__ == "FrozenEstimator"


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "fit") and not isinstance(value, type)


def _flat(members: Any) -> list[Any]:
    if members is None:
        return []
    if isinstance(members, np.ndarray):
        return list(members.ravel())
    return [one for member in members for one in _flat_one(member)]


def _flat_one(member: Any) -> list[Any]:
    return list(member) if isinstance(member, list | tuple) else [member]


def _unless_counted(names: Any) -> list[str] | None:
    """Return names that are not just numbers: CatBoost numbers columns without a name."""
    if not isinstance(names, list) or names == [str(at) for at in range(len(names))]:
        return None
    return names


def _first_of_all(model: Any) -> Iterator[Any]:
    """Yield a model and, one within the other, the estimators that get its columns first."""
    while model is not None and not isinstance(model, str):
        yield model
        steps = [step for step in steps_of(model) or () if not _is_nothing(step)]
        parts = [inner for inner, subset in inner_parts(model) if subset is None]
        union = [one for _, one in getattr(model, "transformer_list", ()) if not _is_nothing(one)]
        model = next(iter([*steps, *parts, *union]), None)
