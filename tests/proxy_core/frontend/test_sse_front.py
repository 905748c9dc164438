"""HTTP+SSE over real sockets: one stream a session, and POSTs whose answers come on it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from proxy_core.config.models import Config, LimitsConfig, ProxyConfig, TokenConfig
from proxy_core.errors import ClientSilent
from proxy_core.frontend.frontend import Frontend
from proxy_core.protocol import jsonrpc
from tests.support.http_client import SOON_S, Client, Reply, Stream, request
from tests.support.scripted_gateway import LEGACY_RESULT, ScriptedGateway

pytestmark = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)

JSON = {"Content-Type": "application/json"}
CALL = request("tools/call", {"name": "a__b"}, id=7)
PROGRESS = jsonrpc.notification("notifications/progress", b'{"progressToken":1,"progress":1}')


class SseClient:
    """A client of the old transport; `headers` go with everything it sends."""

    def __init__(self, http: aiohttp.ClientSession, url: str, **headers: str) -> None:
        self._client = Client(http, url)
        self._origin = url.removesuffix("/mcp")
        self._headers = headers
        self.uri = ""

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Stream]:
        """The session, with its `endpoint` event read."""
        sse = Client(self._client.http, self._origin + "/sse")
        accepting = {"Accept": "text/event-stream"}
        async with sse.stream("GET", headers=self._headers | accepting) as stream:
            first = await stream.event()
            assert first["event"] == "endpoint"
            self.uri = first["data"]
            yield stream

    async def post(self, body: Any, uri: str | None = None, **headers: str) -> Reply:
        url = self._origin + (self.uri if uri is None else uri)
        return await self._client.send("POST", body, url=url, headers=self._headers | JSON | headers)

    async def initialize(self, stream: Stream, version: str = "2024-11-05", **capabilities: Any) -> Any:
        params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "old"}}
        assert (await self.post(request("initialize", params, id=0))).status == 202
        return await stream.next()


@pytest.fixture
async def frontend(serving: Any) -> AsyncIterator[Frontend]:
    async with serving(legacy_sse=True) as frontend:
        yield frontend


@pytest.fixture
def sse(http: aiohttp.ClientSession, frontend: Frontend) -> SseClient:
    return SseClient(http, frontend.url)


@pytest.mark.requirement("L13")
async def test_the_stream_says_first_where_to_post_and_then_has_the_answers(
    sse: SseClient, gateway: ScriptedGateway
):
    async with sse.stream() as stream:
        assert sse.uri.startswith("/messages?session_id=")
        assert len(sse.uri.partition("=")[2]) * 4 >= 128
        answer = await sse.initialize(stream)
        assert (answer["id"], answer["result"]["protocolVersion"]) == (0, "2024-11-05")
        reply = await sse.post(CALL)
        assert (reply.status, reply.body) == (202, b"")
        event = await stream.event()
        assert event["event"] == "message"
        assert "id" not in event
        assert json.loads(event["data"]) == {"jsonrpc": "2.0", "id": 7, "result": {"content": []}}


@pytest.mark.requirement("L13")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?session_id=", 400),
        ("?session=x", 400),
        ("?session_id=a&session_id=b", 400),
        ("?session_id=" + "0" * 32, 404),
        ("?x=1&session_id=unknown", 404),
        ("?session_id=%00", 404),
    ],
)
async def test_a_post_names_a_session_that_lives(sse: SseClient, query: str, status: int):
    reply = await sse.post(CALL, "/messages" + query)
    assert (reply.status, reply.error_code) == (status, -32600)


@pytest.mark.requirement("L13")
async def test_a_session_ends_with_its_stream_and_its_calls_with_it(
    sse: SseClient, gateway: ScriptedGateway, frontend: Frontend
):
    gateway.held = {"tools/call"}
    async with sse.stream() as stream:
        await sse.initialize(stream)
        await sse.post(CALL)
        call = await gateway.next_call()
        assert (frontend.session_count, frontend.stream_count, frontend.in_flight) == (1, 1, 1)
        stream.response.close()
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    while frontend.session_count:
        await asyncio.sleep(0)
    assert (frontend.stream_count, frontend.in_flight, len(gateway.hub)) == (0, 0, 0)
    assert gateway.ended == [call.exchange.caller]
    assert (await sse.post(CALL)).status == 404


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("2099-01-01", "2025-11-25")],
)
async def test_the_handshake_agrees_on_a_revision_and_on_what_the_client_can(
    sse: SseClient, gateway: ScriptedGateway, asked: str, agreed: str
):
    async with sse.stream() as stream:
        answer = await sse.initialize(stream, asked, roots={})
        assert answer["result"]["protocolVersion"] == agreed
        await sse.post(CALL)
        await stream.next()
        caller = gateway.exchanges[0].caller
        assert (caller.revision, caller.client) == (agreed, "old")
        assert caller.capabilities.features == {"roots"}


async def test_before_the_handshake_only_ping_is_served_and_there_is_no_second(sse: SseClient):
    async with sse.stream() as stream:
        await sse.post(CALL)
        assert (await stream.next())["error"]["code"] == -32600
        await sse.post(request("ping", id="p"))
        assert (await stream.next()) == {"jsonrpc": "2.0", "id": "p", "result": {}}
        assert "result" in await sse.initialize(stream)
        assert (await sse.initialize(stream))["error"]["code"] == -32600


@pytest.mark.requirement("L13")
async def test_notifications_questions_and_answers_share_the_stream(sse: SseClient, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    async with sse.stream() as stream:
        # Nothing is told unasked before the handshake.
        gateway.hub.changed("tools")
        await gateway.hub.settled()
        await sse.initialize(stream)
        await sse.post(CALL)
        call = await gateway.next_call()
        call.notify(PROGRESS)
        assert (await stream.next())["method"] == "notifications/progress"
        outlet, own = call.exchange.outlet, call.exchange.caller.stream
        assert own is not None
        for line in (outlet, own):
            question = asyncio.ensure_future(line.request("roots/list", b"{}", timeout_s=SOON_S))
            sent = await stream.next()
            reply = await sse.post({"jsonrpc": "2.0", "id": sent["id"], "result": {"roots": []}})
            assert reply.status == 202
            assert bytes(await question) == b'{"roots": []}'
        gateway.hub.changed("prompts")
        assert (await stream.next())["method"] == "notifications/prompts/list_changed"
        await sse.post({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
        assert gateway.notifications[-1][1] == "notifications/roots/list_changed"
        question = asyncio.ensure_future(outlet.request("roots/list", b"{}", timeout_s=SOON_S))
        await stream.next()
        stream.response.close()
        with pytest.raises(ClientSilent):
            await question


async def test_a_cancelled_call_has_no_answer_and_a_second_of_one_id_is_refused(
    sse: SseClient, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    async with sse.stream() as stream:
        await sse.initialize(stream)
        await sse.post(CALL)
        call = await gateway.next_call()
        await sse.post(CALL)
        assert (await stream.next())["error"]["code"] == -32600
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
        await sse.post(cancel)
        await asyncio.wait_for(call.cancelled.wait(), SOON_S)
        await sse.post(request("ping", id="next"))
        assert (await stream.next())["id"] == "next"


@pytest.mark.parametrize(
    ("body", "code"), [(b"{nonsense", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0","id":1.5}', -32600)]
)
async def test_what_is_no_message_is_refused_at_once(sse: SseClient, body: bytes, code: int):
    async with sse.stream() as stream:
        await sse.initialize(stream)
        reply = await sse.post(body)
        assert (reply.status, reply.error_code, reply.json["id"]) == (400, code, None)


@pytest.mark.requirement("W04")
async def test_a_batch_is_split_where_its_revision_has_them(sse: SseClient, gateway: ScriptedGateway):
    async with sse.stream() as stream:
        batch = [request("ping", id=1), 2, request("initialize", id=3)]
        assert (await sse.post(batch)).status == 400
        await sse.initialize(stream, "2025-03-26")
        assert (await sse.post(batch)).status == 202
        answers = [await stream.next() for _ in range(3)]
        assert {a["id"]: a.get("error", {}).get("code") for a in answers} == {1: None, None: -32600, 3: -32600}


# --- who may, and when


@pytest.mark.requirement("L13")
async def test_off_it_is_not_there(serving: Any, http: Any):
    async with serving() as frontend:
        client = Client(http, frontend.url.removesuffix("/mcp"))
        for method, path in (("GET", "/sse"), ("POST", "/messages"), ("OPTIONS", "/sse")):
            assert (await client.send(method, url=client.url + path)).status == 404
        frontend.use(Config(proxy=ProxyConfig(legacy_sse=True)))
        async with SseClient(http, frontend.url).stream():
            assert frontend.session_count == 1


@pytest.mark.requirement("A05")
@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)]
)
async def test_strangers_are_refused_on_both_paths(sse: SseClient, headers: dict[str, str], status: int):
    assert (await sse.post(CALL, "/messages?session_id=x", **headers)).status == status
    client = sse._client
    url = client.url.replace("/mcp", "/sse")
    assert (await client.send("GET", url=url, headers=headers)).status == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/sse", JSON, 405),
        ("GET", "/messages", {}, 405),
        ("DELETE", "/messages", {}, 405),
        ("GET", "/sse", {"Accept": "application/json"}, 406),
        ("POST", "/messages", {"Content-Type": "text/plain"}, 415),
        ("GET", "/sse/", {}, 404),
    ],
)
async def test_each_path_has_its_method_and_form(
    client: Client, method: str, path: str, headers: dict[str, str], status: int
):
    url = client.url.replace("/mcp", path)
    assert (await client.send(method, url=url, headers=headers)).status == status


async def test_a_body_beyond_the_limit_is_refused(serving: Any, http: Any):
    async with serving(legacy_sse=True, max_body_bytes=1024) as frontend:
        sse = SseClient(http, frontend.url)
        async with sse.stream():
            assert (await sse.post(CALL | {"x": "y" * 2000})).status == 413


@pytest.mark.requirement("L13")
@pytest.mark.requirement("L04")
async def test_anothers_session_is_as_good_as_none(serving: Any, http: Any):
    tokens = [(name, f"o1_{name}-canary-0123456789") for name in ("ann", "bob")]
    known = tuple(TokenConfig(name=n, sha256=hashlib.sha256(t.encode()).hexdigest()) for n, t in tokens)
    async with serving(legacy_sse=True, tokens=known) as frontend:
        ann, bob = (SseClient(http, frontend.url, Authorization=f"Bearer {token}") for _, token in tokens)
        assert (await SseClient(http, frontend.url).post(CALL, "/messages?session_id=x")).status == 401
        async with ann.stream() as stream:
            await ann.initialize(stream)
            theirs, nobodys = await bob.post(CALL, ann.uri), await bob.post(CALL, "/messages?session_id=00")
            assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body) == (404, theirs.body)
            assert (await ann.post(request("ping"))).status == 202
            assert (await stream.next())["result"] == {}


async def test_a_session_of_one_transport_is_none_of_the_other(sse: SseClient, client: Client):
    await client.initialize()
    assert (await sse.post(CALL, f"/messages?session_id={client.session_id}")).status == 404
    async with sse.stream():
        session_id = sse.uri.partition("=")[2]
        assert (await client.post(CALL, mcp_session_id=session_id)).status == 404


async def test_sessions_of_both_transports_share_one_limit(serving: Any, http: Any):
    async with serving(legacy_sse=True, limits=LimitsConfig(sessions=2)) as frontend:
        client = Client(http, frontend.url)
        await client.initialize()
        one, two = SseClient(http, frontend.url), SseClient(http, frontend.url)
        async with one.stream(), two.stream():
            assert frontend.session_count == 2
            assert (await client.post(request("ping"))).status == 404
            assert (await client.initialize()).status == 503
            url = frontend.url.replace("/mcp", "/sse")
            assert (await client.send("GET", url=url)).status == 503


async def test_a_stop_lets_calls_answer_and_then_ends_the_stream(
    sse: SseClient, gateway: ScriptedGateway, frontend: Frontend
):
    gateway.held = {"tools/call"}
    async with sse.stream() as stream:
        await sse.initialize(stream)
        await sse.post(CALL)
        call = await gateway.next_call()
        await frontend.stop_listening()
        await frontend.end_streams()
        call.answer(LEGACY_RESULT)
        assert (await stream.next())["result"] == {"content": []}
        await asyncio.wait_for(frontend.aclose(), SOON_S)
        assert await stream.rest() == b""
