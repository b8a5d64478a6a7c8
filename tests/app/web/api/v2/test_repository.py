import pytest

from app.serving.models.manager import ModelManager
from tests.new_keys import NewKey

KEY = NewKey("admin")
MODELS = """
models:
  - {class: tests.models.simple.Doubler, name: doubler, version: "1"}
  - {class: tests.models.simple.Doubler, name: doubler, version: "2", default: true}
  - {class: tests.models.broken.RaisesAtLoad}
"""


@pytest.fixture
def client(make_app):
    client = make_app(MODELS, KEYS=f"[{KEY!r}]", KEYS_FOR="admin").test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = KEY.headers["Authorization"]
    return client


def states(client, **body):
    listed = client.post("/v2/repository/index", json=body).json
    return {(each["name"], each.get("version")): each["state"] for each in listed}


def test_index_lists_versions_and_states(client):
    assert states(client) == {
        ("doubler", "1"): "READY",
        ("doubler", "2"): "READY",
        ("raises-at-load", None): "UNAVAILABLE",
    }
    assert states(client, ready=True).keys() == {("doubler", "1"), ("doubler", "2")}
    reason = client.post("/v2/repository/index").json[2]["reason"]
    assert "RuntimeError" in reason


def test_index_rejects_other_filter(client):
    assert client.post("/v2/repository/index", json={"ready": 1}).status_code == 400
    assert client.post("/v2/repository/index", json=[]).status_code == 400


def test_unload_and_load_change_all_versions(client):
    parameters = {"parameters": {"unload_dependents": False}}
    assert client.post("/v2/repository/models/doubler/unload", json=parameters).json == {}
    assert states(client)["doubler", "1"] == states(client)["doubler", "2"] == "UNAVAILABLE"

    assert client.post("/v2/repository/models/doubler@1/load", json={}).json == {}
    assert states(client)["doubler", "1"] == "READY"
    assert states(client)["doubler", "2"] == "UNAVAILABLE"


def test_load_replaces_a_loaded_model(client):
    before = ModelManager().get("doubler")

    assert client.post("/v2/repository/models/doubler/load").status_code == 200

    assert ModelManager().get("doubler") is not before


def test_failed_load_returns_the_reason(client):
    response = client.post("/v2/repository/models/raises-at-load/load")

    assert response.status_code == 503
    assert "the model 'raises-at-load' is failed: " in response.json["error"]


def test_load_rejects_parameters(client):
    body = {"parameters": {"config": "{}"}}

    response = client.post("/v2/repository/models/doubler/load", json=body)

    assert response.status_code == 400
    assert response.json["error"].endswith("parameters are not supported: config")


def test_changes_need_the_admin_scope(make_app):
    key = NewKey("predict")
    client = make_app(MODELS, KEYS=f"[{key!r}]").test_client()

    response = client.post("/v2/repository/models/doubler/unload", headers=key.headers)

    assert response.status_code == 403
    assert "does not have the scope 'admin'" in response.json["error"]
