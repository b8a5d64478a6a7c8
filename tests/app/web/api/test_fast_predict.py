"""The fast path and Flask respond alike."""

import json

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.serving.models.hosted import HostedModel
from app.web.api.fast_predict import FLASK_HEADERS, HANDLED_HEADERS, RAISED
from tests.new_keys import NewKey

MODELS = """
models:
  - class: tests.models.simple.Echo
    name: echo
  - class: examples.iris.IrisModel
  - class: tests.models.broken.RaisesAtPredict
    name: raises
  - class: tests.models.broken.RaisesAtLoad
    name: failed
  - class: tests.models.simple.Versioned
    name: lazy
    settings: {version: "1"}
    load: lazy
  - {class: examples.iris.IrisModel, name: species, version: "1", default: true}
  - {class: examples.iris.IrisModel, name: species, version: "2"}
"""
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
SPLIT = {"columns": list(ROW), "data": [list(ROW.values())]}

TENSOR = {"name": "input-0", "datatype": "FP64", "shape": [2, 4], "data": [*ROW.values()] * 2}
TENSORS = {"path": "/v2/models/iris/infer", "json": {"id": "1", "inputs": [TENSOR]}}
BINARY = {"inputs": [TENSOR], "parameters": {"binary_data_output": True}}

SECOND_VERSION = "/api/models/species/versions/2/predict"

OWN, OTHER, METRICS = NewKey(models=["iris"]), NewKey(models=["echo"]), NewKey("metrics")
#: A header that only Flask handles, and that changes nothing in these requests.
THROUGH_FLASK = {"Expect": "100-continue"}
#: Headers that load balancers, proxies, browsers and tracing libraries add.
CLOUD_HEADERS = {
    "Accept": "*/*",
    "Baggage": "userId=alice",
    "CF-Connecting-IP": "192.0.2.1",
    "CF-Ray": "8a1b2c3d4e5f6789-FRA",
    "Cookie": "a=1",
    "DNT": "1",
    "Referer": "http://elsewhere.example/",
    "Sec-Fetch-Mode": "cors",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Via": "1.1 google",
    "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
    "X-B3-TraceId": "80f198ee56343ba864fe8b2a57d3eff7",
    "X-Cloud-Trace-Context": "105445aa7843bc8bf206b12000100000/1;o=1",
    "X-Envoy-External-Address": "192.0.2.1",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "models.example",
    "X-Forwarded-Proto": "https",
}

REQUESTS = {
    "a row": {"json": ROW},
    "whole numbers": {"json": dict.fromkeys(ROW, 5)},
    "rows": {"json": [ROW, ROW]},
    "no rows": {"json": []},
    "columns": {"json": SPLIT},
    "instances": {"json": {"instances": [ROW]}},
    "instances in wrong form": {"json": {"instances": [1]}},
    "inputs with a wrong row": {"json": {"inputs": [ROW | {"sepal_length": "long"}]}},
    "a row of inputs": {"path": "/api/models/echo/predict", "json": {"inputs": [1]}},
    "a wrong row": {"json": ROW | {"sepal_length": "long"}},
    "a wrong row of two": {"json": [ROW, {}]},
    "too many rows": {"json": [ROW] * 1001},
    "other letters": {"path": "/api/models/echo/predict", "json": {"é": "ß\u2028"}},
    "a surrogate": {"path": "/api/models/echo/predict", "data": b'{"a": "\\ud800"}'},
    "a long number": {"path": "/api/models/echo/predict", "data": b'{"a": 123456789012345678901}'},
    "the same key twice": {"data": b'{"a": 1, "a": 2}'},
    "no JSON": {"data": b"{"},
    "no text": {"data": b"\xff"},
    "nothing": {"data": b""},
    "nested too deep": {"data": b"[" * 100_000},
    "too large": {"data": b" " * 100_001},
    "of another type": {"data": b"{}", "content_type": "text/plain"},
    "in UTF-8": {"json": ROW, "content_type": "application/json; charset=utf-8"},
    "in capitals": {"json": ROW, "content_type": "Application/JSON"},
    "in UTF-8 without a blank": {"json": ROW, "content_type": "application/json;charset=UTF-8"},
    "with a parameter": {"json": ROW, "content_type": "application/json; version=1"},
    "in another charset": {"json": ROW, "content_type": "application/json; charset=latin-1"},
    "from a load balancer": {"json": ROW, "headers": CLOUD_HEADERS},
    "a malformed host": {"json": ROW, "headers": {"Host": "a b"}},
    "an upgrade": {"json": ROW, "headers": {"Connection": "Upgrade", "Upgrade": "websocket"}},
    "a version": {"path": SECOND_VERSION, "json": ROW},
    "rows of a version": {"path": SECOND_VERSION, "json": [ROW, {}]},
    "no such version": {"path": "/api/models/species/versions/9/predict", "json": ROW},
    "wrong columns": {"json": SPLIT | {"data": [["long", 1, 2, 3], [1, 2, 3, 4]]}},
    "lines of another length": {"json": SPLIT | {"data": [[1]]}},
    "columns for a lazy model": {"path": "/api/models/lazy/predict", "json": SPLIT},
    "columns for any model": {"path": "/api/models/echo/predict", "json": SPLIT},
    "columns for no model": {"path": "/api/models/nothing/predict", "json": SPLIT},
    "compressed": {"json": ROW, "headers": {"Content-Encoding": "gzip"}},
    "for CSV": {"json": [ROW, ROW], "headers": {"Accept": "Text/CSV"}},
    "for CSV or JSON": {"json": ROW, "headers": {"Accept": "application/json, text/csv;q=0.5"}},
    "a wrong row for CSV": {"json": [{}], "headers": {"Accept": "text/csv"}},
    "a CSV file": {"data": b"sepal_length\n1\n", "content_type": "text/csv"},
    "of another site": {"json": ROW, "headers": {"Origin": "http://elsewhere.example"}},
    "of this site": {"json": ROW, "headers": {"Sec-Fetch-Site": "same-origin"}},
    "no such model": {"path": "/api/models/nothing/predict", "json": {}},
    "no such path": {"path": "/api/models/a/b/predict", "json": {}},
    "no name": {"path": "/api/models//predict", "json": {}},
    "a model that raises": {"path": "/api/models/raises/predict", "json": {}},
    "a model that failed": {"path": "/api/models/failed/predict", "json": {}},
    "a lazy model": {"path": "/api/models/lazy/predict", "json": {}},
    "another method": {"method": "GET"},
    "cut short": {"json": ROW, "environ_overrides": {"CONTENT_LENGTH": "500"}},
    "longer than it says": {"json": ROW, "environ_overrides": {"CONTENT_LENGTH": "5"}},
    "through a proxy": {"json": ROW, "headers": {"X-Forwarded-For": "192.0.2.1", "Via": "1.1 x"}},
    "an unknown query": {"json": ROW, "query_string": "cautoin=true"},
    "an unknown query of a version": {"path": SECOND_VERSION, "json": ROW, "query_string": "a=1"},
    "tensors": TENSORS,
    "tensors of a version": TENSORS | {"path": "/v2/models/species/versions/2/infer"},
    "tensors of any model": TENSORS | {"path": "/v2/models/echo/infer"},
    "tensors of a lazy model": TENSORS | {"path": "/v2/models/lazy/infer"},
    "tensors of a model that raises": TENSORS | {"path": "/v2/models/raises/infer"},
    "tensors of a model that failed": TENSORS | {"path": "/v2/models/failed/infer"},
    "tensors of no model": {"path": "/v2/models/nothing/infer", "json": []},
    "tensors as bytes": TENSORS | {"json": BINARY},
    "no tensors": TENSORS | {"json": [ROW]},
    "a tensor of another shape": TENSORS | {"json": {"inputs": [TENSOR | {"shape": [4, 2]}]}},
    "a tensor of text": TENSORS | {"json": {"inputs": [TENSOR | {"data": ["a"] * 8}]}},
    "a tensor with a wrong row": TENSORS | {"json": {"inputs": [TENSOR | {"data": [None] * 8}]}},
    "an output that is missing": TENSORS | {"json": BINARY | {"outputs": [{"name": "none"}]}},
    "a length of JSON": TENSORS | {"headers": {"Inference-Header-Content-Length": "9"}},
    "rows for v2": {"path": "/v2/models/iris/predict", "json": ROW},
    "tensors for REST": TENSORS | {"path": "/api/models/iris/infer"},
    "caution": {"json": ROW, "query_string": "c%61ution=true"},
    "partial": {"json": [ROW, {}], "query_string": "p%61rtial=true"},
}


@pytest.fixture
def ask(same_app, make_app):
    """A function that sends a request and returns status, headers and body."""
    app = None

    def ask(path="/api/models/iris/predict", method="POST", data=None, headers=(), **about):
        nonlocal app
        # Only a new application has a lazy model that is not loaded.
        app = app or (make_app if "lazy" in path else same_app)(MODELS)
        client = app.test_client()
        if "json" in about:
            data = json.dumps(about.pop("json")).encode()
        about = {"content_type": "application/json"} | about
        named = {"X-Request-ID": "one-of-two", **dict(headers)}
        answer = client.open(path, method=method, data=data, headers=named, **about)
        told = {name: value for name, value in answer.headers if name != "Server-Timing"}
        return answer.status, told, answer.data

    return ask


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_both_paths_give_the_same_response(ask, request_):
    other = request_ | {"headers": {**request_.get("headers", {}), **THROUGH_FLASK}}

    assert ask(**request_) == ask(**other)


@pytest.mark.parametrize("wanted", ["", "mine-1.2", "two\nlines", "a" * 65])
def test_both_paths_set_request_id_alike(same_app, wanted):
    client = same_app(MODELS).test_client()

    def name(**more):
        headers = {"X-Request-ID": wanted.replace("\n", " "), **more}
        return client.post("/api/models/iris/predict", json=ROW, headers=headers).headers[
            "X-Request-ID"
        ]

    short, normal = name(), name(**THROUGH_FLASK)

    assert len(short) == len(normal)
    assert (short == wanted) == (normal == wanted)


@pytest.mark.parametrize(
    "request_",
    [
        {"json": ROW},
        {"json": [ROW, ROW]},
        {"json": SPLIT},
        {"path": SECOND_VERSION, "json": ROW},
        TENSORS,
        {"json": ROW, "headers": CLOUD_HEADERS},
        {"data": json.dumps(ROW), "content_type": "application/json;charset=UTF-8"},
    ],
    ids=["row", "rows", "columns", "version", "tensors", "load balancer", "charset"],
)
def test_usual_request_takes_fast_path(same_app, monkeypatch, request_):
    app = same_app(MODELS)
    monkeypatch.setattr(app, "full_dispatch_request", None)

    answer = app.test_client().post(**{"path": "/api/models/iris/predict"} | request_)

    assert "setosa" in answer.text


class RecordingEnviron(dict):
    """A WSGI environment that records the names of the headers that are read."""

    def __init__(self, environ):
        super().__init__(environ)
        self.read = set()

    def _record(self, key):
        if key.startswith("HTTP_"):
            self.read.add(key)
        return key

    def __getitem__(self, key):
        return super().__getitem__(self._record(key))

    def __contains__(self, key):
        return super().__contains__(self._record(key))

    def get(self, key, default=None):
        return super().get(self._record(key), default)

    def __iter__(self):
        raise AssertionError("the application reads all headers")


SETTINGS = {
    "default": {},
    "keys": {"KEYS": [KEY := NewKey()]},
    "keys of admins": {"KEYS": [KEY], "KEYS_FOR": "admin"},
    "other origins": {"CORS_ORIGINS": "https://one.example"},
    "host names": {"HOST_NAMES": "localhost"},
    "rates": {"RATE_LIMIT": "9 per hour"},
    "log": {"ACCESS_LOG": True},
}


@pytest.mark.parametrize("sent", [THROUGH_FLASK, {"Sec-Fetch-Site": "same-origin"}])
@pytest.mark.parametrize(
    "request_", [{"json": ROW}, {"json": {}}, TENSORS], ids=["valid", "invalid", "tensors"]
)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_flask_reads_known_headers_only(same_app, settings, sent, request_):
    app = same_app(MODELS, **settings)
    about = {"path": "/api/models/iris/predict", **request_}
    builder = EnvironBuilder(method="POST", headers=sent | KEY.headers, **about)
    environ = RecordingEnviron(builder.get_environ())

    run_wsgi_app(app.wsgi_app, environ)

    allowed = FLASK_HEADERS | HANDLED_HEADERS | ({"HTTP_COOKIE"} if "KEYS" in settings else set())
    assert environ.read <= allowed


@pytest.mark.parametrize("header", sorted(FLASK_HEADERS))
def test_headers_of_flask_lead_to_flask(same_app, monkeypatch, header):
    app = same_app(MODELS)
    monkeypatch.setattr(app, "full_dispatch_request", lambda: app.response_class("of Flask"))

    answer = app.test_client().post(
        "/api/models/iris/predict", json=ROW, environ_overrides={header: "1"}
    )

    assert answer.text == "of Flask"


def test_failing_model_is_called_once(make_app):
    text = "models: [{class: tests.models.broken.RaisesAtPredict, name: raises-once}]"
    client = make_app(text).test_client()

    client.post("/api/models/raises-once/predict", json={})

    assert 'model="raises-once",outcome="PredictionFailed"} 1.0' in client.get("/metrics").text


def test_client_cannot_inject_an_error(ask):
    status, _, _ = ask(json=ROW, headers={RAISED: "yes"})

    assert status == "200 OK"


@pytest.mark.parametrize("headers", [{}, THROUGH_FLASK], ids=["fast", "Flask"])
def test_both_paths_limit_the_rate(make_app, headers):
    client = make_app(MODELS, RATE_LIMIT="2 per hour; 100 per day").test_client()

    answers = [
        client.post("/api/models/iris/predict", json=row, headers=headers) for row in (ROW, {}, ROW)
    ]

    assert [answer.status_code for answer in answers] == [200, 422, 429]
    assert answers[2].json["detail"] == "the rate limit is 2 per hour; 100 per day"
    assert 0 < int(answers[2].headers["Retry-After"]) <= 3600


def test_limited_request_takes_fast_path(make_app, monkeypatch):
    app = make_app(MODELS, KEYS=[OWN], RATE_LIMIT="9 per hour")
    monkeypatch.setattr(app, "full_dispatch_request", None)

    answer = app.test_client().post("/api/models/iris/predict", json=ROW, headers=OWN.headers)

    assert answer.json["species"] == "setosa"


SENT = {
    "a key": OWN.headers,
    "a key in a header of its own": {"X-API-Key": OWN.text},
    "in small letters": {"Authorization": f"bearer {OWN.text}"},
    "none": {},
    "a wrong key": {"Authorization": f"Bearer {OWN.text[:-1]}"},
    "a wrong and a right one": {"Authorization": "Bearer x", "X-API-Key": OWN.text},
    "a password and a key": {"Authorization": "Basic eDp4", "X-API-Key": OWN.text},
    "a key twice": {"X-API-Key": f"{OWN.text},{OWN.text}"},
    "a key for another model": OTHER.headers,
    "a key for something else": METRICS.headers,
    "no ASCII": {"X-API-Key": "mh_\xe9"},
}


@pytest.mark.parametrize("headers", SENT.values(), ids=SENT)
@pytest.mark.parametrize("path", ["/api/models/iris/predict", "/api/models/nothing/predict"])
@pytest.mark.parametrize("keys_for", ["all", "admin"])
def test_both_paths_require_the_same_key(same_app, headers, keys_for, path):
    client = same_app(MODELS, KEYS=[OWN, OTHER, METRICS], KEYS_FOR=keys_for).test_client()

    def ask(more):
        named = {"X-Request-ID": "one-of-two", **headers, **more}
        answer = client.post(path, json=ROW, headers=named)
        told = {name: value for name, value in answer.headers if name != "Server-Timing"}
        return answer.status, told, answer.data

    assert ask({}) == ask(THROUGH_FLASK)


def test_request_with_key_takes_fast_path(same_app, monkeypatch):
    app = same_app(MODELS, KEYS=[OWN])
    monkeypatch.setattr(app, "full_dispatch_request", None)

    answer = app.test_client().post("/api/models/iris/predict", json=ROW, headers=OWN.headers)

    assert answer.json["species"] == "setosa"


def test_unneeded_key_is_ignored(same_app, monkeypatch):
    app = same_app(MODELS)
    monkeypatch.setattr(app, "full_dispatch_request", None)

    answer = app.test_client().post("/api/models/iris/predict", json=ROW, headers=OWN.headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, THROUGH_FLASK])
def test_wrong_row_is_reported_despite_unload(make_app, monkeypatch, headers):
    client = make_app("models: [{class: examples.iris.IrisModel}]").test_client()
    release = HostedModel.release

    def release_and_unload(model):
        release(model)
        monkeypatch.undo()
        model.lifecycle.unload()

    monkeypatch.setattr(HostedModel, "release", release_and_unload)

    response = client.post("/api/models/iris/predict", json={"foo": 1}, headers=headers)

    assert response.status_code == 422
    assert "send a row such as" in response.json["errors"][0]["detail"]
