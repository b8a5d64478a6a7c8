"""What holds trees, judged whole: a tree's native code reads the columns that its nodes name.

It is given as many columns as its owner lets through, so it is the owner's number that counts, and
a tree that something else could ask, which asks for no number, is of no honest file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

#: The numbers in a bitset of categories: of 32 bits each, one for each of 256 categories.
_NUMBERS = 8

_TREE = "sklearn.tree._tree.Tree"
_OWNER = "sklearn.tree._classes.BaseDecisionTree"
_SURVIVAL = "sksurv.tree.tree.SurvivalTree"


def is_sound(built: Any) -> bool:
    """Say whether an object that holds trees asks of them what they have, at the end of building.

    What cannot be taken apart as honest ones can, is not.
    """
    for full, judged in _JUDGES.items():
        kind = loaded(full)
        if kind is not None and isinstance(built, kind) and not _holds(judged, built):
            return False
    return True


def is_tree(built: Any) -> bool:
    """Say whether something is a tree that its owner alone may ask."""
    kind = loaded(_TREE)
    return kind is not None and isinstance(built, kind)


def owns(built: Any) -> bool:
    """Say whether something is an estimator that may hold a tree, and has one."""
    return (_is(built, _OWNER) or _is(built, _SURVIVAL)) and "tree_" in vars(built)


def loaded(full: str) -> Any:
    """Return a class if its module is there, as it must be for an object of it."""
    module, _, name = full.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def leads_down(left: Any, right: Any, feature: Any, is_leaf: Any, features: int) -> bool:
    """Say whether each branch leads to nodes that come after it, and asks for a column."""
    import numpy as np  # noqa: PLC0415

    at = np.arange(len(left))[~is_leaf]
    return all(
        bool((at < children[~is_leaf]).all() and (children[~is_leaf] < len(left)).all())
        for children in (left.astype("int64"), right.astype("int64"))
    ) and bool(((feature[~is_leaf] >= 0) & (feature[~is_leaf] < features)).all())


def are_neighbours(state: Any) -> bool:
    """Say whether a tree of neighbours has as many parts as it says, and leads to points it has."""
    points, indices, nodes, bounds, leaf_size, levels, count, *_, metric, weights = state
    inner = nodes["is_leaf"] == 0
    starts, ends = nodes["idx_start"], nodes["idx_end"]
    return (
        points.ndim == 2  # noqa: PLR2004
        and indices.shape == (len(points),)
        and bool(((indices >= 0) & (indices < len(points))).all())
        and nodes.shape == (count,) == (2**levels - 1,)
        and bounds.ndim == 3  # noqa: PLR2004
        and bounds.shape[1:] == (count, points.shape[1])
        and leaf_size > 0
        and bool(((starts >= 0) & (starts <= ends) & (ends <= len(points))).all())
        and not inner[count // 2 :].any()
        and (weights is None or weights.shape == (len(points),))
        and _is(metric, "sklearn.metrics._dist_metrics.DistanceMetric")
    )


def _holds(judged: Callable[[Any], bool], built: Any) -> bool:
    try:
        return bool(judged(built))
    # A lie may be of any type, and fail anywhere.
    except Exception:
        return False


def _is(built: Any, full: str) -> bool:
    kind = loaded(full)
    return kind is not None and isinstance(built, kind)


def _columns(estimator: Any) -> int:
    """Return how many columns an estimator lets through: without the number it lets any."""
    import numpy as np  # noqa: PLC0415

    found = vars(estimator)["n_features_in_"]
    if type(found) is not int and not isinstance(found, np.integer):
        raise TypeError("its number of columns is no number")
    return int(found)


def _owner(built: Any) -> bool:
    if "tree_" not in vars(built):
        return True
    tree = built.tree_
    return is_tree(tree) and tree.node_count > 0 and tree.n_features <= _columns(built)


def _gradient(built: Any) -> bool:
    """Say whether all trees of gradient boosting let through what the first one does.

    It asks that one for the number of columns, and then the trees in all of them.
    """
    import numpy as np  # noqa: PLC0415

    if "estimators_" not in vars(built):
        return True
    stages = built.estimators_
    return (
        type(stages) is np.ndarray
        and stages.ndim == 2  # noqa: PLR2004
        and stages.shape[1] == vars(built).get("n_trees_per_iteration_", stages.shape[1])
        and all(_is(each, _OWNER) and "tree_" in vars(each) for each in stages.flat)
        and {_columns(each) for each in stages.flat} == {_columns(built)}
    )


def _histogram(built: Any) -> bool:
    """Say whether HistGradientBoosting has the columns and categories that its trees ask for."""
    import numpy as np  # noqa: PLC0415

    if "_predictors" not in vars(built):
        return True
    preprocessor = vars(built).get("_preprocessor")
    columns = _columns(built) if preprocessor is None else _remapped(preprocessor)
    mapper = built._bin_mapper
    categorical = mapper.is_categorical_
    return (
        type(mapper) is loaded("sklearn.ensemble._hist_gradient_boosting.binning._BinMapper")
        and type(categorical) is np.ndarray
        and categorical.shape == (columns,)
        and type(built._predictors) is list
        and all(type(stage) is list for stage in built._predictors)
        and all(
            _predictor(each, columns, categorical) for stage in built._predictors for each in stage
        )
    )


def _predictor(predictor: Any, columns: int, categorical: Any) -> bool:
    """Say whether a tree of HistGradientBoosting leads down, to columns and bitsets that it has."""
    nodes = predictor.nodes
    branches = nodes[nodes["is_leaf"] == 0]
    splits = branches[branches["is_categorical"] != 0]
    known = (predictor.binned_left_cat_bitsets, predictor.raw_left_cat_bitsets)
    return (
        type(predictor) is loaded(_PREDICTOR)
        and nodes.ndim == 1
        and len(nodes) > 0
        and leads_down(
            nodes["left"], nodes["right"], nodes["feature_idx"], nodes["is_leaf"] != 0, columns
        )
        and all(each.ndim == 2 and each.shape[1] == _NUMBERS for each in known)  # noqa: PLR2004
        and all(bool((splits["bitset_idx"] < len(each)).all()) for each in known)
        and bool((categorical[splits["feature_idx"]] != 0).all())
    )


def _remapped(preprocessor: Any) -> int:
    """Return how many columns that gives, which puts the categorical ones first.

    :raises Exception: if it is not as scikit-learn makes it: any other may give fewer than it says.
    """
    import numpy as np  # noqa: PLC0415

    columns = _columns(preprocessor)
    names = vars(preprocessor).get("feature_names_in_")
    parts = [each for each in preprocessor.transformers_ if type(each[1]) is not str]
    chosen = {name: mask for name, _, mask in parts}
    at = preprocessor._transformer_to_input_indices
    if not (
        type(preprocessor) is loaded("sklearn.compose._column_transformer.ColumnTransformer")
        and preprocessor.transformer_weights is None
        and (names is None or (len(names) == columns and all(type(each) is str for each in names)))
        and len(chosen) == len(parts)
        and all(each[1] == "drop" for each in preprocessor.transformers_ if each not in parts)
        and all(_keeps_columns(part) for _, part, _ in parts)
        and all(mask.dtype == bool and mask.shape == (columns,) for mask in chosen.values())
        and all(list(at[name]) == np.flatnonzero(mask).tolist() for name, mask in chosen.items())
    ):
        raise ValueError("it is no encoder of categories beside numbers")
    return sum(int(mask.sum()) for mask in chosen.values())


def _keeps_columns(part: Any) -> bool:
    if type(part) is loaded("sklearn.preprocessing._encoders.OrdinalEncoder"):
        return True
    kind = loaded("sklearn.preprocessing._function_transformer.FunctionTransformer")
    checked = loaded("sklearn.utils.validation.check_array")
    return type(part) is kind and getattr(part.func, "func", None) is checked


def _neighbours(built: Any) -> bool:
    """Say whether a tree of neighbours is whole, and its metric made for so many columns."""
    state = built.__getstate__()
    points, metric = state[0], state[-2]
    # It raises if not: what it was made with, the tree does not look at again.
    metric._validate_data(points)
    matrix, width = metric.__getstate__()[2], points.shape[1]
    is_square = not type(metric).__name__.startswith("Mahalanobis") or matrix.shape == (width,) * 2
    return is_square and are_neighbours(state)


_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
_BOOSTING = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting"

#: The judge of what was built, by the full name of its class.
_JUDGES: Mapping[str, Callable[[Any], bool]] = {
    _OWNER: _owner,
    _SURVIVAL: _owner,
    "sklearn.ensemble._gb.BaseGradientBoosting": _gradient,
    _BOOSTING: _histogram,
    "sklearn.neighbors._ball_tree.BinaryTree64": _neighbours,
    "sklearn.neighbors._ball_tree.BinaryTree32": _neighbours,
    "sklearn.neighbors._kd_tree.BinaryTree64": _neighbours,
    "sklearn.neighbors._kd_tree.BinaryTree32": _neighbours,
}
