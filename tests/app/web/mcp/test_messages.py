"""The messages of both eras of the protocol, and what is no message."""

import pytest

from app.web.http.extension import VERSION
from tests.new_keys import NewKey

MODELS = "models: [{class: tests.models.simple.Doubler}, {class: tests.models.simple.Echo}]"
DOUBLER = NewKey(models=["doubler"])
#: How a request of the newer era describes itself.
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def client(same_app):
    return same_app(MODELS).test_client()


def send(client, method, params=None, **headers):
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}
    return client.post("/mcp", json=message, headers=headers)


def send_stateless(client, method, params=None, meta=ENVELOPE, **headers):
    named = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if params and "name" in params:
        named["Mcp-Name"] = params["name"]
    return send(client, method, {**(params or {}), "_meta": meta}, **(named | headers))


@pytest.mark.parametrize(
    ("wanted", "negotiated"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        (None, "2025-11-25"),
    ],
)
def test_initialize_negotiates_version(client, wanted, negotiated):
    result = send(client, "initialize", {"protocolVersion": wanted}).json["result"]

    assert result["protocolVersion"] == negotiated
    server = result["serverInfo"]
    assert (server["name"], server["version"]) == ("modelhost", VERSION)
    assert result["capabilities"] == {"tools": {}}


def test_discover_describes_the_server(client):
    answer = send_stateless(client, "server/discover")

    assert answer.status_code == 200
    assert answer.json["result"]["supportedVersions"] == ["2026-07-28"]
    assert answer.json["result"]["resultType"] == "complete"
    assert answer.headers["Cache-Control"] == "no-store"


def test_ping_has_an_empty_result(client):
    older, newer = send(client, "ping").json, send_stateless(client, "ping").json

    assert older == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert newer == {"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete"}}


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ],
)
def test_notifications_get_no_response(client, message):
    answer = client.post("/mcp", json=message)

    assert (answer.status_code, answer.data) == (202, b"")


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ([], "expected one JSON-RPC 2.0 message"),
        ({"id": 1, "method": "ping"}, "expected one JSON-RPC 2.0 message"),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, "id must be a string or an integer"),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, "id must be a string or an integer"),
        ({"jsonrpc": "2.0", "id": 1, "method": 1}, "method must be a string"),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, "params must be an object"),
    ],
)
def test_invalid_messages_are_rejected(client, message, detail):
    answer = client.post("/mcp", json=message)

    assert answer.status_code == 400
    assert answer.json["error"] == {"code": -32600, "message": detail}


def test_unknown_method_is_an_error(client):
    older, newer = send(client, "prompts/list"), send_stateless(client, "prompts/list")

    assert (older.status_code, newer.status_code) == (200, 404)
    assert older.json["error"]["code"] == newer.json["error"]["code"] == -32601
    assert older.json["error"]["message"] == "unknown method 'prompts/list'"


@pytest.mark.parametrize(
    ("changed", "code", "detail"),
    [
        ({"MCP-Protocol-Version": "1900-01-01"}, -32020, "the header MCP-Protocol-Version must"),
        ({"MCP-Protocol-Version": "2025-11-25"}, -32020, "the header MCP-Protocol-Version must"),
        (
            {"Mcp-Method": "tools/list"},
            -32020,
            "the header Mcp-Method must equal the body's 'tools",
        ),
        ({"Mcp-Name": "echo"}, -32020, "the header Mcp-Name must equal the body's 'doubler'"),
        ({"meta": {}}, -32602, "params._meta lacks io.modelcontextprotocol/protocolVersion and"),
    ],
)
def test_headers_must_equal_the_body(client, changed, code, detail):
    params = {"name": "doubler", "arguments": {"x": 1}}

    answer = send_stateless(client, "tools/call", params, **changed)

    assert (answer.status_code, answer.json["error"]["code"]) == (400, code)
    assert answer.json["error"]["message"].startswith(detail)


def test_unsupported_version_lists_supported(client):
    meta = ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2030-01-01"}

    answer = send_stateless(client, "ping", meta=meta, **{"MCP-Protocol-Version": "2030-01-01"})

    assert (answer.status_code, answer.json["error"]["code"]) == (400, -32022)
    assert answer.json["error"]["data"] == {"supported": ["2026-07-28"], "requested": "2030-01-01"}


@pytest.mark.parametrize("method", ["get", "delete", "put"])
def test_other_methods_are_not_allowed(client, method):
    answer = getattr(client, method)("/mcp")

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_body_has_the_limits_of_predict(client, make_app):
    invalid = client.post("/mcp", data=b"{", content_type="application/json")
    text = client.post("/mcp", data=b"{}", content_type="text/plain")
    deep = client.post("/mcp", data=b"[" * 100_000, content_type="application/json")
    large = make_app(MODELS, MAX_BODY_BYTES=10).test_client().post("/mcp", json={"jsonrpc": "2.0"})

    statuses = [answer.status_code for answer in (invalid, text, deep, large)]
    assert statuses == [400, 415, 400, 413]
    assert {answer.mimetype for answer in (invalid, text, large)} == {"application/problem+json"}


def test_missing_key_is_unauthorized(make_app):
    client = make_app(MODELS, KEYS=[DOUBLER, NewKey("metrics")]).test_client()

    answer = send(client, "tools/list")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_key_requires_scope_predict(make_app):
    metrics = NewKey("metrics")
    client = make_app(MODELS, KEYS=[metrics]).test_client()

    assert send(client, "tools/list", **metrics.headers).status_code == 403


def test_restricted_key_hides_other_tools(make_app):
    client = make_app(MODELS, KEYS=[DOUBLER]).test_client()

    listed = send(client, "tools/list", **DOUBLER.headers).json["result"]["tools"]
    called = send(client, "tools/call", {"name": "echo"}, **DOUBLER.headers).json

    assert [tool["name"] for tool in listed] == ["doubler"]
    assert called["error"] == {"code": -32602, "message": "unknown tool 'echo'"}


def test_pages_of_other_sites_are_rejected(client, make_app):
    origin = {"Origin": "https://elsewhere.example"}
    shared = make_app(MODELS, CORS_ORIGINS=origin["Origin"]).test_client()

    allowed = send(shared, "ping", **origin)

    assert send(client, "ping", **origin).status_code == 403
    assert allowed.headers["Access-Control-Allow-Origin"] == origin["Origin"]


def test_rate_limit_counts_messages(make_app):
    client = make_app(MODELS, RATE_LIMIT="2 per minute").test_client()

    assert [send(client, "ping").status_code for _ in range(3)] == [200, 200, 429]
