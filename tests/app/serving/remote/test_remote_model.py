import socket
import threading

import pytest

from app.serving.calls.caller import VIA
from app.serving.errors import (
    RemoteFailed,
    RemoteLoop,
    RemoteTimeout,
    RemoteUnavailable,
    get_failure_detail,
)
from app.serving.remote import http_client
from app.serving.remote.http_client import HttpClient
from app.serving.remote.modelhost_api import ModelhostApi
from app.serving.remote.remote_model import Remote, RemoteModel
from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.schema.validator import Schema
from tests.app.serving.remote.stub_server import OUTPUTS, ROW, stub_server


@pytest.fixture
def server():
    with stub_server() as stub:
        yield stub


@pytest.fixture
def model(server):
    model = load(server, seconds=5)
    yield model
    model.unload()


def load(server, headers=(), **keys):
    model = RemoteModel(Remote(server.url, "m", dict(headers)), "local", **keys)
    model.load()
    return model


def test_schema_of_a_row_is_read_from_tensors(model):
    assert Schema(model.input_schema).violations(ROW) == []
    assert model.input_schema["properties"] == {
        "age": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
        "sizes": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        "text": {"type": "string"},
    }
    assert list(model.output_schema["properties"]) == ["score", "pair"]


def test_rows_are_sent_in_one_request(server, model):
    assert model.predict_rows([ROW, {**ROW, "age": 7}]) == [
        {"score": 41, "pair": [0, 1]},
        {"score": 7, "pair": [2, 3]},
    ]
    [(path, _, body)] = server.requests
    assert path == "/v2/models/m/infer"
    assert [(each["shape"], each["data"]) for each in body["inputs"]] == [
        ([2, 1], [41, 7]),
        ([2, 2], [1.5, 2.0, 1.5, 2.0]),
        ([2], ["é", "é"]),
    ]


def test_entry_schema_is_sent_as_matrix(server):
    server.metadata = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}
    server.infer = lambda _: (
        200,
        {"outputs": [{"name": "y", "datatype": "FP64", "shape": [1], "data": [3]}]},
        {},
    )
    members = {"a": {"type": "number"}, "b": {"type": "number"}}
    model = load(server, input_schema={"type": "object", "properties": members})

    assert model.predict({"b": 2.0, "a": 1.0}) == {"y": 3}
    assert server.requests[0][2]["inputs"] == [
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}
    ]


def test_server_without_metadata_needs_an_input_schema(server):
    server.metadata = {}

    with pytest.raises(InvalidModel, match="add 'input_schema' to the model's entry"):
        load(server)


def test_labels_of_an_output_become_members(server, model):
    labelled = {**OUTPUTS[1], "shape": [1, 2], "data": [1, 2]}
    labelled["parameters"] = {"labels": '["no", "yes"]'}
    server.infer = lambda _: (200, {"outputs": [labelled]}, {})

    assert model.predict(ROW) == {"pair": {"no": 1, "yes": 2}}


def test_headers_are_sent(server):
    load(server, {"Authorization": "Bearer x"}).predict(ROW)

    assert server.requests[0][1]["Authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("status", "headers", "error", "message"),
    [
        (400, {}, InvalidInput, "age is too high"),
        (422, {}, InvalidInput, "age is too high"),
        (401, {}, RemoteFailed, "status 401: age is too high"),
        (404, {}, RemoteFailed, "status 404"),
        (302, {"Location": "http://127.0.0.1:1/"}, RemoteFailed, "status 302"),
        (429, {"Retry-After": "17"}, RemoteUnavailable, "status 429"),
        (500, {}, RemoteUnavailable, "status 500"),
        (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, RemoteUnavailable, "status 503"),
        (504, {}, RemoteTimeout, "status 504"),
        (508, {}, RemoteLoop, "status 508"),
    ],
)
def test_status_of_the_server_becomes_an_error(server, status, headers, error, message):
    model = load(server)
    server.infer = lambda _: (status, {"error": "age is too high"}, headers)

    with pytest.raises(error, match=message) as raised:
        model.predict(ROW)

    if status == 429:
        assert raised.value.retry_seconds == 17
    # What a model raises there is public only with TELL_MODEL_ERRORS.
    assert ("age is too high" in str(raised.value)) == (status not in (500, 503))
    assert "age is too high" in get_failure_detail(raised.value)
    assert len(server.requests) == 1


def output(**members):
    return {"outputs": [{"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [1], **members}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "not valid JSON"),
        (b'{"outputs": NaN}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ({}, "expected a list of outputs"),
        ([], "expected a list of outputs"),
        ({"outputs": ["y"]}, "expected an object"),
        (output(shape=[2, 1], data=[1, 2]), "expected 1 rows in 'y', got 2"),
        (output(data=[1, 2]), "needs 1 values, got 2"),
        (output(data=["a"]), 'output "y": expected values of FP64'),
        (output(datatype="X"), "datatype must be one of"),
        (output(parameters={"labels": "["}, data=5), "data must be a list"),
        ({"outputs": 2 * output()["outputs"]}, "two outputs have the same name"),
    ],
)
def test_unusable_response_is_an_error(server, model, body, message):
    server.infer = lambda _: (200, body, {})

    with pytest.raises(RemoteFailed, match=message):
        model.predict(ROW)


@pytest.mark.parametrize("size", [3, 0, -2])
def test_model_without_axis_of_rows_is_rejected(server, size):
    server.metadata = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [size]}]}

    with pytest.raises(RemoteFailed, match=f"with the size -1 or 1, got {size}"):
        load(server)


def test_model_of_one_row_gets_a_request_for_each(server):
    server.metadata = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]}
    server.infer = lambda body: (200, output(data=body["inputs"][0]["data"][:1]), {})

    assert load(server).predict_rows([{"x": [1, 2]}, {"x": [3, 4]}]) == [{"y": 1}, {"y": 3}]
    assert [body["inputs"][0]["shape"] for _, _, body in server.requests] == [[1, 2], [1, 2]]


def test_modelhost_must_return_a_prediction_for_each_row(server):
    server.infer = lambda _: (200, [1], {})
    client = HttpClient(server.url, {}, 5, "m")

    with pytest.raises(RemoteFailed, match="not a list of 2 predictions"):
        ModelhostApi(client, "m").predict([1, 2])
    client.close()


def test_reason_of_an_unavailable_modelhost_model_is_one_line(server):
    server.metadata = {"status": "failed", "reason": "no file\nERROR forged: line\t" + "x" * 2000}
    client = HttpClient(server.url, {}, 5, "m")

    with pytest.raises(RemoteUnavailable) as caught:
        ModelhostApi(client, "m").describe()
    client.close()

    message = "the model is not available on the remote server"
    assert str(caught.value) == message
    assert caught.value.detail.startswith(f"{message}: no file ERROR forged: line xxx")
    assert len(caught.value.detail) < 1100


def test_broken_response_is_not_requested_again(server, model):
    parts = (part for part in [b"{"])
    server.infer = lambda _: (200, parts, {"Content-Length": "9", "Connection": "close"})

    with pytest.raises(RemoteUnavailable, match="the connection to the remote server failed"):
        model.predict(ROW)
    assert len(server.requests) == 1


def test_response_is_limited_in_size(server, model, monkeypatch):
    monkeypatch.setattr(http_client, "MAX_BYTES", 1000)
    server.infer = lambda _: (200, b" " * 1001, {})

    with pytest.raises(RemoteFailed, match="longer than 1,000 bytes"):
        model.predict(ROW)


def test_slow_server_times_out(server):
    end = threading.Event()
    model = load(server, seconds=1)

    def infer(_):
        end.wait()
        return 200, {}, {}

    server.infer = infer

    with pytest.raises(RemoteTimeout, match=r"longer than 1 seconds"):
        model.predict(ROW)
    end.set()


def test_slow_response_times_out(server):
    end = threading.Event()
    model = load(server, seconds=1)
    parts = (b" " for _ in range(1000) if not end.wait(0.05))
    server.infer = lambda _: (200, parts, {"Content-Length": "1000"})

    with pytest.raises(RemoteTimeout, match=r"longer than 1 seconds"):
        model.predict(ROW)
    end.set()


def test_unreachable_server_is_unavailable(server):
    model = RemoteModel(Remote("http://127.0.0.1:1", "m"), "local")

    with pytest.raises(RemoteUnavailable, match="cannot be reached"):
        model.load()


def test_server_that_does_not_accept_is_unavailable(monkeypatch):
    monkeypatch.setattr(http_client, "CONNECT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as queued:
        queued.connect(full.getsockname())
        model = RemoteModel(Remote(f"http://127.0.0.1:{full.getsockname()[1]}", "m"), "local")

        with pytest.raises(RemoteUnavailable, match="cannot be reached"):
            model.load()


def test_untrusted_certificate_is_rejected(server):
    model = RemoteModel(Remote(server.url.replace("http", "https"), "m"), "local")

    with pytest.raises(RemoteUnavailable):
        model.load()


def test_request_that_returns_is_a_loop(server, model):
    token = VIA.set("1.1 proxy")
    try:
        model.predict(ROW)
        via = server.requests[0][1]["Via"]
        assert via.startswith("1.1 proxy, 1.1 modelhost-")
        VIA.set(via)
        with pytest.raises(RemoteLoop, match="form a loop"):
            model.predict(ROW)
    finally:
        VIA.reset(token)
    assert len(server.requests) == 1


def test_closed_connection_is_reopened(server, model):
    server.infer = lambda _: (200, {"outputs": output()["outputs"]}, {"Connection": "close"})

    assert [model.predict(ROW) for _ in range(3)] == 3 * [{"y": 1}]


def test_request_is_repeated_only_on_a_reused_connection(server, model):
    server.infer = lambda _: (200, output(), {}) if len(server.requests) == 2 else None

    assert model.predict(ROW) == {"y": 1}  # on the connection that has loaded it
    client = HttpClient(server.url, {}, 5.0, "m")
    with pytest.raises(RemoteUnavailable, match="the connection to the remote server failed"):
        client.post("/v2", b"{}")
    client.close()
    assert len(server.requests) == 3


def test_requests_for_single_rows_share_a_time_limit(server):
    end = threading.Event()
    server.metadata = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1]}]}
    model = load(server, seconds=1)
    server.infer = lambda _: end.wait(0.4) or (200, output(), {})

    with pytest.raises(RemoteTimeout, match=r"longer than 1 seconds"):
        model.predict_rows([{"x": 1.0}] * 9)
    end.set()
    assert len(server.requests) <= 3
