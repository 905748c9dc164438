"""What a legacy backend asks of clients: to whom it is put, how it is answered, how it ends."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from msgspec import Raw

from proxy_core.backends.connection import Connection
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.questions import MAX_OF_CALL, MAX_OPEN, MAX_REPLIES
from proxy_core.clock import SystemClock
from proxy_core.config.models import HttpTransport, ServerConfig
from proxy_core.errors import BackendTimeout, BackendUnavailable
from proxy_core.protocol.jsonrpc import RpcError
from tests.support.backend_server import INITIALIZED, Seen, accepts, answers, event, event_stream, serving
from tests.support.scripted_channel import (
    Asked,
    Owner,
    Sink,
    initialized,
    raises,
    silence,
    until,
)
from tests.support.scripted_line import CHILD, REMOTE, Line, new_call

SAMPLING, ELICITATION, ROOTS = "sampling/createMessage", "elicitation/create", "roots/list"
HANDSHAKE = {"initialize": initialized(), "notifications/initialized": silence}


async def opened(dial: Any, transport: Any = CHILD, **more: Any) -> Line:
    line: Line = dial(HANDSHAKE, transport, era="legacy", **more)
    await line.connection.open()
    line.server.transcript.clear()
    return line


async def running(line: Line, sink: Sink | None = None, **more: Any) -> tuple[Any, Asked, Sink]:
    """A call that has reached the server."""
    sink = sink or Sink()
    call = line.call(sink=sink, **more)
    return call, await line.server.next("tools/call"), sink


def asks(line: Line, request_id: Any = "q1", method: str = ELICITATION, origin: int | None = None) -> None:
    line.server.line.says({"jsonrpc": "2.0", "id": request_id, "method": method, "params": {}}, origin)


async def answer(line: Line) -> dict[str, Any]:
    return (await line.server.next("")).message


# --- who is asked -------------------------------------------------------------------------------------------


async def test_a_ping_is_answered_here(legacy: Line) -> None:
    _, _, sink = await running(legacy)
    legacy.server.line.says_bytes(b'{"jsonrpc":"2.0","id":"p-1","method":"ping"}')
    assert await answer(legacy) == {"jsonrpc": "2.0", "id": "p-1", "result": {}}
    assert (legacy.owner.requests, sink.questions) == ([], [])


@pytest.mark.parametrize("request_id", [1, "1", 0, -5, 12345678901234567890])
async def test_the_only_calls_client_is_asked_and_its_answer_carries_the_servers_id(
    legacy: Line, request_id: Any
) -> None:
    _, _, sink = await running(legacy)
    asks(legacy, request_id)
    (await sink.asked()).answer.set_result(b'{"action":"accept","content":{"n":1}}')
    assert await answer(legacy) == {
        "jsonrpc": "2.0",
        "id": request_id,
        "result": {"action": "accept", "content": {"n": 1}},
    }


async def test_a_question_on_a_calls_own_stream_is_put_to_that_call_whoever_else_calls(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    (_, _, first), (_, second_call, second) = await running(line), await running(line)
    asks(line, origin=second_call.id)
    await second.asked()
    assert first.questions == []
    await running(line)


@pytest.mark.requirement("M19")
@pytest.mark.parametrize("method", [ELICITATION, SAMPLING, ROOTS])
async def test_a_question_between_calls_of_two_clients_is_refused_and_put_to_neither(
    legacy: Line, method: str
) -> None:
    (one, first_call, first), (two, second_call, second) = await running(legacy), await running(legacy)
    asks(legacy, method=method)
    error = (await answer(legacy))["error"]
    assert error["code"] == -32603
    assert "ambiguous" in error["message"]
    assert first.questions == second.questions == []
    assert legacy.owner.requests == []
    first_call.answer({})
    second_call.answer({})
    await asyncio.gather(one, two)


@pytest.mark.requirement("M19")
async def test_after_a_question_that_named_no_call_the_calls_come_one_by_one(legacy: Line) -> None:
    (_, first_call, _), (_, second_call, _) = await running(legacy), await running(legacy)
    asks(legacy)
    await answer(legacy)
    third = Sink()
    legacy.call(sink=third)
    first_call.answer({})
    await legacy.rest()
    assert legacy.server.count("tools/call") == 2, "the third waits until both are over"
    second_call.answer({})
    await legacy.server.next("tools/call")
    asks(legacy, "q2")
    await third.asked()


async def test_a_question_without_any_call_costs_no_places(legacy: Line) -> None:
    """Most servers ask for roots as soon as they start."""
    asks(legacy, method=ROOTS)
    await answer(legacy)
    await running(legacy)
    await running(legacy)


async def test_the_oldest_call_of_a_session_that_may_ask_is_asked(legacy: Line) -> None:
    session = object()
    _, _, first = await running(legacy, Sink(client=session, may_be_asked=False))
    _, _, second = await running(legacy, Sink(client=session))
    asks(legacy)
    await second.asked()
    assert first.questions == []


async def test_a_session_that_cannot_be_asked_is_not(legacy: Line) -> None:
    session = object()
    for _ in range(2):
        await running(legacy, Sink(client=session, may_be_asked=False))
    asks(legacy)
    assert (await answer(legacy))["error"]["code"] == -32601


@pytest.mark.requirement("M13")
async def test_a_refusal_is_relayed_whole_and_the_call_goes_on(legacy: Line) -> None:
    refusal = RpcError(-32601, "The client cannot be asked.", Raw(b'{"why":[1]}'))
    call, asked, _ = await running(legacy, Sink(answers={ELICITATION: refusal}))
    asks(legacy)
    assert (await answer(legacy))["error"] == {
        "code": -32601,
        "message": "The client cannot be asked.",
        "data": {"why": [1]},
    }
    assert not call.done()
    asked.answer({"content": []})
    assert bytes(await call) == b'{"content": []}'


async def test_a_question_that_no_call_caused_is_put_to_the_owner(legacy: Line) -> None:
    for number, method in enumerate((ROOTS, SAMPLING, ELICITATION)):
        asks(legacy, number, method)
        assert (await answer(legacy))["error"]["code"] == -32601
    assert [request.method for request in legacy.owner.requests] == [ROOTS, SAMPLING, ELICITATION]


async def test_a_late_question_of_a_call_that_is_over_reaches_no_other_client(legacy: Line) -> None:
    call, asked, _ = await running(legacy)
    _, _, other = await running(legacy)
    asked.answer({})
    await call
    asks(legacy, origin=asked.id)
    await answer(legacy)
    assert other.questions == []


async def test_while_one_client_thinks_the_next_call_is_the_only_one(legacy: Line) -> None:
    parked, sink = new_call(sink=Sink()), Sink()
    legacy.ask(parked)
    await legacy.server.next("tools/call")
    parked.park()
    legacy.call(sink=sink)
    await legacy.server.next("tools/call")
    asks(legacy)
    await sink.asked()


async def test_the_answer_of_a_client_that_is_back_waits_until_no_other_call_is_under_way(dial: Any) -> None:
    """Or the server's next question could be the one or the other's."""
    line = await opened(dial, concurrency=1)
    parked, sink = new_call(sink=Sink()), Sink()
    line.ask(parked)
    await line.server.next("tools/call")
    asks(line)
    question = await parked.sink.asked()
    parked.park()
    other = line.call(sink=sink)
    running_now = await line.server.next("tools/call")
    question.answer.set_result(b'{"action":"accept"}')
    await line.rest()
    assert parked.is_parked
    asks(line, request_id="q2")
    (await sink.asked()).answer.set_result(b'{"action":"decline"}')
    assert (await answer(line))["id"] == "q2"
    running_now.answer({})
    await other
    assert (await answer(line))["result"] == {"action": "accept"}
    assert not parked.is_parked


@pytest.mark.parametrize("method", ["tools/call", "tasks/get", "x" * 10_000])
async def test_what_no_server_may_ask_is_refused_without_asking_anybody(legacy: Line, method: str) -> None:
    _, _, sink = await running(legacy)
    asks(legacy, method=method)
    error = (await answer(legacy))["error"]
    assert error["code"] == -32601
    assert len(error["message"]) < 200
    assert (sink.questions, legacy.owner.requests) == ([], [])


# --- bounds -------------------------------------------------------------------------------------------------


async def test_one_call_can_have_only_so_many_questions_open(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    _, asked, sink = await running(line)
    for number in range(MAX_OF_CALL + 1):
        asks(line, number, origin=asked.id)
    refused = await answer(line)
    assert (refused["id"], refused["error"]["code"]) == (MAX_OF_CALL, -32603)
    await until(lambda: len(sink.questions) == MAX_OF_CALL)


async def test_one_connection_can_have_only_so_many_questions_open(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    calls = [await running(line) for _ in range(MAX_OPEN // MAX_OF_CALL + 1)]
    for number in range(MAX_OPEN + 3):
        asks(line, number, origin=calls[number // MAX_OF_CALL][1].id)
    refused = [await answer(line) for _ in range(3)]
    assert [each["id"] for each in refused] == [MAX_OPEN, MAX_OPEN + 1, MAX_OPEN + 2]
    assert {each["error"]["code"] for each in refused} == {-32603}


async def test_an_id_that_is_still_in_use_is_refused(legacy: Line) -> None:
    _, _, sink = await running(legacy)
    asks(legacy, "same")
    asks(legacy, "same")
    assert (await answer(legacy))["error"]["code"] == -32600
    (await sink.asked()).answer.set_result(b"{}")
    assert (await answer(legacy))["result"] == {}


async def test_a_server_that_asks_faster_than_it_reads_gets_no_answer(legacy: Line) -> None:
    for number in range(MAX_REPLIES + 5):
        asks(legacy, number, "ping")
    assert sum("faster" in text for _, text in legacy.owner.sayings) == 5
    await until(lambda: legacy.server.transcript.count("> answer") == MAX_REPLIES)


async def test_an_answer_that_cannot_be_sent_is_only_noted(legacy: Line) -> None:
    legacy.server.script[""] = [raises(BackendUnavailable("box", "no"))]
    asks(legacy, method="ping")
    await until(lambda: legacy.owner.sayings)
    assert legacy.owner.sayings[0][0] == "debug"


@pytest.mark.parametrize(
    ("said", "sent"),
    [(b'{\n "action":\r\n"accept" }', {"action": "accept"}), (b'{"a":"\n"}', None)],
)
async def test_an_answer_of_several_lines_stays_one_line(legacy: Line, said: bytes, sent: Any) -> None:
    await running(legacy, Sink(answers={ELICITATION: said}))
    asks(legacy)
    told = await legacy.server.next("")
    assert b"\n" not in told.sent.data
    assert told.message.get("result") == sent
    assert ("error" in told.message) is (sent is None)


# --- how it ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["answered", "cancelled", "timed out"])
@pytest.mark.parametrize("method", [ELICITATION, SAMPLING])
async def test_when_the_call_ends_its_client_is_asked_no_more_and_the_server_is_told(
    legacy: Line, method: str, how: str
) -> None:
    call, asked, sink = await running(legacy)
    asks(legacy, method=method)
    question = await sink.asked()
    if how == "answered":
        asked.answer({"content": []})
    elif how == "cancelled":
        call.cancel()
    else:
        await legacy.wait(3600)
    told = await answer(legacy)
    if method == ELICITATION:
        assert told["result"] == {"action": "cancel"}
    else:
        assert told["error"]["code"] == -32603
    await until(lambda: question.is_withdrawn)
    await asyncio.gather(call, return_exceptions=True)
    if how != "answered":
        assert (await legacy.server.next("notifications/cancelled")).params["requestId"] == asked.id
        heard = legacy.server.transcript
        assert heard.index("> answer") < heard.index("> notifications/cancelled")


async def test_a_server_that_takes_its_question_back_gets_no_answer(legacy: Line) -> None:
    _, _, sink = await running(legacy)
    asks(legacy, 7)
    question = await sink.asked()
    legacy.server.line.notifies("notifications/cancelled", requestId="7")
    legacy.server.line.notifies("notifications/cancelled", requestId=7)
    await until(lambda: question.is_withdrawn)
    await legacy.rest()
    assert "> answer" not in legacy.server.transcript
    asks(legacy, 7)
    await until(lambda: len(sink.questions) == 2)


@pytest.mark.parametrize("params", [{}, {"requestId": None}, {"requestId": [1]}, {"requestId": "other"}])
async def test_taking_back_what_was_never_asked_does_nothing(legacy: Line, params: dict[str, Any]) -> None:
    _, _, sink = await running(legacy)
    asks(legacy)
    question = await sink.asked()
    legacy.server.line.notifies("notifications/cancelled", **params)
    await legacy.rest()
    assert not question.is_withdrawn


async def test_questions_of_a_line_that_ended_are_withdrawn_in_silence(legacy: Line) -> None:
    call, _, sink = await running(legacy)
    asks(legacy)
    question = await sink.asked()
    legacy.server.line.ends()
    await until(lambda: question.is_withdrawn)
    await asyncio.gather(call, return_exceptions=True)
    await legacy.rest()
    assert "> answer" not in legacy.server.transcript
    assert legacy.owner.sayings == []


async def test_closing_withdraws_what_is_open(legacy: Line) -> None:
    _, _, sink = await running(legacy)
    asks(legacy)
    question = await sink.asked()
    await legacy.connection.aclose()
    assert question.is_withdrawn


async def test_a_call_that_waits_for_input_does_not_idle_but_cannot_last_for_ever(dial: Any) -> None:
    line = await opened(dial, timeouts={"call_idle_s": 30, "call_s": 1000})
    call, _, sink = await running(line)
    await line.wait(20)
    asks(line)
    question = await sink.asked()
    await line.wait(500)
    assert not call.done()
    question.answer.set_result(b'{"action":"accept"}')
    await answer(line)
    await line.wait(9)
    assert not call.done(), "the idle clock goes on from where it stood"
    await line.wait(1)
    with pytest.raises(BackendTimeout, match="30 seconds"):
        await call
    late, _, waiting = await running(line)
    asks(line, "q2")
    await waiting.asked()
    await line.wait(1000)
    with pytest.raises(BackendTimeout, match="1000 seconds"):
        await late


# --- over real HTTP -----------------------------------------------------------------------------------------


class AskingServer:
    """Asks the client on the stream of the call, and answers the call with what it was told."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()

    async def call(self, seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        question = {"jsonrpc": "2.0", "id": "q", "method": ELICITATION, "params": {"message": "?"}}
        await response.write(event(json.dumps(question).encode()))
        answer = await self.answered
        await response.write(event(seen.result(answer.message["result"])))
        return response

    async def answer(self, seen: Seen) -> web.StreamResponse:
        self.answered.set_result(seen)
        return await accepts(seen)


async def test_the_answer_goes_out_in_the_session_of_everything_else() -> None:
    asking = AskingServer()
    table: dict[str, Any] = {
        "initialize": answers(INITIALIZED, Mcp_Session_Id="s-1"),
        "notifications/initialized": accepts,
        "tools/call": asking.call,
        "answer": asking.answer,
        "DELETE": accepts,
    }
    async with serving(table) as server:
        transport = HttpTransport(url=server.url)
        config = ServerConfig(id="box", transport=transport, era="legacy")

        def channel(kind: Any, receiver: Any) -> HttpChannel:
            return HttpChannel("box", transport, receiver, 30, lambda note: None)

        connection = Connection(config, channel, Owner(), SystemClock())
        try:
            await connection.open()
            accepted = b'{"action": "accept", "content": {"n": 1}}'
            result = await connection.call(new_call(sink=Sink(answers={ELICITATION: accepted})))
        finally:
            await connection.aclose()
    assert json.loads(bytes(result)) == {"action": "accept", "content": {"n": 1}}
    headers = server.of("answer")[0].headers
    assert (headers["Mcp-Session-Id"], headers["MCP-Protocol-Version"]) == ("s-1", "2025-06-18")
    assert server.of("answer")[0].id == "q"
