"""The input columns of a fitted estimator, as the object itself describes them.

Columns are followed through pipelines, column transformers, unions, searches and ensembles as long
as their values do not change. Each estimator on the way may store something about a column:
see :mod:`mlmodel.frameworks.sklearn.schemas.estimators`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import get_tags

from mlmodel.frameworks.sklearn.schemas.column import Column, ModelInput
from mlmodel.frameworks.sklearn.schemas.estimators import (
    reads_records,
    reads_texts,
    record_members,
    with_stored_facts,
)
from mlmodel.frameworks.sklearn.structure import (
    MOST_MEMBERS,
    Part,
    active_steps,
    column_parts,
    inner_parts,
    is_passthrough,
    package_of,
    steps_of,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TracedColumn:
    """One column somewhere within a model.

    ``sources`` are the input columns that it was made from. ``raw`` is the one whose values it
    still has. If ``is_lacking``, missing values of that one are surely still missing.
    """

    sources: frozenset[int]
    raw: int | None = None
    is_lacking: bool = True


def read_input(model: Any) -> ModelInput | None:
    """Return the columns of a model; ``None`` if not even their number is known."""
    # Estimators of other packages may raise anything when they are inspected.
    try:
        return _trace(model)
    except Exception:
        logger.exception("cannot inspect %s", type(model).__name__)
        return None


def column_names(model: Any) -> list[str] | None:
    """Return the names of the columns that a model was fitted on, if it stores them."""
    for estimator in _first_estimators(model):
        names = getattr(estimator, "feature_names_in_", None)
        if names is None and not reads_records(estimator):
            names = _real_names(getattr(estimator, "feature_names_", None))
        if names is not None and len(names) == column_count(estimator, len(names)):
            return [str(name) for name in names]
    return None


def column_count(model: Any, default: int = 0) -> int:
    """Return the number of columns that a model was fitted on, or ``default``."""
    for estimator in _first_estimators(model):
        count = getattr(estimator, "n_features_in_", None)
        if isinstance(count, int | np.integer) and count > 0:
            return int(count)
        if package_of(estimator) == "catboost":
            # A pickle of it lacks the count but has the names.
            return len(estimator.feature_names_)
    return default


def _trace(model: Any) -> ModelInput | None:
    names = column_names(model)
    count = len(names or ()) or column_count(model)
    tracer = _Tracer([Column(name) for name in names or [f"x{at}" for at in range(count or 1)]])
    flows = tracer.trace(
        model, [TracedColumn(frozenset({at}), at) for at in range(len(tracer.columns))]
    )
    if not count and tracer.layout == "columns":
        return None
    used = {source for flow in flows for source in flow.sources}
    columns = [
        replace(column, is_read=at in used or tracer.layout != "columns")
        for at, column in enumerate(tracer.columns)
    ]
    if tracer.layout == "texts" and not names:
        columns = [replace(columns[0], name="text")]
    return ModelInput(columns, bool(names), tracer.strict, tracer.layout)


class _Tracer:
    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
        self.strict: set[int] = set()
        self.layout = "columns"
        #: Whether the model selects columns of its input, which is then no list of texts.
        self.is_table = False

    def trace(self, estimator: Any, flows: list[TracedColumn]) -> list[TracedColumn]:
        """Read what an estimator stores about its columns, and return its output columns."""
        if is_passthrough(estimator):
            return flows
        flows = _with_count(estimator, flows)
        if steps_of(estimator) is not None:
            for step in active_steps(estimator):
                flows = self.trace(step, flows)
            return flows
        if isinstance(getattr(estimator, "transformers_", None), list):
            self.is_table = True
            return self._side_by_side(column_parts(estimator), flows)
        if hasattr(estimator, "transformer_list"):
            return self._side_by_side([(one, None) for _, one in estimator.transformer_list], flows)
        self._add_facts(estimator, flows)
        parts = inner_parts(estimator)
        read = self._side_by_side(parts, flows)
        if _only_delegates(estimator, parts):
            return _combine(read, 1)
        return _outputs_of(estimator, flows)

    def _side_by_side(self, parts: Iterable[Part], flows: list[TracedColumn]) -> list[TracedColumn]:
        outputs = [self.trace(part, _select(flows, subset)) for part, subset in parts]
        return list(chain.from_iterable(outputs))

    def _add_facts(self, estimator: Any, flows: list[TracedColumn]) -> None:
        if reads_texts(estimator):
            self._set_layout("texts", flows)
        elif reads_records(estimator):
            self._set_layout("records", flows)
            self.columns = record_members(estimator)
            return
        raw = [None if flow.raw is None else self.columns[flow.raw] for flow in flows]
        for flow, column in zip(flows, with_stored_facts(estimator, raw), strict=True):
            if flow.raw is not None and column is not None:
                self.columns[flow.raw] = column
        if _rejects_missing(estimator):
            self.strict.update(*(flow.sources for flow in flows if flow.is_lacking))

    def _set_layout(self, kind: str, flows: list[TracedColumn]) -> None:
        is_whole = len(self.columns) == 1 and len(flows) == 1
        if is_whole and not self.is_table and self.layout == "columns":
            self.layout = kind


def _outputs_of(estimator: Any, flows: list[TracedColumn]) -> list[TracedColumn]:
    """Return the output columns of an estimator for its input columns."""
    if _passes_columns(estimator):
        return flows
    if not hasattr(estimator, "transform") or hasattr(estimator, "predict"):
        return _combine(flows, 1)
    if hasattr(estimator, "get_support"):
        return _select(flows, np.flatnonzero(estimator.get_support()))
    is_own = package_of(estimator) == "sklearn"
    if is_own and type(estimator).__name__.endswith("Imputer"):
        return _impute(estimator, flows)
    if isinstance(estimator, OneToOneFeatureMixin):
        passes_missing = is_own and not hasattr(estimator, "categories_")
        return [
            TracedColumn(flow.sources, is_lacking=flow.is_lacking and passes_missing)
            for flow in flows
        ]
    return _combine(flows, _width(estimator))


def _passes_columns(estimator: Any) -> bool:
    """Return whether the columns remain as they are when a fitted model predicts."""
    if type(estimator).__name__ == "FunctionTransformer":
        return estimator.func is None
    # A resampler changes rows only while the model is fitted.
    return hasattr(estimator, "fit_resample") and not hasattr(estimator, "transform")


def _impute(estimator: Any, flows: list[TracedColumn]) -> list[TracedColumn]:
    """Return the columns without missing values, and without those that were always missing."""
    filled = [replace(flow, is_lacking=False) for flow in flows]
    statistics = getattr(estimator, "statistics_", None)
    if statistics is not None and not getattr(estimator, "keep_empty_features", False):
        filled = [one for one, value in zip(filled, statistics, strict=False) if value == value]  # noqa: PLR0124  NaN
    indicator = getattr(estimator, "indicator_", None)
    return [*filled, *(_combine(flows, len(indicator.features_)) if indicator is not None else ())]


def _with_count(estimator: Any, flows: list[TracedColumn]) -> list[TracedColumn]:
    """Return as many columns as an estimator gets. If their number differs, each may be any."""
    count = getattr(estimator, "n_features_in_", None)
    if not isinstance(count, int | np.integer) or count in (0, len(flows)):
        return flows
    return _combine(flows, int(count))


def _combine(flows: list[TracedColumn], count: int) -> list[TracedColumn]:
    sources: frozenset[int] = frozenset().union(*(flow.sources for flow in flows))
    return [TracedColumn(sources, is_lacking=False)] * max(count, 1)


def _select(flows: list[TracedColumn], places: Iterable[int] | None) -> list[TracedColumn]:
    """Return some of the columns. One beyond their number may come from any."""
    if places is None:
        return flows
    whole = _combine(flows, 1)[0]
    return [flows[place] if place < len(flows) else whole for place in map(int, places)]


def _width(estimator: Any) -> int:
    # Estimators of other packages may raise anything for an attribute that they lack.
    try:
        return len(estimator.get_feature_names_out())
    except Exception:
        return 1


def _rejects_missing(estimator: Any) -> bool:
    """Return whether an estimator surely rejects missing values, and passes nothing on."""
    if package_of(estimator) != "sklearn" or inner_parts(estimator):
        return False
    if hasattr(estimator, "missing_values"):  # an imputer, whose tags consider only NaN and NA
        return False
    tags = get_tags(estimator)
    return not (tags.input_tags.allow_nan or tags.no_validation)


def _only_delegates(estimator: Any, parts: Sequence[Part]) -> bool:
    """Return whether an estimator reads only what the known estimators in it read."""
    return (
        package_of(estimator) == "sklearn"
        and hasattr(estimator, "predict")
        and 0 < len(parts) < MOST_MEMBERS
        and not getattr(estimator, "passthrough", False)
        and getattr(estimator, "_preprocessor", None) is None
    )


def _real_names(names: Any) -> list[str] | None:
    """Return names that are not just numbers: CatBoost numbers columns without a name."""
    if not isinstance(names, list) or names == [str(at) for at in range(len(names))]:
        return None
    return names


def _first_estimators(model: Any) -> Iterator[Any]:
    """Yield a model and, one within the other, the estimators that get its columns first."""
    while not is_passthrough(model):
        yield model
        parts = [inner for inner, subset in inner_parts(model) if subset is None]
        union = [one for _, one in getattr(model, "transformer_list", ())]
        candidates = [*active_steps(model), *parts, *union]
        model = next((each for each in candidates if not is_passthrough(each)), None)
