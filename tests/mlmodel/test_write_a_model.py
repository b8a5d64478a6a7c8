"""Run every code block of docs/write-a-model.md."""

import importlib
import json
import re
import sys

import pytest

from app.serving.reload.warmup import smoke_test
from tests import ROOT

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
BLOCKS = BLOCK.findall((ROOT / "docs/write-a-model.md").read_text(encoding="utf-8"))
PYTHON = [text for language, text in BLOCKS if language == "python"]
YAML = [text for language, text in BLOCKS if language == "yaml"]
#: The models in the page: their names and modules.
MODELS = {
    match[1]: text for text in PYTHON if (match := re.search(r'qualified_name = "(.+)"', text))
}
MODULES = {name: name.replace("-", "_") for name in MODELS}

#: Rows and predictions for each model.
PREDICTIONS = {
    "tip": ({"bill": 40}, {"tip": 6.0}),
    "loan-rate": ({"amount": 4800}, {"monthly": 200.0}),
    "trip-fare": ({"distance": 10}, {"euros": 22.0}),
    "insurance-risk": ({"age": 60, "weight": 70, "diseases": ["flu"]}, {"risk": 0.6}),
    "sentiment": ({"text": "Good food"}, {"positive": True, "score": 1}),
    "plane": ({"x": 1, "y": 2}, 4.0),
    "stay": ({"arrival": "2026-05-01", "departure": "2026-05-02"}, "ok"),
    "curve": ({"x": 3}, 9.0),
}
#: Rows that the models themselves reject.
REJECTED = [
    ("trip-fare", {"distance": 1, "passengers": 5}, "", "a taxi takes at most 4 passengers"),
    ("insurance-risk", {"age": 1, "weight": 9, "diseases": ["a", "a"]}, "", "each disease must"),
    ("stay", {"arrival": "2026-05-02", "departure": "2026-05-02"}, "/departure", "must be later"),
]


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """The page's modules, in the folder of models.yaml."""
    for name, text in MODELS.items():
        (tmp_path / f"{MODULES[name]}.py").write_text(text, encoding="utf-8")
    (tmp_path / "words.json").write_text('{"good": 1}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in MODULES.values():
        sys.modules.pop(name, None)


@pytest.fixture
def hosted(modules, make_app):
    """An application that hosts all models of the page."""
    text = "models:\n"
    for name, module in MODULES.items():
        class_name = re.search(r"class (\w+)\(MLModel\)", MODELS[name])[1]
        text += f"  - class: {module}.{class_name}\n"
        if name == "sentiment":
            text += "    settings: {words: words.json}\n"
    return make_app(text)


@pytest.fixture
def client(hosted):
    return hosted.test_client()


def test_every_model_of_the_page_is_tested():
    assert MODELS.keys() == PREDICTIONS.keys()
    assert len(MODELS) + 1 == len(PYTHON)
    assert {language for language, _ in BLOCKS} == {"python", "yaml"}


def test_models_of_the_page_predict_their_examples(hosted):
    manager = hosted.extensions["modelhost"].manager

    failures = {each.name: smoke_test(each) for each in manager.models()}

    assert failures == dict.fromkeys(MODELS, "")


def test_models_of_the_page_predict(client):
    for name, (row, prediction) in PREDICTIONS.items():
        response = client.post(f"/api/models/{name}/predict", json=[row, row])

        assert (response.status_code, response.json) == (200, [prediction, prediction])
        assert client.get(f"/models/{name}/predict").status_code == 200


def test_models_of_the_page_reject(client):
    for name, row, pointer, detail in REJECTED:
        response = client.post(f"/api/models/{name}/predict", json=row)

        assert response.status_code == 422
        [violation] = response.json["errors"]
        assert violation["pointer"] == pointer
        assert detail in violation["detail"]


def test_endpoint_of_the_page_takes_a_query(client):
    assert client.get("/api/models/curve/slope?x=3").json == 6.0


@pytest.mark.parametrize("text", YAML)
def test_entries_of_the_page_load(modules, make_app, text):
    client = make_app(text).test_client()

    [model] = client.get("/api/models").json["models"]

    assert model["status"] == "ready"


@pytest.mark.usefixtures("modules")
def test_test_of_the_page_passes():
    [text] = [text for text in PYTHON if text not in MODELS.values()]
    importlib.invalidate_caches()
    namespace = {}

    exec(text, namespace)

    namespace["test_tip"]()


def test_schema_of_each_model_is_json(client):
    for name in MODELS:
        metadata = client.get(f"/api/models/{name}/metadata").json
        assert json.dumps(metadata["input_schema"]).startswith('{"')
