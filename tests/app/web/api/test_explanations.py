from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from app.serving.explaining import evaluator
from app.serving.process import metrics
from app.web.http.extension import modelhost
from mlmodel import dump
from mlmodel.reference.background import draw_background, get_fields
from mlmodel.schema.shape import Shape
from tests.models.typical import Bounds

ROW = {"income": 30, "term": 36, "note": "x"}


@pytest.fixture
def client(same_app):
    names = [
        "Lender",
        "Price",
        "Label",
        "Opaque",
        "Own",
        "Mood",
        "Plain",
        "Rare",
        "Cluster",
        "Labels",
        "Bounds",
    ]
    entries = [f"{{class: tests.models.typical.{name}}}" for name in names]
    versions = "{class: tests.models.typical.Lender, name: loan, version: '2'}"
    return same_app(f"models: [{', '.join([*entries, versions])}]").test_client()


def get_background(client, name):
    """Return the names of the fields that are varied, and the typical rows of a model."""
    with client.application.app_context():
        model = modelhost().manager.get_described(name)
    fields = get_fields(model.about.profile, Shape.of(model.input_schema))
    return [each.name for each in fields], draw_background(fields)


def shapley_values(predict, row, background, names):
    """Return the values by their definition: the mean over all subsets of the other fields."""

    def value(subset):
        own = {name: row[name] for name in subset if name in row}
        rows = [{k: v for k, v in each.items() if k not in subset} | own for each in background]
        return np.mean([predict(each) for each in rows])

    def effect(name):
        others = [each for each in names if each != name]
        subsets = [each for n in range(len(names)) for each in combinations(others, n)]
        return sum(
            factorial(len(each))
            * factorial(len(others) - len(each))
            / factorial(len(names))
            * (value({*each, name}) - value({*each}))
            for each in subsets
        )

    return {name: effect(name) for name in names}


def explain(client, name, body=ROW, query=""):
    return client.post(f"/api/models/{name}/explain{query}", json=body)


def test_effects_add_up_to_prediction_minus_base(client):
    found = explain(client, "lender").json

    effects = {each["name"]: each["effect"] for each in found["fields"]}
    assert found["explains"] == "probability"
    assert found["class"] == found["label"] == "default"
    assert sum(effects.values()) == pytest.approx(found["prediction"] - found["base"])
    assert list(effects) == ["income", "term", "savings"]
    assert min(effects.values()) > 0
    assert found["fields"][2]["value"] is None
    assert found["held"] == ["note"]
    assert (found["method"], found["standard_error"]) == ("exact", 0)
    assert explain(client, "lender").json == found


def test_smallest_change_is_just_enough(client):
    change = explain(client, "lender").json["change"]

    assert change["name"] == "income"
    assert change["label"] == "repaid"
    assert 50 < change["value"] < 50.02
    changed = client.post("/api/models/lender/predict", json=ROW | {"income": change["value"]})
    assert changed.json["prediction"] == "repaid"


def test_change_reaches_the_ends_of_the_training_data(client):
    change = explain(client, "rare").json["change"]

    assert (change["name"], change["label"]) == ("income", "top")
    assert change["value"] > 77.7


def test_explains_the_class_of_the_query(client):
    other = explain(client, "lender", query="?class=repaid").json
    predicted = explain(client, "lender").json

    assert other["class"] == "repaid"
    assert other["base"] == pytest.approx(1 - predicted["base"])
    assert other["fields"][0]["effect"] == pytest.approx(-predicted["fields"][0]["effect"])


def test_explains_numbers_and_labels(client):
    price = explain(client, "price").json
    label = explain(client, "label").json

    assert (price["explains"], price["class"], price["change"]) == ("number", None, None)
    assert price["prediction"] == 24
    assert (label["explains"], label["class"], label["prediction"]) == ("label", "poor", 1)
    assert label["base"] == pytest.approx(31 / 60, abs=0.03)


@pytest.mark.parametrize(
    ("query", "output"), [("", "low"), ("?output=high", "high"), ("?output=/high", "high")]
)
def test_effects_on_an_output_are_shapley_values(client, query, output):
    found = explain(client, "bounds", query=query).json

    names, background = get_background(client, "bounds")
    expected = shapley_values(lambda row: Bounds().predict(row)[output], ROW, background, names)
    assert {each["name"]: each["effect"] for each in found["fields"]} == pytest.approx(expected)
    assert found["prediction"] == Bounds().predict(ROW)[output]
    assert (found["explains"], found["output"]) == ("number", f"/{output}")


def test_each_output_of_a_packaged_regression_is_explained(make_app, tmp_path):
    table = np.random.default_rng(5).normal(size=(200, 3)).round(2)
    targets = np.column_stack([table[:, 0] * table[:, 1], np.abs(table[:, 2]) + table[:, 0]])
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(table, targets)
    dump(tree, tmp_path / "tree.flm", sample=table, outputs=["width", "depth"])
    client = make_app(f"models: [{{file: {tmp_path / 'tree.flm'}}}]").test_client()
    names, background = get_background(client, "tree")
    row = dict(zip(names, [1, -1, 2], strict=True))

    problem = explain(client, "tree", row).json
    found = [explain(client, "tree", row, f"?output={each}").json for each in ("width", "depth")]

    assert problem["detail"].endswith("'output': /prediction/width, /prediction/depth")
    for at, each in enumerate(found):

        def predict(row, at=at):
            return tree.predict([[row[name] for name in names]])[0][at]

        expected = shapley_values(predict, row, background, names)
        assert {one["name"]: one["effect"] for one in each["fields"]} == pytest.approx(expected)


def make_table(width):
    """Return rows with numbers, whole numbers, choices and blanks."""
    random = np.random.default_rng(1)
    table = pd.DataFrame({f"c{at}": random.normal(100, 5, 400).round(2) for at in range(width)})
    table["count"] = random.integers(0, 60, 400)
    table["few"] = random.integers(0, 4, 400)
    table["city"] = random.choice(["x", "y", "z"], 400)
    return table.assign(blank=np.where(random.random(400) < 0.3, np.nan, table["c0"] / 2))


def fit_bent(table, target):
    """Return a model that is linear in all columns, except for a bend at 100 in the second one."""
    spline = SplineTransformer(degree=1, knots=np.array([[60.0], [100.0], [140.0]]))
    columns = ColumnTransformer([("c1", spline, ["c1"])], remainder="passthrough")
    return make_pipeline(columns, LinearRegression()).fit(table, target)


def fit(estimator, table, target):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder=numbers)
    return make_pipeline(columns, estimator).fit(table, target)


@pytest.mark.parametrize("width", [20, 300])
@pytest.mark.parametrize("is_blank", [False, True])
def test_effects_on_a_linear_model_need_few_rows(make_app, tmp_path, width, is_blank):
    table = make_table(width)
    target = (
        2 * table["c0"] + table["c1"] - table["c2"] + table["count"] + 9 * (table["city"] == "x")
    )
    model = fit(Ridge(1e-6), table, target)
    dump(model, tmp_path / "linear.flm", sample=table, y=target)
    client = make_app(f"models: [{{file: {tmp_path / 'linear.flm'}}}]").test_client()
    _, background = get_background(client, "linear")
    row = dict.fromkeys(table, 100) | {"count": 7, "few": 2, "city": "y"}
    row["blank"] = None if is_blank else 60

    found = explain(client, "linear", row).json

    frames = pd.DataFrame([row, *background])[[*table]].astype({"blank": float})
    values = model.predict(frames)
    assert found["base"] == pytest.approx(values[1:].mean())
    effects = {each["name"]: each["effect"] for each in found["fields"]}
    for name in ("c0", "c2", "count", "city", "blank"):
        others = frames.iloc[[0] * len(background)].assign(**{name: frames[name][1:].tolist()})
        expected = values[0] - model.predict(others).mean()
        assert effects[name] == pytest.approx(expected, abs=1e-6)
    assert (found["method"], found["standard_error"]) == ("exact", 0)
    assert found["rows_evaluated"] < 2 * width + 400


def test_fewer_typical_rows_have_the_same_means(make_app, tmp_path):
    table = make_table(300)[[f"c{at}" for at in range(300)]]
    target = 2 * table["c0"] + np.maximum(table["c1"], 100)
    model = fit_bent(table, target)
    dump(model, tmp_path / "bent.flm", sample=table)
    client = make_app(f"models: [{{file: {tmp_path / 'bent.flm'}}}]").test_client()

    found = explain(client, "bent", dict.fromkeys(table, 104)).json

    effects = {each["name"]: each["effect"] for each in found["fields"]}
    assert effects["c0"] == pytest.approx(2 * (104 - table["c0"].mean()), abs=0.01)
    assert effects["c1"] == pytest.approx((104 - np.maximum(table["c1"], 100)).mean(), abs=0.1)
    assert (found["method"], found["typical_rows"]) == ("permutations", 32)
    assert found["standard_error"] > 0
    assert found["rows_evaluated"] <= 20_001


def test_explains_the_label_of_an_output(client):
    found = explain(client, "labels", query="?output=rich").json

    assert (found["explains"], found["class"], found["label"]) == ("label", "0", 0)
    assert found["output"] == "/prediction/rich"
    assert [each["name"] for each in found["fields"] if each["effect"]] == ["income"]
    assert (found["change"]["name"], found["change"]["label"]) == ("income", 1)


def test_explains_another_label_than_the_predicted_one(client):
    rich = explain(client, "label", query="?class=rich").json
    poor = explain(client, "label").json

    assert (rich["class"], rich["label"], rich["prediction"]) == ("rich", "poor", 0)
    assert rich["base"] == pytest.approx(1 - poor["base"])
    assert rich["fields"][0]["effect"] == pytest.approx(-poor["fields"][0]["effect"])


def test_explains_an_item_of_a_list(client):
    found = explain(client, "opaque", query="?output=/1").json

    assert (found["prediction"], found["output"]) == (36, "/1")
    assert [each["name"] for each in found["fields"] if each["effect"]] == ["term"]


def test_explains_the_cluster_and_not_its_number(client):
    found = explain(client, "cluster").json

    assert (found["explains"], found["class"], found["label"]) == ("label", "1", 1)
    assert found["prediction"] == 1
    assert 0 < found["base"] < 1
    assert found["change"]["label"] in (0, 2)


def test_explains_a_text_by_leaving_out_words(client):
    found = explain(client, "mood", {"id": 7, "text": "good but bad bad"}).json

    assert found["held"] == ["id"]
    assert found["method"] == "words-exact"
    assert [(each["name"], each["effect"]) for each in found["fields"]] == [
        ("bad", pytest.approx(-2)),
        ("bad", pytest.approx(-2)),
        ("good", pytest.approx(1)),
        ("but", pytest.approx(0)),
    ]
    assert (found["prediction"], found["base"]) == (-3, 0)


def test_slow_model_is_explained_with_fewest_rows(client, monkeypatch):
    monkeypatch.setattr(evaluator, "SECONDS", 1e-9)

    found = explain(client, "lender").json

    # The row, two background rows, two orders both ways of three fields and two, and no change.
    assert found["rows_evaluated"] == 1 + 2 + 2 * 2 * (2 + 1)
    assert found["typical_rows"] == 2
    assert found["standard_error"] > 0
    effects = [each["effect"] for each in found["fields"]]
    assert sum(effects) == pytest.approx(found["prediction"] - found["base"])

    monkeypatch.setattr(evaluator, "MOST_SECONDS", 0)
    assert "too slow: 14 rows would take about" in explain(client, "lender").json["detail"]


@pytest.mark.parametrize(
    ("name", "body", "query", "detail"),
    [
        ("plain", {"x": 1}, "", "the model 'plain' has no reference profile"),
        ("opaque", ROW, "", "select one with the parameter 'output': /0, /1"),
        ("opaque", ROW, "?output=/2", "'output' must be one of /0, /1, got '/2'"),
        ("labels", ROW, "", "'output': /prediction/rich, /prediction/young"),
        ("labels", ROW, "?output=old", "one of /prediction/rich, /prediction/young, got 'old'"),
        ("labels", ROW, "?output=rich&class=x", "'class' must be one of '0', '1', got 'x'"),
        ("lender", ROW, "?class=x", "must be one of 'default', 'repaid', got 'x'"),
        ("price", ROW, "?class=x", "the model predicts no classes"),
        ("lender", [ROW, ROW], "", "expected one row, got 2"),
        ("mood", {"text": "so " * 2001}, "", "at most 2,000 words, got 2,001"),
    ],
)
def test_reason_why_a_prediction_is_not_explained(client, name, body, query, detail):
    response = explain(client, name, body, query)

    assert response.status_code == 422
    assert detail in response.json["detail"]


def test_invalid_row_is_rejected_with_pointers(client):
    problem = explain(client, "lender", [ROW | {"income": -1}]).json

    assert problem["status"] == 422
    assert [each["pointer"] for each in problem["errors"]] == ["/0/income"]


def test_own_endpoint_of_the_model_wins(client):
    assert explain(client, "own").json == {"because": 30}


def test_model_without_a_profile_is_not_called(client):
    assert explain(client, "plain", {"x": 1}).status_code == 422
    assert explain(client, "lender").status_code == 200

    lines = client.get("/metrics").text.splitlines()
    calls = [each for each in lines if each.startswith("modelhost_predictions_total{")]
    counted = [each for each in calls if "(explain)" in each and not each.endswith(" 0.0")]
    assert any('"lender"' in line for line in counted)
    assert not any('"plain"' in line for line in counted)


@pytest.mark.parametrize("path", ["lender/explain", "own/explain", "loan/versions/2/explain"])
def test_explanations_allow_post_only(client, path):
    response = client.get(f"/api/models/{path}")

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert "GET" not in response.headers["Allow"]
    assert client.get("/api/models/nothing/explain").status_code == 404


def test_explains_a_version(client):
    response = client.post("/api/models/loan/versions/2/explain", json=ROW)

    assert response.json["label"] == "default"


def test_explanations_are_not_counted_as_predictions(client):
    def count():
        return metrics.read_usage(metrics.get_registry())["price"].calls

    before = count()
    explain(client, "price")

    assert count() == before
