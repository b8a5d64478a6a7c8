"""The real client of the Model Context Protocol against a server with two workers."""

import anyio
import pytest

from tests.new_keys import NewKey
from tests.running_server import PATIENCE, serving

MODELS = """models:
  - class: examples.iris.IrisModel
  - class: tests.models.simple.Household
"""
IRIS = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
KEY = NewKey()
ERAS = ("legacy", "2026-07-28")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    settings = {"MODELHOST_KEYS": f"[{KEY}]"}
    with serving(
        "granian", tmp_path_factory.mktemp("mcp"), MODELS, WORKERS=2, **settings
    ) as server:
        yield server


def use(running, era, actions, headers=KEY.headers):
    """Return the result of a function of a connected client."""
    # Each process of pytest imports this module, and the client takes seconds.
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async def connect():
        url = f"http://127.0.0.1:{running.port}/mcp"
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=era) as client:
                return await actions(client)

    return anyio.run(connect)


@pytest.mark.parametrize("era", ["auto", *ERAS])
def test_client_calls_models(running, era):
    async def actions(client):
        tools = (await client.list_tools()).tools
        iris = await client.call_tool("iris", IRIS)
        people = {"head": {"name": "A", "age": 3}, "home": "flat"}
        return tools, iris, await client.call_tool("household", people)

    tools, iris, household = use(running, era, actions)

    assert [tool.name for tool in tools] == ["iris", "household", "explain_prediction"]
    assert tools[0].input_schema["properties"]["sepal_length"]["title"] == "Sepal length"
    assert tools[0].annotations.read_only_hint
    assert iris.structured_content["species"] == "setosa"
    assert household.structured_content == {"prediction": 1}


@pytest.mark.parametrize("era", ERAS)
def test_violations_reach_the_client(running, era):
    result = use(running, era, lambda client: client.call_tool("iris", {"sepal_length": "long"}))

    assert result.is_error
    lines = result.content[0].text.splitlines()
    assert len(lines) == 4
    assert "/petal_width: is required" in lines
    assert any(line.startswith("/sepal_length: must be a number") for line in lines)


@pytest.mark.parametrize("era", ERAS)
def test_unknown_tool_is_a_protocol_error(running, era):
    from mcp import MCPError

    async def actions(client):
        with pytest.raises(MCPError, match="unknown tool 'nothing'"):
            await client.call_tool("nothing", {})

    use(running, era, actions)


def test_many_calls_meet_both_workers(running):
    async def actions(client):
        async def call():
            results.append(await client.call_tool("iris", IRIS))

        results = []
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(call)
        return results

    results = use(running, "2026-07-28", actions)

    assert [result.is_error for result in results] == [False] * 20


def test_client_without_key_is_unauthorized(running):
    status, problem = running.ask("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert (status, problem["title"]) == (401, "API key required")
