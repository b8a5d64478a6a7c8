"""Models as tools: their names, their schemas, and what calls return."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

LONG = 100 * "n"
MODELS = f"""
models:
  - class: tests.models.simple.Doubler
  - class: tests.models.simple.Household
  - class: tests.models.simple.Ordered
  - class: tests.models.simple.Echo
    name: echo
    version: "1.5"
  - class: tests.models.simple.Echo
    name: echo
    version: "2"
    default: true
  - class: tests.models.broken.RaisesAtPredict
    name: raises
  - class: tests.models.broken.RaisesAtLoad
    name: broken
  - class: tests.models.simple.Defaulted
    load: lazy
  - class: tests.models.simple.Echo
    name: "echo__1.5"
  - class: examples.iris.IrisModel
  - class: tests.models.simple.Echo
    name: {LONG}
"""


@pytest.fixture
def client(same_app):
    return same_app(MODELS).test_client()


def send(client, method, **params):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return client.post("/mcp", json=message).json


def list_tools(client):
    return {tool["name"]: tool for tool in send(client, "tools/list")["result"]["tools"]}


def call(client, name, **arguments):
    return send(client, "tools/call", name=name, arguments=arguments)["result"]


def error_of(result):
    assert result["isError"]
    assert "structuredContent" not in result
    return result["content"][0]["text"]


def test_each_ready_model_is_a_tool(client):
    assert list(list_tools(client)) == [
        "doubler",
        "household",
        "ordered",
        "echo__1_5",
        "echo",
        "raises",
        "echo__1_5_2",
        "iris",
        f"{LONG[:55]}_4e9d8231",
        "explain_prediction",
    ]


def test_tool_has_the_schemas_of_its_model(client):
    tool = list_tools(client)["doubler"]

    assert tool["inputSchema"]["properties"]["x"]["maximum"] == 1000
    assert tool["inputSchema"]["required"] == ["x"]
    assert tool["outputSchema"]["properties"] == {"y": {"type": "number"}}
    assert tool["annotations"] == {"readOnlyHint": True}


def test_tool_has_titles_units_and_examples(client):
    schema = list_tools(client)["iris"]["inputSchema"]

    member = schema["properties"]["sepal_length"]
    assert member["title"] == "Sepal length"
    assert member["description"].endswith("Unit: cm.")
    assert call(client, "iris", **schema["examples"][0])["isError"] is False


def test_schemas_of_other_types_are_wrapped(client):
    tools = list_tools(client)

    output = tools["household"]["outputSchema"]
    assert tools["echo"]["inputSchema"]["required"] == ["row"]
    assert output["properties"] == {"prediction": {"$ref": "#/$defs/prediction"}}
    assert Draft202012Validator(output).is_valid({"prediction": 3})
    assert not Draft202012Validator(output).is_valid({"prediction": "3"})


def test_combinations_are_wrapped(make_app):
    schema = "{type: object, oneOf: [{required: [a]}, {required: [b]}], properties: {a: {$ref: '#/properties/b'}, b: {type: integer}}}"
    text = f"models: [{{class: tests.models.simple.Echo, input_schema: {schema}}}]"
    client = make_app(text).test_client()

    validator = Draft202012Validator(list_tools(client)["echo"]["inputSchema"])

    assert validator.is_valid({"row": {"a": 1}})
    assert not validator.is_valid({"row": {"a": "1"}})
    assert call(client, "echo", row={"a": 1})["structuredContent"] == {"prediction": {"a": 1}}


def test_call_returns_the_prediction(client):
    result = call(client, "doubler", x=1.5)

    assert result["structuredContent"] == {"y": 3.0}
    assert json.loads(result["content"][0]["text"]) == {"y": 3.0}
    assert result["isError"] is False


def test_each_invalid_field_has_a_line(client):
    head = {"name": "", "age": -1}

    text = error_of(call(client, "household", head=head, home="tent"))

    assert [line.partition(":")[0] for line in text.splitlines()] == [
        "/head/name",
        "/head/age",
        "/home",
    ]
    assert "must be" in text


def test_rejection_by_the_model_is_an_error(client):
    text = error_of(call(client, "ordered", row={"start": 2, "end": 1}))

    assert text == "/end: must not be before start"


def test_missing_row_is_explained(client):
    text = error_of(call(client, "ordered", start=2, end=1))

    assert text == "the row: expected the argument 'row' alone, got ['start', 'end']"


def test_failing_model_is_an_error(client):
    assert error_of(call(client, "raises", row={})).startswith("Model error: ")
    assert error_of(call(client, "broken")).startswith("Model unavailable: ")
    assert "Retry after" in error_of(call(client, "broken"))


def test_call_loads_a_lazy_model(client):
    assert call(client, "defaulted")["structuredContent"] == {"prediction": {"z": 7}}
    assert "defaulted" in list_tools(client)


def test_versions_are_called_by_their_tools(client):
    assert call(client, "echo__1_5", row=[1])["structuredContent"] == {"prediction": [1]}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"name": "nothing"}, "unknown tool 'nothing'"),
        ({}, "expected the name of a tool, and an object of arguments"),
        (
            {"name": "echo", "arguments": []},
            "expected the name of a tool, and an object of arguments",
        ),
    ],
)
def test_invalid_calls_are_rejected(client, params, message):
    assert send(client, "tools/call", **params)["error"] == {"code": -32602, "message": message}


def test_calls_count_in_metrics(client):
    def count(outcome):
        text = client.get("/metrics").text
        line = rf'modelhost_predictions_total{{.*model="doubler".*outcome="{outcome}".*}} (.+)'
        return sum(map(float, re.findall(line, text)))

    before = count("ok")
    call(client, "doubler", x=1)

    assert count("ok") == before + 1


def test_endpoint_explain_without_post_explains_no_row(make_app):
    entries = "{class: tests.models.typical.Lender}, {class: tests.models.typical.Summary}"
    client = make_app(f"models: [{entries}]").test_client()
    row = {"income": 30, "term": 36, "note": "x"}

    tool = list_tools(client)["explain_prediction"]
    result = call(client, "explain_prediction", model="summary", arguments=row)

    assert tool["inputSchema"]["properties"]["model"]["enum"] == ["lender"]
    assert "endpoint 'explain' has only the method GET; add POST" in error_of(result)
    assert client.get("/api/models/summary/explain").status_code == 200
    assert client.post("/api/models/summary/explain", json=row).status_code == 405


def test_assistant_explains_a_prediction(make_app):
    entries = ", ".join(
        f"{{class: tests.models.typical.{each}}}" for each in ("Lender", "Own", "Bounds")
    )
    client = make_app(f"models: [{entries}]").test_client()
    row = {"income": 30, "term": 36, "note": "x"}

    tool = list_tools(client)["explain_prediction"]
    result = call(client, "explain_prediction", model="lender", arguments=row)
    unknown = call(client, "explain_prediction", model="nobody", arguments=row)
    invalid = call(client, "explain_prediction", model="lender", arguments={})
    own = call(client, "explain_prediction", model="own", arguments=row)
    output = call(client, "explain_prediction", model="bounds", arguments=row, output="high")
    other = call(client, "explain_prediction", model="lender", arguments=row, **{"class": "repaid"})

    assert tool["inputSchema"]["properties"]["model"]["enum"] == ["lender", "own", "bounds"]
    assert output["structuredContent"]["output"] == "/high"
    assert other["structuredContent"]["class"] == "repaid"
    assert result["structuredContent"]["fields"][0]["name"] == "income"
    assert "expected the name of a model's tool" in error_of(unknown)
    assert own["structuredContent"] == {"because": 30}
    assert "/income: is required" in error_of(invalid)


def test_unusual_row_gets_a_second_text(make_app):
    client = make_app("models: [{class: tests.models.answers.Sampled}]").test_client()
    row = {"x": 500, "home": "own", "years": 1}

    result = send(client, "tools/call", name="sampled", arguments=row)["result"]

    assert [each["text"].splitlines()[0] for each in result["content"]] == [
        '{"y":500.0}',
        "Caution, unusual input:",
    ]
