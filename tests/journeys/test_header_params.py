"""Arguments that travel as headers too, on both sides of the gateway, over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.protocol.headers import MCP_PARAM
from proxy_core.proxy import Proxy
from tests.support.backend_server import (
    DISCOVERED,
    INITIALIZED,
    BackendServer,
    Handler,
    accepts,
    answers,
    refuses,
    rpc_error,
    serving,
)
from tests.support.gateway_process import remote
from tests.support.http_client import Client
from tests.support.wire import connected, tool_names

REGION = {"type": "string", "x-mcp-header": "Region"}
COUNT = {"type": "integer", "x-mcp-header": "Count"}
DONE = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


def lists(*tools: dict[str, Any]) -> Handler:
    return answers({"resultType": "complete", "tools": tools, "ttlMs": 60_000, "cacheScope": "public"})


def modern_server(*tools: dict[str, Any], call: Handler | list[Handler] | None = None) -> dict[str, Any]:
    return {
        "server/discover": answers(DISCOVERED),
        "tools/list": lists(*tools),
        "tools/call": call or answers(DONE),
    }


def legacy_server(*tools: dict[str, Any]) -> dict[str, Any]:
    return {
        "server/discover": refuses(404),
        "initialize": answers(INITIALIZED),
        "notifications/initialized": accepts,
        "tools/list": lists(*tools),
        "tools/call": answers(DONE),
    }


@asynccontextmanager
async def gateway(server: BackendServer) -> AsyncIterator[Proxy]:
    config = Config.model_validate({"proxy": {"port": 0}, "servers": [remote("box", server.url)]})
    proxy = Proxy(LoadedConfig(config))
    async with proxy.started():
        assert await proxy.wait_ready(60)
        yield proxy


@asynccontextmanager
async def in_front_of(
    table: dict[str, Any], era: str = "modern"
) -> AsyncIterator[tuple[BackendServer, Client]]:
    async with (
        serving(table) as server,
        gateway(server) as proxy,
        connected(proxy.snapshot().url, era) as client,
    ):
        yield server, client


async def called(client: Client, arguments: Any, **headers: str | None) -> Any:
    params = {"name": "box__go", "arguments": arguments}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.ask("tools/call", params, headers=named)


def sent(server: BackendServer) -> list[dict[str, str]]:
    """The `Mcp-Param-*` headers of each call that reached the backend."""
    return [
        {name.lower(): value for name, value in seen.headers.items() if name.lower().startswith(MCP_PARAM)}
        for seen in server.of("tools/call")
    ]


@pytest.mark.requirement("H07")
async def test_a_call_carries_its_arguments_as_headers_rebuilt_for_the_backend() -> None:
    async with in_front_of(modern_server(tool("go", where=REGION, count=COUNT))) as (server, client):
        reply = await called(
            client,
            {"where": "größer", "count": 42},
            Mcp_Param_Region="=?base64?Z3LDtsOfZXI=?=",
            Mcp_Param_Count="42.0",
            Mcp_Param_Other="kept out",
        )
        assert (reply.status, reply.json["result"]["content"]) == (200, DONE["content"])
        assert sent(server) == [{"mcp-param-region": "=?base64?Z3LDtsOfZXI=?=", "mcp-param-count": "42"}]
        assert server.of("tools/call")[0].headers["Mcp-Name"] == "go"


@pytest.mark.requirement("H07")
async def test_a_legacy_client_sends_none_and_the_backend_gets_them_all_the_same() -> None:
    async with in_front_of(modern_server(tool("go", where=REGION, count=COUNT)), "legacy") as (server, client):
        body = {"name": "box__go", "arguments": {"where": "us-west1", "count": None}}
        reply = await client.post({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": body})
        assert reply.status == 200
        assert sent(server) == [{"mcp-param-region": "us-west1"}]


@pytest.mark.requirement("H03")
@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        pytest.param({"where": "us-west1"}, {}, id="missing"),
        pytest.param({"where": None}, {"Mcp_Param_Region": "us-west1"}, id="argument-null"),
        pytest.param({}, {"Mcp_Param_Region": "us-west1"}, id="argument-absent"),
        pytest.param({"where": "us-west1"}, {"mcp_param_region": "us-west2"}, id="different"),
        pytest.param({"count": 42}, {"Mcp_Param_Count": "4.2e1"}, id="scientific"),
        pytest.param({"where": "Hello"}, {"Mcp_Param_Region": "=?base64?SGVsbG8?="}, id="bad-padding"),
        pytest.param({"where": "Hello"}, {"Mcp_Param_Region": "=?base64?SGVs!G8=?="}, id="bad-alphabet"),
    ],
)
@pytest.mark.parametrize("table", [modern_server, legacy_server])
async def test_headers_that_do_not_say_what_the_arguments_say_are_refused(
    table: Any, arguments: Any, headers: dict[str, str]
) -> None:
    """Whatever the backend: who routes by the header must not be led astray on its way to us."""
    async with in_front_of(table(tool("go", where=REGION, count=COUNT))) as (server, client):
        reply = await called(client, arguments, **headers)
        assert (reply.status, reply.error_code) == (400, -32020)
        assert reply.json["id"] == 1
        assert server.of("tools/call") == []


@pytest.mark.requirement("H04")
async def test_an_integer_may_be_written_with_a_fraction_of_zero() -> None:
    async with in_front_of(legacy_server(tool("go", count=COUNT))) as (server, client):
        assert (await called(client, {"count": 42}, Mcp_Param_Count="42.0")).status == 200
        assert sent(server) == [{}], "a legacy server knows nothing of them"


BAD = tool("bad", score={"type": "number", "x-mcp-header": "Score"}, where=REGION)


@pytest.mark.requirement("H05")
async def test_a_tool_with_an_invalid_annotation_is_left_out_and_the_others_stay() -> None:
    async with in_front_of(modern_server(BAD, tool("go", where=REGION))) as (server, client):
        assert await tool_names(client) == {"box__go"}
        reply = await client.ask("tools/call", {"name": "box__bad", "arguments": {}})
        assert (reply.status, reply.error_code) == (400, -32602)
        assert server.of("tools/call") == []


@pytest.mark.requirement("H06")
async def test_of_a_legacy_server_the_annotation_alone_is_left_out() -> None:
    async with in_front_of(legacy_server(BAD, tool("go", where=REGION))) as (_, client):
        reply = await client.ask("tools/list")
        bad = next(each for each in reply.json["result"]["tools"] if each["name"] == "box__bad")
        assert bad["inputSchema"]["properties"] == {"score": {"type": "number"}, "where": REGION}


@pytest.mark.requirement("H08")
async def test_a_backend_whose_schema_changed_is_read_again_and_asked_once_more() -> None:
    table = modern_server(call=[rpc_error(-32020, 400), answers(DONE)])
    table["tools/list"] = [lists(tool("go", where={"type": "string"})), lists(tool("go", where=REGION))]
    async with in_front_of(table) as (server, client):
        reply = await called(client, {"where": "us-west1"})
        assert reply.status == 200
        assert sent(server) == [{}, {"mcp-param-region": "us-west1"}]


@pytest.mark.requirement("H08")
async def test_a_backend_that_refuses_the_headers_again_is_at_fault() -> None:
    async with in_front_of(modern_server(tool("go"), call=rpc_error(-32020, 400))) as (server, client):
        reply = await called(client, {})
        assert (reply.status, reply.error_code) == (200, -32603)
        assert len(server.of("tools/call")) == 2
        assert len(server.of("tools/list")) == 2
