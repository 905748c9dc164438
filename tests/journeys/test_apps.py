"""Pages of MCP Apps through the gateway: found, read and calling back, from servers over real HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from tests.support.backend_server import DISCOVERED, BackendServer, Seen, answers, serving
from tests.support.gateway_process import remote
from tests.support.http_client import ENVELOPE, META, Client
from tests.support.wire import ask, call, connected

UI = META + "ui"
PAGE = "ui://clock/face"
MIME = "text/html;profile=mcp-app"
CSP = {"ui": {"csp": {"connectDomains": ["https://clock.example"]}}}
SHOWN = {"ui": {"resourceUri": PAGE, "visibility": ["model", "app"]}}
SETTINGS = {"mimeTypes": [MIME]}


async def calls(seen: Seen) -> web.StreamResponse:
    ran = {"type": "text", "text": f"{seen.message['params']['name']} ran"}
    return await answers({"resultType": "complete", "content": [ran]})(seen)


def clock(*tools: str) -> dict[str, Any]:
    """A server with a page that shows what its first tool answers."""
    capabilities = {"tools": {}, "resources": {}, "extensions": {UI: SETTINGS}}
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in tools]
    listed[0]["_meta"] = SHOWN
    page = {"uri": PAGE, "name": "face", "mimeType": MIME}
    cached = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "public"}
    contents = {"uri": PAGE, "mimeType": MIME, "text": "<html>", "_meta": CSP}
    return {
        "server/discover": answers(DISCOVERED | {"capabilities": capabilities}),
        "tools/list": answers(cached | {"tools": listed}),
        "tools/call": calls,
        "resources/list": answers(cached | {"resources": [page]}),
        "resources/templates/list": answers(cached | {"resourceTemplates": []}),
        "resources/read": answers(cached | {"contents": [contents]}),
    }


@pytest.fixture
async def servers() -> AsyncIterator[list[BackendServer]]:
    """Two that have the same page; a tool `tick` is the first one's alone."""
    async with serving(clock("show", "tick")) as one, serving(clock("show")) as two:
        yield [one, two]


@pytest.fixture
async def url(servers: list[BackendServer]) -> AsyncIterator[str]:
    listed = [remote(name, server.url) for name, server in zip(("one", "two"), servers, strict=True)]
    proxy = Proxy(LoadedConfig(Config.model_validate({"proxy": {"port": 0}, "servers": listed})))
    async with proxy.started():
        assert await proxy.wait_ready(60)
        yield proxy.snapshot().url


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with connected(url) as client:
        yield client


@pytest.mark.requirement("N12")
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_page_is_read_under_the_name_that_its_tool_gives_with_all_that_a_host_must_know(
    url: str, era: str
):
    async with connected(url, era) as client:
        tools = {each["name"]: each for each in (await ask(client, "tools/list"))["result"]["tools"]}
        pages = {}
        for server in ("one", "two"):
            shown = tools[f"{server}__show"]["_meta"]["ui"]
            assert shown["visibility"] == SHOWN["ui"]["visibility"]
            pages[server] = shown["resourceUri"]
        assert pages == {"one": PAGE, "two": "ui://two.clock/face"}, "an alias only where it is needed"
        for uri in pages.values():
            (contents,) = (await ask(client, "resources/read", {"uri": uri}))["result"]["contents"]
            assert contents == {"uri": uri, "mimeType": MIME, "text": "<html>", "_meta": CSP}


@pytest.mark.requirement("N12")
async def test_a_page_calls_its_servers_tool_by_the_name_that_it_knows(client: Client):
    assert (await call(client, "tick"))["result"]["content"][0]["text"] == "tick ran"
    assert (await call(client, "show"))["error"]["code"] == -32602, "two servers have it"


@pytest.mark.requirement("N12")
async def test_what_the_host_can_show_is_told_to_the_servers_and_the_other_way_round(
    client: Client, servers: list[BackendServer]
):
    offered = (await ask(client, "server/discover"))["result"]["capabilities"]["extensions"]
    assert offered == {UI: SETTINGS}
    shows = {"extensions": {UI: {"mimeTypes": ["text/html"]}, "example.com/other": {}}}
    await client.ask("tools/call", {"name": "one__show"}, meta=ENVELOPE | {META + "clientCapabilities": shows})
    declared = servers[0].of("tools/call")[-1].message["params"]["_meta"][META + "clientCapabilities"]
    assert declared == {"extensions": {UI: {"mimeTypes": ["text/html"]}}}
