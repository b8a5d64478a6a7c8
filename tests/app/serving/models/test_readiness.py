"""A ready model has predicted its example. Other models are failed, with the reason."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import RadiusNeighborsClassifier, RadiusNeighborsRegressor
from sklearn.pipeline import make_pipeline

from mlmodel import dump
from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.frameworks.sklearn.inference import infer, predictor

POINTS = pd.DataFrame(np.random.default_rng(3).normal(size=(60, 3)), columns=list("abc"))
TRUST = [
    "tests.app.serving.models.test_readiness.Picky",
    "tests.app.serving.models.test_readiness.Lengths",
]


class Picky(RegressorMixin, BaseEstimator):
    """Reads a column by name, but has no names of columns for the schema."""

    def fit(self, table, _target):
        self.mean_ = float(table["age"].mean())
        return self

    def predict(self, table):
        return table["age"].to_numpy() - self.mean_


class Lengths(TransformerMixin, BaseEstimator):
    """Accepts strings and numbers."""

    def fit(self, table, _target=None):
        self.feature_names_in_ = np.asarray(table.columns, dtype=object)
        self.n_features_in_ = table.shape[1]
        return self

    def transform(self, table):
        return np.column_stack([[len(str(value)) for value in table[name]] for name in table])


def hosted(make_app, path, **more):
    entry = {"file": str(path), "name": "m", "trust": TRUST, **more}
    client = make_app(json.dumps({"models": [entry]})).test_client()
    (model,) = client.get("/api/models").get_json()["models"]
    return client, model


def test_model_of_unknown_columns_is_failed(make_app, tmp_path):
    table = pd.DataFrame({"age": [1.0, 2.0, 4.0]})
    dump(Picky().fit(table, [1, 2, 3]), tmp_path / "m.flm")

    _, model = hosted(make_app, tmp_path / "m.flm")

    assert model["status"] == "failed"
    assert "package it with a sample" in model["reason"]


def test_model_with_sample_is_ready(make_app, tmp_path):
    table = pd.DataFrame({"age": [1.0, 2.0, 6.0]})
    dump(Picky().fit(table, [1, 2, 3]), tmp_path / "m.flm", sample=table)

    client, model = hosted(make_app, tmp_path / "m.flm")

    assert model["status"] == "ready"
    assert client.post("/api/models/m/predict", json={"age": 5}).get_json() == {"prediction": 2.0}


def test_model_whose_examples_fail_is_failed(make_app, tmp_path):
    schema = {"properties": {name: {} for name in "abc"}}
    extra = {"input_schema": schema, "examples": [{"a": "x", "b": "y", "c": "z"}]}
    dump(LinearRegression().fit(POINTS, POINTS["a"]), tmp_path / "m.flm", extra=extra)

    _, model = hosted(make_app, tmp_path / "m.flm")

    assert model["status"] == "failed"
    assert "does not predict for its own example" in model["reason"]


@pytest.mark.parametrize("sample", [None, POINTS.astype("float32")], ids=["object", "sample"])
def test_clusters_of_floats_of_single_precision(sample):
    table = POINTS.astype("float32")
    model = KMeans(3, n_init=2, random_state=0).fit(table)

    predict = predictor(model, infer(model, sample).input["properties"])

    rows = [{name: float(value) for name, value in row.items()} for row in table.to_dict("records")]
    assert [each["prediction"] for each in predict(rows)] == model.predict(table).tolist()


def test_isotonic_regression_needs_no_sample():
    model = IsotonicRegression().fit(POINTS["a"], POINTS["b"])

    found = infer(model)

    assert list(found.input["properties"]) == ["x0"]
    expected = model.predict([0.5])[0]
    assert predictor(model, found.input["properties"])([{"x0": 0.5}])[0]["prediction"] == expected


def test_unknown_estimator_takes_texts_and_numbers():
    table = pd.DataFrame({"x": ["a", "bb", "ccc"]})
    model = make_pipeline(Lengths(), LinearRegression()).fit(table, [1, 2, 3])

    schema = infer(model).input["properties"]

    assert schema["x"]["type"] == ["number", "string", "boolean", "null"]
    assert predictor(model, schema)([{"x": "dd"}])[0]["prediction"] == pytest.approx(2)


def test_note_names_model_that_accepts_nothing():
    model = RandomForestRegressor(3).fit(POINTS, POINTS["a"])

    assert "accepts empty rows" in infer(model).notes[0]
    assert infer(model, POINTS).notes == ()


def test_field_without_gaps_is_required():
    model = RandomForestRegressor(3).fit(POINTS, POINTS["a"])
    lacking = POINTS.assign(b=POINTS["b"].where(POINTS["b"] > 0))

    schema = infer(model, lacking).input

    assert schema["required"] == ["a", "c"]
    assert schema["properties"]["a"]["type"] == ["number", "null"]
    assert schema["properties"]["a"]["x-seen-missing"] is False
    assert "x-seen-missing" not in schema["properties"]["b"]


def asked(model, rows):
    return predictor(model, infer(model, POINTS).input["properties"])(rows)


@pytest.mark.filterwarnings("ignore:One or more samples")
def test_regressor_that_returns_nan_is_named():
    model = RadiusNeighborsRegressor(radius=0.8).fit(POINTS, POINTS["a"])
    rows = [POINTS.iloc[0].to_dict(), dict.fromkeys("abc", 50.0)]

    with pytest.raises(InvalidInput, match="returns NaN for this row") as caught:
        asked(model, rows)

    assert [(each.row, each.pointer) for each in caught.value.violations] == [(1, "")]


def test_own_violation_is_returned():
    model = RadiusNeighborsClassifier(radius=0.8).fit(POINTS, POINTS["a"] > 0)

    with pytest.raises(InvalidInput, match="No neighbors found"):
        asked(model, [dict.fromkeys("abc", 50.0)])


def test_unfitted_part_fails_with_its_words(tmp_path):
    model = make_pipeline(LinearRegression().fit(POINTS, POINTS["a"]))
    del model[-1].coef_

    found = infer(model)

    with pytest.raises(InvalidModel):
        predictor(model, found.input["properties"]).with_example(())
