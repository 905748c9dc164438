"""Streams that outlive their connections: what is kept, who may come back to it, and what he then hears."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.errors import ClientSilent
from proxy_core.frontend.client_requests import ClientRequests
from proxy_core.frontend.client_stream import ClientStream
from proxy_core.frontend.event_stream import KEEP_ALIVE_S, EventStreams
from proxy_core.frontend.resumption import KEEP_S, MAX_BYTES, EventRing
from proxy_core.protocol import jsonrpc
from tests.support.clock import FakeClock
from tests.support.http_client import LATEST_LEGACY, SOON_S, Client, Stream, request
from tests.support.open_wire import OpenWire
from tests.support.scripted_gateway import LEGACY_RESULT, ScriptedGateway

CALL = request("tools/call", {"name": "a__b"})


def progress(n: int) -> bytes:
    return jsonrpc.notification("notifications/progress", b'{"progressToken":1,"progress":%d}' % n)


# --- by itself


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def streams(clock: FakeClock) -> EventStreams:
    return EventStreams(clock)


@pytest.fixture
def ring(clock: FakeClock) -> EventRing[ClientStream]:
    return EventRing(LATEST_LEGACY, clock)


@pytest.fixture
def stream(ring: EventRing[ClientStream], clock: FakeClock) -> ClientStream:
    return ClientStream(ring, ClientRequests(), clock)


def carry(stream: ClientStream, streams: EventStreams, wire: OpenWire) -> Any:
    carrier = streams.open(wire.open, stream.opening)
    stream.carry(carrier)
    return carrier


async def test_nothing_is_kept_of_an_answer_that_needs_no_stream(
    stream: ClientStream, streams: EventStreams, ring: EventRing[ClientStream]
):
    carrier = carry(stream, streams, wire := OpenWire())
    stream.finish(b"{}")
    assert not stream.is_streaming
    assert (carrier.is_finished, wire.headers, ring.streams) == (True, None, [])


async def test_silence_primes_a_stream_before_it_is_broken(
    stream: ClientStream, streams: EventStreams, clock: FakeClock
):
    carrier = carry(stream, streams, wire := OpenWire())
    clock.advance(KEEP_ALIVE_S)
    await streams.sweep()
    stream.finish(b"{}")
    await carrier.finished()
    assert wire.sent.startswith(b"id: 1-1\r\nretry: 1000\r\ndata: \r\n\r\n: ping\r\n\r\n")
    assert wire.sent.endswith(b"event: message\r\nid: 1-2\r\ndata: {}\r\n\r\n")


async def test_the_end_of_a_stream_that_nobody_reads_is_kept(
    stream: ClientStream, streams: EventStreams, ring: EventRing[ClientStream]
):
    carrier = carry(stream, streams, OpenWire())
    stream.notify(progress(1))
    stream.leave(carrier)
    streams.release(carrier)
    stream.notify(progress(2))
    stream.finish(b'{"done":true}')
    stream.notify(progress(3))
    stream.finish(b"{}")
    missed = stream.missed(2)
    assert missed.count(b"data: ") == 2
    assert b'"progress":2' in missed
    assert b'{"done":true}' in missed
    assert len(ring) == 3


async def test_an_answer_too_long_to_keep_is_told_to_have_been(stream: ClientStream, streams: EventStreams):
    carrier = carry(stream, streams, wire := OpenWire())
    stream.notify(progress(1))
    answer = b'"%s"' % (b"x" * MAX_BYTES)
    stream.finish(answer, b'"my id"')
    await carrier.finished()
    assert answer in wire.sent
    kept = stream.missed(2)
    assert json.loads(kept.split(b"data: ")[1])["id"] == "my id"
    assert json.loads(kept.split(b"data: ")[1])["error"]["code"] == -32603


async def test_a_reader_that_comes_back_takes_the_place_of_the_older(
    stream: ClientStream, streams: EventStreams
):
    carry(stream, streams, old := OpenWire())
    stream.notify(progress(1))
    await asyncio.wait_for(old.writing.wait(), SOON_S)
    newer = streams.open((new := OpenWire()).open, lambda: stream.missed(1))
    stream.carry(newer)
    newer.commit()
    assert old.is_aborted
    stream.notify(progress(2))
    stream.finish(b"{}")
    await newer.finished()
    assert b'"progress":2' not in old.sent
    assert [line for line in new.sent.split(b"\r\n") if line.startswith(b"id: ")] == [
        b"id: 1-2",
        b"id: 1-3",
        b"id: 1-4",
    ]


async def test_equal_messages_that_wait_for_a_reader_wait_once(
    stream: ClientStream, streams: EventStreams, ring: EventRing[ClientStream]
):
    carrier = carry(stream, streams, wire := OpenWire())
    stream.notify_once(b'{"n":1}')
    stream.notify_once(b'{"n":1}')
    await asyncio.wait_for(wire.writing.wait(), SOON_S)
    stream.leave(carrier)
    for _ in range(3):
        stream.notify_once(b'{"n":1}')
        stream.notify_once(b'{"n":2}')
    assert len(ring) == 3
    assert stream.missed(2).count(b"data: ") == 2


async def test_a_message_that_no_event_can_hold_is_dropped(
    stream: ClientStream, streams: EventStreams, ring: EventRing[ClientStream]
):
    carry(stream, streams, OpenWire())
    stream.notify(b'{"a":"x\ny"}')
    assert len(ring) == 0


async def test_a_question_is_given_up_when_nobody_came_back_for_long(
    stream: ClientStream, streams: EventStreams, clock: FakeClock
):
    carrier = carry(stream, streams, OpenWire())
    asking = asyncio.ensure_future(stream.request("roots/list", b"{}", timeout_s=SOON_S))
    while not stream.is_streaming:
        await asyncio.sleep(0)
    stream.give_up_late_readers()
    stream.leave(carrier)
    clock.advance(KEEP_S - 1)
    stream.give_up_late_readers()
    await asyncio.sleep(0)
    assert not asking.done()
    clock.advance(1)
    stream.give_up_late_readers()
    with pytest.raises(ClientSilent):
        await asking


async def test_without_ids_nobody_can_come_back_and_nobody_is_waited_for(
    streams: EventStreams, clock: FakeClock
):
    stream = ClientStream(None, ClientRequests(), clock)
    carrier = carry(stream, streams, wire := OpenWire())
    asking = asyncio.ensure_future(stream.request("roots/list", b"{}", timeout_s=SOON_S))
    await asyncio.wait_for(wire.writing.wait(), SOON_S)
    assert b"id: " not in wire.sent
    stream.leave(carrier)
    with pytest.raises(ClientSilent):
        await asking
    assert stream.missed(0) == b""


# --- over real sockets


@pytest.fixture
async def session(client: Client) -> Client:
    await client.initialize()
    return client


def resuming(session: Client, event_id: str, **changes: str) -> Any:
    return session.stream("GET", headers=session.legacy_headers(last_event_id=event_id, **changes))


async def dropped(session: Client, stream: Stream, frontend: Any) -> None:
    """Hang up, and wait until the gateway has noticed."""
    stream.response.close()
    while len(frontend._open):
        await asyncio.sleep(0)


@pytest.mark.requirement("L09")
async def test_the_first_event_of_a_stream_is_its_id_and_no_two_events_share_one(
    session: Client, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    ids: list[str] = []
    for n in range(2):
        headers = session.legacy_headers()
        asked = asyncio.ensure_future(session.send("POST", CALL | {"id": n}, headers=headers))
        call = await gateway.next_call()
        call.notify(progress(1))
        call.answer(LEGACY_RESULT)
        body = (await asked).body
        assert fields_of_first(body) == {"retry": "1000", "data": ""}
        ids += [line[4:].decode() for line in body.split(b"\r\n") if line.startswith(b"id: ")]
    assert len(ids) == len(set(ids)) == 6


def fields_of_first(body: bytes) -> dict[str, str]:
    lines = body.split(b"\r\n\r\n")[0].decode().split("\r\n")
    fields = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    assert fields.pop("id")
    return fields


@pytest.mark.requirement("L09")
@pytest.mark.parametrize(
    ("revision", "fields"),
    [
        ("2024-11-05", {"event", "data"}),
        ("2025-03-26", {"event", "id", "data"}),
        ("2025-06-18", {"event", "id", "data"}),
        ("2025-11-25", {"id", "retry", "data"}),
    ],
)
async def test_a_client_of_an_older_revision_gets_no_event_that_it_does_not_know(
    session: Client, gateway: ScriptedGateway, revision: str, fields: set[str]
):
    await session.initialize(revision)
    gateway.held = {"tools/call"}
    async with session.stream("GET", headers=session.legacy_headers(mcp_protocol_version=revision)):
        headers = session.legacy_headers(mcp_protocol_version=revision)
        asked = asyncio.ensure_future(session.send("POST", CALL, headers=headers))
        call = await gateway.next_call()
        call.notify(progress(1))
        call.answer(LEGACY_RESULT)
        lines = (await asked).body.split(b"\r\n\r\n")[0].decode().split("\r\n")
        assert {line.partition(":")[0] for line in lines} == fields


@pytest.mark.requirement("L08")
async def test_who_comes_back_gets_the_rest_of_that_stream_and_of_no_other(
    session: Client, gateway: ScriptedGateway, streaming: Any, frontend: Any
):
    async with streaming(session, CALL | {"id": 2}) as (other, other_call), streaming(session) as (mine, call):
        call.notify(progress(1))
        last = await mine.event()
        assert '"progress":1' in last["data"]
        call.notify(progress(2))
        mine.response.close()
        while len(frontend._open) > 1:
            await asyncio.sleep(0)
        call.notify(progress(3))
        other_call.notify(progress(100))
        async with resuming(session, last["id"]) as resumed:
            assert [(await resumed.next())["params"]["progress"] for _ in range(2)] == [2, 3]
            call.notify(progress(4))
            assert (await resumed.next())["params"]["progress"] == 4
            call.answer(b'{"content":["mine"]}')
            assert (await resumed.next())["result"] == {"content": ["mine"]}
            assert await resumed.rest() == b""
        other_call.answer(b'{"content":["other"]}')
        assert (await other.next())["params"]["progress"] == 100
        assert (await other.next())["result"] == {"content": ["other"]}
        assert await other.rest() == b""


@pytest.mark.requirement("L08")
async def test_an_answer_that_came_while_nobody_read_is_told_on_coming_back(
    session: Client, gateway: ScriptedGateway, streaming: Any, frontend: Any
):
    async with streaming(session) as (stream, call):
        call.notify(progress(1))
        last = await stream.event()
        await dropped(session, stream, frontend)
        call.answer(LEGACY_RESULT)
        while frontend.in_flight:
            await asyncio.sleep(0)
    for _ in range(2):
        async with resuming(session, last["id"]) as resumed:
            answer = await resumed.event()
            assert json.loads(answer["data"])["result"] == {"content": []}
            assert await resumed.rest() == b""
    async with resuming(session, answer["id"]) as resumed:
        assert await resumed.rest() == b""


async def test_a_question_put_while_nobody_read_can_still_be_answered(
    session: Client, gateway: ScriptedGateway, streaming: Any, frontend: Any
):
    async with streaming(session) as (stream, call):
        call.notify(progress(1))
        last = await stream.event()
        await dropped(session, stream, frontend)
        outlet = call.exchange.outlet
        question = asyncio.ensure_future(outlet.request("roots/list", b"{}", timeout_s=SOON_S))
        async with resuming(session, last["id"]) as resumed:
            sent = await resumed.next()
            await session.post({"jsonrpc": "2.0", "id": sent["id"], "result": {"roots": []}})
            assert bytes(await question) == b'{"roots": []}'
            call.answer(LEGACY_RESULT)
            assert "result" in await resumed.next()


@pytest.mark.requirement("L08")
async def test_a_cancelled_call_has_no_answer_on_coming_back(
    session: Client, gateway: ScriptedGateway, streaming: Any, frontend: Any
):
    async with streaming(session) as (stream, call):
        call.notify(progress(1))
        last = await stream.event()
        await dropped(session, stream, frontend)
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        await session.post(cancel)
        await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    async with resuming(session, last["id"]) as resumed:
        assert await resumed.rest() == b""


@pytest.mark.requirement("L08")
async def test_an_id_that_names_nothing_here_is_refused(
    session: Client, gateway: ScriptedGateway, streaming: Any
):
    other = Client(session.http, session.url)
    await other.initialize()
    async with streaming(session) as (stream, call):
        call.notify(progress(1))
        known = (await stream.event())["id"]
        for client, event_id in ((session, "7-7"), (session, "nonsense"), (other, known)):
            headers = client.legacy_headers(last_event_id=event_id)
            reply = await client.send("GET", headers=headers)
            assert (reply.status, reply.error_code) == (400, -32600)
        call.answer(LEGACY_RESULT)
        assert "result" in await stream.next()
    await other.initialize("2024-11-05")
    assert (await other.send("GET", headers=other.legacy_headers(last_event_id=known))).status == 400


@pytest.mark.requirement("L08")
async def test_changes_of_lists_that_nobody_heard_are_told_once_on_coming_back(
    session: Client, gateway: ScriptedGateway, frontend: Any
):
    async with session.stream("GET", headers=session.legacy_headers()) as own:
        gateway.hub.changed("tools")
        last = await own.event()
        await dropped(session, own, frontend)
    for _ in range(2):
        gateway.hub.changed("prompts")
        await gateway.hub.settled()
    async with resuming(session, last["id"]) as own:
        assert frontend.stream_count == 1
        assert (await own.next())["method"] == "notifications/prompts/list_changed"
        gateway.hub.changed("resources")
        assert (await own.next())["method"] == "notifications/resources/list_changed"
        # A stream that is opened anew has nothing to make up for, and ends the one before.
        async with session.stream("GET", headers=session.legacy_headers()) as newest:
            assert await own.rest() == b""
            gateway.hub.changed("tools")
            assert (await newest.next())["method"] == "notifications/tools/list_changed"


@pytest.mark.requirement("L08")
async def test_a_client_is_let_go_and_comes_back_for_the_answer(
    session: Client, gateway: ScriptedGateway, frontend: Any
):
    """2025-11-25: a server may end the stream after an id and a time to come back."""
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(session.send("POST", CALL, headers=session.legacy_headers()))
    call = await gateway.next_call()
    call.exchange.outlet.let_go()
    primer = (await asyncio.wait_for(asked, SOON_S)).body
    assert primer.startswith(b"id: 1-1\r\nretry: ")
    async with asyncio.timeout(SOON_S):
        while len(frontend._open):
            # Nothing of the request that was let go waits for the answer.
            await asyncio.sleep(0)
    call.answer(LEGACY_RESULT)
    async with resuming(session, "1-1") as resumed:
        assert json.loads((await resumed.event())["data"])["result"] == {"content": []}
        assert await resumed.rest() == b""


async def test_a_client_that_does_not_know_polling_is_not_let_go(client: Client, gateway: ScriptedGateway):
    await client.initialize("2025-06-18")
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(
        client.send("POST", CALL, headers=client.legacy_headers(mcp_protocol_version="2025-06-18"))
    )
    call = await gateway.next_call()
    call.exchange.outlet.let_go()
    call.answer(LEGACY_RESULT)
    assert (await asyncio.wait_for(asked, SOON_S)).json["result"] == {"content": []}
