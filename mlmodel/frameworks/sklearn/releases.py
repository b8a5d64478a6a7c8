"""Adapt models that another scikit-learn release fitted, so that they predict as they did there.

A release may read the attributes of a fitted model differently from the release that wrote them:
some are new, some have another meaning, and some algorithms were removed. :func:`cure` adapts a
model where the result equals the older release's own predictions. Each cure names the change that
it compensates, by its release; the files in ``tests/data/sklearn`` hold the predictions.

A model that cannot be adapted raises when it is built or first predicts, and
:mod:`mlmodel.files.packaged` then names both releases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.ensemble import AdaBoostClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import FunctionTransformer

_PLAIN = (str, bytes, bytearray, int, float, complex, type(None), type)
_RELEASE = re.compile(r"(\d+)\.(\d+)")

#: Changes a part of a model in place, if an older release wrote it.
Cure = Callable[[Any], None]


def cure(model: Any, release: str | None) -> None:
    """Adapt a model of another release, with all estimators in it, to the installed one.

    :param release: the scikit-learn that wrote it, as ``"1.3.2"``; ``None`` if unknown.
    """
    known = _parsed(release)
    for part in _parts(model):
        for name in (each.__name__ for each in type(part).__mro__):
            for cured in CURES.get(name, ()):
                cured(part)
            if known is not None:
                for before, cured in DATED.get(name, ()):
                    if known < before:
                        cured(part)


def _parsed(release: str | None) -> tuple[int, int] | None:
    found = _RELEASE.match(release or "")
    return (int(found[1]), int(found[2])) if found else None


def _parts(model: Any) -> list[Any]:
    """Return a model and all objects that it holds, the inner ones first."""
    # The values keep the objects alive, so that no id is reused.
    seen: dict[int, Any] = {}
    found, waiting = [], [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _PLAIN) or id(part) in seen:
            continue
        seen[id(part)] = part
        if hasattr(part, "__dict__"):
            found.append(part)
        waiting.extend(_within(part))
    return found[::-1]


def _within(part: Any) -> Iterable[Any]:
    if isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, list | tuple | set | frozenset):
        yield from part
    elif isinstance(part, np.ndarray):
        yield from part.flat if part.dtype.hasobject else ()
    yield from list(getattr(part, "__dict__", {}).values())


class _OneVersusRest:
    """Probabilities of several classes by one sigmoid each, divided by their sum.

    ``multi_class="ovr"``, and ``"auto"`` with liblinear; release 1.8 removed the parameter.
    """

    def predict_proba(self, X: Any) -> Any:  # noqa: N803  scikit-learn's name
        return self._predict_proba_lr(X)  # type: ignore[attr-defined]


class _BinarySoftmax:
    """Probabilities of two classes by the softmax of both scores.

    ``multi_class="multinomial"`` with two classes; release 1.8 removed the parameter.
    """

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        score = self.decision_function(X)  # type: ignore[attr-defined]
        return softmax(np.c_[-score, score], axis=1)


class OneVersusRestRegression(_OneVersusRest, LogisticRegression):  # type: ignore[misc]
    """A logistic regression of several classes, one against the rest."""


class OneVersusRestRegressionCV(_OneVersusRest, LogisticRegressionCV):  # type: ignore[misc]
    """The same, with its regularization found by cross-validation."""


class BinarySoftmaxRegression(_BinarySoftmax, LogisticRegression):  # type: ignore[misc]
    """A multinomial logistic regression of two classes."""


class BinarySoftmaxRegressionCV(_BinarySoftmax, LogisticRegressionCV):  # type: ignore[misc]
    """The same, with its regularization found by cross-validation."""


class RealAdaBoostClassifier(AdaBoostClassifier):  # type: ignore[misc]
    """AdaBoost with the algorithm SAMME.R, the default until release 1.6 removed it.

    Source: scikit-learn 1.5, ``sklearn/ensemble/_weight_boosting.py``.
    """

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the class with the largest score."""
        scores = self.decision_function(X)
        if self.n_classes_ == 2:  # noqa: PLR2004
            return self.classes_.take(scores > 0, axis=0)
        return self.classes_.take(np.argmax(scores, axis=1), axis=0)

    def decision_function(self, X: Any) -> Any:  # noqa: N803
        """Return the scores of the classes; for two classes, those of the second."""
        X = self._check_X(X)  # noqa: N806
        count = self.n_classes_
        scores = sum(self._score(each.predict_proba(X), count) for each in self.estimators_)
        scores = scores / self.estimator_weights_.sum()
        if count == 2:  # noqa: PLR2004
            scores[:, 0] *= -1
            return scores.sum(axis=1)
        return scores

    @staticmethod
    def _score(shares: Any, count: int) -> Any:
        logs = np.log(np.clip(shares, np.finfo(shares.dtype).eps, None))
        return (count - 1) * (logs - (1.0 / count) * logs.sum(axis=1)[:, np.newaxis])


class AllDonorsImputer(KNNImputer):  # type: ignore[misc]
    """A KNNImputer that averages donors without a distance too, as until release 1.5."""

    def _calc_impute(
        self,
        dist_pot_donors: Any,
        n_neighbors: int,
        fit_X_col: Any,  # noqa: N803
        mask_fit_X_col: Any,  # noqa: N803
    ) -> Any:
        if self.weights == "uniform":
            dist_pot_donors = np.where(np.isnan(dist_pot_donors), np.inf, dist_pot_donors)
        return super()._calc_impute(dist_pot_donors, n_neighbors, fit_X_col, mask_fit_X_col)


class _Absent:
    """Descriptor for a method that an older release did not have."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        raise AttributeError("the release that fitted this model had no such method")


class PlainCentroid(NearestCentroid):  # type: ignore[misc]
    """A NearestCentroid from before release 1.6, without probabilities and scores."""

    predict_proba = predict_log_proba = decision_function = _Absent()


def _default(name: str, value: Any) -> Cure:
    """Return the cure that sets a new attribute to the value that older releases implied."""

    def cured(part: Any) -> None:
        if name not in vars(part):
            setattr(part, name, value)

    return cured


def _renamed(name: str, older: str) -> Cure:
    def cured(part: Any) -> None:
        if name not in vars(part) and older in vars(part):
            setattr(part, name, vars(part)[older])

    return cured


def _fill_dtype(part: Any) -> None:
    """1.8 casts the statistics of a SimpleImputer to the type of the columns it was fitted on."""
    if "statistics_" in vars(part) and "_fill_dtype" not in vars(part):
        part._fill_dtype = getattr(part, "_fit_dtype", part.statistics_.dtype)


def _empty(part: Any) -> None:
    """1.6 stores which columns had no value; before, their first statistic was NaN."""
    imputer = vars(part).get("initial_imputer_")
    if imputer is not None and "_is_empty_feature" not in vars(part):
        part._is_empty_feature = np.isnan(imputer.statistics_)


def _trees(part: Any) -> None:
    """1.4 stores the number of trees in each iteration of gradient boosting."""
    stages = vars(part).get("estimators_")
    if stages is not None and "n_trees_per_iteration_" not in vars(part):
        part.n_trees_per_iteration_ = stages.shape[1]


def _idf(part: Any) -> None:
    """1.5 stores the frequencies of documents as an array; before, as a diagonal matrix."""
    if "_idf_diag" in vars(part) and "idf_" not in vars(part):
        part.idf_ = part._idf_diag.diagonal()


def _kernel_gamma(part: Any) -> None:
    """1.3 stores the gamma that a KernelPCA uses if the parameter is None."""
    if "gamma_" not in vars(part) and hasattr(part, "n_features_in_"):
        part.gamma_ = 1 / part.n_features_in_ if part.gamma is None else part.gamma


def _ridge_classes(part: Any) -> None:
    """1.8 stores the classes of a RidgeClassifier; before, its binarizer did."""
    binarizer = vars(part).get("_label_binarizer")
    if "classes_" not in vars(part) and binarizer is not None:
        part.classes_ = binarizer.classes_


def _passed(part: Any) -> None:
    """1.4 replaces "passthrough" with a transformer when a ColumnTransformer is fitted."""
    if "transformers_" in vars(part):
        part.transformers_ = [
            (name, _passing(part, columns) if each == "passthrough" else each, columns)
            if isinstance(each, str)
            else (name, each, columns)
            for name, each, columns in part.transformers_
        ]


def _passing(part: Any, columns: Any) -> Any:
    config = getattr(part, "_sklearn_output_config", {}).get("transform", "default")
    passing = FunctionTransformer(
        accept_sparse=True, check_inverse=False, feature_names_out="one-to-one"
    ).set_output(transform=config)
    names = getattr(part, "feature_names_in_", None)
    if names is not None and not isinstance(columns, slice | str):
        passing.feature_names_in_ = np.asarray(
            [each if isinstance(each, str) else names[each] for each in columns], dtype=object
        )
        passing.n_features_in_ = len(passing.feature_names_in_)
    return passing


def _columns(part: Any) -> None:
    """1.5 to 1.7 store remaining columns in a class of their own, around a list."""
    if "transformers_" in vars(part):
        part.transformers_ = [
            (name, each, list(columns.data) if hasattr(columns, "future_dtype") else columns)
            for name, each, columns in part.transformers_
        ]


def _scores(part: Any) -> None:
    """See :class:`_OneVersusRest` and :class:`_BinarySoftmax`."""
    asked = vars(part).get("multi_class")
    classes = vars(part).get("classes_")
    if asked is None or classes is None or type(part) not in _LOGISTIC:
        return
    is_binary = len(classes) <= 2  # noqa: PLR2004
    is_auto = asked in ("auto", "deprecated")
    one_by_one = asked in ("ovr", "warn") or (is_auto and (is_binary or part.solver == "liblinear"))
    if one_by_one != is_binary:
        part.__class__ = _LOGISTIC[type(part)][0 if one_by_one else 1]


def _real_boosting(part: Any) -> None:
    if vars(part).get("algorithm") == "SAMME.R" and type(part) is AdaBoostClassifier:
        part.__class__ = RealAdaBoostClassifier


def _all_donors(part: Any) -> None:
    if type(part) is KNNImputer:
        part.__class__ = AllDonorsImputer


def _centroid(part: Any) -> None:
    """1.6 weights classes by their priors; equal priors give the earlier results."""
    if "class_prior_" in vars(part) or "centroids_" not in vars(part):
        return
    part.priors = "uniform"
    part.class_prior_ = np.full(len(part.classes_), 1 / len(part.classes_))
    if type(part) is NearestCentroid:
        part.__class__ = PlainCentroid


def _scaled(part: Any) -> None:
    """1.5 stores the coefficients of PLS for columns that are centred, but no longer scaled.

    1.2 stored them under another name.
    """
    coefficients = vars(part).get("coef_", vars(part).get("_coef_"))
    if coefficients is not None and "_x_std" in vars(part):
        part.coef_ = coefficients / part._x_std
        _default("_predict_1d", False)(part)


def _spline(part: Any) -> None:
    """SciPy 1.17 stores a function of the array library in a BSpline."""
    splines = vars(part).get("bsplines_") or ()
    part_splines = [
        each
        if "_asarray" in vars(each)
        else type(each).construct_fast(*_knots(each), each.extrapolate, each.axis)
        for each in splines
    ]
    if splines:
        part.bsplines_ = part_splines


def _knots(spline: Any) -> tuple[Any, Any, int]:
    kept = vars(spline)
    return kept.get("t", kept.get("_t")), kept.get("c", kept.get("_c")), kept["k"]


def _shares(part: Any) -> None:
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

#: The cures of a class, by its name or that of a base class.
CURES: Mapping[str, tuple[Cure, ...]] = {
    "AdaBoostClassifier": (_real_boosting,),
    "BaseDecisionTree": (_shares,),
    "BaseGradientBoosting": (_trees,),
    # 1.4: a transformer encodes categories before binning.
    "BaseHistGradientBoosting": (_default("_preprocessor", None),),
    "ColumnTransformer": (_columns, _passed),
    "IterativeImputer": (_empty,),
    "KernelPCA": (_kernel_gamma,),
    "LogisticRegression": (_scores,),
    # 1.8: values outside the range of the training data may be clipped.
    "MaxAbsScaler": (_default("clip", False),),
    "NearestCentroid": (_centroid,),
    # 1.3: infrequent categories may be grouped.
    "OrdinalEncoder": (_default("_infrequent_enabled", False),),
    "RidgeClassifier": (_ridge_classes,),
    "RidgeClassifierCV": (_ridge_classes,),
    # 1.6: base_estimator was renamed to estimator.
    "SelfTrainingClassifier": (
        _renamed("estimator", "base_estimator"),
        _renamed("estimator_", "base_estimator_"),
    ),
    "SimpleImputer": (_fill_dtype,),
    # 1.3: the output may be sparse. 1.8: missing values may be encoded.
    "SplineTransformer": (
        _default("sparse_output", False),
        _default("handle_missing", "error"),
        _spline,
    ),
    "TfidfTransformer": (_idf,),
    # 1.7: base_estimator was renamed to estimator.
    "_BaseChain": (_renamed("estimator", "base_estimator"),),
}
#: Cures that attributes alone cannot select: each applies to releases before the given one.
DATED: Mapping[str, tuple[tuple[tuple[int, int], Cure], ...]] = {
    "KNNImputer": (((1, 6), _all_donors),),
    "_PLS": (((1, 5), _scaled),),
}
