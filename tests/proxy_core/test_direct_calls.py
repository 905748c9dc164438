"""Calls that need no task, against the ordinary way: whatever a server does, their clients see the same.

The gateway and its servers share this process, so that it can be told which way a call went.
"""

import asyncio
import hashlib
import json
from typing import Any

import msgspec
import pytest
from aiohttp import web
from msgspec import Raw

from proxy_core.backends.direct_call import DirectCall
from proxy_core.frontend import event_stream, frontend
from proxy_core.gateway.direct_list import ListLane
from proxy_core.gateway.direct_way import DirectWay
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry import recorder
from proxy_core.telemetry.exchanges import ExchangeDetail
from proxy_core.telemetry.recorder import FULL_AT_ONCE
from proxy_core.telemetry.trace import Headers
from tests.support import direct_house
from tests.support.backend_server import (
    Handler,
    Holds,
    Seen,
    answers,
    event,
    json_reply,
    refuses,
    result_event,
    rpc_error,
    streams,
)
from tests.support.direct_house import House, house
from tests.support.http_client import ENVELOPE, Client, Reply, modern, request
from tests.support.scripted_channel import until

RESULT = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}
QUESTION = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
WAYS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "ordinary"])
MODERN = pytest.mark.parametrize("era", [Era.MODERN], indirect=True)
"""Not for clients of both eras."""
OF_MODERN = pytest.mark.parametrize("server_era", [Era.MODERN], indirect=True, ids=["of-modern"])
OF_LEGACY = pytest.mark.parametrize("server_era", [Era.LEGACY], indirect=True, ids=["of-legacy"])
"""Not for servers of both."""
ONE_LINE = {"isolation": "shared"}
"""Every call goes where the lists were read, whoever makes it; else clients that differ have lines of their own
to a legacy server."""
OTHERS = {"host", "mcp-session-id"}
"""Headers whose values are others each time."""
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}'


@pytest.fixture(params=[Era.MODERN, Era.LEGACY], autouse=True)
def era(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Era:
    """Of the client."""
    monkeypatch.setattr(direct_house, "ERA", [request.param])
    found: Era = request.param
    return found


@pytest.fixture(params=[Era.MODERN, Era.LEGACY], autouse=True, ids=["of-modern", "of-legacy"])
def server_era(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Era:
    monkeypatch.setattr(direct_house, "SERVER_ERA", [request.param])
    found: Era = request.param
    return found


def seen_by_the_client(reply: Reply) -> Any:
    shown = reply.json if reply.headers["Content-Type"] == "application/json" else reply.events
    return reply.status, reply.headers["Content-Type"], shown


async def on_both_ways(begun: list[DirectCall], call: Any, **more: Any) -> Any:
    """What the client sees, which is the same on either way; the direct one was gone."""
    told = []
    for direct in (True, False):
        begun.clear()
        async with house(direct, begun, call, box=dict(ONE_LINE), **more) as gateway:
            # The first call may open a connection, which takes a task.
            replies = [seen_by_the_client(await gateway.call()) for _ in range(3)]
            assert (len(begun) >= 1) is direct
            row = gateway.row
            told.append((replies, row.calls, row.errors, gateway.proxy.snapshot().totals.in_flight))
    assert told[0] == told[1]
    return told[0][0][-1]


async def redirects(seen: Seen) -> web.StreamResponse:
    if seen.request.path == "/mcp":
        return web.Response(status=307, headers={"Location": "/there"})
    return json_reply(seen.result(RESULT))


@pytest.mark.parametrize(
    "call",
    [
        redirects,
        answers(RESULT),
        answers(RESULT | {"isError": True}),
        answers(RESULT | {"_meta": {"\ud800": 1}}),
        answers(RESULT | {"_meta": "none"}),
        answers({"content": [{"type": "resource_link", "uri": "box:///a", "name": "a"}]}),
        answers({"content": [{"type": "hologram"}]}),
        answers({"resultType": "odd", "content": []}),
        answers("no object"),
        rpc_error(-32602),
        rpc_error(-32603, 500),
        rpc_error(-32001, 404),
        refuses(401),
        refuses(404),
        refuses(500),
        refuses(202),
        streams(result_event(RESULT)),
        streams(event(PROGRESS), result_event(RESULT)),
        streams(event(PROGRESS)),
        streams(b"data: nonsense\n\n"),
        refuses(200, b"<html>", "text/html"),
        refuses(200, b"{", "application/json"),
        refuses(200, b'{"jsonrpc":"2.0","id":"another","result":{}}', "application/json"),
        answers(RESULT | {"content": [{"type": "text", "text": "x" * 1_000_000}]}),
    ],
)
async def test_whatever_a_server_answers_its_client_sees_the_same(
    begun: list[DirectCall], call: Handler
) -> None:
    await on_both_ways(begun, call)


async def test_a_server_that_needs_input_is_put_to_its_client(begun: list[DirectCall]) -> None:
    needed = {
        "resultType": "input_required",
        "requestState": "s",
        "inputRequests": {
            "q": {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {}}}
        },
    }
    status, _, told = await on_both_ways(begun, answers(needed))
    assert (status == 200 and "error" in told) or told["result"]["resultType"] == "input_required"


@WAYS
async def test_a_server_that_hangs_up_is_told_and_the_next_call_is_served(
    begun: list[DirectCall], direct: bool
) -> None:
    hangs = False

    async def call(seen: Seen) -> web.StreamResponse:
        if hangs:
            assert seen.request.transport is not None
            seen.request.transport.abort()
        return json_reply(seen.result(RESULT))

    async with house(direct, begun, call) as gateway:
        assert (await gateway.call()).status == 200
        hangs = True
        lost = await gateway.call()
        hangs = False
        assert lost.json["error"]["data"]["dev.only1mcp"]["kind"] == "backend_stream_lost"
        assert (await gateway.call()).status == 200
        assert gateway.row.calls == 3 and gateway.row.errors == 1


@WAYS
async def test_what_may_be_repeated_is(begun: list[DirectCall], direct: bool) -> None:
    handlers: list[Handler] = [answers(RESULT), refuses(503), answers(RESULT)]
    async with house(direct, begun, handlers, box={"tools": {"retry": ["run"]}}) as gateway:
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        assert len(gateway.server.of("tools/call")) == 3


@MODERN
@pytest.mark.parametrize("as_stream", [False, True], ids=["silent", "streaming"])
@WAYS
async def test_a_client_that_hangs_up_has_cancelled_its_call(
    begun: list[DirectCall], direct: bool, as_stream: bool
) -> None:
    holds = Holds(as_stream=as_stream)
    handlers: list[Handler] = [answers(RESULT), holds]
    async with house(direct, begun, handlers) as gateway:
        await gateway.call()
        calling = asyncio.ensure_future(gateway.call())
        await holds.arrived.wait()
        calling.cancel()
        await asyncio.wait_for(holds.gone.wait(), 20)
        await until(lambda: gateway.proxy.snapshot().totals.in_flight == 0)
        assert gateway.row.in_flight == 0


@WAYS
async def test_a_silent_server_is_given_up(begun: list[DirectCall], direct: bool) -> None:
    holds = Holds()
    handlers: list[Handler] = [answers(RESULT), holds]
    async with house(direct, begun, handlers, box={"timeouts": {"call_idle_s": 1}}) as gateway:
        await gateway.call()
        late = await gateway.call()
        assert late.json["error"]["data"]["dev.only1mcp"]["kind"] == "backend_timeout"
        await asyncio.wait_for(holds.gone.wait(), 20)


@WAYS
async def test_a_long_call_becomes_a_stream_that_is_kept_alive(
    begun: list[DirectCall], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.1)
    monkeypatch.setattr(frontend, "SWEEP_S", 0.05)

    async def late(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(1)
        return json_reply(seen.result(RESULT))

    async with house(direct, begun, [answers(RESULT), late]) as gateway:
        await gateway.call()
        reply = await gateway.call()
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert b": ping" in reply.body and len([event for event in reply.events if event]) == 1


@WAYS
async def test_calls_in_flight_are_waited_for_when_the_gateway_stops(
    begun: list[DirectCall], direct: bool
) -> None:
    async def late(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return json_reply(seen.result(RESULT))

    async with house(direct, begun, [answers(RESULT), late]) as gateway:
        await gateway.call()
        calling = asyncio.ensure_future(gateway.call())
        await until(lambda: gateway.row.in_flight == 1)
        gateway.proxy.request_stop()
        assert (await calling).status == 200


@MODERN
@WAYS
async def test_many_calls_with_one_id_are_all_answered_right(begun: list[DirectCall], direct: bool) -> None:
    async def echo(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return json_reply(
            seen.result({"content": [{"type": "text", "text": seen.message["params"]["arguments"]["n"]}]})
        )

    async with house(direct, begun, echo) as gateway:
        await asyncio.gather(*(gateway.call() for _ in range(8)))
        replies = await asyncio.gather(*(gateway.call(arguments={"n": str(n)}) for n in range(64)))
        assert [reply.json["result"]["content"][0]["text"] for reply in replies] == [str(n) for n in range(64)]
        assert {reply.json["id"] for reply in replies} == {replies[0].json["id"]}
        assert (len(begun) > 8) is direct


@MODERN
async def test_what_looks_like_a_format_reaches_the_server_as_it_is(begun: list[DirectCall]) -> None:
    odd = "100 %d of %b %% {}"
    params = {"name": "box__run", "arguments": {odd: odd}}
    body, headers = modern("tools/call", params, meta=ENVELOPE | {"vendor/key": odd})
    told = []
    for direct in (True, False):
        begun.clear()
        async with house(direct, begun, answers(RESULT), box=dict(ONE_LINE)) as gateway:
            replies = [await gateway.client.send("POST", body, headers=headers) for _ in range(2)]
            assert all(reply.json["result"]["content"] == RESULT["content"] for reply in replies)
            assert bool(begun) is direct
            told.append([seen.message["params"] for seen in gateway.server.of("tools/call")])
    assert told[0] == told[1]
    assert [each["arguments"] for each in told[0]] == [{odd: odd}] * 2
    assert [each["_meta"]["vendor/key"] for each in told[0]] == [odd] * 2


# --- a session's calls ------------------------------------------------------------------------------------

LEGACY = pytest.mark.parametrize("era", [Era.LEGACY], indirect=True)
CANCELLED = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}


@LEGACY
@WAYS
async def test_a_session_whose_connection_has_gone_still_has_its_call(
    begun: list[DirectCall], direct: bool
) -> None:
    holds = Holds()
    async with house(direct, begun, [answers(RESULT), holds, answers(RESULT)]) as gateway:
        await gateway.call()
        calling = asyncio.ensure_future(gateway.call())
        await holds.arrived.wait()
        calling.cancel()
        # Its id is in use as long as the server has not answered.
        assert (await gateway.call()).status == 400
        assert not holds.gone.is_set()
        holds.release.set()
        await until(lambda: gateway.row.in_flight == 0)
        assert (await gateway.call()).status == 200


@LEGACY
@WAYS
@pytest.mark.parametrize("as_stream", [False, True], ids=["silent", "streaming"])
async def test_a_call_is_cancelled_by_its_clients_word(
    begun: list[DirectCall], direct: bool, as_stream: bool
) -> None:
    holds = Holds(as_stream=as_stream)
    async with house(direct, begun, [answers(RESULT), holds, answers(RESULT)]) as gateway:
        await gateway.call()
        calling = asyncio.ensure_future(gateway.call())
        await holds.arrived.wait()
        assert (await gateway.client.post(CANCELLED)).status == 202
        reply = await calling
        assert (reply.status, reply.headers["Content-Type"], reply.events) == (200, "text/event-stream", [])
        await asyncio.wait_for(holds.gone.wait(), 20)
        assert gateway.row.in_flight == 0
        assert (await gateway.call()).status == 200


@LEGACY
@WAYS
async def test_a_session_that_ends_takes_its_calls_with_it(begun: list[DirectCall], direct: bool) -> None:
    holds = Holds()
    async with house(direct, begun, [answers(RESULT), holds]) as gateway:
        await gateway.call()
        calling = asyncio.ensure_future(gateway.call())
        await holds.arrived.wait()
        await gateway.client.send("DELETE", headers=gateway.client.legacy_headers())
        assert (await calling).events == []
        await asyncio.wait_for(holds.gone.wait(), 20)
        assert gateway.row.in_flight == 0


@LEGACY
@WAYS
async def test_the_answer_of_a_long_call_is_still_there_for_who_comes_back(
    begun: list[DirectCall], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.1)
    monkeypatch.setattr(frontend, "SWEEP_S", 0.05)
    holds = Holds()

    async def late(seen: Seen) -> web.StreamResponse:
        await holds.release.wait()
        return json_reply(seen.result(RESULT))

    async with house(direct, begun, [answers(RESULT), late]) as gateway:
        await gateway.call()
        body = request("tools/call", {"name": "box__run", "arguments": {}})
        headers = gateway.client.legacy_headers()
        async with gateway.client.stream("POST", body, headers=headers) as stream:
            first = await stream.event()
        resumed = headers | {"Last-Event-ID": first["id"]}
        async with gateway.client.stream("GET", headers=resumed) as stream:
            holds.release.set()
            told = await stream.next()
        assert (told["id"], told["result"]["content"]) == (1, RESULT["content"])


@LEGACY
@OF_MODERN
@WAYS
async def test_a_client_is_asked_what_a_server_needs_in_the_middle(
    begun: list[DirectCall], direct: bool
) -> None:
    needed = {
        "resultType": "input_required",
        "requestState": "s",
        "inputRequests": {"q": {"method": "elicitation/create", "params": QUESTION}},
    }
    async with house(direct, begun, [answers(RESULT), answers(needed), answers(RESULT)]) as gateway:
        await gateway.client.initialize(capabilities={"elicitation": {}})
        await gateway.call()
        body = request("tools/call", {"name": "box__run", "arguments": {}})
        async with gateway.client.stream("POST", body, headers=gateway.client.legacy_headers()) as stream:
            asked = await stream.next()
            while not asked:
                asked = await stream.next()
            assert asked["method"] == "elicitation/create"
            answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}
            assert (await gateway.client.post(answer)).status == 202
            told = await stream.next()
        assert told["result"]["content"] == RESULT["content"]
        assert bool(begun) is direct


@LEGACY
@OF_MODERN
async def test_a_client_that_wants_logs_takes_the_ordinary_way(begun: list[DirectCall]) -> None:
    async with house(True, begun, answers(RESULT)) as gateway:
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        assert begun
        assert (await gateway.ask("logging/setLevel", {"level": "debug"})).status == 200
        begun.clear()
        assert (await gateway.call()).status == 200
        assert not begun
        asked = gateway.server.of("tools/call")[-1].message["params"]["_meta"]
        assert asked["io.modelcontextprotocol/logLevel"] == "debug"


@LEGACY
@WAYS
async def test_sessions_that_call_at_once_by_one_id_are_answered_right(
    begun: list[DirectCall], direct: bool
) -> None:
    async def echo(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        text = seen.message["params"]["arguments"]["n"]
        return json_reply(seen.result({"resultType": "complete", "content": [{"type": "text", "text": text}]}))

    async with house(direct, begun, echo) as gateway:
        await asyncio.gather(*(_of_another_session(gateway, "x") for _ in range(8)))
        told = await asyncio.gather(*(_of_another_session(gateway, str(n)) for n in range(32)))
        assert told == [str(n) for n in range(32)]
        assert (len(begun) > 8) is direct


async def _of_another_session(gateway: House, text: str) -> str:
    client = Client(gateway.client.http, gateway.client.url)
    await client.initialize()
    reply = await client.post(request("tools/call", {"name": "box__run", "arguments": {"n": text}}))
    found: str = reply.json["result"]["content"][0]["text"]
    return found


# --- what they have in common is not what it was --------------------------------------------------------------


@WAYS
async def test_a_tool_that_is_denied_by_a_reload_is_unknown_to_the_next_call(
    begun: list[DirectCall], direct: bool
) -> None:
    async with house(direct, begun, answers(RESULT)) as gateway:
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        await gateway.reload(box={"tools": {"deny": ["run"]}})
        assert "Unknown tool" in (await gateway.call()).json["error"]["message"]
        await gateway.reload(box={"tools": {}})
        begun.clear()
        assert (await gateway.call()).status == 200
        assert bool(begun) is direct


@WAYS
async def test_waits_that_are_changed_by_a_reload_hold_for_the_next_call(
    begun: list[DirectCall], direct: bool
) -> None:
    handlers: list[Handler] = [answers(RESULT), answers(RESULT), Holds()]
    async with house(direct, begun, handlers) as gateway:
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        await gateway.reload(box={"timeouts": {"call_idle_s": 1}})
        late = await gateway.call()
        assert late.json["error"]["data"]["dev.only1mcp"]["kind"] == "backend_timeout"


@WAYS
async def test_what_is_done_to_a_server_holds_for_the_next_call(begun: list[DirectCall], direct: bool) -> None:
    async with house(direct, begun, answers(RESULT)) as gateway:
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        await gateway.proxy.drain("box")
        assert "error" in (await gateway.call()).json
        await gateway.proxy.undrain("box")
        await gateway.proxy.restart("box")
        await until(lambda: gateway.row.state == "healthy")
        begun.clear()
        assert [(await gateway.call()).status for _ in range(3)] == [200] * 3
        assert bool(begun) is direct


@WAYS
@pytest.mark.parametrize("more", [{}, {"x": 1}], ids=["plain", "odd"])
async def test_a_server_that_a_reload_removes_still_answers_what_it_was_asked(
    begun: list[DirectCall], direct: bool, more: dict[str, Any]
) -> None:
    held = asyncio.Event()

    async def late(seen: Seen) -> web.StreamResponse:
        await held.wait()
        return json_reply(seen.result(RESULT | more))

    async with house(direct, begun, [answers(RESULT), answers(RESULT), late]) as gateway:
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        calling = asyncio.ensure_future(gateway.call())
        await until(lambda: gateway.row.in_flight == 1)
        await gateway.reload(servers=[])
        held.set()
        assert (await calling).json["result"]["content"] == RESULT["content"]


@MODERN
@WAYS
async def test_a_client_that_a_reload_calls_otherwise_is_counted_as_that(
    begun: list[DirectCall], direct: bool
) -> None:
    token = "t" * 40
    digest = hashlib.sha256(token.encode()).hexdigest()
    ann, bob = ({"tokens": [{"name": name, "sha256": digest}]} for name in ("ann", "bob"))
    async with house(direct, begun, answers(RESULT), auth=ann) as gateway:
        gateway.client.http.headers["Authorization"] = f"Bearer {token}"
        assert [(await gateway.call()).status for _ in range(2)] == [200, 200]
        await gateway.reload(auth=bob)
        assert (await gateway.call()).status == 200
        told = {row.principal: row.requests for row in gateway.proxy.snapshot().clients}
        assert sorted(told.values()) == [1, 2] and len(told) == 2


# --- what is recorded of them ---------------------------------------------------------------------------------


def without_times(detail: ExchangeDetail) -> Any:
    """Nor what else may be another in each gateway: ids, ports, how headers and JSON are written."""
    row = msgspec.structs.replace(detail.row, id=0, wall=0.0, duration_ms=0.0, server_ms=0.0, bytes_out=0)
    messages = [
        msgspec.structs.replace(
            each,
            at_ms=0.0,
            size=0,
            body=json.dumps(json.loads(each.body)),
            headers=tuple((name.lower(), value) for name, value in each.headers if name.lower() not in OTHERS),
        )
        for each in detail.messages
    ]
    return row, [(step.name, step.text) for step in detail.steps], messages, detail.why_not_replayable


@pytest.mark.parametrize(
    "call",
    [
        answers(RESULT),
        answers(RESULT | {"isError": True}),
        answers({"content": [{"type": "resource_link", "uri": "box:///a", "name": "a"}]}),
        answers({"resultType": "odd", "content": []}),
        rpc_error(-32602),
        refuses(401),
        refuses(500),
        streams(result_event(RESULT)),
        streams(event(PROGRESS), result_event(RESULT)),
        refuses(200, b"<html>", "text/html"),
    ],
)
async def test_one_in_full_says_the_same_whichever_way_the_call_went(
    begun: list[DirectCall], call: Handler
) -> None:
    told = []
    for direct in (True, False):
        begun.clear()
        async with house(direct, begun, call, box=dict(ONE_LINE), inspect={"exchanges": 100}) as gateway:
            # The first call may open a connection, which takes a task.
            for _ in range(2):
                await gateway.call()
            assert bool(begun) is direct
            rows = [row for row in gateway.proxy.exchanges_after(0)[1] if row.method == "tools/call"]
            told.append([without_times(await gateway.proxy.exchange(row.id)) for row in rows])
    assert len(told[0]) == 2
    assert told[0] == told[1]


@MODERN
async def test_one_that_its_client_gives_up_is_recorded_as_such(begun: list[DirectCall]) -> None:
    holds = Holds()
    async with house(True, begun, holds, box=dict(ONE_LINE), inspect={"exchanges": 100}) as gateway:
        asked = asyncio.ensure_future(gateway.call())
        await until(lambda: begun)
        await until(lambda: gateway.server.of("tools/call"))
        asked.cancel()

        def rows() -> list[str]:
            found = gateway.proxy.exchanges_after(0)[1]
            return [str(row.status) for row in found if row.method == "tools/call"]

        await until(lambda: rows() == ["cancelled"])
        holds.release.set()


# --- lists that are ready -------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each list that was asked for was ready."""
    seen: list[bool] = []
    answer = DirectWay.at_once

    def noted(self: DirectWay, lane: ListLane, params: Raw, headers: Headers = ()) -> bytes | None:
        ready = answer(self, lane, params, headers)
        seen.append(ready is not None)
        return ready

    monkeypatch.setattr(DirectWay, "at_once", noted)
    return seen


def without_age(reply: Reply) -> Any:
    said = reply.json
    assert said["result"].pop("ttlMs") >= 0
    return reply.status, said


@MODERN
@pytest.mark.parametrize("method", sorted(LIST_METHODS))
async def test_a_list_that_is_ready_is_the_same_as_one_that_takes_a_task(
    begun: list[DirectCall], at_once: list[bool], method: str
) -> None:
    told = []
    for direct in (True, False):
        at_once.clear()
        async with house(direct, begun, answers(RESULT)) as gateway:
            body, headers = modern(method, {})
            replies = [await gateway.client.send("POST", body, headers=headers) for _ in range(4)]
            assert (True in at_once) is direct
            cursor, more = modern(method, {"cursor": "x"})
            replies.append(await gateway.client.send("POST", cursor, headers=more))
            totals = gateway.proxy.snapshot().totals
            told.append(
                (
                    [without_age(reply) for reply in replies[:4]],
                    (replies[4].status, replies[4].json["error"]["code"]),
                    totals.calls,
                    totals.in_flight,
                )
            )
    assert told[0] == told[1]


@MODERN
async def test_a_list_that_is_ready_is_recorded_as_any_other(
    begun: list[DirectCall], at_once: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, there is not room for all of them.
    monkeypatch.setattr(recorder, "FULL_PER_S", 1e-9)
    async with house(True, begun, answers(RESULT), inspect={"exchanges": 1000}) as gateway:
        body, headers = modern("tools/list", {})
        for _ in range(int(FULL_AT_ONCE) + 50):
            await gateway.client.send("POST", body, headers=headers)
        # But for the first, which may have to be made.
        assert len(at_once) - sum(at_once) <= 1
        rows = [row for row in gateway.proxy.exchanges_after(0)[1] if row.method == "tools/list"]
        assert len(rows) == int(FULL_AT_ONCE) + 50
        assert {str(row.status) for row in rows} == {"ok"}
        first, last = [await gateway.proxy.exchange(row.id) for row in (rows[0], rows[-1])]
        assert (len(first.messages), len(last.messages)) == (2, 0)
        assert "mcp-method" in dict(first.messages[0].headers)


@WAYS
async def test_calls_within_limits_need_no_task_and_those_beyond_are_refused_alike(
    begun: list[DirectCall], direct: bool
) -> None:
    rate: dict[str, Any] = {"calls_per_s": 0.01, "burst": 4, "concurrent": 5}
    sections: dict[str, Any] = {
        "limits": {"calls_per_s": 100},
        "box": {"limits": rate | {"burst": 9}, "tools": {"limits": {"*": rate}}},
    }
    async with house(direct, begun, answers(RESULT), **sections) as gateway:
        for _ in range(4):
            assert (await gateway.call()).json["result"]["content"] == RESULT["content"]
        # The first call may open a connection, which takes a task.
        assert len(begun) >= 3 if direct else not begun
        refused = await gateway.call()
        assert (refused.status, refused.json["error"]["code"]) == (200, -32603)
        assert refused.json["error"]["data"]["dev.only1mcp"]["kind"] == "overloaded"
        assert refused.headers["Retry-After"] == "100"
        assert (gateway.row.calls, gateway.row.errors) == (4, 0)
        assert len(gateway.server.of("tools/call")) == 4
