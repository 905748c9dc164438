"""Calls of legacy servers that need no task, against the ordinary way: what such a server says in the middle.

What they have in common with calls of modern servers is in test_direct_calls.py.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy_core.backends import http_channel
from proxy_core.backends.direct_call import DirectCall
from proxy_core.protocol.revisions import Era
from tests.support import direct_house
from tests.support.backend_server import (
    INITIALIZED,
    Handler,
    Holds,
    Seen,
    accepts,
    answers,
    event,
    event_stream,
    json_reply,
    refuses,
    result_event,
    streams,
)
from tests.support.direct_house import SESSION, House, house
from tests.support.http_client import Client, request
from tests.support.scripted_channel import until

RESULT = {"content": [{"type": "text", "text": "done"}]}
QUESTION = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
ASK = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": QUESTION}
LOG = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"working"}}'
WAYS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "ordinary"])
PIPE = {
    "transport": {
        "type": "stdio",
        "command": sys.executable,
        "args": [str(Path(__file__).parents[1] / "support" / "asking_pipe.py")],
    }
}


@pytest.fixture(autouse=True)
def eras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_house, "ERA", [Era.LEGACY])
    monkeypatch.setattr(direct_house, "SERVER_ERA", [Era.LEGACY])


class Asks:
    """Asks its client something on the stream of the call, and answers the call with what it was told."""

    def __init__(self) -> None:
        self.answered: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        await response.write(event(json.dumps(ASK).encode()))
        said = json.dumps(await self.answered.get())
        await response.write(event(seen.result({"content": [{"type": "text", "text": said}]})))
        return response

    async def answer(self, seen: Seen) -> web.StreamResponse:
        self.answered.put_nowait(seen.message.get("result") or {"code": seen.message["error"]["code"]})
        return web.Response(status=202)


def open_call(gateway: House, **arguments: Any) -> AbstractAsyncContextManager[Any]:
    """A call whose answer is read as it comes."""
    body = request("tools/call", {"name": "box__run", "arguments": arguments})
    return gateway.client.stream("POST", body, headers=gateway.client.legacy_headers())


async def asked_and_answered(gateway: House, **arguments: Any) -> Any:
    """What comes of a call whose client says yes to what it is asked in the middle."""
    async with open_call(gateway, **arguments) as stream:
        asked = await stream.next()
        assert asked["method"] == "elicitation/create"
        yes = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}
        assert (await gateway.client.post(yes)).status == 202
        return (await stream.next())["result"]["content"][0]["text"]


# --- over HTTP ------------------------------------------------------------------------------------------------


@WAYS
async def test_the_client_is_asked_on_the_stream_of_its_call(begun: list[DirectCall], direct: bool) -> None:
    asks = Asks()
    async with house(direct, begun, [answers(RESULT), asks], also={"answer": asks.answer}) as gateway:
        await gateway.client.initialize(capabilities={"elicitation": {}})
        await gateway.call()
        assert json.loads(await asked_and_answered(gateway)) == {"action": "accept", "content": {}}
        assert bool(begun) is direct
        assert gateway.proxy.snapshot().totals.in_flight == 0
        # The session goes on.
        assert json.loads(await asked_and_answered(gateway)) == {"action": "accept", "content": {}}


@WAYS
async def test_a_client_that_cannot_be_asked_is_not(begun: list[DirectCall], direct: bool) -> None:
    asks = Asks()
    async with house(direct, begun, [answers(RESULT), asks], also={"answer": asks.answer}) as gateway:
        await gateway.call()
        reply = await gateway.call()
        text = reply.json["result"]["content"][0]["text"]
        assert json.loads(text) == {"code": -32601}
        assert bool(begun) is direct


@WAYS
async def test_a_modern_client_hears_what_the_server_would_have_needed(
    begun: list[DirectCall], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_house, "ERA", [Era.MODERN])
    refused = asyncio.Event()

    async def asks(seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        await response.write(event(json.dumps(ASK).encode()))
        await refused.wait()
        await response.write(event(seen.error(-32603)))
        return response

    async def answer(seen: Seen) -> web.StreamResponse:
        refused.set()
        return web.Response(status=202)

    async with house(direct, begun, [answers(RESULT), asks], also={"answer": answer}) as gateway:
        await gateway.call()
        reply = await gateway.call()
        told = reply.json if reply.headers["Content-Type"] == "application/json" else reply.events[-1]
        assert told["error"]["code"] == -32021
        assert "elicitation" in json.dumps(told["error"]["data"])
        assert bool(begun) is direct


@WAYS
async def test_what_a_server_logs_in_the_middle_goes_before_the_answer(
    begun: list[DirectCall], direct: bool
) -> None:
    call = streams(event(LOG), result_event(RESULT))
    async with house(direct, begun, [answers(RESULT), call]) as gateway:
        await gateway.call()
        told = (await gateway.call()).events
        assert [each.get("method") for each in told] == ["notifications/message", None]
        assert told[0]["params"]["data"] == "working" and told[1]["result"] == RESULT
        assert bool(begun) is direct


@WAYS
async def test_an_answer_in_a_stream_that_ends_a_little_later_keeps_its_connection(
    begun: list[DirectCall], direct: bool
) -> None:
    lines = set()

    async def call(seen: Seen) -> web.StreamResponse:
        # Asked now: a connection that has ended tells nothing any more.
        assert seen.request.transport is not None
        lines.add(seen.request.transport.get_extra_info("peername"))
        response = await event_stream(seen)
        await response.write(event(seen.result(RESULT)))
        await asyncio.sleep(0.01)
        return response

    async with house(direct, begun, call) as gateway:
        for _ in range(6):
            assert (await gateway.call()).json["result"] == RESULT
            await asyncio.sleep(0.05)
        assert len(lines) == 1
        assert bool(begun) is direct


@WAYS
async def test_a_stream_whose_event_comes_in_pieces_is_an_answer_and_one_too_large_is_none(
    begun: list[DirectCall], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_channel, "MAX_EVENT_BYTES", 50_000)
    told = ["x" * 40_000, "x" * 60_000, "x"]

    async def call(seen: Seen) -> web.StreamResponse:
        whole = event(seen.result({"content": [{"type": "text", "text": told[0]}]}))
        response = await event_stream(seen)
        for start in range(0, len(whole), 7_000):
            await response.write(whole[start : start + 7_000])
            await asyncio.sleep(0)
        return response

    async with house(direct, begun, [answers(RESULT), call]) as gateway:
        await gateway.call()
        assert (await gateway.call()).json["result"]["content"][0]["text"] == told.pop(0)
        refused = await gateway.call()
        assert refused.json["error"]["data"]["dev.only1mcp"]["kind"] == "backend_protocol"
        told.pop(0)
        assert (await gateway.call()).json["result"]["content"][0]["text"] == "x"
        assert bool(begun) is direct


@WAYS
async def test_a_question_on_the_stream_of_all_goes_to_the_one_that_calls(
    begun: list[DirectCall], direct: bool
) -> None:
    streaming, holds = Streaming(), Holds()
    asks = Asks()

    async def late(seen: Seen) -> web.StreamResponse:
        await streaming.say(ASK)
        return json_reply(seen.result({"content": [{"type": "text", "text": str(await asks.answered.get())}]}))

    also: dict[str, Handler] = {"answer": asks.answer, "GET": streaming}
    async with house(direct, begun, [answers(RESULT), late], also=also, box={"isolation": "shared"}) as gateway:
        await gateway.client.initialize(capabilities={"elicitation": {}})
        await gateway.call()
        assert "accept" in await asked_and_answered(gateway)
        assert bool(begun) is direct
        streaming.end()
        holds.release.set()


@WAYS
async def test_a_question_that_may_be_of_several_clients_is_put_to_none(
    begun: list[DirectCall], direct: bool
) -> None:
    streaming, asks, both = Streaming(), Asks(), asyncio.Barrier(2)

    async def late(seen: Seen) -> web.StreamResponse:
        if await both.wait() == 0:
            await streaming.say(ASK)
            said = await asks.answered.get()
            asks.answered.put_nowait(said)
        else:
            said = await asks.answered.get()
            asks.answered.put_nowait(said)
        return json_reply(seen.result({"content": [{"type": "text", "text": json.dumps(said)}]}))

    also: dict[str, Handler] = {"answer": asks.answer, "GET": streaming}
    call = [answers(RESULT), answers(RESULT), late]
    async with house(direct, begun, call, also=also, box={"isolation": "shared"}) as gateway:
        others = [Client(gateway.client.http, gateway.client.url) for _ in range(2)]
        for client in others:
            await client.initialize(capabilities={"elicitation": {}})
            await client.post(request("tools/call", {"name": "box__run", "arguments": {}}))
        called = (
            client.post(request("tools/call", {"name": "box__run", "arguments": {}})) for client in others
        )
        texts = [reply.json["result"]["content"][0]["text"] for reply in await asyncio.gather(*called)]
        assert [json.loads(text) for text in texts] == [{"code": -32603}] * 2
        assert bool(begun) is direct
        streaming.end()


class Streaming:
    """The GET stream of a server, on which a test says what it likes."""

    def __init__(self) -> None:
        self._open: list[web.StreamResponse] = []
        self._end = asyncio.Event()

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        self._open.append(response)
        await self._end.wait()
        return response

    async def say(self, message: Any) -> None:
        await until(lambda: self._open)
        await self._open[-1].write(event(json.dumps(message).encode()))

    def end(self) -> None:
        self._end.set()


@WAYS
async def test_a_call_that_has_asked_is_not_made_again(begun: list[DirectCall], direct: bool) -> None:
    answered = asyncio.Event()

    async def asks(seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        await response.write(event(json.dumps(ASK).encode()))
        await answered.wait()
        return response

    async def answer(seen: Seen) -> web.StreamResponse:
        answered.set()
        return web.Response(status=202)

    box = {"tools": {"retry": ["run"]}}
    async with house(direct, begun, [answers(RESULT), asks], also={"answer": answer}, box=box) as gateway:
        await gateway.call()
        before = len(gateway.server.of("tools/call"))
        reply = await gateway.call()
        told = reply.json if reply.headers["Content-Type"] == "application/json" else reply.events[-1]
        assert told["error"]["data"]["dev.only1mcp"]["kind"] == "backend_stream_lost"
        assert len(gateway.server.of("tools/call")) == before + 1
        assert bool(begun) is direct


@WAYS
async def test_a_question_is_withdrawn_with_its_call(begun: list[DirectCall], direct: bool) -> None:
    asks, again = Asks(), asyncio.Event()

    async def asks_in_vain(seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        await response.write(event(json.dumps(ASK).encode()))
        await again.wait()
        await response.write(event(seen.result(RESULT)))
        return response

    calls = [answers(RESULT), asks_in_vain]
    async with house(direct, begun, calls, also={"answer": asks.answer}) as gateway:
        await gateway.client.initialize(capabilities={"elicitation": {}})
        await gateway.call()
        async with open_call(gateway) as stream:
            asked = await stream.next()
            again.set()
            cancelled = await stream.next()
            assert (cancelled["method"], cancelled["params"]["requestId"]) == (
                "notifications/cancelled",
                asked["id"],
            )
            assert (await stream.next())["result"] == RESULT
        # The server is not left waiting either.
        assert await asyncio.wait_for(asks.answered.get(), 20) == {"action": "cancel"}
        assert bool(begun) is direct


@WAYS
async def test_who_cancels_is_heard_by_the_server(begun: list[DirectCall], direct: bool) -> None:
    holds = Holds()
    also: dict[str, Handler] = {"notifications/cancelled": accepts}
    async with house(direct, begun, [answers(RESULT), holds], also=also) as gateway:
        await gateway.call()
        calling = asyncio.ensure_future(gateway.call())
        await asyncio.wait_for(holds.arrived.wait(), 20)
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await gateway.client.post(cancelled)).status == 202
        assert (await calling).events == []
        await until(lambda: gateway.server.of("notifications/cancelled"))
        asked = gateway.server.of("tools/call")[-1].id
        assert gateway.server.of("notifications/cancelled")[-1].message["params"]["requestId"] == asked
        assert bool(begun) is direct


@WAYS
async def test_a_stream_that_breaks_is_resumed(begun: list[DirectCall], direct: bool) -> None:
    first = streams(event(LOG, "1"))

    async def rest(seen: Seen) -> web.StreamResponse:
        if "Last-Event-ID" not in seen.headers:
            return web.Response(status=405)
        asked = gateway.server.of("tools/call")[-1]
        response = await event_stream(seen)
        await response.write(event(asked.result(RESULT), "2"))
        return response

    async with house(direct, begun, [answers(RESULT), first], also={"GET": rest}) as gateway:
        await gateway.call()
        told = (await gateway.call()).events
        assert told[-1]["result"] == RESULT and told[0]["method"] == "notifications/message"
        resumed = [seen for seen in gateway.server.of("GET") if "Last-Event-ID" in seen.headers]
        assert [seen.headers["Mcp-Session-Id"] for seen in resumed] == [SESSION]
        assert bool(begun) is direct


@WAYS
async def test_a_server_that_is_to_be_polled_sends_its_client_away_too(
    begun: list[DirectCall], direct: bool
) -> None:
    asked_again = asyncio.Event()

    async def call(seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        await response.write(b"id: 1\nretry: 200\ndata:\n\n")
        return response

    async def rest(seen: Seen) -> web.StreamResponse:
        if "Last-Event-ID" not in seen.headers:
            return web.Response(status=405)
        await asked_again.wait()
        response = await event_stream(seen)
        await response.write(event(gateway.server.of("tools/call")[-1].result(RESULT), "2"))
        return response

    async with house(direct, begun, [answers(RESULT), call], also={"GET": rest}) as gateway:
        await gateway.call()
        async with open_call(gateway) as stream:
            # Its stream ends, and the client comes back for the answer.
            primer = await stream.event()
            assert await stream.rest() == b""
        resumed = gateway.client.legacy_headers() | {"Last-Event-ID": primer["id"]}
        async with gateway.client.stream("GET", headers=resumed) as stream:
            asked_again.set()
            assert (await stream.next())["result"] == RESULT
        assert bool(begun) is direct
        await until(lambda: gateway.proxy.snapshot().totals.in_flight == 0)


@pytest.mark.parametrize("isolation", ["shared", "auto"])
@WAYS
async def test_a_session_that_has_ended_is_opened_anew_once_and_its_calls_are_made_again(
    begun: list[DirectCall], direct: bool, isolation: str
) -> None:
    sessions = 0
    gone = False

    async def initialize(seen: Seen) -> web.StreamResponse:
        nonlocal sessions
        sessions += 1
        return json_reply(seen.result(INITIALIZED), Mcp_Session_Id=f"s{sessions}")

    async def call(seen: Seen) -> web.StreamResponse:
        if gone and seen.headers["Mcp-Session-Id"] != f"s{sessions}":
            return web.Response(status=404)
        if gone and sessions == before:
            await both.wait()
            return web.Response(status=404)
        return json_reply(seen.result(RESULT))

    both = asyncio.Barrier(2)
    box = {"isolation": isolation}
    async with house(direct, begun, call, also={"initialize": initialize}, box=box) as gateway:
        other = Client(gateway.client.http, gateway.client.url)
        await other.initialize()
        for client in (other, gateway.client):
            if client.session_id is None:
                await client.initialize()
            await client.post(request("tools/call", {"name": "box__run", "arguments": {}}))
        begun.clear()
        before, gone = sessions, True
        called = request("tools/call", {"name": "box__run", "arguments": {}})
        replies = await asyncio.gather(other.post(called), gateway.client.post(called))
        assert [reply.json["result"] for reply in replies] == [RESULT] * 2
        assert sessions == before + 1
        assert gateway.row.errors == 0
        # Once for each try, and again with the session that is in force.
        assert (await gateway.call()).json["result"] == RESULT
        assert gateway.server.of("tools/call")[-1].headers["Mcp-Session-Id"] == f"s{sessions}"
        assert bool(begun) is direct


@WAYS
async def test_a_line_of_one_session_ends_with_it(begun: list[DirectCall], direct: bool) -> None:
    holds = Holds()
    box = {"isolation": "session"}
    also: dict[str, Handler] = {"DELETE": refuses(200)}
    async with house(direct, begun, [answers(RESULT), answers(RESULT), holds], box=box, also=also) as gateway:
        await gateway.call()
        await gateway.call()
        assert bool(begun) is direct
        calling = asyncio.ensure_future(gateway.call())
        await asyncio.wait_for(holds.arrived.wait(), 20)
        await gateway.client.send("DELETE", headers=gateway.client.legacy_headers())
        assert (await calling).events == []
        await until(lambda: gateway.server.of("DELETE"))
        assert gateway.row.in_flight == 0


async def test_where_requests_travel_in_batches_calls_take_the_ordinary_way(begun: list[DirectCall]) -> None:
    also = {"initialize": answers(INITIALIZED | {"protocolVersion": "2025-03-26"})}
    async with house(True, begun, answers(RESULT), also=also) as gateway:
        assert [(await gateway.call()).json["result"] for _ in range(3)] == [RESULT] * 3
        assert not begun


@pytest.mark.parametrize("era", [Era.LEGACY, Era.MODERN])
async def test_what_reaches_the_server_is_the_same_on_both_ways(
    begun: list[DirectCall], era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_house, "ERA", [era])
    told = []
    for direct in (True, False):
        begun.clear()
        async with house(direct, begun, answers(RESULT)) as gateway:
            for _ in range(3):
                await gateway.call()
            # The first call has opened a line.
            assert len(begun) == (2 if direct else 0)
            seen = gateway.server.of("tools/call")
            told.append(
                [
                    (
                        each.message["params"],
                        sorted((k.lower(), v) for k, v in each.headers.items() if k != "Host"),
                    )
                    for each in seen
                ]
            )
    assert [params for params, _ in told[0]] == [params for params, _ in told[1]]
    assert [without_length(headers) for _, headers in told[0]] == [without_length(h) for _, h in told[1]]


def without_length(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # Ids have as many digits as there were requests.
    return [(name, value) for name, value in headers if name != "content-length"]


# --- over a pipe ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def piped(direct: bool, begun: list[DirectCall], **more: Any) -> AsyncIterator[House]:
    tui = {"fault_drills": True}
    async with house(direct, begun, answers(RESULT), box=PIPE | more, tui=tui) as gateway:
        await gateway.client.initialize(capabilities={"elicitation": {}})
        yield gateway


async def told_by(gateway: House) -> Any:
    return json.loads((await gateway.call(arguments={})).json["result"]["content"][0]["text"])


@WAYS
async def test_a_child_asks_logs_and_answers_late(begun: list[DirectCall], direct: bool) -> None:
    async with piped(direct, begun) as gateway:
        assert await told_by(gateway) == {"answered": [], "cancelled": 0}
        assert json.loads(await asked_and_answered(gateway, do="ask")) == {"action": "accept", "content": {}}
        assert bool(begun) is direct
        begun.clear()
        told = (await gateway.call(arguments={"do": "log"})).events
        assert [each.get("method") for each in told] == ["notifications/message", None]
        # One that has asked without saying in which call goes one at a time from then on, without a task too.
        late = await gateway.call(arguments={"do": "late"})
        assert late.json["result"]["content"][0]["text"] == "done"
        assert await told_by(gateway) == {"answered": [{"action": "accept", "content": {}}], "cancelled": 0}
        assert (len(begun) == 3) is direct


@WAYS
async def test_a_child_hears_that_its_call_is_taken_back(begun: list[DirectCall], direct: bool) -> None:
    async with piped(direct, begun) as gateway:
        await told_by(gateway)
        calling = asyncio.ensure_future(gateway.call(arguments={"do": "hold"}))
        await until(lambda: gateway.row.in_flight == 1)
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        await gateway.client.post(cancelled)
        assert (await calling).events == []
        assert await told_by(gateway) == {"answered": [], "cancelled": 1}
        assert bool(begun) is direct


@WAYS
async def test_a_child_of_one_session_alone_is_called_like_the_others(
    begun: list[DirectCall], direct: bool
) -> None:
    async with piped(direct, begun, isolation="session") as gateway:
        # The first call starts it.
        await told_by(gateway)
        begun.clear()
        assert json.loads(await asked_and_answered(gateway, do="ask")) == {"action": "accept", "content": {}}
        assert await told_by(gateway) == {"answered": [{"action": "accept", "content": {}}], "cancelled": 0}
        assert (len(begun) == 2) is direct


@WAYS
async def test_a_child_that_is_killed_fails_its_calls_and_the_next_ones_go_to_another(
    begun: list[DirectCall], direct: bool
) -> None:
    async with piped(direct, begun) as gateway:
        await told_by(gateway)
        calling = asyncio.ensure_future(gateway.call(arguments={"do": "hold"}))
        await until(lambda: gateway.row.in_flight == 1)
        await gateway.proxy.drill("box", "kill")
        failed = await calling
        told = failed.json if failed.headers["Content-Type"] == "application/json" else failed.events[-1]
        assert told["error"]["data"]["dev.only1mcp"]["kind"] == "backend_exited"
        assert gateway.row.in_flight == 0
        await until(lambda: gateway.row.state == "healthy")
        begun.clear()
        assert await told_by(gateway) == {"answered": [], "cancelled": 0}
        assert bool(begun) is direct
