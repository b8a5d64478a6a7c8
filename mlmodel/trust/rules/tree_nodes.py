"""Checks of trees, whose native code follows the nodes to any address in memory.

Each tree is checked on its own: nodes lead down, and to columns below a limit. A tree and a
predictor of HistGradientBoosting are built from classes that reject rows with fewer columns,
regardless of the estimator that passes them.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

#: Length of a bitset of categories: 32 bits each, one for each of 256 categories.
_NUMBERS = 8


def is_a(built: Any, full: str) -> bool:
    """Return whether an object is of a class, without importing the class's module."""
    module, _, name = full.rpartition(".")
    return isinstance(built, getattr(sys.modules.get(module), name, ()))


def is_sound(built: Any) -> bool:
    """Return whether the nodes in a complete object refer only to each other."""
    try:
        return all(check(built) for full, check in _CHECKS.items() if is_a(built, full))
    # Forged members may be of any type, and fail anywhere.
    except Exception:
        return False


def leads_down(left: Any, right: Any, feature: Any, is_leaf: Any, features: int) -> bool:
    """Return whether each branch leads to nodes after it, and reads an existing column."""
    import numpy as np  # noqa: PLC0415

    at = np.arange(len(left))[~is_leaf]
    return all(
        bool((at < children[~is_leaf]).all() and (children[~is_leaf] < len(left)).all())
        for children in (left.astype("int64"), right.astype("int64"))
    ) and bool(((feature[~is_leaf] >= 0) & (feature[~is_leaf] < features)).all())


@cache
def tree() -> Any:
    """Return scikit-learn's tree class with a check of the rows. It pickles as its base."""
    from sklearn.tree._tree import Tree  # noqa: PLC0415

    class WideEnough(Tree):  # type: ignore[misc]
        def apply(self, rows: Any) -> Any:
            _check_width(rows, self.n_features)
            return super().apply(rows)

    return WideEnough


@cache
def _predictor() -> Any:
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor  # noqa: PLC0415

    class WideEnough(TreePredictor):  # type: ignore[misc]
        def predict(self, rows: Any, known_cat_bitsets: Any, f_idx_map: Any, n_threads: Any) -> Any:
            columns, categorical = self._read
            _check_width(rows, columns)
            if len(categorical) and f_idx_map[categorical].max() >= len(known_cat_bitsets):
                raise ValueError("a tree reads categories of a column that has none")
            return super().predict(rows, known_cat_bitsets, f_idx_map, n_threads)

        def __reduce__(self) -> Any:
            state = {name: value for name, value in vars(self).items() if name != "_read"}
            return copyreg._reconstructor, (TreePredictor, object, None), state  # type: ignore[attr-defined]

    return WideEnough


def _check_width(rows: Any, columns: int) -> None:
    if rows.shape[1] < columns:
        raise ValueError(f"a tree reads {columns} columns, and the rows have {rows.shape[1]}")


def _is_predictor(built: Any) -> bool:
    nodes, bitsets = built.nodes, built.raw_left_cat_bitsets
    branches = nodes[nodes["is_leaf"] == 0]
    splits = branches[branches["is_categorical"] != 0]
    columns = int(branches["feature_idx"].max(initial=-1)) + 1
    is_leaf = nodes["is_leaf"] != 0
    built.__class__, built._read = _predictor(), (columns, splits["feature_idx"])
    return (
        len(nodes) > 0
        and leads_down(nodes["left"], nodes["right"], nodes["feature_idx"], is_leaf, columns)
        and bitsets.shape[1:] == (_NUMBERS,)
        and bool((splits["bitset_idx"] < len(bitsets)).all())
    )


def _is_gradient(built: Any) -> bool:
    """Return whether gradient boosting, which reads nodes itself, receives enough columns."""
    if "estimators_" not in vars(built):
        return True
    stages, columns = built.estimators_, vars(built)["n_features_in_"]
    return (
        type(columns) is int
        and stages.shape[1] == vars(built).get("n_trees_per_iteration_", stages.shape[1])
        and all(is_a(each, "sklearn.tree._classes.BaseDecisionTree") for each in stages.flat)
        and all(each.tree_.n_features <= columns for each in stages.flat)
        and (stages.shape[1] == 1 or _starts_as_wide(built, stages.shape[1]))
    )


def _starts_as_wide(built: Any, classes: int) -> bool:
    """Return whether the first scores, to which the trees add, have a column for each class."""
    first = built.init_
    if type(first) is str:
        return first == "zero"
    return (
        is_a(first, "sklearn.dummy.DummyClassifier")
        and first._strategy == "prior"
        and first.class_prior_.shape == (classes,)
        and bool(built._loss.is_multiclass)
    )


def _is_neighbours(built: Any) -> bool:
    """Return whether a tree of neighbours has consistent lengths, and only existing points."""
    state = built.__getstate__()
    points, indices, nodes, bounds, leaf_size, levels, count, *_, metric, weights = state
    starts, ends, width = nodes["idx_start"], nodes["idx_end"], points.shape[1]
    corners = 2 if "kd_tree" in type(built).__module__ else 1
    # It raises if the metric was made for another number of columns.
    metric._validate_data(points)
    is_square = not type(metric).__name__.startswith("Mahalanobis")
    return (
        (is_square or metric.__getstate__()[2].shape == (width, width))
        and indices.shape == (len(points),)
        and bool(((indices >= 0) & (indices < len(points))).all())
        and nodes.shape == (count,) == (2**levels - 1,)
        and bounds.shape == (corners, count, width)
        and leaf_size > 0
        and bool(((starts >= 0) & (starts <= ends) & (ends <= len(points))).all())
        and not (nodes["is_leaf"] == 0)[count // 2 :].any()
        and (weights is None or weights.shape == (len(points),))
    )


#: The check of a complete object, by the full name of its class.
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _is_predictor,
    "sklearn.ensemble._gb.BaseGradientBoosting": _is_gradient,
    **dict.fromkeys(
        (
            f"sklearn.neighbors.{module}.BinaryTree{bits}"
            for module in ("_ball_tree", "_kd_tree")
            for bits in (32, 64)
        ),
        _is_neighbours,
    ),
}
