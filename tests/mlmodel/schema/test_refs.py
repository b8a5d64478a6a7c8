"""References in schemas: nothing outside the document is resolved."""

import http.server
import json
import threading

import pytest

from app.serving.catalog import catalog
from app.serving.errors import InvalidCatalog
from mlmodel.errors import InvalidSchema
from mlmodel.schema.validator import Schema

#: A line that only a file of this machine has.
CANARY = "canary-of-this-machine"


@pytest.fixture(scope="module")
def elsewhere():
    """A local server that returns a schema, and the requests that it received."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def canary(tmp_path):
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"const": CANARY}))
    return file.as_uri()


def leading_to(address):
    """Schemas that lead to an address in each way that there is."""
    base, _, name = address.rpartition("/")
    away = {"$ref": address}
    draft = "http://json-schema.org/draft-0{}/schema#"
    return {
        "ref": away,
        "fragment": {"$ref": f"{address}#/$defs/a"},
        "property": {"properties": {"a": away}},
        "items": {"items": [away]} | {"$schema": draft.format(7)},
        "definition": {"$defs": {"A": away}},
        "dynamic": {"$dynamicRef": address},
        "recursive": {
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "$recursiveRef": address,
        },
        "base": {"$id": f"{base}/", "properties": {"a": {"$ref": name or "x"}}},
        "base-of-a-part": {
            "properties": {"a": {"$id": f"{base}/", "$ref": "#/$defs/b"}},
            "$defs": {"b": {}},
        },
        "base-of-a-definition": {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"$id": address, "$ref": "#/b"}},
        },
        "old-base": {
            "$schema": draft.format(4),
            "items": {"id": f"{base}/", "items": {"$ref": "#"}},
        },
        "draft": {"$schema": address},
        "draft-of-a-part": {"items": {"$schema": address}},
        "meta": {
            "$schema": draft.format(7),
            "allOf": [{"$schema": draft.format(4), "$ref": address}],
        },
        "hidden-in-data": {"items": {"$ref": "#/default"}, "default": away},
        "hidden-in-an-enum": {"items": {"$ref": "#/enum/0"}, "enum": [{"properties": {"a": away}}]},
        "hidden-by-its-name": {
            "items": {"$ref": "#/properties/$ref"},
            "properties": {"$ref": away},
        },
        "host": {"$ref": "//" + address.partition("//")[2]},
        "relative": {"$ref": "../schema.json"},
    }


WAYS = sorted(leading_to(""))


@pytest.mark.parametrize("way", WAYS)
def test_remote_reference_is_rejected_unfetched(way, elsewhere):
    address, asked = elsewhere

    with pytest.raises(InvalidSchema):
        Schema(leading_to(address)[way])

    assert asked == []


@pytest.mark.parametrize("way", WAYS)
def test_file_reference_is_rejected_unread(way, canary):
    with pytest.raises(InvalidSchema) as caught:
        Schema(leading_to(canary)[way])

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("place", ["input_schema", "output_schema"])
def test_model_with_outside_reference_fails(make_app, elsewhere, place):
    address, asked = elsewhere
    schema = json.dumps({place: {"properties": {"a": {"$ref": address}}}})
    client = make_app(
        f"models: [{{class: tests.models.hostile.Told, settings: {schema}}}]"
    ).test_client()

    [model] = client.get("/api/models").json["models"]
    answer = client.post("/api/models/told/predict", json={"a": 1})

    assert "$ref must stay inside its document" in model["reason"]
    assert (model["status"], answer.status_code, asked) == ("failed", 503, [])


def test_endpoint_with_outside_reference_fails(make_app, elsewhere, monkeypatch):
    address, asked = elsewhere
    from tests.models import hostile

    monkeypatch.setattr(hostile, "Referring", hostile.referring(address), raising=False)
    client = make_app("models: [{class: tests.models.hostile.Referring}]").test_client()

    answer = client.get("/api/models/asked/more?q=1")

    assert (answer.status_code, asked) == (503, [])


def test_models_yaml_rejects_outside_reference(make_app, elsewhere):
    address, asked = elsewhere

    with pytest.raises(InvalidCatalog, match="must stay inside its document"):
        make_app(
            f"models: [{{class: tests.models.simple.Echo, input_schema: {{$ref: '{address}'}}}}]"
        )

    assert asked == []


@pytest.mark.parametrize(
    "file",
    [
        "http://127.0.0.1/m.flm",
        "HTTPS://x/m",
        "file:///m.flm",
        "s3://x/m",
        "//host/m",
        "gs:x/m.flm",
    ],
)
def test_unpinned_address_is_rejected(tmp_path, file):
    path = tmp_path / "models.yaml"
    path.write_text(f'models: [{{file: "{file}"}}]')

    with pytest.raises(InvalidCatalog, match=r"an address such as|is an address: pin it"):
        catalog.read(path, {})


def test_root_address_is_not_fetched(elsewhere):
    address, asked = elsewhere
    document = {"$id": address, "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "null"}}}

    assert [len(Schema(document).violations(value)) for value in ([None], [1])] == [0, 1]
    assert asked == []


@pytest.mark.parametrize("reference", ["#/allOf/x", "#/title/0", "#/title/x"])
def test_step_into_no_schema_is_rejected(reference):
    with pytest.raises(InvalidSchema, match=r"does not exist|must refer to a schema"):
        Schema({"$ref": reference, "allOf": [{}], "title": "a"})
