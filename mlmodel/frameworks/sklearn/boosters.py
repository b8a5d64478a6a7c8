"""Models of XGBoost, LightGBM and CatBoost outside of their scikit-learn classes.

A raw ``Booster``, in a pickle or in a file of ``save_model``, becomes an estimator with the
booster's own predictions. It is a classifier, whose label is the most probable class, only if the
booster predicts a probability for each of several classes. Files of XGBoost that store an estimator
type, and all files of CatBoost, become the library's own classes.

The files of ``save_model`` hold numbers and no code. Each library is imported when it is needed.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import BrokenModel, MissingFramework

#: The library's name, its module and the command that installs it, by the kind of file.
LIBRARIES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.XGBOOST: ("XGBoost", "xgboost", "pip install xgboost"),
    Kind.LIGHTGBM: ("LightGBM", "lightgbm", "pip install lightgbm"),
    Kind.CATBOOST: ("CatBoost", "catboost", "pip install catboost"),
}
#: Prefix of the names that LightGBM gives to unnamed columns.
_UNNAMED = "Column_"
#: CatBoost's loss functions of classifiers.
_CLASSIFIER_LOSSES = ("Logloss", "CrossEntropy", "MultiClass", "MultiLogloss", "MultiCrossEntropy")


def load(kind: Kind, content: bytes) -> Any:
    """Return the estimator for the model in a file of ``save_model``.

    :raises MissingFramework: if its library is not installed.
    :raises BrokenModel: if the library cannot read the file.
    """
    library = _library(kind)
    title = f"{LIBRARIES[kind][0]} {library.__version__}"
    try:
        return _LOADERS[kind](library, content)
    except Exception as error:
        summary = f"{title} cannot read the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error


def version(kind: Kind) -> str:
    """Return a library's name and installed version.

    :raises MissingFramework: if it is not installed.
    """
    return f"{LIBRARIES[kind][0]} {_library(kind).__version__}"


def as_estimator(model: Any) -> Any:
    """Return a raw booster as an estimator, and any other model unchanged."""
    convert = _RAW.get(f"{type(model).__module__}.{type(model).__qualname__}")
    return convert(model) if convert else model


def raw_booster(model: Any) -> Any:
    """Return the booster of an estimator of this module, and any other model unchanged."""
    return model._booster if isinstance(model, _BoosterEstimator) else model


class _BoosterEstimator(BaseEstimator):  # type: ignore[misc]
    """Estimator around a trained booster.

    ``estimator_`` is the library's own estimator around the same booster, which provides the
    columns and their categories.
    """

    def __init__(
        self, booster: Any, estimator: Any, predict: Callable[[Any], Any], names: list[str] | None
    ) -> None:
        self._booster = booster
        self.estimator_ = estimator
        self._predict = predict
        self.n_features_in_ = int(estimator.n_features_in_)
        if names:
            self.feature_names_in_ = np.asarray(names, dtype=object)

    def fit(self, X: Any, y: Any = None) -> _BoosterEstimator:  # noqa: N803  scikit-learn's names
        """Do nothing: the booster is trained."""
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return no parameters: those of the training belong to the booster."""
        return {}

    def __sklearn_is_fitted__(self) -> bool:
        return True


class BoostedRegressor(RegressorMixin, _BoosterEstimator):  # type: ignore[misc]
    """A booster of numbers, or of the probability of the second of two classes."""

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return what the booster predicts."""
        return self._predict(X)


class BoostedClassifier(ClassifierMixin, _BoosterEstimator):  # type: ignore[misc]
    """A booster that predicts the probability of each of several classes, numbered from 0."""

    def __init__(self, *parts: Any, count: int) -> None:
        super().__init__(*parts)
        self.classes_ = np.arange(count)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the most probable class of each row."""
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the booster's predictions: the probability of each class."""
        return self._predict(X)


def _library(kind: Kind) -> Any:
    title, module, install = LIBRARIES[kind]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingFramework(title, install) from error


def _from_xgboost(library: Any, content: bytes) -> Any:
    booster = library.Booster()
    booster.load_model(bytearray(content))
    stored_type = booster.attr("scikit_learn") or ""
    if '"_estimator_type"' not in stored_type:
        return _xgboost_estimator(booster)
    kind = library.XGBClassifier if '"classifier"' in stored_type else library.XGBRegressor
    model = kind()
    model.load_model(bytearray(content))
    return model


def _xgboost_estimator(booster: Any) -> Any:
    library = _library(Kind.XGBOOST)
    # A booster predicts with all of its trees, its estimator with those up to the best iteration.
    original, booster = booster, copy.copy(booster)
    booster.set_attr(best_iteration=None, best_score=None)
    estimator = library.XGBRegressor()
    estimator.load_model(booster.save_raw("ubj"))
    has_categories = "c" in (booster.feature_types or ())

    def predict(rows: Any) -> Any:
        return booster.predict(library.DMatrix(rows, enable_categorical=has_categories))

    parts = (original, estimator, predict, booster.feature_names)
    count = _xgboost_classes(booster)
    return BoostedClassifier(*parts, count=count) if count else BoostedRegressor(*parts)


def _xgboost_classes(booster: Any) -> int:
    """Return the number of classes with a predicted probability; 0 for any other booster."""
    learner = json.loads(booster.save_config())["learner"]
    if learner["objective"]["name"] != "multi:softprob":
        return 0
    return int(learner["learner_model_param"]["num_class"])


def _from_lightgbm(library: Any, content: bytes) -> Any:
    # LightGBM counts the bytes of each tree, and a file from Windows may have other line ends.
    text = content.decode("utf-8").replace("\r\n", "\n")
    return _lightgbm_estimator(library.Booster(model_str=text))


def _lightgbm_estimator(booster: Any) -> Any:
    library = _library(Kind.LIGHTGBM)
    estimator = library.LGBMRegressor()
    estimator._Booster, estimator.fitted_ = booster, True
    estimator._n_features = estimator._n_features_in = booster.num_feature()
    names = booster.feature_name()
    stored_names = None if all(each.startswith(_UNNAMED) for each in names) else names
    count = booster.num_model_per_iteration()
    objective = str((booster.params or {}).get("objective", ""))

    def predict(rows: Any) -> Any:
        return booster.predict(rows)

    parts = (booster, estimator, predict, stored_names)
    if count > 1 and objective.startswith(("multiclass", "softmax")):
        return BoostedClassifier(*parts, count=count)
    return BoostedRegressor(*parts)


def _from_catboost(library: Any, content: bytes) -> Any:
    # CatBoost crashes on some truncated models given as bytes; given as a file, it raises.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        path.write_bytes(content)
        raw = library.CatBoost().load_model(str(path))
        loss = str(raw.get_all_params().get("loss_function", "")).partition(":")[0]
        kind = library.CatBoostClassifier if loss.startswith(_CLASSIFIER_LOSSES) else None
        model = (kind or library.CatBoostRegressor)()
        model.load_model(str(path))
    return model


_LOADERS: Mapping[Kind, Callable[[Any, bytes], Any]] = {
    Kind.XGBOOST: _from_xgboost,
    Kind.LIGHTGBM: _from_lightgbm,
    Kind.CATBOOST: _from_catboost,
}
_RAW: Mapping[str, Callable[[Any], Any]] = {
    "xgboost.core.Booster": _xgboost_estimator,
    "lightgbm.basic.Booster": _lightgbm_estimator,
}
