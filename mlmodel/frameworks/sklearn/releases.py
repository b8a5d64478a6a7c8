"""Adapt models that another scikit-learn release fitted, so that they predict as they did there.

A release may read the attributes of a fitted model differently from the release that wrote them:
some are new, some have another meaning, and some algorithms were removed. :func:`adapt` adapts a
model where the result equals the older release's own predictions. Each adaptation names the change
that it compensates, by its release; the files in ``tests/data/sklearn`` hold the predictions.

A model that cannot be adapted raises when it is built or first predicts, and
:mod:`mlmodel.files.packaged` then names both releases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import AdaBoostClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import FunctionTransformer

from mlmodel.frameworks.sklearn.objects import objects_in
from mlmodel.frameworks.sklearn.older_estimators import (
    AllDonorsImputer,
    BinarySoftmaxRegression,
    BinarySoftmaxRegressionCV,
    OneVersusRestRegression,
    OneVersusRestRegressionCV,
    PlainCentroid,
    RealAdaBoostClassifier,
)

_RELEASE = re.compile(r"(\d+)\.(\d+)")

#: Changes a part of a model in place, if an older release wrote it.
Adaptation = Callable[[Any], object]


def adapt(model: Any, release: str | None) -> None:
    """Adapt a model of another release, with all estimators in it, to the installed one.

    :param release: the scikit-learn that wrote it, as ``"1.3.2"``; ``None`` if unknown.
    """
    written_by = _major_minor(release)
    for part in objects_in(model):
        for name in (each.__name__ for each in type(part).__mro__):
            for adapt_part in ADAPTATIONS.get(name, ()):
                adapt_part(part)
            if written_by is not None:
                for before, adapt_part in ADAPTATIONS_BEFORE.get(name, ()):
                    if written_by < before:
                        adapt_part(part)


def _major_minor(release: str | None) -> tuple[int, int] | None:
    found = _RELEASE.match(release or "")
    return (int(found[1]), int(found[2])) if found else None


def _set_default(name: str, value: Any) -> Adaptation:
    """Return the adaptation that sets a new attribute to the value that older releases implied."""
    return lambda part: part.__dict__.setdefault(name, value)


def _rename(name: str, older: str) -> Adaptation:
    def adapt_part(part: Any) -> None:
        if name not in vars(part) and older in vars(part):
            setattr(part, name, vars(part)[older])

    return adapt_part


def _set_fill_dtype(part: Any) -> None:
    """1.8 casts the statistics of a SimpleImputer to the type of the columns it was fitted on."""
    if "statistics_" in vars(part) and "_fill_dtype" not in vars(part):
        part._fill_dtype = getattr(part, "_fit_dtype", part.statistics_.dtype)


def _set_empty_features(part: Any) -> None:
    """1.6 stores which columns had no value; before, their first statistic was NaN."""
    imputer = vars(part).get("initial_imputer_")
    if imputer is not None and "_is_empty_feature" not in vars(part):
        part._is_empty_feature = np.isnan(imputer.statistics_)


def _set_tree_count(part: Any) -> None:
    """1.4 stores the number of trees in each iteration of gradient boosting."""
    stages = vars(part).get("estimators_")
    if stages is not None and "n_trees_per_iteration_" not in vars(part):
        part.n_trees_per_iteration_ = stages.shape[1]


def _set_idf(part: Any) -> None:
    """1.5 stores the frequencies of documents as an array; before, as a diagonal matrix."""
    if "_idf_diag" in vars(part) and "idf_" not in vars(part):
        part.idf_ = part._idf_diag.diagonal()


def _set_gamma(part: Any) -> None:
    """1.3 stores the gamma that a KernelPCA uses if the parameter is None."""
    if "gamma_" not in vars(part) and hasattr(part, "n_features_in_"):
        part.gamma_ = 1 / part.n_features_in_ if part.gamma is None else part.gamma


def _set_ridge_classes(part: Any) -> None:
    """1.8 stores the classes of a RidgeClassifier; before, its binarizer did."""
    binarizer = vars(part).get("_label_binarizer")
    if "classes_" not in vars(part) and binarizer is not None:
        part.classes_ = binarizer.classes_


def _replace_passthrough(part: Any) -> None:
    """1.4 replaces "passthrough" with a transformer when a ColumnTransformer is fitted."""
    transformers = vars(part).get("transformers_", ())
    for at, (name, transformer, columns) in enumerate(transformers):
        if isinstance(transformer, str) and transformer == "passthrough":
            transformers[at] = (name, _passthrough_transformer(part, columns), columns)


def _passthrough_transformer(part: Any, columns: Any) -> Any:
    config = getattr(part, "_sklearn_output_config", {}).get("transform", "default")
    transformer = FunctionTransformer(
        accept_sparse=True, check_inverse=False, feature_names_out="one-to-one"
    ).set_output(transform=config)
    names = getattr(part, "feature_names_in_", None)
    if names is not None and not isinstance(columns, slice | str):
        own = [each if isinstance(each, str) else names[each] for each in columns]
        transformer.feature_names_in_ = np.asarray(own, dtype=object)
        transformer.n_features_in_ = len(own)
    return transformer


def _unwrap_columns(part: Any) -> None:
    """1.5 to 1.7 store remaining columns in a class of their own, around a list."""
    transformers = vars(part).get("transformers_", ())
    for at, (name, transformer, columns) in enumerate(transformers):
        if hasattr(columns, "future_dtype"):
            transformers[at] = (name, transformer, list(columns.data))


def _set_logistic_class(part: Any) -> None:
    """1.8 removed ``multi_class``, see :class:`OneVersusRestRegression` and others."""
    multi_class = vars(part).get("multi_class")
    classes = vars(part).get("classes_")
    if multi_class is None or classes is None or type(part) not in _LOGISTIC:
        return
    is_binary = len(classes) <= 2  # noqa: PLR2004
    is_one_versus_rest = multi_class in ("ovr", "warn")
    if multi_class in ("auto", "deprecated"):
        is_one_versus_rest = is_binary or part.solver == "liblinear"
    if is_one_versus_rest != is_binary:
        part.__class__ = _LOGISTIC[type(part)][0 if is_one_versus_rest else 1]


def _set_boosting_class(part: Any) -> None:
    if vars(part).get("algorithm") == "SAMME.R" and type(part) is AdaBoostClassifier:
        part.__class__ = RealAdaBoostClassifier


def _set_imputer_class(part: Any) -> None:
    if type(part) is KNNImputer:
        part.__class__ = AllDonorsImputer


def _set_uniform_priors(part: Any) -> None:
    """1.6 weights classes by their priors; equal priors give the earlier results."""
    if "class_prior_" in vars(part) or "centroids_" not in vars(part):
        return
    part.priors = "uniform"
    part.class_prior_ = np.full(len(part.classes_), 1 / len(part.classes_))
    if type(part) is NearestCentroid:
        part.__class__ = PlainCentroid


def _unscale_coefficients(part: Any) -> None:
    """1.5 stores the coefficients of PLS for columns that are centred, but no longer scaled.

    1.2 stored them under another name.
    """
    coefficients = vars(part).get("coef_", vars(part).get("_coef_"))
    if coefficients is not None and "_x_std" in vars(part):
        part.coef_ = coefficients / part._x_std
        part.__dict__.setdefault("_predict_1d", False)


def _rebuild_splines(part: Any) -> None:
    """SciPy 1.17 stores a function of the array library in a BSpline."""
    splines = vars(part).get("bsplines_") or ()
    if splines:
        part.bsplines_ = list(map(_rebuilt_spline, splines))


def _rebuilt_spline(spline: Any) -> Any:
    stored = vars(spline)
    if "_asarray" in stored:
        return spline
    knots, coefficients = stored.get("t", stored.get("_t")), stored.get("c", stored.get("_c"))
    build = type(spline).construct_fast
    return build(knots, coefficients, stored["k"], spline.extrapolate, spline.axis)


def _normalize_tree_values(part: Any) -> None:
    """1.4 stores the fractions of classes in a tree's nodes; before, the weights of the samples.

    The older release divided them by their sum when it predicted.
    """
    tree = vars(part).get("tree_")
    if tree is None or not hasattr(part, "classes_"):
        return
    values = tree.value
    totals = values.sum(axis=2, keepdims=True)
    weights = tree.weighted_n_node_samples[:, np.newaxis, np.newaxis]
    if np.allclose(totals, weights) and not np.allclose(totals, 1):
        values /= totals


#: scikit-learn's class, with its replacements for one-versus-rest and for softmax.
_LOGISTIC: Mapping[type, tuple[type, type]] = {
    LogisticRegression: (OneVersusRestRegression, BinarySoftmaxRegression),
    LogisticRegressionCV: (OneVersusRestRegressionCV, BinarySoftmaxRegressionCV),
}

#: The adaptations of a class, by its name or that of a base class.
ADAPTATIONS: Mapping[str, tuple[Adaptation, ...]] = {
    "AdaBoostClassifier": (_set_boosting_class,),
    "BaseDecisionTree": (_normalize_tree_values,),
    "BaseGradientBoosting": (_set_tree_count,),
    # 1.4: a transformer encodes categories before binning.
    "BaseHistGradientBoosting": (_set_default("_preprocessor", None),),
    "ColumnTransformer": (_unwrap_columns, _replace_passthrough),
    "IterativeImputer": (_set_empty_features,),
    "KernelPCA": (_set_gamma,),
    "LogisticRegression": (_set_logistic_class,),
    # 1.8: values outside the range of the training data may be clipped.
    "MaxAbsScaler": (_set_default("clip", False),),
    "NearestCentroid": (_set_uniform_priors,),
    # 1.3: infrequent categories may be grouped.
    "OrdinalEncoder": (_set_default("_infrequent_enabled", False),),
    "RidgeClassifier": (_set_ridge_classes,),
    "RidgeClassifierCV": (_set_ridge_classes,),
    # 1.6: base_estimator was renamed to estimator.
    "SelfTrainingClassifier": (
        _rename("estimator", "base_estimator"),
        _rename("estimator_", "base_estimator_"),
    ),
    "SimpleImputer": (_set_fill_dtype,),
    # 1.3: the output may be sparse. 1.8: missing values may be encoded.
    "SplineTransformer": (
        _set_default("sparse_output", False),
        _set_default("handle_missing", "error"),
        _rebuild_splines,
    ),
    "TfidfTransformer": (_set_idf,),
    # 1.7: base_estimator was renamed to estimator.
    "_BaseChain": (_rename("estimator", "base_estimator"),),
}
#: Adaptations that attributes alone cannot select: each applies to releases before the given one.
ADAPTATIONS_BEFORE: Mapping[str, tuple[tuple[tuple[int, int], Adaptation], ...]] = {
    "KNNImputer": (((1, 6), _set_imputer_class),),
    "_PLS": (((1, 5), _unscale_coefficients),),
}
