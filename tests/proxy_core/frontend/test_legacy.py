"""The legacy era over real sockets: sessions, their streams, and calls that outlive a connection."""

import asyncio
import gc
import re
from contextlib import AsyncExitStack
from typing import Any

import psutil
import pytest

from proxy_core.config.models import LimitsConfig
from proxy_core.errors import BackendUnavailable, InvalidParams, MethodNotFound, UnknownResource
from proxy_core.facts import Fact, SessionsChanged
from proxy_core.frontend.sessions import Session
from proxy_core.protocol import jsonrpc
from tests.support.http_client import (
    LATEST_LEGACY,
    MODERN,
    POST_HEADERS,
    SOON_S,
    Client,
    request,
)
from tests.support.scripted_gateway import LEGACY_RESULT, ScriptedGateway

pytestmark = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)

PROGRESS = jsonrpc.notification("notifications/progress", b'{"progressToken":1,"progress":1}')
CALL = request("tools/call", {"name": "a__b"})
CANCEL = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}


@pytest.fixture
async def session(client: Client) -> Client:
    """A client that has shaken hands."""
    await client.initialize()
    return client


@pytest.mark.requirement("L01")
@pytest.mark.parametrize(
    ("asked", "answered"),
    [(v, v) for v in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")]
    + [("2099-01-01", LATEST_LEGACY), (MODERN, LATEST_LEGACY), ("", LATEST_LEGACY)],
)
async def test_the_handshake_agrees_on_a_legacy_revision(client: Client, asked: str, answered: str):
    reply = await client.initialize(asked)
    assert reply.status == 200
    assert reply.json["result"]["protocolVersion"] == answered


@pytest.mark.requirement("L02")
async def test_a_session_id_is_long_random_and_visible(client: Client):
    ids = {(await client.initialize()).headers["Mcp-Session-Id"] for _ in range(20)}
    assert len(ids) == 20
    # 22 letters of a 64-letter alphabet hold 128 bits.
    assert all(re.fullmatch(r"[\x21-\x7e]{22,}", session_id) for session_id in ids)


async def test_the_caller_of_a_session_is_the_one_who_shook_hands(session: Client, gateway: ScriptedGateway):
    await session.post(request("tools/list", id=1))
    await session.post(request("tools/list", id=2))
    first, second = (exchange.caller for exchange in gateway.exchanges)
    assert first is second
    assert (first.revision, first.client) == (LATEST_LEGACY, "test")


async def test_a_session_knows_what_its_client_can_do_and_is_named_inside_by_another_name(
    client: Client, gateway: ScriptedGateway
):
    await client.initialize("2025-06-18", {"roots": {"listChanged": True}, "elicitation": {}, "x": 1})
    await client.post(request("tools/list"))
    caller = gateway.exchanges[0].caller
    assert caller.capabilities.features == {"roots", "elicitation.form"}
    assert caller.capabilities.announces_roots
    assert caller.session not in (None, "", client.session_id)


async def test_what_a_client_tells_reaches_the_gateway_and_so_does_the_end_of_its_session(
    session: Client, gateway: ScriptedGateway
):
    told = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed", "params": {"x": 1}}
    await session.post(told)
    await session.post(CANCEL)
    [(caller, method, params)] = gateway.notifications
    assert (method, params) == (told["method"], b'{"x": 1}')
    assert gateway.ended == []
    await session.send("DELETE", headers=session.legacy_headers())
    assert gateway.ended == [caller]


@pytest.mark.requirement("L03")
async def test_a_request_needs_a_session_that_lives(session: Client):
    missing = await session.post(CALL, mcp_session_id=None)
    unknown = await session.post(CALL, mcp_session_id="x" * 32)
    assert (missing.status, missing.error_code, missing.json["id"]) == (400, -32600, 1)
    assert (unknown.status, unknown.json["id"]) == (404, 1)
    assert (await session.post(CALL)).status == 200
    assert (await session.send("DELETE", headers=session.legacy_headers())).status == 200
    assert (await session.post(CALL)).status == 404
    assert (await session.send("DELETE", headers=session.legacy_headers())).status == 404
    assert (await session.send("DELETE", headers=session.legacy_headers(mcp_session_id=None))).status == 400


@pytest.mark.requirement("L05")
@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/roots/list_changed", "params": {}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {}}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {"jsonrpc": "2.0", "id": 3, "result": {}},
        {"jsonrpc": "2.0", "id": 3, "error": {"code": 1, "message": "no"}},
    ],
)
async def test_a_notification_or_a_response_is_accepted_without_a_body(session: Client, message: Any):
    reply = await session.post(message)
    assert (reply.status, reply.body) == (202, b"")
    assert (await session.post(message, mcp_session_id=None)).status == 400


@pytest.mark.requirement("W02")
async def test_what_is_no_json_names_no_id_to_the_latest_revision(session: Client):
    reply = await session.post(b"{nonsense")
    assert reply.status == 400
    assert "id" not in reply.json


@pytest.mark.requirement("W03")
async def test_an_array_on_a_session_is_refused(session: Client):
    reply = await session.post([request("ping", id=1), request("ping", id=2)])
    assert (reply.status, reply.error_code) == (400, -32600)


@pytest.mark.requirement("L12")
@pytest.mark.parametrize("version", ["1999-01-01", "2099-01-01", "nonsense"])
async def test_a_version_that_is_not_served_is_refused_on_a_session(session: Client, version: str):
    assert (await session.post(CALL, mcp_protocol_version=version)).status == 400
    headers = session.legacy_headers(mcp_protocol_version=version)
    assert (await session.send("GET", headers=headers)).status == 400
    assert (await session.send("DELETE", headers=headers)).status == 400
    assert (await session.post(CALL, mcp_protocol_version=None)).status == 200


@pytest.mark.requirement("L15")
async def test_ping_is_answered_before_the_client_says_that_it_is_ready(session: Client):
    reply = await session.post(request("ping", id="p"))
    assert (reply.status, reply.json) == (200, {"jsonrpc": "2.0", "id": "p", "result": {}})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidParams("Unknown tool"), -32602),
        (MethodNotFound("No"), -32601),
        (UnknownResource("file:///a"), -32002),
        (BackendUnavailable("gh", "Not connected."), -32603),
    ],
)
async def test_the_error_of_a_handler_travels_with_200(
    session: Client, gateway: ScriptedGateway, error: Exception, code: int
):
    gateway.scripts["tools/call"] = error
    reply = await session.post(CALL)
    assert (reply.status, reply.error_code, reply.json["id"]) == (200, code, 1)


async def test_a_second_request_with_an_id_in_flight_is_refused(session: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(session.post(CALL))
    call = await gateway.next_call()
    second = await session.post(CALL)
    assert (second.status, second.error_code, second.json["id"]) == (400, -32600, 1)
    # The type of an id is part of it.
    gateway.held = set()
    assert (await session.post(CALL | {"id": "1"})).status == 200
    call.answer(LEGACY_RESULT)
    assert (await asked).status == 200
    assert (await session.post(CALL)).status == 200


@pytest.mark.requirement("L10")
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_client_that_hangs_up_has_not_cancelled(
    session: Client, gateway: ScriptedGateway, frontend: Any, is_streaming: bool
):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(session.post(CALL))
    call = await gateway.next_call()
    if is_streaming:
        call.notify(PROGRESS)
    asked.cancel()
    await asyncio.wait([asked])
    # A later request shows that the server had its turn to notice, and the id shows that the call lives on.
    while (await session.post(CALL)).status != 400:
        pass
    call.notify(PROGRESS)
    assert not call.cancelled.is_set()
    call.answer(LEGACY_RESULT)
    while frontend.in_flight:
        await asyncio.sleep(0)
    assert not call.cancelled.is_set()


@pytest.mark.requirement("L11")
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_cancelled_call_stops_and_has_no_response(
    session: Client, gateway: ScriptedGateway, is_streaming: bool
):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(session.post(CALL))
    call = await gateway.next_call()
    if is_streaming:
        call.notify(PROGRESS)
    assert (await session.post(CANCEL)).status == 202
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    reply = await asked
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")
    assert [event["method"] for event in reply.events] == ["notifications/progress"] * is_streaming


async def test_another_session_cannot_cancel(session: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(session.post(CALL))
    call = await gateway.next_call()
    other = Client(session.http, session.url)
    await other.initialize()
    assert (await other.post(CANCEL)).status == 202
    call.answer(LEGACY_RESULT)
    assert (await asked).json["result"] == {"content": []}


async def test_ending_a_session_ends_its_calls(session: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(session.post(CALL))
    call = await gateway.next_call()
    await session.send("DELETE", headers=session.legacy_headers())
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    assert (await asked).events == []


@pytest.mark.requirement("L16")
async def test_two_streams_of_one_session_do_not_mix(session: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    asked = {n: asyncio.ensure_future(session.post(CALL | {"id": n})) for n in (1, 2)}
    calls = [await gateway.next_call() for _ in asked]
    for round_ in range(3):
        for number, call in enumerate(calls):
            call.notify(
                jsonrpc.notification("notifications/progress", b'{"progress":%d}' % (10 * number + round_))
            )
    for number, call in enumerate(calls):
        call.answer(b'{"call":%d}' % number)
    for reply in await asyncio.gather(*asked.values()):
        number = reply.events[-1]["result"]["call"]
        assert [e["params"]["progress"] for e in reply.events[:-1]] == [10 * number + n for n in range(3)]


# --- the GET stream


@pytest.mark.requirement("L06")
@pytest.mark.requirement("L07")
async def test_a_change_of_a_list_reaches_the_newest_stream_alone(
    session: Client, gateway: ScriptedGateway, frontend: Any
):
    headers = session.legacy_headers()
    async with session.stream("GET", headers=headers) as first:
        gateway.hub.changed("tools")
        assert (await first.next())["method"] == "notifications/tools/list_changed"
        async with session.stream("GET", headers=headers) as second:
            assert await first.rest() == b""
            assert frontend.stream_count == 1
            gateway.hub.changed("prompts")
            assert await second.next() == {"jsonrpc": "2.0", "method": "notifications/prompts/list_changed"}


async def test_the_stream_of_one_session_does_not_take_that_of_another(
    session: Client, gateway: ScriptedGateway
):
    other = Client(session.http, session.url)
    await other.initialize()
    async with (
        session.stream("GET", headers=session.legacy_headers()) as one,
        other.stream("GET", headers=other.legacy_headers()) as two,
    ):
        gateway.hub.changed("resources")
        assert (await one.next()) == (await two.next())


async def test_a_stream_that_its_client_leaves_is_forgotten_with_its_session(
    session: Client, gateway: ScriptedGateway, frontend: Any, facts: list[Fact]
):
    async with session.stream("GET", headers=session.legacy_headers()) as stream:
        assert (frontend.session_count, frontend.stream_count) == (1, 1)
        stream.response.close()
    while frontend.stream_count:
        await asyncio.sleep(0)
    await session.send("DELETE", headers=session.legacy_headers())
    assert len(gateway.hub) == 0
    counts = [(fact.sessions, fact.streams) for fact in facts if isinstance(fact, SessionsChanged)]
    assert counts == [(1, 0), (1, 1), (1, 0), (0, 0)]


async def test_the_stream_ends_with_its_session(session: Client):
    async with session.stream("GET", headers=session.legacy_headers()) as stream:
        await session.send("DELETE", headers=session.legacy_headers())
        assert await stream.rest() == b""


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"mcp_session_id": None}, 400),
        ({"mcp_session_id": "unknown"}, 404),
        ({"accept": "application/json"}, 406),
        ({"mcp_protocol_version": MODERN}, 405),
    ],
)
async def test_a_stream_is_refused_with_the_reason(
    session: Client, changes: dict[str, str | None], status: int
):
    assert (await session.send("GET", headers=session.legacy_headers(**changes))).status == status


# --- limits


async def test_a_session_without_stream_and_call_makes_room_for_a_new_one(
    serving: Any, http: Any, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    async with serving(limits=LimitsConfig(sessions=2)) as frontend:
        busy, idle, newest = (Client(http, frontend.url) for _ in range(3))
        await busy.initialize()
        asked = asyncio.ensure_future(busy.post(CALL))
        call = await gateway.next_call()
        await idle.initialize()
        assert (await newest.initialize()).status == 200
        assert (await idle.post(request("ping"))).status == 404
        async with newest.stream("GET", headers=newest.legacy_headers()):
            full = await idle.initialize()
            assert (full.status, full.headers["Retry-After"], full.json["id"]) == (503, "5", 1)
        call.answer(LEGACY_RESULT)
        assert (await asked).status == 200


async def test_calls_beyond_the_limit_are_refused_where_strangers_may_connect(
    serving: Any, http: Any, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    async with serving(host="0.0.0.0", allow_remote=True, limits=LimitsConfig(calls=1)) as frontend:
        client = Client(http, frontend.url)
        await client.initialize()
        asked = asyncio.ensure_future(client.post(CALL))
        call = await gateway.next_call()
        legacy, modern = await client.post(CALL | {"id": 2}), await client.ask("tools/call", {"name": "a__b"})
        for reply in (legacy, modern):
            assert (reply.status, reply.error_code) == (200, -32603)
            assert reply.json["error"]["data"]["dev.only1mcp"] == {"kind": "overloaded", "retryable": True}
        call.answer(LEGACY_RESULT)
        assert (await asked).status == 200
        gateway.held = set()
        assert (await client.post(CALL)).json["result"] == {"content": []}


async def test_initialize_cannot_be_asked_twice_for_one_session(session: Client):
    first = session.session_id
    reply = await session.send("POST", request("initialize"), headers=session.legacy_headers())
    assert reply.headers["Mcp-Session-Id"] != first
    assert (await session.post(request("ping"), mcp_session_id=first)).status == 200


async def test_a_body_of_the_wrong_kind_is_refused(session: Client):
    assert (await session.post(CALL, content_type="text/plain")).status == 415
    assert (await session.post(CALL, accept=POST_HEADERS["Content-Type"])).status == 406


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.requirement("A11")
async def test_sessions_that_are_abandoned_make_room_oldest_first_and_leave_nothing(
    serving: Any, http: Any, gateway: ScriptedGateway, count: int
):
    limit = count // 10
    async with serving(limits=LimitsConfig(sessions=limit)) as frontend:
        ids: list[str | None] = []
        client = Client(http, frontend.url)
        process = psutil.Process()
        for n in range(count):
            if n == 2 * limit:
                # By then everything has been as full as it gets.
                gc.collect()
                warm_rss = process.memory_info().rss
            await client.initialize(capabilities={"roots": {"listChanged": True}})
            await client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
            ids.append(client.session_id)
            assert frontend.session_count == min(n + 1, limit)
        oldest, evicted = ids[-limit], ids[-limit - 1]
        assert (await client.post(request("ping"), mcp_session_id=evicted)).status == 404
        assert (await client.post(request("ping"), mcp_session_id=oldest)).status == 200
        assert [caller.session for caller in gateway.ended] == list(
            dict.fromkeys(caller.session for caller, _, _ in gateway.notifications[: count - limit])
        )
        gateway.notifications.clear()
        gateway.ended.clear()
        gc.collect()
        assert sum(type(thing) is Session for thing in gc.get_objects()) == limit
        assert process.memory_info().rss - warm_rss < 16 << 20


@pytest.mark.requirement("A11")
async def test_when_every_session_is_busy_a_new_one_is_refused_and_the_others_go_on(
    serving: Any, http: Any, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    limit = 10
    async with serving(limits=LimitsConfig(sessions=limit)) as frontend, AsyncExitStack() as stack:
        clients = [Client(http, frontend.url) for _ in range(limit)]
        asked = []
        for n, client in enumerate(clients):
            await client.initialize()
            if n % 2:
                await stack.enter_async_context(client.stream("GET", headers=client.legacy_headers()))
            else:
                asked.append(asyncio.ensure_future(client.post(CALL)))
        calls = [await gateway.next_call() for _ in asked]
        refused = await Client(http, frontend.url).initialize()
        assert (refused.status, frontend.session_count) == (503, limit)
        assert "Mcp-Session-Id" not in refused.headers
        for call in calls:
            call.answer(LEGACY_RESULT)
        assert [reply.status for reply in await asyncio.gather(*asked)] == [200] * len(asked)
        assert (await Client(http, frontend.url).initialize()).status == 200
