"""Fits a model of every estimator of scikit-learn, and builds each from its pickle.

``python -m tests.ordinary_estimators`` prints how many were built, by pickle and by joblib, and which of them
were rejected or predict differently.
"""

import io
import pickle
import sys
import warnings

import joblib
import numpy as np
from scipy.stats import loguniform, randint
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import IterativeImputer
from sklearn.linear_model import GammaRegressor, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators

from mlmodel.errors import FlmError
from mlmodel.trust import pickles

FLOWERS, KINDS = (each[::3] for each in load_iris(return_X_y=True))
TEXTS = ["pays on time", "late and rude"] * (len(KINDS) // 2)
SIZES = FLOWERS[:, 0]
#: Training data for the different kinds of estimators.
FOODS = [
    (FLOWERS, KINDS),
    (FLOWERS, (KINDS > 0).astype(int)),
    (FLOWERS, np.c_[KINDS > 0, KINDS > 1].astype(int)),
    (SIZES, KINDS.astype(float)),
    (TEXTS, KINDS),
    ([{"a": 1.0, "b": "x"}] * len(KINDS), KINDS),
    (KINDS,),
]
#: Constructor arguments of estimators that need some.
PARTS = [
    (),
    (LogisticRegression(),),
    (Ridge(),),
    ([("a", LogisticRegression())],),
    ([("a", Ridge())],),
]


def made_by_hand():
    yield ColumnTransformer([("a", StandardScaler(), [0, 1])]).fit(FLOWERS), FLOWERS
    yield FeatureUnion([("a", StandardScaler())]).fit(FLOWERS), FLOWERS
    yield CountVectorizer().fit(TEXTS), TEXTS
    yield make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), SVC()).fit(TEXTS, KINDS), TEXTS
    yield FrozenEstimator(LogisticRegression().fit(FLOWERS, KINDS)), FLOWERS
    yield GammaRegressor().fit(FLOWERS, SIZES), FLOWERS
    yield MultiLabelBinarizer().fit([{"a"}, {"a", "b"}]), [{"a"}]
    grid = {"C": [0.1, 1.0]}
    yield GridSearchCV(LogisticRegression(), grid).fit(FLOWERS, KINDS), FLOWERS
    yield RandomizedSearchCV(LogisticRegression(), grid, n_iter=2).fit(FLOWERS, KINDS), FLOWERS
    holed = np.where(FLOWERS.max() - 1 < FLOWERS, np.nan, FLOWERS)
    steps = make_pipeline(IterativeImputer(), Ridge(), memory=joblib.Memory(None))
    spread = {"ridge__alpha": loguniform(0.1, 10), "iterativeimputer__max_iter": randint(2, 5)}
    yield RandomizedSearchCV(steps, spread, n_iter=2).fit(holed, SIZES), holed


def of_boosting_libraries():
    import lightgbm
    import xgboost

    few = {"n_estimators": 5}
    for kind in (xgboost.XGBClassifier, xgboost.XGBRFClassifier):
        yield kind(**few).fit(FLOWERS, KINDS), FLOWERS
        yield make_pipeline(StandardScaler(), kind(**few)).fit(FLOWERS, KINDS > 0), FLOWERS
    for kind in (xgboost.XGBRegressor, xgboost.XGBRFRegressor):
        yield kind(**few).fit(FLOWERS, SIZES), FLOWERS
    early = xgboost.XGBClassifier(early_stopping_rounds=2, **few)
    yield early.fit(FLOWERS, KINDS, eval_set=[(FLOWERS, KINDS)], verbose=False), FLOWERS
    yield xgboost.XGBRanker(**few).fit(FLOWERS, KINDS, qid=np.zeros(len(KINDS))), FLOWERS
    quiet = {**few, "verbose": -1}
    for boosting in ("gbdt", "dart", "rf"):
        more = {"boosting_type": boosting, "subsample": 0.5, "subsample_freq": 1, **quiet}
        yield lightgbm.LGBMClassifier(**more).fit(FLOWERS, KINDS), FLOWERS
        yield lightgbm.LGBMRegressor(**more).fit(FLOWERS, SIZES), FLOWERS
    yield lightgbm.LGBMRanker(**quiet).fit(FLOWERS, KINDS, group=[len(KINDS)]), FLOWERS


def fitted(kind):
    """Return a fitted estimator and its training data; ``None`` if fitting fails."""
    for parts in PARTS:
        for food in FOODS:
            try:
                return kind(*parts).fit(*food), food[0]
            except Exception:
                continue
    return None


def models():
    """Yield ordinary models with inputs for them."""
    for _, kind in all_estimators():
        found = fitted(kind)
        if found:
            yield found
    yield from made_by_hand()
    yield from of_boosting_libraries()


def answer(model, food):
    for method in ("predict", "transform"):
        try:
            found = getattr(model, method)(food)
        except Exception:
            continue
        return found.toarray() if hasattr(found, "toarray") else found
    return None


def is_the_same(model, built, food):
    then, now = answer(model, food), answer(built, food)
    if then is None or isinstance(then, list):
        return repr(then) == repr(now)
    if np.asarray(then).dtype.kind != "f":
        return np.array_equal(then, now)
    # Sums in another order, as arrays lie elsewhere, differ in the last digits.
    return np.allclose(then, now, equal_nan=True)


def main():
    warnings.simplefilter("ignore")
    built = 0
    for model, food in models():
        stream = io.BytesIO()
        joblib.dump(model, stream, compress=3)
        for content in (pickle.dumps(model), stream.getvalue()):
            try:
                same = is_the_same(model, pickles.build(content, ()), food)
            except FlmError as error:
                sys.stdout.write(f"{type(model).__name__} is refused: {error}\n")
                continue
            built += 1
            if not same:
                sys.stdout.write(f"{type(model).__name__} answers otherwise\n")
    sys.stdout.write(f"{built} pickles of models were built\n")


if __name__ == "__main__":
    main()
