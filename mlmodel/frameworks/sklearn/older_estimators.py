"""Estimators that predict as an older scikit-learn release did, for models that it fitted.

:mod:`mlmodel.frameworks.sklearn.releases` gives a model one of these classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.ensemble import AdaBoostClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import NearestCentroid


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
    def _score(probabilities: Any, count: int) -> Any:
        logs = np.log(np.clip(probabilities, np.finfo(probabilities.dtype).eps, None))
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


class _MissingMethod:
    """Descriptor for a method that an older release did not have."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        raise AttributeError("the scikit-learn release that fitted this model lacks this method")


class PlainCentroid(NearestCentroid):  # type: ignore[misc]
    """A NearestCentroid from before release 1.6, without probabilities and scores."""

    predict_proba = predict_log_proba = decision_function = _MissingMethod()
