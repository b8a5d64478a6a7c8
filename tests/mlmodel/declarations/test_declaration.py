import subprocess
import sys

import pytest

from tests import ROOT

CLASSES = {
    "of-pydantic": "OfPydantic",
    "unannotated": "Unannotated",
    "as-dict": "AsDict",
    "of-pydantic-1": "OfPydantic1",
    "of-dataclass": "OfDataclass",
    "of-pydantic-dataclass": "OfPydanticDataclass",
    "of-schema-package": "OfSchemaPackage",
}
#: Those whose class has a rule that no JSON Schema expresses.
WITH_RULES = sorted(CLASSES.keys() - {"of-pydantic-1"})
#: Classes with a mistake, and the reason why each is not loaded.
MISTAKES = {
    "Nameless": "the class 'Nameless' must define qualified_name, the model's name in URLs",
    "NameIsNone": "the class 'NameIsNone' must define qualified_name, the model's name in URLs",
    "NoParentheses": "the method 'explain' of 'NoParentheses': @endpoint needs a name, such as",
    "TextAsNotes": "notes must be a list, got 'careful'",
    "RowAsExamples": "examples must be a list, got {'x': 1}",
    "TextAsExampleNames": "example_names must be a list, got 'first'",
    "ListAsArtifacts": "artifacts must be a dict, got ['n.py']",
    "TextAsMetadata": "metadata must be a dict, got 'hello'",
    "AsyncPredict": "the method 'predict' of 'AsyncPredict' must not be 'async def'",
    "AsyncForeign": "the method 'predict' of 'AsyncForeign' must not be 'async def'",
    "AsyncLoad": "the method 'load' of 'AsyncLoad' must not be 'async def'",
    "AsyncEndpoint": "the method 'explain' of 'AsyncEndpoint' must not be 'async def'",
    "TwoArguments": "must take one argument, one row: missing a required argument: 'model_input'",
    "OddDataclass": "HasOdd has no JSON Schema: Generating JSON schema for custom types",
    "InstanceAsSchema": "a schema must be a JSON Schema (a dict), a class of pydantic, a dataclass",
}


def entries(*names, **keys):
    lines = ["models:"]
    for name in names:
        lines.append(f"  - class: tests.models.declared.{name}")
        lines += [f"    {key}: {value}" for key, value in keys.items()]
    return "\n".join(lines)


@pytest.fixture
def predict(same_app):
    """A function from a model's name and a row to status and prediction."""
    client = same_app(entries(*CLASSES.values())).test_client()

    def predict(name, row):
        response = client.post(f"/api/models/{name}/predict", json=row)
        return response.status_code, response.json

    return predict


@pytest.mark.parametrize("name", CLASSES)
def test_declared_class_predicts(predict, name):
    status, prediction = predict(name, {"x": 2})

    assert status == 200
    assert (prediction["y"], prediction["size"]) == (4.0, 3)


@pytest.mark.parametrize("name", CLASSES)
def test_declared_class_makes_the_json_schema(predict, name):
    status, problem = predict(name, [{"x": 2}, {"x": "2"}])

    assert status == 422
    assert [each["pointer"] for each in problem["errors"]] == ["/1/x"]
    assert "must be a number" in problem["detail"]


@pytest.mark.parametrize("name", WITH_RULES)
def test_rule_of_declared_class_rejects(predict, name):
    status, problem = predict(name, [{"x": 2}, {"x": 13}])

    assert status == 422
    [violation] = problem["errors"]
    assert violation["pointer"].startswith("/1")


@pytest.mark.parametrize("name", ["Nameless", "NameIsNone"])
def test_entry_names_a_nameless_class(make_app, name):
    [model] = make_app(entries(name, name="given")).test_client().get("/api/models").json["models"]

    assert (model["qualified_name"], model["status"]) == ("given", "ready")


def test_invalid_default_is_noted(make_app):
    client = make_app(entries("WrongDefault")).test_client()

    notes = client.get("/api/models/wrong-default/metadata").json["notes"]

    assert notes == ["the default of the field 'x' violates its own schema, and is not used"]


def test_output_class_error_is_model_error(make_app):
    client = make_app(entries("BreaksOnItsAnswer")).test_client()

    response = client.post("/api/models/breaks-on-its-answer/predict", json={"x": 1})

    assert (response.status_code, response.json["title"]) == (500, "Model error")


def test_endpoint_takes_objects(make_app):
    client = make_app(entries("OfPydantic")).test_client()

    assert client.get("/api/models/of-pydantic/explain?x=1").json == {"y": 1.0, "size": 3}
    [explain] = client.get("/api/models/of-pydantic/metadata").json["endpoints"]
    assert explain["input_schema"]["required"] == ["x"]


def test_isolated_model_takes_objects(make_app):
    client = make_app(entries("OfDataclass", isolate="{sandbox: false}")).test_client()

    response = client.post("/api/models/of-dataclass/predict", json={"x": 2, "inner": {}})

    assert response.json == {"y": 4.0, "size": 3, "price": 1.5, "day": "2026-01-31"}


def test_dataclass_reads_times(make_app):
    client = make_app(entries("OfTimes")).test_client()
    row = {"when": "2026-01-31T14:30:00Z", "notes": [{"size": 1}]}

    assert client.post("/api/models/of-times/predict", json=row).json == 2027


def test_nested_defaults_reach_the_model(make_app):
    client = make_app(entries("Nested")).test_client()

    response = client.post("/api/models/nested/predict", json={"pets": [{}, {"legs": 2}]})

    assert response.json == [2, 4, 2]


def test_mistakes_have_their_reasons(make_app):
    client = make_app(entries(*MISTAKES)).test_client()

    models = client.get("/api/models").json["models"]

    assert [model["status"] for model in models] == ["failed"] * len(MISTAKES)
    for model, reason in zip(models, MISTAKES.values(), strict=True):
        assert reason in model["reason"]


def test_server_does_not_import_pydantic(tmp_path):
    (tmp_path / "models.yaml").write_text("models: [{class: tests.models.simple.Household}]")
    code = (
        "import os, sys; from app import create_app; create_app(os.environ); "
        "assert 'pydantic' not in sys.modules and 'schema' not in sys.modules"
    )
    settings = {"APP_SETTINGS": "testing", "MODELHOST_MODELS_FILE": f"{tmp_path}/models.yaml"}

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=settings, check=True, timeout=120)
