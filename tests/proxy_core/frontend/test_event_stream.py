"""A stream by itself: lazy, ordered, bounded against a client that does not read, kept alive by the sweep."""

import asyncio

import pytest

from proxy_core.frontend.event_stream import (
    KEEP_ALIVE_S,
    MAX_QUEUED_BYTES,
    MAX_QUEUED_EVENTS,
    SLICE,
    STREAM_HEADERS,
    EventStreams,
)
from proxy_core.protocol.sse import KEEPALIVE, encode_event
from tests.support.clock import FakeClock
from tests.support.open_wire import OpenWire
from tests.support.other_work import beside

SOON_S = 20


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def streams(clock: FakeClock) -> EventStreams:
    return EventStreams(clock)


@pytest.fixture
def wire() -> OpenWire:
    return OpenWire()


async def test_nothing_is_sent_before_there_is_something_to_send(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    stream.withhold()
    streams.release(stream)
    stream.notify(b"{}")
    assert not stream.is_committed
    assert wire.headers is None
    assert not wire.is_aborted


async def test_events_go_out_in_order_and_the_last_one_ends_the_stream(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    stream.notify(b'{"n":1}')
    stream.notify(b'{\n"n":2}')
    await stream.end(b'{"n":3}')
    stream.notify(b'{"n":4}')
    assert wire.headers == STREAM_HEADERS
    assert wire.sent == b"".join(map(encode_event, (b'{"n":1}', b'{"n":2}', b'{"n":3}')))
    assert wire.is_closed


async def test_a_message_that_no_event_can_hold_is_dropped(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    stream.notify(b'{"a":"x\ny"}')
    await stream.end(b"{}")
    assert wire.sent == encode_event(b"{}")


async def test_an_equal_message_that_waits_is_sent_once(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    for _ in range(3):
        stream.notify_once(b'{"n":1}')
    await stream.end()
    assert wire.sent == encode_event(b'{"n":1}')


async def test_an_equal_message_that_waits_is_known_whatever_its_event_is_called(
    streams: EventStreams, wire: OpenWire
):
    stream = streams.open(wire.open)
    stream.put(encode_event(b'{"n":1}', event_id="1-1"))
    stream.notify_once(b'{"n":1}')
    stream.notify_once(b'"n":1}')
    await stream.end()
    assert wire.sent == encode_event(b'{"n":1}', event_id="1-1") + encode_event(b'"n":1}')


async def test_what_opens_a_stream_goes_before_all_else_and_is_asked_for_once(
    streams: EventStreams, wire: OpenWire
):
    asked: list[int] = []

    def opening() -> bytes:
        asked.append(1)
        return b": hello\r\n\r\n"

    stream = streams.open(wire.open, opening)
    assert asked == []
    stream.notify(b"{}")
    stream.notify(b"[]")
    await stream.end()
    assert asked == [1]
    assert wire.sent == b": hello\r\n\r\n" + encode_event(b"{}") + encode_event(b"[]")


async def test_a_burst_is_no_reason_to_end_a_stream(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    for _ in range(2 * MAX_QUEUED_EVENTS):
        stream.notify(b"{}")
    await stream.end()
    assert wire.sent == encode_event(b"{}") * 2 * MAX_QUEUED_EVENTS


async def test_a_client_that_does_not_read_loses_its_stream(streams: EventStreams, wire: OpenWire):
    wire.reads.clear()
    stream = streams.open(wire.open)
    stream.notify(b"{}")
    await asyncio.wait_for(wire.writing.wait(), SOON_S)
    for _ in range(MAX_QUEUED_EVENTS):
        stream.notify(b"{}")
    assert not wire.is_aborted
    stream.notify(b"{}")
    assert wire.is_aborted
    await asyncio.wait_for(stream.finished(), SOON_S)
    assert wire.sent == encode_event(b"{}")
    assert stream.is_finished


async def test_what_waits_is_bounded_in_size_too(streams: EventStreams, wire: OpenWire):
    wire.reads.clear()
    stream = streams.open(wire.open)
    stream.commit()
    stream.notify(b"%s" % (b"1" * (MAX_QUEUED_BYTES // 2)))
    stream.notify(b"%s" % (b"2" * (MAX_QUEUED_BYTES // 2)))
    assert stream.is_committed
    await asyncio.wait_for(stream.finished(), SOON_S)
    assert wire.sent == b""


async def test_a_client_that_has_gone_is_no_error(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    stream.notify(b"{}")
    await asyncio.wait_for(wire.writing.wait(), SOON_S)
    wire.is_gone = True
    stream.notify(b"{}")
    await asyncio.wait_for(stream.finished(), SOON_S)
    stream.notify(b"{}")
    await stream.end(b"{}")
    assert stream.is_finished


async def test_one_who_waits_may_leave_without_ending_the_stream_for_the_others(
    streams: EventStreams, wire: OpenWire
):
    stream = streams.open(wire.open)
    stream.commit()
    leaving, staying = (asyncio.ensure_future(stream.finished()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    await stream.end(b"{}")
    await staying
    assert wire.sent == encode_event(b"{}")


async def test_silence_commits_to_a_stream_and_is_broken_again_and_again(
    streams: EventStreams, clock: FakeClock, wire: OpenWire
):
    stream = streams.open(wire.open)
    clock.advance(KEEP_ALIVE_S - 0.1)
    await streams.sweep()
    assert not stream.is_committed
    clock.advance(0.1)
    for times in (1, 2):
        wire.writing.clear()
        await streams.sweep()
        await asyncio.wait_for(wire.writing.wait(), SOON_S)
        assert wire.sent == KEEPALIVE * times
        await asyncio.sleep(0)
        await streams.sweep()
        clock.advance(KEEP_ALIVE_S)
    await stream.end(b"{}")
    assert wire.sent == KEEPALIVE * 2 + encode_event(b"{}")


class Waiting:
    """A request without a stream."""

    def __init__(self, told: list["Waiting"]) -> None:
        self.quiet_since = 0.0
        self._told = told

    def keep_alive(self) -> None:
        self._told.append(self)


async def test_many_silences_are_broken_a_few_at_a_time(streams: EventStreams, clock: FakeClock):
    told: list[Waiting] = []
    for _ in range(2 * SLICE + 1):
        streams.watch(Waiting(told))
    clock.advance(KEEP_ALIVE_S)
    async with beside(told) as runs:
        await streams.sweep()
    assert len(set(told)) == 2 * SLICE + 1
    assert runs() == [SLICE, SLICE, 1]


async def test_what_ends_or_is_heard_of_before_its_turn_is_left_alone(streams: EventStreams, clock: FakeClock):
    told: list[Waiting] = []
    all_of_them = [Waiting(told) for _ in range(3 * SLICE)]
    for each in all_of_them:
        streams.watch(each)
    clock.advance(KEEP_ALIVE_S)
    sweeping = asyncio.ensure_future(streams.sweep())
    while not told:
        await asyncio.sleep(0)
    first = set(told)
    gone, heard, *rest = (each for each in all_of_them if each not in first)
    streams.unwatch(gone)
    heard.quiet_since = clock.monotonic()
    await sweeping
    assert set(told) == first | set(rest)


async def test_a_client_that_does_not_read_is_not_fed_keep_alives(
    streams: EventStreams, clock: FakeClock, wire: OpenWire
):
    wire.reads.clear()
    stream = streams.open(wire.open)
    stream.commit()
    for _ in range(10):
        clock.advance(KEEP_ALIVE_S)
        await streams.sweep()
        await asyncio.sleep(0)
    wire.reads.set()
    await stream.end()
    assert wire.sent == KEEPALIVE * 2


async def test_a_released_stream_is_dropped_unless_it_is_finished(streams: EventStreams, wire: OpenWire):
    stream = streams.open(wire.open)
    stream.notify(b"{}")
    await asyncio.wait_for(wire.writing.wait(), SOON_S)
    streams.release(stream)
    assert wire.is_aborted
    assert len(streams) == 0
    await streams.aclose()
