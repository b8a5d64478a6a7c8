import gzip
import json
import struct
import zlib

import pytest

from app.web.http.extension import VERSION
from tests.new_keys import NewKey

PATH = "/v2/models/doubler/infer"
REQUEST = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "INT64", "data": [1, 2]}]}
BINARY_REQUEST = {
    "id": "7",
    "inputs": [
        {"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    ],
    "parameters": {"binary_data_output": True},
}
HEADER = "Inference-Header-Content-Length"


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


def send_binary(client, document, content, **headers):
    text = json.dumps(document).encode()
    headers = {HEADER: str(len(text))} | headers
    return client.post(PATH, data=text + content, headers=headers)


def test_server_describes_itself(client):
    assert client.get("/v2").json == {
        "name": "modelhost",
        "version": VERSION,
        "extensions": ["binary_tensor_data", "model_repository"],
    }


def test_health_follows_ready_when(make_app):
    text = (
        "models: [{class: tests.models.simple.Doubler}, {class: tests.models.broken.RaisesAtLoad}]"
    )
    client = make_app(text, READY_WHEN="all").test_client()

    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/health/ready").json["ready"] is False
    client = make_app(text, READY_WHEN="any").test_client()
    assert client.get("/v2/health/ready").json == {"ready": True}


def test_model_readiness(make_app):
    client = make_app(
        """
        models:
          - {class: tests.models.simple.Doubler, load: lazy}
          - {class: tests.models.broken.RaisesAtLoad}
        """
    ).test_client()

    assert client.get("/v2/models/doubler/ready").json == {"name": "doubler", "ready": True}
    failed = client.get("/v2/models/raises-at-load/ready")
    assert (failed.status_code, failed.headers["Retry-After"]) == (503, "5")
    assert "Model unavailable: the model 'raises-at-load' is failed" in failed.json["error"]
    assert client.get("/v2/models/raises-at-load").status_code == 503
    assert client.post("/v2/models/raises-at-load/infer", json=REQUEST).status_code == 503


def test_versions_are_addressed(make_app):
    client = make_app(
        """
        models:
          - {class: tests.models.simple.Doubler, name: doubler, version: "1"}
          - {class: tests.models.simple.Doubler, name: doubler, version: "2", default: true, aliases: [next]}
        """
    ).test_client()

    assert client.get("/v2/models/doubler").json["versions"] == ["1", "2"]
    assert client.get("/v2/models/doubler/versions/1/ready").status_code == 200
    answers = [
        client.post(f"/v2/models/doubler{version}/infer", json=REQUEST).json["model_version"]
        for version in ("", "/versions/1", "/versions/next")
    ]
    assert answers == ["2", "1", "2"]
    assert client.get("/v2/models/doubler/versions/3").status_code == 404


def test_response_has_outputs(client):
    response = client.post(PATH, json={"id": "7", **REQUEST})

    assert response.json["id"] == "7"
    assert response.json["outputs"][0]["data"] == [2.0, 4.0]
    assert response.headers["Server-Timing"].startswith("predict;dur=")


def test_binary_tensors_round_trip(client):
    response = send_binary(client, BINARY_REQUEST, struct.pack("<2f", 0.1, 2))

    length = int(response.headers[HEADER])
    (output,) = json.loads(response.data[:length])["outputs"]
    assert output["parameters"]["binary_data_size"] == 16
    (first, second) = struct.unpack("<2d", response.data[length:])
    assert (first, second) == (2 * struct.unpack("<f", struct.pack("<f", 0.1))[0], 4)


@pytest.mark.parametrize("length", ["-1", "x", "99999", "1" * 5000])
def test_wrong_json_length_is_rejected(client, length):
    response = send_binary(client, BINARY_REQUEST, b"", **{HEADER: length})

    assert response.status_code == 400
    assert f"{HEADER} must be at most the" in response.json["error"]


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_body_is_read(client, encoding, compress):
    content = compress(json.dumps(REQUEST).encode())

    response = client.post(PATH, data=content, headers={"Content-Encoding": encoding})

    assert response.json["outputs"][0]["data"] == [2.0, 4.0]


@pytest.mark.parametrize(
    ("encoding", "content", "status", "message"),
    [
        ("gzip", gzip.compress(b" " * 3000), 413, "expands to more than 2,000 bytes"),
        ("gzip", gzip.compress(b"{}")[:-1], 400, "does not decompress"),
        ("gzip", b"{}", 400, "does not decompress"),
        ("br", b"{}", 415, "must be gzip or deflate, got br"),
    ],
    ids=["bomb", "cut", "plain", "br"],
)
def test_invalid_compression_is_rejected(make_app, encoding, content, status, message):
    client = make_app(MAX_BODY_BYTES=2000).test_client()

    response = client.post(PATH, data=content, headers={"Content-Encoding": encoding})

    assert response.status_code == status
    assert message in response.json["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (PATH, b"{", 400, "Bad request: the body is not JSON"),
        (PATH, b"{}", 400, "Invalid inference request: inputs must be a list"),
        ("/v2/models/nobody/infer", b"{}", 404, "Model not found: unknown model 'nobody'"),
        ("/v2/nothing", b"{}", 404, "Not found: the path /v2/nothing does not exist"),
        ("/v2", b"{}", 405, "Method not allowed: expected GET or HEAD or OPTIONS, got POST"),
    ],
)
def test_errors_are_json_with_error(client, path, body, status, error):
    response = client.post(path, data=body)

    assert (response.status_code, response.mimetype) == (status, "application/json")
    assert response.json["error"].startswith(error)
    assert response.json.keys() == {"error"}


def test_other_media_type_is_rejected(client):
    response = client.post(PATH, data="a=1", content_type="application/x-www-form-urlencoded")

    assert response.status_code == 415


def test_violation_names_row_and_member(client):
    document = json.loads(json.dumps(REQUEST).replace("[1, 2]", "[1, null]"))

    response = client.post(PATH, json=document)

    assert response.status_code == 422
    assert response.json["error"].startswith("Invalid input: /1/x: must be ")


def test_too_many_rows_are_rejected(make_app):
    response = make_app(MAX_ROWS=1).test_client().post(PATH, json=REQUEST)

    assert response.status_code == 413
    assert response.json["error"] == "Too many rows: expected at most 1 rows, got 2"


def test_error_of_the_model_is_hidden(make_app):
    client = make_app("models: [{class: tests.models.broken.RaisesAtPredict}]").test_client()

    response = client.post("/v2/models/raises-at-predict/infer", json=REQUEST)

    assert response.status_code == 500
    assert response.json["error"] == "Model error: the model 'raises-at-predict' failed"


def test_key_is_required_and_restricted(make_app):
    key = NewKey("predict", models=["echo"])
    client = make_app(KEYS=f"[{key!r}]").test_client()

    missing = client.get("/v2/models/doubler")
    assert (missing.status_code, missing.json["error"][:17]) == (401, "API key required:")
    wrong = client.post(PATH, json=REQUEST, headers=key.headers)
    assert wrong.status_code == 403
    assert "is not valid for the model 'doubler'" in wrong.json["error"]
    assert client.get("/v2/health/live").status_code == 200


def test_example_models_predict_the_same(example_app):
    client = example_app.test_client()
    for name in ("iris", "wine", "diabetes", "loan", "tickets"):
        rows = client.get(f"/api/models/{name}/metadata").json["examples"]
        described = client.get(f"/v2/models/{name}").json
        request = {"inputs": to_inputs(described["inputs"], rows)}
        request["outputs"] = [{"name": each["name"]} for each in described["outputs"]]

        outputs = client.post(f"/v2/models/{name}/infer", json=request).json["outputs"]

        expected = client.post(f"/api/models/{name}/predict", json=rows).json
        assert [each["datatype"] for each in outputs] == [
            each["datatype"] for each in described["outputs"]
        ]
        member = next(iter(expected[0]))
        assert outputs[0]["data"] == [each[member] for each in expected]
        if len(outputs) == 2 and "probabilities" in expected[0]:
            labels = json.loads(outputs[1]["parameters"]["labels"])
            flat = [each["probabilities"][label] for each in expected for label in labels]
            assert outputs[1]["data"] == flat


def to_inputs(described, rows):
    """Return the rows as the tensors that a model's metadata describes."""
    if described[0]["name"] == "input-0":
        names = json.loads(described[0]["parameters"]["labels"])
        data = [row[name] for row in rows for name in names]
        return [{**described[0], "shape": [len(rows), len(names)], "data": data}]
    return [
        {**each, "shape": [len(rows), 1], "data": [row[each["name"]] for row in rows]}
        for each in described
    ]
