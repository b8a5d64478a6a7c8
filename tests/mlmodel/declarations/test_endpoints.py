import pytest
from openapi_spec_validator import validate

from mlmodel import MLModel, endpoint
from mlmodel.declarations.endpoints import get_endpoints
from mlmodel.errors import InvalidModel
from tests.models.simple import Doubler, Explained


@pytest.fixture
def client(same_client):
    return same_client


@pytest.mark.parametrize("name", ["predict", "metadata", "Explain", "a/b", "", "x" * 65])
def test_invalid_endpoint_name_is_rejected(name):
    class Misnamed(MLModel):
        predict = Doubler.predict
        wrong = endpoint(name)(lambda self, row: row)

    text = "the method 'wrong' of 'Misnamed': the name of an endpoint must be 1 to 64 lower-case"
    with pytest.raises(InvalidModel, match=text):
        get_endpoints(Misnamed())


@pytest.mark.parametrize("methods", [["DELETE"], []])
def test_invalid_http_method_is_rejected(methods):
    class Wrong(MLModel):
        predict = Doubler.predict
        wrong = endpoint("explain", methods=methods)(lambda self, row: row)

    with pytest.raises(InvalidModel, match=r"'wrong' of 'Wrong': .* must be GET, POST or both"):
        get_endpoints(Wrong())


def test_invalid_endpoint_fails_its_class_alone(make_app):
    classes = ("Nested", "WrongEndpoint")
    lines = [f"  - class: tests.models.declared.{name}\n" for name in classes]

    models = make_app("models:\n" + "".join(lines)).test_client().get("/api/models").json["models"]

    assert [each["status"] for each in models] == ["ready", "failed"]
    assert "'explain' of 'WrongEndpoint': the name of an endpoint" in models[1]["reason"]


def test_endpoints_have_their_docstrings():
    found = get_endpoints(Explained())

    assert set(found) == {"explain", "history", "wrong"}
    assert found["explain"].description == "Say how the answer came about."
    assert found["history"].attribute == "past"


def test_endpoints_are_inherited():
    class Child(Explained):
        pass

    assert set(get_endpoints(Child())) == {"explain", "history", "wrong"}


def test_duplicate_endpoint_is_rejected():
    class Twice(MLModel):
        predict = Doubler.predict
        one = endpoint("same")(lambda self, row: row)
        two = endpoint("same")(lambda self, row: row)

    with pytest.raises(InvalidModel, match="two methods declare the endpoint 'same'"):
        get_endpoints(Twice())


def test_endpoint_is_called_like_predict(client):
    path = "/api/models/explained/explain"

    assert client.post(path, json={"x": 5}).json == {"why": "2 * 5.0"}
    assert client.post(path, json=[{"x": 1}, {"x": 2}]).json == [
        {"why": "2 * 1.0"},
        {"why": "2 * 2.0"},
    ]


def test_endpoint_validates_like_predict(client):
    refused = client.post("/api/models/explained/explain", json={"x": "a"})
    failed = client.post("/api/models/explained/wrong", json={})

    assert refused.json["errors"] == [{"pointer": "/x", "detail": 'must be a number, got "a"'}]
    assert (failed.status_code, failed.json["type"]) == (500, "/docs/problems#invalid-answer")


def test_query_becomes_a_row(client):
    assert client.get("/api/models/explained/explain?x=5").json == {"why": "2 * 5.0"}
    assert client.get("/api/models/explained/history?x=5&y=b").json == [{"x": "5", "y": "b"}]


def test_invalid_query_is_explained(client):
    refused = client.get("/api/models/explained/explain?x=five")

    assert refused.json["errors"] == [{"pointer": "/x", "detail": 'must be a number, got "five"'}]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "explained/nothing", 404),
        ("POST", "explained/nothing", 404),
        ("GET", "nobody/explain", 404),
        ("POST", "explained/history", 405),
        ("GET", "explained/predict", 405),
        ("GET", "explained/load", 405),
    ],
)
def test_undeclared_endpoint_is_not_found(client, method, path, status):
    answer = client.open(
        f"/api/models/{path}", method=method, json={} if method == "POST" else None
    )

    assert answer.status_code == status


def test_endpoints_have_docs_and_metrics(client):
    client.post("/api/models/explained/explain", json={"x": 5})

    described = client.get("/api/models/explained/metadata").json["endpoints"]
    document = client.get("/openapi.json").json

    assert [each["name"] for each in described] == ["explain", "history", "wrong"]
    assert set(document["paths"]["/api/models/explained/explain"]) == {"get", "post"}
    assert 'endpoint="explain",model="explained",outcome="ok"' in client.get("/metrics").text
    validate(document)


def test_every_model_can_be_inspected(client):
    inspected = client.get("/api/models/explained/inspect").json

    assert inspected["class"] == "Explained"
    assert "input_schema" not in inspected
