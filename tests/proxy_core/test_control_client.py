"""The client of a running gateway, against small real HTTP servers that answer as one would, or do not."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy_core import control_client
from proxy_core.control_client import GatewayClient, GatewayUnreachable, TokenRefused
from proxy_core.errors import BackendError
from proxy_core.telemetry.snapshot import NamedItem

Reply = dict[str, Any] | bytes | Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
OURS = {"_meta": {"io.modelcontextprotocol/serverInfo": {"name": "only1mcp", "version": "1"}}}


class Peer:
    """Answers each method with what `replies` has for it."""

    def __init__(self) -> None:
        self.url = ""
        self.replies: dict[str, list[Reply]] = {"server/discover": [OURS]}
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.text())
        self.requests.append(message)
        self.headers.append({key.lower(): value for key, value in request.headers.items()})
        replies = self.replies.get(message["method"], [{}])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply):
            return await reply(request, message)
        if isinstance(reply, bytes):
            return web.Response(body=reply)
        member = {"error": reply["error"]} if "error" in reply else {"result": reply}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], **member})


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    app = web.Application()
    app.router.add_post("/mcp", peer.handle)
    async with TestServer(app) as server:
        peer.url = str(server.make_url("/mcp"))
        yield peer


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[GatewayClient]:
    async with GatewayClient(peer.url) as client:
        yield client


async def test_our_gateway_is_known_by_its_discovery(client: GatewayClient, peer: Peer):
    await client.check()
    (request,) = peer.requests
    meta = request["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}
    assert peer.headers[0]["mcp-protocol-version"] == "2026-07-28"
    assert peer.headers[0]["mcp-method"] == "server/discover"
    assert "mcp-name" not in peer.headers[0]


@pytest.mark.parametrize(
    "reply",
    [
        {"_meta": {"io.modelcontextprotocol/serverInfo": {"name": "other"}}},
        {"_meta": 7},
        {},
        {"error": {"code": -32601, "message": "no"}},
        b"<html>",
        b"",
        b"[]",
        b'{"jsonrpc":"2.0","method":"x"}',
        b'{"jsonrpc":"2.0","id":99,"result":{}}',
    ],
)
async def test_anything_else_is_no_gateway(client: GatewayClient, peer: Peer, reply: Reply):
    peer.replies["server/discover"] = [reply]
    with pytest.raises(GatewayUnreachable, match="No gateway at http"):
        await client.check()


async def test_a_port_that_nobody_listens_on_is_no_gateway():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with GatewayClient(f"http://127.0.0.1:{free.getsockname()[1]}/mcp") as client:
            with pytest.raises(GatewayUnreachable, match="nothing answers there"):
                await client.check()


async def test_a_url_that_is_none_is_no_gateway():
    async with GatewayClient("http://") as client:
        with pytest.raises(GatewayUnreachable):
            await client.check()


async def test_a_redirect_is_not_followed(client: GatewayClient, peer: Peer):
    async def elsewhere(_request: web.Request, _message: dict[str, Any]) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")

    peer.replies["server/discover"] = [elsewhere]
    with pytest.raises(GatewayUnreachable, match="does not speak MCP"):
        await client.check()


async def test_every_page_of_every_list_is_read(client: GatewayClient, peer: Peer):
    origin = {"dev.only1mcp/origin": {"backend": "aa", "name": "one"}}
    tool = {
        "name": "aa__one",
        "title": "One",
        "description": "The first",
        "inputSchema": {"type": "object", "properties": {"x": {}, "y": {}}, "required": ["y"]},
        "_meta": origin,
    }
    partial = {"dev.only1mcp/partial": ["bb"]}
    peer.replies["tools/list"] = [
        {"tools": [tool], "nextCursor": ""},
        {"tools": [{"name": "two", "annotations": {"readOnlyHint": True}}], "_meta": partial},
    ]
    peer.replies["resources/list"] = [{"resources": [{"uri": "file:///a", "name": "a"}]}]
    peer.replies["resources/templates/list"] = [{"resourceTemplates": [{"uriTemplate": "file:///{x}"}]}]
    peer.replies["prompts/list"] = [
        {"prompts": [{"name": "p", "arguments": [{"name": "q", "required": True}]}]}
    ]
    items, missing = await client.listing()
    assert items == (
        NamedItem("tool", "aa__one", "one", "aa", "One", "The first", (("x", False), ("y", True))),
        NamedItem("tool", "two", "two", "", read_only=True),
        NamedItem("resource", "file:///a", "file:///a", ""),
        NamedItem("template", "file:///{x}", "file:///{x}", ""),
        NamedItem("prompt", "p", "p", "", arguments=(("q", True),)),
    )
    assert missing == ("bb",)
    cursors = [one["params"].get("cursor") for one in peer.requests if one["method"] == "tools/list"]
    assert cursors == [None, ""]


@pytest.mark.parametrize(
    "tools",
    [7, None, [7, None], [{}], [{"name": 7, "inputSchema": [], "_meta": {"dev.only1mcp/origin": 7}}]],
)
async def test_a_malformed_list_is_read_as_far_as_it_goes(client: GatewayClient, peer: Peer, tools: object):
    peer.replies["tools/list"] = [{"tools": tools, "_meta": {"dev.only1mcp/partial": 7}}]
    items, missing = await client.listing()
    assert all(item.kind == "tool" for item in items)
    assert missing == ()


async def test_a_list_without_end_is_given_up(
    client: GatewayClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_client, "MAX_PAGES", 3)
    peer.replies["tools/list"] = [{"tools": [], "nextCursor": "again"}]
    await client.listing()
    assert [one["method"] for one in peer.requests].count("tools/list") == 3


async def test_a_call_carries_name_and_arguments_and_returns_the_result_as_it_is(
    client: GatewayClient, peer: Peer
):
    result = {"content": [{"type": "text", "text": "é"}], "isError": True, "structuredContent": [1]}
    peer.replies["tools/call"] = [result]
    assert await client.call("aa__é", {"x": 1}) == result
    assert peer.requests[0]["params"]["arguments"] == {"x": 1}
    assert peer.headers[0]["mcp-name"].startswith("=?base64?")


async def test_an_error_answer_is_raised_with_its_code_and_message(client: GatewayClient, peer: Peer):
    peer.replies["tools/call"] = [{"error": {"code": -32602, "message": "Unknown tool", "data": {"a": 1}}}]
    with pytest.raises(BackendError, match="Unknown tool") as caught:
        await client.call("nope", {})
    assert (caught.value.code, caught.value.raw_data) == (-32602, b'{"a": 1}')


async def test_a_stream_is_read_up_to_its_result(client: GatewayClient, peer: Peer):
    async def stream(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": ping\r\n\r\ndata: \r\n\r\n")
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
        await response.write(f"data: {json.dumps(note)}\n\n".encode())
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}
        await response.write(f"data: {json.dumps(answer)}\n\n".encode())
        return response

    peer.replies["tools/call"] = [stream]
    assert await client.call("x", {}) == {"content": []}


async def test_an_answer_beyond_the_bound_is_refused(
    client: GatewayClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_client, "MAX_ANSWER_BYTES", 1000)
    peer.replies["tools/call"] = [{"content": "x" * 2000}]
    with pytest.raises(GatewayUnreachable, match="does not speak MCP"):
        await client.call("x", {})


async def test_a_gateway_that_stays_silent_is_given_up(
    client: GatewayClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
):
    async def silent(_request: web.Request, _message: dict[str, Any]) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(control_client, "CHECK_S", 0.05)
    peer.replies["server/discover"] = [silent]
    with pytest.raises(GatewayUnreachable, match="does not answer in time"):
        await client.check()


# --- a gateway that wants a token -----------------------------------------------------------------------------


async def refusing(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({}, status=401, headers={"WWW-Authenticate": "Bearer"})


async def test_a_token_is_sent_with_everything_and_none_is_made_up(peer: Peer, client: GatewayClient):
    await client.check()
    async with GatewayClient(peer.url, "o1_secret") as known:
        await known.check()
        await known.call("a__b", {})
    assert [headers.get("authorization") for headers in peer.headers] == [None, *["Bearer o1_secret"] * 2]


@pytest.mark.parametrize(("token", "words"), [(None, "wants a token"), ("canary", "does not know the token")])
async def test_a_refusal_says_where_the_token_belongs_and_never_shows_it(
    peer: Peer, token: str | None, words: str
):
    peer.replies["server/discover"] = [refusing]
    async with GatewayClient(peer.url, token) as client:
        with pytest.raises(TokenRefused, match="ONLY1MCP_TOKEN") as refused:
            await client.check()
    assert words in refused.value.message
    assert "canary" not in refused.value.message
