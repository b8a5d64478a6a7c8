"""What kind of model an estimator is, as far as it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from mlmodel.inference.reading import steps_of

#: Members of a transformed row above which they are a list instead of an object with names.
MOST_NAMED = 1000


def labels_of(model: Any) -> list[Any]:
    """Return a classifier's plain labels, or a list of them for each of several outputs."""
    classes = getattr(model, "classes_", None)
    if classes is None or len(classes) == 0:
        return []
    if isinstance(classes, list):
        return [np.asarray(labels).tolist() for labels in classes]
    return list(np.asarray(classes).tolist())


def has_several(model: Any) -> bool:
    """Say whether a classifier's ``classes_`` may be its outputs instead of its labels."""
    last = last_of(model)
    return bool(
        getattr(last, "multilabel_", False)
        or getattr(last, "out_activation_", "") == "logistic"
        or isinstance(model.classes_, list)
    )


def is_forest(model: Any) -> bool:
    """Say whether a model is a forest that chooses the first of its likeliest labels."""
    last = last_of(model)
    # All kinds of forests inherit this one method, unless somebody has written another.
    choose = getattr(type(last), "predict", None)
    return choose is RandomForestClassifier.predict and last.n_outputs_ == 1


def compares_pairs(model: Any) -> bool:
    """Say whether the scores of more than two labels are those of pairs of them."""
    return getattr(last_of(model), "decision_function_shape", "") == "ovo"


def centres_of(model: Any) -> int:
    """Return how many clusters a model knows the centres of."""
    return len(getattr(last_of(model), "cluster_centers_", ()))


def feature_names(model: Any) -> list[str]:
    """Return the names of what a transformer gives; none if it has none to give."""
    # Transformers of others may raise anything when they have no names to give.
    try:
        return [str(name) for name in model.get_feature_names_out()]
    except Exception:
        return []


def says(question: Callable[[Any], bool], model: Any) -> bool:
    """Tell whether a model answers yes to a question about its tags."""
    # A class without BaseEstimator has no tags to ask.
    try:
        return bool(question(model))
    except AttributeError:
        return False


def last_of(model: Any) -> Any:
    """Return the estimator that answers, out of a search or a pipeline."""
    if hasattr(model, "best_estimator_"):
        return last_of(model.best_estimator_)
    steps = steps_of(model)
    return last_of(steps[-1]) if steps else model
