"""The events of a session by themselves: whose they are, how many are kept, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.frontend.resumption import KEEP_S, MAX_BYTES, MAX_EVENTS, EventRing
from proxy_core.protocol.revisions import LATEST_LEGACY
from proxy_core.protocol.sse import SseParser
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ring(clock: FakeClock) -> EventRing[str]:
    return EventRing(LATEST_LEGACY, clock)


def told(frame: bytes) -> tuple[str | None, bytes]:
    """The id and the data of one event, as a client reads them."""
    [event] = SseParser(1 << 30).feed(frame)
    return event.id, event.data


def resumed(ring: EventRing[str], number: int, event_id: str | None) -> list[bytes]:
    assert event_id is not None
    position = ring.find(event_id)
    assert position is not None
    return [told(frame)[1] for frame in ring.after(number, position.number)]


def test_a_stream_is_resumed_where_its_client_stopped_reading_and_hears_nothing_of_the_others(
    ring: EventRing[str],
):
    one, two = ring.open("one"), ring.open("two")
    ids = []
    for n in range(3):
        ids += [told(ring.put(one, b"a%d" % n))[0], told(ring.put(two, b"b%d" % n))[0]]
    assert len(set(ids)) == 6
    assert ring.find(str(ids[0])) == ("one", 1)
    assert resumed(ring, one, ids[0]) == [b"a1", b"a2"]
    assert resumed(ring, two, ids[3]) == [b"b2"]
    assert resumed(ring, two, ids[5]) == []


@pytest.mark.requirement("L09")
@pytest.mark.parametrize(
    ("revision", "is_primed"),
    [("2025-03-26", False), ("2025-06-18", False), ("2025-11-25", True)],
)
def test_only_clients_that_know_it_are_told_an_id_before_anything_happened(
    clock: FakeClock, revision: str, is_primed: bool
):
    ring: EventRing[str] = EventRing(revision, clock)
    number = ring.open("one")
    primer = ring.primer(number)
    assert (primer != b"") is is_primed
    first = told(ring.put(number, b"{}"))[0]
    if is_primed:
        parser = SseParser(1000)
        [event] = parser.feed(primer)
        assert event.data == b""
        assert parser.retry_ms is not None
        assert event.id != first
        assert resumed(ring, number, event.id) == [b"{}"]


def test_the_oldest_events_go_first(ring: EventRing[str]):
    one, two = ring.open("one"), ring.open("two")
    first = told(ring.put(one, b"first"))[0]
    ring.put(one, b"second")
    for n in range(MAX_EVENTS - 1):
        ring.put(two, b"%d" % n)
    assert len(ring) == MAX_EVENTS
    assert resumed(ring, one, first) == [b"second"]
    ring.put(two, b"last")
    # The stream may still go on, so its client may come back to it, whatever was lost.
    assert resumed(ring, one, first) == []


def test_what_is_kept_is_bounded_in_size(ring: EventRing[str]):
    number = ring.open("one")
    half = b"x" * (MAX_BYTES // 2)
    ids = [told(ring.put(number, half))[0] for _ in range(3)]
    assert len(ring) == 1
    too_long = ring.put(number, b"y" * MAX_BYTES, b"instead")
    assert told(too_long)[1] == b"y" * MAX_BYTES
    assert resumed(ring, number, ids[2]) == [b"instead"]
    ring.put(number, b"y" * MAX_BYTES)
    assert resumed(ring, number, ids[2]) == [b"instead"]


def test_events_grow_old_and_a_stream_that_is_over_goes_with_its_last(ring: EventRing[str], clock: FakeClock):
    over, alive = ring.open("over"), ring.open("alive")
    ids = [told(ring.put(number, b"{}"))[0] for number in (over, alive)]
    ring.close(over)
    clock.advance(KEEP_S - 1)
    ring.expire()
    assert len(ring) == 2
    clock.advance(1)
    ring.expire()
    assert len(ring) == 0
    assert ring.streams == ["alive"]
    assert ring.find(str(ids[0])) is None
    assert ring.find(str(ids[1])) == ("alive", 1)
    ring.close(alive)
    assert ring.streams == []


@pytest.mark.parametrize(
    "event_id", ["", "1", "1-", "-1", "1-0", "1-3", "2-1", "1-1 ", "1-1\n", "١-1", "1-" + "9" * 400, "a-b"]
)
def test_an_id_that_was_never_given_out_resumes_nothing(ring: EventRing[str], event_id: str):
    number = ring.open("one")
    ring.put(number, b"{}")
    ring.put(number, b"{}")
    assert ring.find("1-2") == ("one", 2)
    assert ring.find(event_id) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200_000), st.booleans()), max_size=400))
def test_whatever_is_sent_the_ring_stays_within_its_bounds(steps: list[tuple[int, int, bool]]):
    clock = FakeClock()
    in_use: set[EventRing[int]] = set()
    ring = EventRing(LATEST_LEGACY, clock, in_use)
    open_streams: dict[int, int] = {}
    for which, size, is_last in steps:
        number = open_streams.setdefault(which, 0) or ring.open(which)
        open_streams[which] = number
        event_id = told(ring.put(number, b"x" * size))[0]
        assert ring.find(str(event_id)) is not None
        if is_last:
            ring.close(open_streams.pop(which))
        clock.advance(1)
        ring.expire()
        assert len(ring) <= min(MAX_EVENTS, KEEP_S)
        assert (ring in in_use) == bool(ring.streams)
    for number in open_streams.values():
        ring.close(number)
    clock.advance(KEEP_S)
    ring.expire()
    assert (len(ring), ring.streams) == (0, [])
