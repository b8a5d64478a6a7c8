"""The list of models and its search."""

import re

import pytest

from app.serving.process.metrics import Usage
from app.web.pages import model_list
from tests.new_keys import NewKey

MODELS = """
models:
  - class: tests.models.forms.Loan
    tags: [credit, retail]
  - class: tests.models.forms.Iris
    load: lazy
  - class: tests.models.forms.Broken
"""


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (Usage(), "Not used yet"),
        (Usage(1, 1, 0.0034), "1 call, 3.4 ms on average"),
        (Usage(1200, 1200, 144), "1,200 calls, 120 ms on average"),
        (Usage(4, 3, 8), "4 calls, 1 failed, 2.0 s on average"),
        (Usage(6, 3, 8, 2), "6 calls, 2 with invalid input, 1 failed, 2.0 s on average"),
        (Usage(1, 0, 0.1, 1), "1 call, 1 with invalid input"),
    ],
)
def test_usage_text(usage, words):
    assert model_list.usage_text(usage) == words


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("", ["loan", "iris", "broken"]),
        ("  LOAN ", ["loan"]),
        ("flower", ["iris"]),
        ("scikit-learn 1.9", ["loan"]),
        ("#credit", ["loan"]),
        ("failed", ["broken"]),
        ("first use", ["iris"]),
        ("loan flower", []),
    ],
)
def test_search_matches_all_fields(same_app, search, names):
    client = same_app(MODELS).test_client()

    text = client.get("/", query_string={"q": search}).text

    cards = text.split("<li class=")
    found = [name for name in ("loan", "iris", "broken") if _is_shown(cards, name)]
    assert found == names
    assert ('id="nothing" hidden' in text) is bool(names)


def _is_shown(cards, name):
    [card] = [card for card in cards if f'<h2><a href="/models/{name}/metadata">' in card]
    return "hidden>" not in card.partition("<h2>")[0]


def test_list_counts_calls(make_app):
    client = make_app(
        "models: [{class: tests.models.forms.Anything, name: counted-here}]"
    ).test_client()
    client.post("/api/models/counted-here/predict", json={})
    client.post("/api/models/counted-here/predict", data="{")

    assert "1 call, " in client.get("/").text
    assert "1 call, " in client.get("/models/counted-here/metadata").text


def test_list_shows_tags(same_app):
    client = same_app(MODELS).test_client()

    tags = [model["tags"] for model in client.get("/api/models").json["models"]]

    assert tags == [["credit", "retail"], [], []]


def _names(text):
    return re.findall(r'<h2><a href="/models/([\w-]+)/metadata">', text)


@pytest.mark.parametrize(
    ("by", "titles", "names"),
    [
        ("tag", ["credit", "Other"], ["loan", "iris", "broken"]),
        ("kind", ["Classifier", "Custom model", "Other"], ["loan", "iris", "broken"]),
        ("unknown", [], ["loan", "iris", "broken"]),
    ],
)
def test_models_are_grouped(same_app, by, titles, names):
    text = same_app(MODELS).test_client().get("/", query_string={"by": by}).text

    assert re.findall(r'<section data-group aria-label="([\w ]+)"', text) == titles
    assert _names(text) == names


def test_card_counts_versions(make_app):
    entry = "{class: tests.models.forms.Iris, name: two, version: "
    text = make_app(f"models: [{entry}'1'}}, {entry}'2'}}]").test_client().get("/").text

    assert _names(text) == ["two"]
    assert "2 versions" in text


def test_failed_models_come_first_for_administrators(make_app):
    keys = NewKey("predict"), NewKey("predict", "admin")
    client = make_app(MODELS, KEYS=list(keys)).test_client()

    first = [_names(client.get("/", headers=key.headers).text)[0] for key in keys]

    assert first == ["loan", "broken"]
