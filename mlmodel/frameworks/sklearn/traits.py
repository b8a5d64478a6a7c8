"""What kind of model an estimator is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlmodel.frameworks.sklearn.structure import (
    column_parts,
    inner_parts,
    is_passthrough,
    last_of,
    package_of,
    path_to_last,
    steps_of,
)

#: Classifiers whose ``predict`` returns the label with the largest of ``predict_proba``.
LIKELIEST = frozenset(
    {
        "BernoulliNB",
        "CategoricalNB",
        "ComplementNB",
        "DecisionTreeClassifier",
        "ExtraTreeClassifier",
        "ExtraTreesClassifier",
        "GaussianNB",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LinearDiscriminantAnalysis",
        "LogisticRegression",
        "MLPClassifier",
        "MultinomialNB",
        "QuadraticDiscriminantAnalysis",
        "RandomForestClassifier",
    }
)

#: Packages whose searches and pipelines predict as their last estimator does.
OWN = frozenset({"imblearn", "sklearn"})

#: Estimators that compute each row by itself, in the same order of operations regardless of the
#: other rows. Those that multiply matrices do not: BLAS sums in another order for other numbers of
#: rows, and the last digit differs.
ROW_WISE = frozenset(
    {
        "AdaBoostClassifier",
        "AdaBoostRegressor",
        "BaggingClassifier",
        "BaggingRegressor",
        "Binarizer",
        "ColumnTransformer",
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "FeatureUnion",
        "FixedThresholdClassifier",
        "FrozenEstimator",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "GridSearchCV",
        "HalvingGridSearchCV",
        "HalvingRandomSearchCV",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        "IsolationForest",
        "IsotonicRegression",
        "KBinsDiscretizer",
        "LGBMClassifier",
        "LGBMRegressor",
        "MaxAbsScaler",
        "MinMaxScaler",
        "OneHotEncoder",
        "OrdinalEncoder",
        "Pipeline",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "RandomizedSearchCV",
        "RobustScaler",
        "SelectFromModel",
        "SelectKBest",
        "SelectPercentile",
        "SimpleImputer",
        "StandardScaler",
        "TargetEncoder",
        "TransformedTargetRegressor",
        "TunedThresholdClassifierCV",
        "VarianceThreshold",
        "VotingClassifier",
        "VotingRegressor",
        "XGBClassifier",
        "XGBRFClassifier",
        "XGBRFRegressor",
        "XGBRegressor",
    }
)
#: Packages whose estimators of these names compute so.
ROW_WISE_PACKAGES = frozenset({"imblearn", "lightgbm", "sklearn", "xgboost"})
#: Estimators of an ensemble that are inspected; the others are of the same class.
MOST_PARTS = 1000

#: Members of a transformed row above which they are a list instead of an object with names.
MOST_NAMED = 1000


def labels_of(model: Any) -> list[Any]:
    """Return a classifier's plain labels, or a list of them for each of several outputs."""
    classes = getattr(model, "classes_", None)
    if classes is None or len(classes) == 0:
        return []
    if isinstance(classes, list):
        return [plain_list(labels) for labels in classes]
    return plain_list(classes)


def plain_list(values: Any) -> list[Any]:
    """Return the values of an array as Python objects; an array of objects may hold numpy's."""
    array = np.asarray(values)
    items: list[Any] = array.tolist()
    if array.dtype.kind != "O":
        return items
    return [item.item() if isinstance(item, np.generic) else item for item in items]


def has_several(model: Any) -> bool:
    """Return whether a classifier's ``classes_`` may be its outputs instead of its labels."""
    last = last_of(model)
    return bool(
        getattr(last, "multilabel_", False)
        or getattr(last, "out_activation_", "") == "logistic"
        or isinstance(model.classes_, list)
    )


def predicts_likeliest(model: Any) -> bool:
    """Return whether a model is a classifier of scikit-learn that predicts the likeliest label."""
    last = last_of(model)
    if type(last).__name__ not in LIKELIEST or not all(map(is_library_code, path_to_last(model))):
        return False
    return len(labels_of(model)) > 1 and not has_several(model)


def is_library_code(estimator: Any) -> bool:
    """Return whether an estimator predicts by the code of its library alone.

    A class may derive from one of the library's, and an object may have a method of its own.
    """
    return package_of(estimator) in OWN and not any(
        callable(getattr(type(estimator), name, None)) for name in vars(estimator)
    )


def is_row_wise(model: Any) -> bool:
    """Return whether a prediction never depends on other rows, not even in the last digit."""
    waiting, count = [model], 0
    while waiting and count < MOST_PARTS:
        part = waiting.pop()
        if is_passthrough(part):
            continue
        count += 1
        package = package_of(part)
        if type(part).__name__ not in ROW_WISE or package not in ROW_WISE_PACKAGES:
            return False
        if package == "sklearn" and not is_library_code(part):
            return False
        waiting += _parts_of(part)
    return True


def _parts_of(model: Any) -> list[Any]:
    if isinstance(getattr(model, "transformers_", None), list):
        return [part for part, _ in column_parts(model)]
    union = [part for _, part in getattr(model, "transformer_list", ())]
    return [*(steps_of(model) or ()), *(part for part, _ in inner_parts(model)), *union]


def is_forest(model: Any) -> bool:
    """Return whether a model is a forest, which predicts the first of equally likely labels."""
    return type(last_of(model)).__name__ in {"ExtraTreesClassifier", "RandomForestClassifier"}


def has_pairwise_scores(model: Any) -> bool:
    """Return whether the scores of more than two labels are those of pairs."""
    return getattr(last_of(model), "decision_function_shape", "") == "ovo"


def count_centres(model: Any) -> int:
    """Return the number of cluster centres of a model."""
    return len(getattr(last_of(model), "cluster_centers_", ()))


def feature_names(model: Any) -> list[str]:
    """Return the names of a transformer's output features; empty if it has none."""
    # Transformers of other packages may raise anything if they have no names.
    try:
        return [str(name) for name in model.get_feature_names_out()]
    except Exception:
        return []


def has_tag(question: Callable[[Any], bool], model: Any) -> bool:
    """Return whether a condition on a model's tags holds."""
    # A class without BaseEstimator has no tags.
    try:
        return bool(question(model))
    except AttributeError:
        return False
