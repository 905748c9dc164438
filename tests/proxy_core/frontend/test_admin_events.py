"""The event stream: first the whole picture, then what is new, in order and without gaps; and who loses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from proxy_core.admin_wire import NumberedFact, NumberedLine, Session, decoded
from proxy_core.config.models import AdminConfig
from proxy_core.config.tokens import new_token
from proxy_core.facts import VerbUsed
from proxy_core.frontend import admin_events
from proxy_core.frontend.admin_events import MAX_AT_ONCE, SLOW_S, AdminEvents, Onlooker
from proxy_core.frontend.event_stream import KEEP_ALIVE_S, EventStreams
from proxy_core.frontend.wire import WireHead, WireRequest
from proxy_core.protocol.sse import SseEvent, SseParser
from proxy_core.telemetry.snapshot import LogLine, Snapshot
from tests.support.admin_house import API, House, config_of, house
from tests.support.clock import FakeClock
from tests.support.fake_control import FakeControl, row_of
from tests.support.open_wire import OpenWire


class Reading:
    """A reader of the stream: events one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._parser = SseParser(1 << 24)
        self._ready: list[SseEvent] = []

    async def next(self) -> SseEvent:
        async with asyncio.timeout(20):
            while not self._ready:
                chunk = await self.response.content.readany()
                if not chunk:
                    raise EOFError
                self._ready += self._parser.feed(chunk)
        return self._ready.pop(0)

    async def of(self, kind: str) -> SseEvent:
        while (event := await self.next()).event != kind:
            pass
        return event


@asynccontextmanager
async def reading(served: House, query: str = "", **more: Any) -> AsyncIterator[Reading]:
    connector = aiohttp.UnixConnector(str(served.socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"http://localhost{API}/events{query}", **more) as response,
    ):
        yield Reading(response)


def fact(number: int) -> VerbUsed:
    return VerbUsed(float(number), "search", "drain", f"outcome {number}")


def line(number: int) -> LogLine:
    return LogLine(float(number), "info", "search", f"line {number}\r\n\u2028end")


async def test_the_whole_picture_comes_first_then_each_fact_with_its_number():
    control = FakeControl()
    control.tell(fact(1), fact(2))
    async with house(control) as served, reading(served, "?after=1") as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        told = await stream.next()
        assert (told.event, decoded(told.data, Session)) == ("session", Session("owner", True))
        first = await stream.next()
        assert (first.event, decoded(first.data, Snapshot)) == ("snapshot", control.current)
        second = await stream.next()
        assert (second.event, second.id) == ("fact", "2")
        assert decoded(second.data, NumberedFact) == NumberedFact(2, fact(2))
        control.tell(fact(3))
        assert decoded((await stream.next()).data, NumberedFact).seq == 3


async def test_a_picture_comes_again_only_when_it_is_another():
    control = FakeControl()
    async with house(control) as served, reading(served) as stream:
        await stream.of("snapshot")
        control.tell(fact(1))
        assert (await stream.next()).event == "fact"
        control.use(row_of("search"))
        control.use(row_of("notes"))
        changed = decoded((await stream.next()).data, Snapshot)
        assert [row.id for row in changed.servers] == ["notes"]


async def test_log_lines_come_if_asked_for_and_from_the_place_asked_for():
    control = FakeControl()
    control.log(line(1), line(2))
    async with house(control) as served:
        async with reading(served, "?logs=1&logs_after=1") as stream:
            assert decoded((await stream.of("log")).data, NumberedLine) == NumberedLine(2, line(2))
        async with reading(served) as silent:
            await silent.of("snapshot")
            control.log(line(3))
            control.tell(fact(1))
            assert (await silent.next()).event == "fact"


async def test_a_place_that_is_none_is_refused():
    async with house() as served:
        for query in ("?after=x", "?after=-1", "?logs=1&logs_after=1.5"):
            async with reading(served, query) as stream:
                assert stream.response.status == 400


async def test_readers_are_bounded_and_make_room_when_they_leave(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admin_events, "MAX_READERS", 1)
    async with house() as served:
        async with reading(served) as first:
            await first.of("snapshot")
            async with reading(served) as second:
                assert second.response.status == 503
        async with asyncio.timeout(20):
            while not served.is_idle:
                await asyncio.sleep(0.01)
        async with reading(served) as third:
            assert third.response.status == 200


async def test_a_close_of_the_gateway_ends_the_stream():
    async with house() as served, reading(served) as stream:
        await stream.of("snapshot")
        await served.frontend.aclose()
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_token_that_is_taken_back_ends_its_stream_and_no_other():
    (one, entry_of_one), (two, entry_of_two) = new_token("one"), new_token("two")
    control, admin = FakeControl(), AdminConfig(on_port=True)
    config = config_of(tokens=(entry_of_one, entry_of_two), admin=admin)
    async with house(control, config) as served, aiohttp.ClientSession() as session:
        url = f"{served.origin}{API}/events"
        async with (
            session.get(url, headers={"Authorization": f"Bearer {one}"}) as first,
            session.get(url, headers={"Authorization": f"Bearer {two}"}) as second,
        ):
            lost, kept = Reading(first), Reading(second)
            await lost.of("snapshot")
            await kept.of("snapshot")
            served.frontend.use(config_of(tokens=(entry_of_two,), admin=admin))
            with pytest.raises(EOFError):
                await lost.next()
            control.tell(fact(1))
            assert (await kept.next()).event == "fact"


# --- without a network ----------------------------------------------------------------------------------------


class Watched:
    """One reader on a wire that the test holds, looked after by hand."""

    def __init__(self, control: FakeControl) -> None:
        self.clock = FakeClock()
        self.streams = EventStreams(self.clock)
        self.events = AdminEvents(control, self.streams, self.clock)
        self.wire = OpenWire()
        head = WireHead("GET", f"{API}/events", [], "", {})
        request = WireRequest(head, b"", self.wire.open)
        self.serving = asyncio.ensure_future(self.events.serve(request, Onlooker("owner", lambda: True), 0, 0))

    async def look(self) -> None:
        await settle()
        for reader in list(self.events._readers):
            self.events._tell(reader)
        await settle()

    def sent(self) -> list[SseEvent]:
        return SseParser(1 << 26).feed(self.wire.sent)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def watching(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Time stands still: nobody looks but the test."""
    monkeypatch.setattr(admin_events, "LOOK_S", 3600)
    made: list[Watched] = []

    def watch(control: FakeControl) -> Watched:
        made.append(Watched(control))
        return made[-1]

    yield watch
    for watched in made:
        watched.serving.cancel()
        with suppress(asyncio.CancelledError):
            await watched.serving
        await watched.events.aclose()
        await watched.streams.aclose()


async def test_a_reader_who_is_behind_is_queued_nothing_and_misses_nothing_that_is_kept(watching: Any):
    control = FakeControl()
    watched = watching(control)
    watched.wire.reads.clear()
    await settle()
    sent = len(watched.wire.sent)
    for number in range(1, 4):
        control.tell(fact(number))
        control.use(row_of(f"s{number}"))
        await watched.look()
    assert len(watched.wire.sent) == sent
    watched.wire.reads.set()
    await watched.look()
    kinds = [event.event for event in watched.sent()]
    assert kinds == ["session", "snapshot", "snapshot", "fact", "fact", "fact"]
    assert decoded(watched.sent()[2].data, Snapshot).servers[0].id == "s3"


async def test_a_reader_who_does_not_read_at_all_loses_the_stream(
    watching: Any, caplog: pytest.LogCaptureFixture
):
    control = FakeControl()
    watched = watching(control)
    watched.wire.reads.clear()
    await settle()
    await watched.look()
    watched.clock.advance(SLOW_S - 1)
    await watched.look()
    assert not watched.wire.is_aborted
    watched.clock.advance(1)
    await watched.look()
    assert watched.wire.is_aborted
    assert len(watched.events) == 0
    assert "does not read" in caplog.text


async def test_a_long_past_comes_in_pieces_in_order_and_whole(watching: Any):
    control = FakeControl()
    count = 2 * MAX_AT_ONCE + 1
    control.tell(*map(fact, range(1, count + 1)))
    control.log(*map(line, range(1, count + 1)))
    watched = watching(control)
    await settle()
    assert sum(event.event == "fact" for event in watched.sent()) == MAX_AT_ONCE
    await watched.look()
    await watched.look()
    facts = [decoded(event.data, NumberedFact) for event in watched.sent() if event.event == "fact"]
    lines = [decoded(event.data, NumberedLine) for event in watched.sent() if event.event == "log"]
    assert facts == [NumberedFact(number, fact(number)) for number in range(1, count + 1)]
    assert lines == [NumberedLine(number, line(number)) for number in range(1, count + 1)]


async def test_a_stream_on_which_nothing_happens_is_kept_alive(watching: Any):
    watched = watching(FakeControl())
    await settle()
    sent = len(watched.wire.sent)
    watched.clock.advance(KEEP_ALIVE_S)
    await watched.streams.sweep()
    await settle()
    assert watched.wire.sent[sent:].startswith(b":")


async def test_a_fault_in_looking_ends_the_stream_rather_than_leaving_it_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class Broken(FakeControl):
        looks = 0

        def snapshot(self) -> Snapshot:
            self.looks += 1
            if self.looks > 1:
                raise ValueError("a bug")
            return super().snapshot()

    monkeypatch.setattr(admin_events, "LOOK_S", 0.01)
    async with house(Broken()) as served, reading(served) as stream:
        await stream.of("snapshot")
        with pytest.raises(EOFError):
            await stream.next()
    assert "a bug" in caplog.text
