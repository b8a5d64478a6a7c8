import re

import pytest
import yaml
from openapi_spec_validator import validate

import config
import openapi
from app.serving.models.manager import ModelManager
from app.web.openapi.spec import build_spec

#: Blueprints with routes for programs.
VIEWS = {
    "admin",
    "api",
    "explanations",
    "inference",
    "jobs",
    "model_health",
    "openapi",
    "operations",
    "repository",
    "truth",
}


@pytest.fixture
def app(same_app):
    return same_app()


@pytest.fixture
def document(app):
    return build_spec(app, ModelManager().models())


def read(file):
    """Return the document of a file, read ten times as fast as by ``yaml.safe_load``."""
    return yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)


def test_the_document_is_valid_openapi(document):
    validate(document)

    assert document["openapi"] == "3.1.0"


def test_the_live_document_is_served(client, document):
    assert client.get("/openapi.json").json == document


def test_document_and_routes_agree(app, document):
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint.partition(".")[0] in VIEWS
        if rule.endpoint != "api.call_endpoint"  # documented by the endpoints of each model
    }
    models = {model.name for model in ModelManager().models()}
    documented = {
        (path, method)
        for path, operations in document["paths"].items()
        for method in operations
        if path.split("/")[3:4] not in [[name] for name in models]
    }

    assert documented == routes


def test_summaries_are_plain_text(document):
    operations = [each for path in document["paths"].values() for each in path.values()]

    assert not [each["summary"] for each in operations if "`" in each["summary"]]


def test_description_states_what_is_left_out(document):
    assert "/mcp" not in document["paths"]
    assert "`POST /mcp`" in document["info"]["description"]


def test_each_model_has_a_typed_path(document):
    operation = document["paths"]["/api/models/doubler/predict"]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0] == {
        "$ref": "#/components/schemas/doubler.Row"
    }
    assert document["components"]["schemas"]["doubler.Row"]["required"] == ["x"]
    assert "/api/models/raises-at-load/predict" in document["paths"]


def test_document_offers_split_format(example_app):
    document = build_spec(example_app, ModelManager().models())

    body = document["paths"]["/api/models/iris/predict"]["post"]["requestBody"]
    content = body["content"]["application/json"]

    assert content["schema"]["anyOf"][2] == {"$ref": "#/components/schemas/Columns"}
    shown = content["examples"]["columns"]["value"]
    assert example_app.test_client().post("/api/models/iris/predict", json=shown).status_code == 200
    assert len(shown["data"]) == 3


def test_members_named_columns_exclude_split_format(make_app):
    schema = "{properties: {columns: {}}}"
    app = make_app(f"models: [{{class: tests.models.simple.Echo, input_schema: {schema}}}]")

    document = app.test_client().get("/openapi.json").json

    body = document["paths"]["/api/models/echo/predict"]["post"]["requestBody"]
    assert len(body["content"]["application/json"]["schema"]["anyOf"]) == 2


def test_schema_references_are_rewritten(document):
    row = document["components"]["schemas"]["household.Row"]

    assert row["properties"]["head"]["$ref"] == "#/components/schemas/household.Row.Person"
    assert document["components"]["schemas"]["household.Row.Person"]["required"] == ["name", "age"]


def test_recursive_schema_refers_to_component(make_app):
    schema = '{properties: {parts: {items: {$ref: "#"}}}}'

    document = (
        make_app(f"models: [{{class: tests.models.simple.Echo, input_schema: {schema}}}]")
        .test_client()
        .get("/openapi.json")
        .json
    )

    parts = document["components"]["schemas"]["echo.Row"]["properties"]["parts"]
    assert parts["items"] == {"$ref": "#/components/schemas/echo.Row"}


def test_committed_document_is_current(document):
    committed = read(config.ROOT / "openapi.yaml")

    for path, operations in document["paths"].items():
        if "{name}" in path or not path.startswith("/api/models/"):
            assert committed["paths"].get(path) == operations


def test_document_is_written_and_checked(tmp_path, capsys):
    file = tmp_path / "openapi.yaml"
    file.write_text("openapi: 3.0.0\n", encoding="utf-8")

    assert openapi.main(["--file", str(file), "--check"]) == 1
    assert "openapi.yaml is stale; to update it: make openapi" in capsys.readouterr().out
    assert openapi.main(["--file", str(file)]) == 0
    assert openapi.main(["--file", str(file), "--check"]) == 0
    assert "is up to date" in capsys.readouterr().out
    validate(read(file))
