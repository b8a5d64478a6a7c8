import pytest

from app.serving.explaining import evaluator
from app.serving.process import metrics

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
    ]
    entries = [f"{{class: tests.models.typical.{name}}}" for name in names]
    versions = "{class: tests.models.typical.Lender, name: loan, version: '2'}"
    return same_app(f"models: [{', '.join([*entries, versions])}]").test_client()


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

    # The row, a background row, two orders of three fields both ways, and no change.
    assert found["rows_evaluated"] == 1 + 1 + 2 * 2 * 2
    effects = [each["effect"] for each in found["fields"]]
    assert sum(effects) == pytest.approx(found["prediction"] - found["base"])

    monkeypatch.setattr(evaluator, "MOST_SECONDS", 0)
    assert "too slow: 13 rows would take about" in explain(client, "lender").json["detail"]


@pytest.mark.parametrize(
    ("name", "body", "query", "detail"),
    [
        ("plain", {"x": 1}, "", "the model 'plain' has no reference profile"),
        ("opaque", ROW, "", "the prediction has no number, label or class probabilities"),
        ("labels", ROW, "", "the model predicts several outputs (rich, young), but"),
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
