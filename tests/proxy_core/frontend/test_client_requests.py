"""What we ask of a client: by itself, and over real sockets on the stream of the call that caused it."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.errors import ClientError, ClientSilent
from proxy_core.frontend.client_requests import (
    MAX_ERROR_DATA_BYTES,
    MAX_ERROR_MESSAGE,
    MAX_OPEN,
    ClientRequests,
)
from proxy_core.protocol import jsonrpc
from tests.support.http_client import SOON_S, Client, request
from tests.support.scripted_gateway import LEGACY_RESULT, HeldCall, ScriptedGateway

CALL = request("tools/call", {"name": "a__b"})
QUESTION = b'{"message":"Name?"}'
ANSWER = {"action": "accept", "content": {"name": "Ann"}}


class Line:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def notify(self, message: bytes) -> None:
        assert b"\n" not in message
        self.sent.append(json.loads(message))


def asking(requests: ClientRequests, line: Line, timeout_s: float = SOON_S) -> asyncio.Future[Any]:
    return asyncio.ensure_future(
        requests.ask(line, "elicitation/create", b'{\n"message":"Name?"}', timeout_s=timeout_s)
    )


async def asked(line: Line) -> Any:
    while not line.sent:
        await asyncio.sleep(0)
    return line.sent[-1]


def answer(requests: ClientRequests, message: dict[str, Any]) -> None:
    response = jsonrpc.parse(json.dumps({"jsonrpc": "2.0"} | message).encode())
    assert isinstance(response, jsonrpc.Response)
    requests.answer(response)


# --- by itself


async def test_a_question_is_answered_by_the_response_with_its_id():
    requests, line = ClientRequests(), Line()
    question = asking(requests, line)
    sent = await asked(line)
    assert sent == {
        "jsonrpc": "2.0",
        "id": sent["id"],
        "method": "elicitation/create",
        "params": {"message": "Name?"},
    }
    assert sent["id"].startswith("s-")
    for strange in ("s-unknown", 1, sent["id"] + " "):
        answer(requests, {"id": strange, "result": {}})
    answer(requests, {"id": None, "error": {"code": -32700, "message": "What?"}})
    assert not question.done()
    answer(requests, {"id": sent["id"], "result": ANSWER})
    answer(requests, {"id": sent["id"], "result": {"action": "cancel"}})
    assert json.loads(bytes(await question)) == ANSWER
    assert len(requests) == 0
    answer(requests, {"id": sent["id"], "result": ANSWER})


async def test_no_two_questions_share_an_id():
    requests, line = ClientRequests(), Line()
    questions = [asking(requests, line) for _ in range(MAX_OPEN)]
    while len(line.sent) < MAX_OPEN:
        await asyncio.sleep(0)
    assert len({message["id"] for message in line.sent}) == MAX_OPEN
    with pytest.raises(ClientSilent):
        await asking(requests, line)
    answer(requests, {"id": line.sent[3]["id"], "result": {"n": 3}})
    assert json.loads(bytes(await questions[3])) == {"n": 3}
    requests.end()
    await asyncio.wait(questions)


async def test_the_clients_error_is_passed_on_within_bounds():
    requests, line = ClientRequests(), Line()
    question = asking(requests, line)
    message = "no" * MAX_ERROR_MESSAGE
    error = {"code": -1, "message": message, "data": {"why": "tired"}}
    answer(requests, {"id": (await asked(line))["id"], "error": error})
    with pytest.raises(ClientError) as told:
        await question
    assert (told.value.code, told.value.message) == (-1, message[:MAX_ERROR_MESSAGE])
    assert told.value.raw_data == b'{"why": "tired"}'


@pytest.mark.parametrize(
    "error", [{"code": -1, "message": "no", "data": "x" * MAX_ERROR_DATA_BYTES}, "nonsense"]
)
async def test_an_error_that_is_too_long_or_none_at_all_keeps_no_data(error: Any):
    requests, line = ClientRequests(), Line()
    question = asking(requests, line)
    answer(requests, {"id": (await asked(line))["id"], "error": error})
    with pytest.raises(ClientError) as told:
        await question
    assert told.value.raw_data == b""


async def test_a_client_that_does_not_answer_in_time_is_told_that_we_stopped_waiting():
    requests, line = ClientRequests(), Line()
    question = asking(requests, line, timeout_s=0.01)
    sent = await asked(line)
    with pytest.raises(ClientSilent):
        await question
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": sent["id"]}}
    assert line.sent[1:] == [{"jsonrpc": "2.0"} | cancelled]
    assert len(requests) == 0


async def test_a_question_that_nobody_waits_for_any_more_is_cancelled_at_the_client():
    requests, line = ClientRequests(), Line()
    question = asking(requests, line)
    sent = await asked(line)
    question.cancel()
    await asyncio.wait([question])
    assert question.cancelled()
    assert line.sent[1]["params"] == {"requestId": sent["id"]}


async def test_the_end_of_a_client_ends_what_it_was_asked_and_it_is_asked_no_more():
    requests, line = ClientRequests(), Line()
    question = asking(requests, line)
    await asked(line)
    requests.end()
    requests.end()
    for silent in (question, asking(requests, line)):
        with pytest.raises(ClientSilent):
            await silent
    assert len(line.sent) == 1


async def test_a_line_that_is_lost_takes_its_own_questions_with_it_alone():
    requests, lost, kept = ClientRequests(), Line(), Line()
    gone, alive = asking(requests, lost), asking(requests, kept)
    await asked(lost)
    sent = await asked(kept)
    requests.lose(lost)
    with pytest.raises(ClientSilent):
        await gone
    answer(requests, {"id": sent["id"], "result": {}})
    assert bytes(await alive) == b"{}"


async def test_a_question_that_no_line_can_carry_is_not_put():
    requests, line = ClientRequests(), Line()
    with pytest.raises(ClientSilent):
        await requests.ask(line, "elicitation/create", b'{"message":"a\nb"}', timeout_s=SOON_S)
    assert line.sent == []


# --- over real sockets


@pytest.fixture
async def session(client: Client, gateway: ScriptedGateway) -> Client:
    gateway.held = {"tools/call"}
    await client.initialize()
    return client


def put(call: HeldCall, timeout_s: float = SOON_S) -> asyncio.Future[Any]:
    return asyncio.ensure_future(
        call.exchange.outlet.request("elicitation/create", QUESTION, timeout_s=timeout_s)
    )


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_call_asks_on_its_own_stream_and_hears_what_the_client_posts(
    session: Client, streaming: Any, gateway: ScriptedGateway, revision: str
):
    await session.initialize(revision)
    async with session.stream("GET", headers=session.legacy_headers()) as own:
        async with streaming(session) as (stream, call):
            question = put(call)
            sent = await stream.next()
            assert (sent["method"], sent["params"]) == ("elicitation/create", json.loads(QUESTION))
            reply = await session.post({"jsonrpc": "2.0", "id": sent["id"], "result": ANSWER})
            assert (reply.status, reply.body) == (202, b"")
            assert json.loads(bytes(await question)) == ANSWER
            call.answer(LEGACY_RESULT)
            assert (await stream.next())["result"] == {"content": []}
            assert await stream.rest() == b""
        await session.send("DELETE", headers=session.legacy_headers())
        assert await own.rest() == b""


async def test_only_the_session_that_was_asked_can_answer(
    session: Client, streaming: Any, gateway: ScriptedGateway
):
    other = Client(session.http, session.url)
    await other.initialize()
    async with streaming(session) as (stream, call):
        question = put(call)
        sent = await stream.next()
        answered = {"jsonrpc": "2.0", "id": sent["id"], "result": {"from": "a stranger"}}
        assert (await other.post(answered)).status == 202
        assert (await session.post(answered | {"id": "s-unknown"})).status == 202
        assert not question.done()
        await session.post(answered | {"result": {"from": "me"}})
        assert json.loads(bytes(await question)) == {"from": "me"}
        call.answer(LEGACY_RESULT)
        await stream.rest()


async def test_a_cancelled_call_takes_its_question_back_and_has_no_answer(
    session: Client, streaming: Any, gateway: ScriptedGateway
):
    async with streaming(session) as (stream, call):
        question = put(call)
        sent = await stream.next()
        # What becomes of a question when the work that asked it is cancelled.
        question.cancel()
        taken_back = await stream.next()
        assert taken_back["method"] == "notifications/cancelled"
        assert taken_back["params"] == {"requestId": sent["id"]}
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        await session.post(cancel)
        await asyncio.wait_for(call.cancelled.wait(), SOON_S)
        assert await stream.rest() == b""
        assert (await session.post({"jsonrpc": "2.0", "id": sent["id"], "result": {}})).status == 202


async def test_a_session_that_ends_leaves_its_questions_without_an_answer(
    session: Client, streaming: Any, gateway: ScriptedGateway
):
    async with streaming(session) as (stream, call):
        question = put(call)
        await stream.next()
        await session.send("DELETE", headers=session.legacy_headers())
        with pytest.raises(ClientSilent):
            await question
        await asyncio.wait_for(call.cancelled.wait(), SOON_S)
        assert await stream.rest() == b""


async def test_a_client_that_left_before_its_stream_began_cannot_be_asked(
    session: Client, gateway: ScriptedGateway, frontend: Any
):
    asked_ = asyncio.ensure_future(session.post(CALL))
    call = await gateway.next_call()
    asked_.cancel()
    await asyncio.wait([asked_])
    while len(frontend._open):
        await asyncio.sleep(0)
    with pytest.raises(ClientSilent):
        await put(call)
    call.answer(LEGACY_RESULT)


# --- on the session's own stream


async def test_what_belongs_to_no_request_is_asked_on_the_sessions_own_stream(
    session: Client, gateway: ScriptedGateway
):
    await session.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    caller = gateway.notifications[0][0]
    question = asyncio.ensure_future(caller.stream.request("roots/list", b"{}", timeout_s=SOON_S))
    async with session.stream("GET", headers=session.legacy_headers()) as own:
        sent = await own.next()
        await session.post({"jsonrpc": "2.0", "id": sent["id"], "result": {"roots": []}})
        assert bytes(await question) == b'{"roots": []}'
        caller.stream.notify(b'{"jsonrpc":"2.0","method":"notifications/x"}')
        assert (await own.next())["method"] == "notifications/x"


async def test_nobody_listens_to_a_session_without_a_stream(
    session: Client, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("proxy_core.frontend.client_stream.READER_S", 0.01)
    await session.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    stream = gateway.notifications[0][0].stream
    stream.notify(b'{"jsonrpc":"2.0","method":"notifications/x"}')
    with pytest.raises(ClientSilent):
        await stream.request("roots/list", b"{}", timeout_s=SOON_S)
