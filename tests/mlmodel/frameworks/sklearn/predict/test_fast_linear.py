"""Simple models, called without scikit-learn's checks."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from mlmodel.frameworks.sklearn.predict.fast_linear import fast_method, has_formula

CHANCE = np.random.default_rng(3)
ROWS = CHANCE.normal(size=(60, 4))
TWO = (ROWS[:, 0] > 0).astype(int)
THREE = np.array(["a", "b", "c"])[np.digitize(ROWS[:, 1], [-0.5, 0.5])]
VALUES = ROWS @ [1.0, 2.0, -1.0, 0.5] + 3
BOTH = np.column_stack([VALUES, -VALUES])
SEVERAL = np.column_stack([TWO, 1 - TWO, TWO])

CLASSIFIERS = {
    "two labels": (LogisticRegression(), TWO),
    "three labels": (LogisticRegression(), THREE),
    "no intercept": (LogisticRegression(fit_intercept=False), THREE),
    "one label at a time": (LogisticRegression(solver="liblinear"), TWO),
    "a network of two labels": (MLPClassifier((5, 3), max_iter=20), TWO),
    "a network of three labels": (MLPClassifier((5,), activation="tanh", max_iter=20), THREE),
    "a network of several outputs": (MLPClassifier((5,), max_iter=20), SEVERAL),
    "scaled": (make_pipeline(StandardScaler(), LogisticRegression()), THREE),
    "scaled without the mean": (
        make_pipeline(StandardScaler(with_mean=False), "passthrough", LogisticRegression()),
        THREE,
    ),
}
REGRESSORS = {
    "linear": (LinearRegression(), VALUES),
    "linear with two outputs": (LinearRegression(), BOTH),
    "ridge": (Ridge(), VALUES),
    "lasso": (Lasso(), VALUES),
    "elastic net": (ElasticNet(), BOTH),
    "network": (MLPRegressor(hidden_layer_sizes=(5,), activation="logistic", max_iter=20), VALUES),
    "network with two outputs": (
        MLPRegressor(hidden_layer_sizes=(5, 4), activation="identity", max_iter=20),
        BOTH,
    ),
    "scaled": (make_pipeline(StandardScaler(with_std=False), Ridge()), VALUES),
}
OTHERS = {
    "a forest": RandomForestClassifier(2),
    "another scaler": make_pipeline(MinMaxScaler(), LogisticRegression()),
    "somebody's own": type("Own", (LogisticRegression,), {})(),
}
NEW = CHANCE.normal(scale=20, size=(500, 4))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "wanted", "method"),
    [
        *((*case, "predict_proba") for case in CLASSIFIERS.values()),
        *((*case, "predict") for case in REGRESSORS.values()),
    ],
    ids=[*CLASSIFIERS, *REGRESSORS],
)
def test_formula_predictions_are_identical(model, wanted, method):
    model.fit(ROWS, wanted)
    own = getattr(model, method)

    answer = fast_method(model, method)

    assert has_formula(model)
    assert answer != own
    assert np.array_equal(answer(NEW), own(NEW))
    assert np.array_equal(answer(NEW[:1]), own(NEW[:1]))


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_have_no_formula(name):
    model = OTHERS[name].fit(ROWS, THREE)

    assert not has_formula(model)
    assert fast_method(model, "predict_proba") == model.predict_proba


def test_differing_formula_is_not_used(monkeypatch):
    model = LogisticRegression().fit(ROWS, THREE)
    own = type(model).predict_proba
    monkeypatch.setattr(LogisticRegression, "predict_proba", lambda self, rows: own(self, rows) / 2)

    assert fast_method(model, "predict_proba") == model.predict_proba


def test_other_inputs_are_validated_by_model():
    model = LinearRegression().fit(ROWS, VALUES)

    predict = fast_method(model, "predict")

    with pytest.raises(ValueError, match="could not convert string"):
        predict(np.array([["a", "b", "c", "d"]], dtype=object))
    with pytest.warns(UserWarning, match="feature names"):
        predict(pd.DataFrame(NEW, columns=list("abcd")))


def test_missing_number_gives_no_prediction():
    model = LogisticRegression().fit(ROWS, THREE)

    assert np.isnan(fast_method(model, "predict_proba")(np.full((1, 4), np.nan))).all()
