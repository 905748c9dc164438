"""Batches over real sockets: arrays that one revision of the protocol has, and no other."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.config.models import LimitsConfig
from proxy_core.errors import InvalidParams
from proxy_core.frontend.batch import MAX_MESSAGES
from proxy_core.protocol import jsonrpc
from tests.support.http_client import SOON_S, Client, Reply, request
from tests.support.scripted_gateway import ScriptedGateway

REVISION = "2025-03-26"
NOTE = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
PROGRESS = jsonrpc.notification("notifications/progress", b'{"progressToken":1,"progress":1}')


@pytest.fixture
async def session(client: Client) -> Client:
    await client.initialize(REVISION)
    return client


async def post(session: Client, batch: Any) -> Reply:
    # This revision has no version header.
    return await session.post(batch, mcp_protocol_version=None)


def by_id(reply: Reply) -> dict[Any, Any]:
    return {answer["id"]: answer.get("result", answer.get("error")) for answer in reply.json}


@pytest.mark.requirement("W04")
async def test_the_answers_to_a_batch_come_as_one_array(session: Client, gateway: ScriptedGateway):
    gateway.scripts["prompts/get"] = InvalidParams("Unknown prompt")
    batch = [request("ping", id=1), request("prompts/get", id="2"), NOTE, request("tools/list", id=3)]
    reply = await post(session, batch)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert by_id(reply) == {
        1: {},
        "2": {"code": -32602, "message": "Unknown prompt"},
        3: {"content": []},
    }
    assert [method for _, method, _ in gateway.notifications] == [NOTE["method"]]


@pytest.mark.requirement("W04")
async def test_a_batch_that_asks_nothing_has_no_answer(session: Client, gateway: ScriptedGateway):
    answer = {"jsonrpc": "2.0", "id": "s-1", "result": {}}
    reply = await post(session, [NOTE, answer, NOTE])
    assert (reply.status, reply.body) == (202, b"")
    assert len(gateway.notifications) == 2


@pytest.mark.requirement("W03")
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_no_other_revision_has_batches(session: Client, gateway: ScriptedGateway, revision: str):
    await session.initialize(revision)
    reply = await post(session, [request("tools/list", id=1)])
    assert (reply.status, reply.error_code) == (400, -32600)
    assert gateway.exchanges == []


@pytest.mark.requirement("W03")
async def test_a_batch_needs_a_session_that_lives(session: Client):
    batch = [request("ping")]
    missing = await session.post(batch, mcp_session_id=None, mcp_protocol_version=None)
    unknown = await session.post(batch, mcp_session_id="unknown", mcp_protocol_version=None)
    assert (missing.status, missing.error_code) == (400, -32600)
    assert unknown.status == 404


@pytest.mark.requirement("W04")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", -32600),
        (b" [ ] ", -32600),
        (json.dumps([NOTE] * (MAX_MESSAGES + 1)).encode(), -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700),
        (b"[1,]", -32700),
    ],
)
async def test_a_batch_of_nothing_of_too_much_or_of_no_json_is_refused_whole(
    session: Client, body: bytes, code: int
):
    reply = await post(session, body)
    assert (reply.status, reply.error_code, reply.json["id"]) == (400, code, None)


async def test_a_batch_may_be_long(session: Client, gateway: ScriptedGateway):
    reply = await post(session, [request("ping", id=n) for n in range(MAX_MESSAGES)])
    assert sorted(by_id(reply)) == list(range(MAX_MESSAGES))


@pytest.mark.requirement("W04")
async def test_what_is_wrong_with_one_message_is_told_of_that_one(session: Client, gateway: ScriptedGateway):
    faulty = [
        request("initialize", {"protocolVersion": REVISION}, id="i"),
        1,
        [],
        {"jsonrpc": "1.0", "id": "v", "method": "ping"},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        request("ping", id="ok"),
    ]
    reply = await post(session, faulty)
    assert reply.status == 200
    codes = [(a["id"], a["error"]["code"]) for a in reply.json if "error" in a]
    assert sorted(codes, key=str) == [
        ("i", -32600),
        ("v", -32600),
        (None, -32600),
        (None, -32600),
        (None, -32600),
    ]
    assert [a["id"] for a in reply.json if "result" in a] == ["ok"]
    assert "Mcp-Session-Id" not in reply.headers


@pytest.mark.requirement("W04")
async def test_of_equal_ids_in_a_batch_the_first_is_served(session: Client, gateway: ScriptedGateway):
    reply = await post(session, [request("ping", id=1), request("tools/list", id=1), request("ping", id="1")])
    answers = [(a["id"], "result" in a, a.get("error", {}).get("code")) for a in reply.json]
    assert sorted(answers, key=str) == [("1", True, None), (1, False, -32600), (1, True, None)]
    assert [exchange.method for exchange in gateway.exchanges] == ["ping", "ping"]


@pytest.mark.requirement("W04")
async def test_a_batch_that_needs_a_stream_gets_each_answer_as_an_event(
    session: Client, gateway: ScriptedGateway, frontend: Any
):
    gateway.held = {"tools/call"}
    batch = [request("ping", id="p"), request("tools/call", id=1), request("tools/call", id=2)]
    asked = asyncio.ensure_future(post(session, batch))
    first, second = await gateway.next_call(), await gateway.next_call()
    first.notify(PROGRESS)
    question = asyncio.ensure_future(first.exchange.outlet.request("roots/list", b"{}", timeout_s=SOON_S))
    second.answer(b'{"n":2}')
    [legacy] = frontend._sessions._sessions.values()
    while not legacy.requests:
        await asyncio.sleep(0)
    [request_id] = legacy.requests._open
    await session.post({"jsonrpc": "2.0", "id": request_id, "result": {}}, mcp_protocol_version=None)
    assert bytes(await question) == b"{}"
    first.answer(b'{"n":1}')
    reply = await asked
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert [e["method"] for e in reply.events if "method" in e] == ["notifications/progress", "roots/list"]
    assert {e["id"]: e["result"] for e in reply.events if "result" in e} == {"p": {}, 2: {"n": 2}, 1: {"n": 1}}


@pytest.mark.requirement("W04")
async def test_a_request_of_a_batch_can_be_cancelled(session: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(post(session, [request("tools/call", id=1), request("tools/call", id=2)]))
    cancelled, served = await gateway.next_call(), await gateway.next_call()
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    await post(session, [cancel])
    await asyncio.wait_for(cancelled.cancelled.wait(), SOON_S)
    served.answer(b"{}")
    assert by_id(await asked) == {2: {}}
    # Cancelled in the batch that asks: nothing is left to answer, and HTTP wants an answer.
    reply = await post(session, [request("tools/call", id=3), cancel | {"params": {"requestId": 3}}])
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"", "text/event-stream")


async def test_a_batch_counts_as_as_many_calls_as_it_holds(serving: Any, http: Any, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    async with serving(host="0.0.0.0", allow_remote=True, limits=LimitsConfig(calls=2)) as frontend:
        client = Client(http, frontend.url)
        await client.initialize(REVISION)
        batch = [request("tools/call", id=n) for n in range(3)]
        asked = asyncio.ensure_future(post(client, batch))
        for _ in range(2):
            (await gateway.next_call()).answer(b"{}")
        answers = by_id(await asked)
        assert (answers[0], answers[1], answers[2]["code"]) == ({}, {}, -32603)
        assert frontend.in_flight == 0


async def test_a_client_that_hangs_up_has_not_cancelled_its_batch(
    session: Client, gateway: ScriptedGateway, frontend: Any
):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(post(session, [request("tools/call", id=1), request("tools/call", id=2)]))
    calls = [await gateway.next_call(), await gateway.next_call()]
    asked.cancel()
    await asyncio.wait([asked])
    while len(frontend._open):
        await asyncio.sleep(0)
    assert not any(call.cancelled.is_set() for call in calls)
    for call in calls:
        call.answer(b"{}")
    while frontend.in_flight:
        await asyncio.sleep(0)
