"""The route of the Model Context Protocol (MCP), and its JSON-RPC messages, in both of its eras.

Up to version 2025-11-25, a client starts with ``initialize``. From 2026-07-28 on, there is no
start: each request carries its version in ``params._meta`` and in headers, and ``server/discover``
describes the server. Neither era needs a session here, so any worker can respond to any message.

Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from app.web.api.bodies.request_body import read_json
from app.web.http.extension import VERSION
from app.web.http.json_provider import dumps
from app.web.mcp import tools

JsonObject = dict[str, Any]

#: Versions with ``initialize``, oldest first.
HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
#: Versions without.
STATELESS_VERSIONS = ("2026-07-28",)

VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"

#: Error codes of JSON-RPC 2.0 and of MCP.
INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022

CAPABILITIES = {"tools": {}}
INSTRUCTIONS = (
    "Each tool is a machine-learning model: its arguments are one row of data, its result is the "
    "model's prediction. If the model rejects a row, the result lists each invalid field; correct "
    "the fields and call again. Do not guess values that the user did not give."
)
#: For how long a client may cache the list of tools. A reload may change it at any time.
CACHE = {"ttlMs": 0, "cacheScope": "private"}
blueprint = Blueprint("mcp", __name__)


@blueprint.post("/mcp")
def receive() -> ResponseReturnValue:
    """Respond to one MCP message.

    The OpenAPI document leaves it out: ``tools/list`` describes what a client may send.
    """
    response, status = respond(read_json(), request.headers)
    if response is None:
        return Response(status=status)
    return Response(dumps(response), status=status, content_type="application/json")


class RpcError(Exception):
    """The message is not a valid request of the protocol."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def to_json(self) -> JsonObject:
        """Return the error as a member of a JSON-RPC response."""
        error = {"code": self.code, "message": str(self)}
        return error if self.data is None else error | {"data": self.data}


def respond(message: Any, headers: Mapping[str, str]) -> tuple[JsonObject | None, HTTPStatus]:
    """Return the response to a message and its HTTP status; no response to a notification.

    :param headers: of the HTTP request.
    """
    try:
        request_id, method, params = _read(message)
    except RpcError as error:
        response = {"jsonrpc": "2.0", "id": None, "error": error.to_json()}
        return response, HTTPStatus.BAD_REQUEST
    if request_id is None:
        return None, HTTPStatus.ACCEPTED
    response = {"jsonrpc": "2.0", "id": request_id}
    is_stateless = _is_stateless(headers, params)
    try:
        if is_stateless:
            _check_envelope(method, params, headers)
        if method not in METHODS:
            raise RpcError(METHOD_NOT_FOUND, f"unknown method {method!r:.100}")
        result = METHODS[method](params)
    except RpcError as error:
        # Clients of the older era treat another status as a broken connection.
        status = _get_status(error) if is_stateless else HTTPStatus.OK
        return response | {"error": error.to_json()}, status
    # Clients of the older era reject unknown members in the result of a ping.
    kind = {"resultType": "complete"} if is_stateless else {}
    return response | {"result": kind | result}, HTTPStatus.OK


def _read(message: Any) -> tuple[str | int | None, str, JsonObject]:
    """Return id, method and parameters of a message; no id if it expects no response."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "expected one JSON-RPC 2.0 message")
    if "id" not in message or message.keys() & {"result", "error"}:
        return None, "", {}
    request_id, method = message["id"], message.get("method")
    if not isinstance(request_id, str | int) or isinstance(request_id, bool):
        raise RpcError(INVALID_REQUEST, "id must be a string or an integer")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "method must be a string")
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise RpcError(INVALID_REQUEST, "params must be an object")
    return request_id, method, params


def _is_stateless(headers: Mapping[str, str], params: JsonObject) -> bool:
    version = headers.get(VERSION_HEADER, HANDSHAKE_VERSIONS[0])
    return version not in HANDSHAKE_VERSIONS or VERSION_KEY in _get_envelope(params)


def _get_envelope(params: JsonObject) -> JsonObject:
    envelope = params.get("_meta")
    return envelope if isinstance(envelope, dict) else {}


def _check_envelope(method: str, params: JsonObject, headers: Mapping[str, str]) -> None:
    """Check the protocol members in the body of a request of the newer era, and its headers."""
    envelope = _get_envelope(params)
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in envelope]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}")
    version = envelope[VERSION_KEY]
    expected = {VERSION_HEADER: version, METHOD_HEADER: method}
    if method == "tools/call":
        expected[NAME_HEADER] = params.get("name")
    for header, value in expected.items():
        if headers.get(header) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {header} must equal the body's {value!r}")
    if version not in STATELESS_VERSIONS:
        data = {"supported": list(STATELESS_VERSIONS), "requested": version}
        raise RpcError(UNSUPPORTED_VERSION, "unsupported protocol version", data)


def _get_status(error: RpcError) -> HTTPStatus:
    is_unknown = error.code == METHOD_NOT_FOUND
    return HTTPStatus.NOT_FOUND if is_unknown else HTTPStatus.BAD_REQUEST


def _initialize(params: JsonObject) -> JsonObject:
    wanted = params.get("protocolVersion")
    version = wanted if wanted in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]
    return {
        "protocolVersion": version,
        "capabilities": CAPABILITIES,
        "serverInfo": _get_server(),
        "instructions": INSTRUCTIONS,
    }


def _discover(_params: JsonObject) -> JsonObject:
    return {
        "supportedVersions": list(STATELESS_VERSIONS),
        "capabilities": CAPABILITIES,
        "instructions": INSTRUCTIONS,
        "_meta": {SERVER_KEY: _get_server()},
        **CACHE,
    }


def _get_server() -> JsonObject:
    return {"name": "modelhost", "title": current_app.config["PORTAL_NAME"], "version": VERSION}


def _list_tools(_params: JsonObject) -> JsonObject:
    return {"tools": tools.list_tools(), **CACHE}


def _call_tool(params: JsonObject) -> JsonObject:
    name, arguments = params.get("name"), params.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "expected the name of a tool, and an object of arguments")
    model = tools.find_model(name)
    if model is not None:
        return tools.call_tool(model, arguments)
    if name == tools.EXPLAIN_TOOL:
        return tools.explain_row(arguments)
    raise RpcError(INVALID_PARAMS, f"unknown tool {name!r:.100}")


METHODS: Mapping[str, Callable[[JsonObject], JsonObject]] = {
    "initialize": _initialize,
    "ping": lambda _params: {},
    "server/discover": _discover,
    "tools/call": _call_tool,
    "tools/list": _list_tools,
}
