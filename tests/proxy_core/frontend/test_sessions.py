"""Sessions by themselves: who may use one, when it ends, and who makes room."""

import asyncio

import pytest

from proxy_core.errors import ClientSilent, HttpRefusal
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.resumption import KEEP_S
from proxy_core.frontend.sessions import SLICE, LegacySessions, Session
from proxy_core.frontend.wire import HeaderList, WireStream
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol.revisions import LATEST_LEGACY, Era
from tests.support.clock import FakeClock
from tests.support.other_work import beside

IDLE_S = 60.0


async def never_opened(status: int, headers: HeaderList) -> WireStream:
    raise ConnectionError


class Changes:
    count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def ended() -> list[Caller]:
    return []


@pytest.fixture
def sessions(clock: FakeClock, changes: Changes, ended: list[Caller]) -> LegacySessions:
    return LegacySessions(3, IDLE_S, clock, changes, ended.append)


def opened(sessions: LegacySessions, principal: str = "anon") -> Session:
    return sessions.open(Caller(Era.LEGACY, LATEST_LEGACY, principal))


def is_alive(sessions: LegacySessions, session: Session) -> bool:
    return sessions.find(session.id, session.caller.principal) is session


def stream(clock: FakeClock) -> EventStream:
    return EventStreams(clock).open(never_opened)


def test_a_session_is_found_by_its_own_principal_alone(sessions: LegacySessions):
    session = opened(sessions, "ann")
    assert sessions.find(session.id, "ann") is session
    assert sessions.find(session.id, "bob") is None
    assert sessions.find(session.id + "x", "ann") is None


async def test_a_session_that_is_used_lives_on_and_an_idle_one_ends(sessions: LegacySessions, clock: FakeClock):
    used, idle = opened(sessions), opened(sessions)
    clock.advance(IDLE_S - 1)
    assert is_alive(sessions, used)
    clock.advance(1)
    await sessions.sweep()
    assert len(sessions) == 1
    assert is_alive(sessions, used)
    assert not is_alive(sessions, idle)


async def test_sessions_that_end_together_end_a_few_at_a_time(clock: FakeClock, ended: list[Caller]):
    sessions = LegacySessions(10 * SLICE, IDLE_S, clock, lambda: None, ended.append)
    all_of_them = [opened(sessions) for _ in range(3 * SLICE + 1)]
    clock.advance(IDLE_S)
    async with beside(ended) as runs:
        await sessions.sweep()
    assert ended == [session.caller for session in all_of_them]
    assert runs() == [SLICE] * 3 + [1]


async def test_who_comes_back_while_others_end_lives_on(clock: FakeClock, ended: list[Caller]):
    sessions = LegacySessions(10 * SLICE, IDLE_S, clock, lambda: None, ended.append)
    *others, last = (opened(sessions) for _ in range(2 * SLICE))
    clock.advance(IDLE_S)
    sweeping = asyncio.ensure_future(sessions.sweep())
    while not ended:
        await asyncio.sleep(0)
    assert is_alive(sessions, last)
    await sweeping
    assert ended == [session.caller for session in others]
    assert is_alive(sessions, last)


async def test_a_sweep_ends_whoever_is_waited_for(clock: FakeClock):
    """However short the time to be idle is: less than the clock can tell, here."""
    sessions = LegacySessions(9, 1e-30, clock, lambda: None, lambda caller: None)
    call = asyncio.ensure_future(asyncio.Event().wait())
    clock.advance(1.0)
    busy, idle = opened(sessions), opened(sessions)
    sessions.begin_call(busy, 1, call)
    await asyncio.wait_for(sessions.sweep(), 5)
    assert (is_alive(sessions, busy), is_alive(sessions, idle)) == (True, False)
    call.cancel()


async def test_a_call_or_a_stream_keeps_a_session(sessions: LegacySessions, clock: FakeClock):
    calling, listening = opened(sessions), opened(sessions)
    call = asyncio.ensure_future(asyncio.Event().wait())
    sessions.begin_call(calling, 1, call)
    its_stream = stream(clock)
    sessions.attach(listening, its_stream)
    clock.advance(10 * IDLE_S)
    await sessions.sweep()
    assert len(sessions) == 2
    sessions.end_call(calling, 1)
    sessions.detach(listening, its_stream)
    clock.advance(IDLE_S - 1)
    await sessions.sweep()
    assert len(sessions) == 2
    clock.advance(1)
    await sessions.sweep()
    assert len(sessions) == 0
    call.cancel()


def test_the_least_recently_used_makes_room(sessions: LegacySessions):
    first, second, third = (opened(sessions) for _ in range(3))
    assert is_alive(sessions, first)
    opened(sessions)
    assert not is_alive(sessions, second)
    assert is_alive(sessions, first)
    assert is_alive(sessions, third)
    assert len(sessions) == 3


async def test_who_is_busy_never_makes_room(sessions: LegacySessions, clock: FakeClock):
    busy = [opened(sessions) for _ in range(3)]
    for session in busy[1:]:
        sessions.attach(session, stream(clock))
    opened(sessions)
    assert not is_alive(sessions, busy[0])
    sessions.attach(next(reversed(sessions._sessions.values())), stream(clock))
    with pytest.raises(HttpRefusal) as refusal:
        opened(sessions)
    assert refusal.value.status == 503


async def test_the_newest_stream_wins(sessions: LegacySessions, clock: FakeClock):
    session = opened(sessions)
    first, second = stream(clock), stream(clock)
    sessions.attach(session, first)
    sessions.attach(session, second)
    await first.finished()
    assert first.is_finished
    assert sessions.stream_count == 1
    sessions.detach(session, first)
    assert session.stream is second
    sessions.detach(session, second)
    assert (session.stream, sessions.stream_count) == (None, 0)


async def test_an_ended_session_leaves_nothing(
    sessions: LegacySessions, clock: FakeClock, changes: Changes, ended: list[Caller]
):
    session = opened(sessions)
    last_words: list[str] = []
    sessions.at_end(session, lambda: last_words.append("bye"))
    call = asyncio.ensure_future(asyncio.Event().wait())
    sessions.begin_call(session, 1, call)
    sessions.attach(session, stream(clock))
    before = changes.count
    sessions.end(session)
    sessions.end(session)
    assert changes.count == before + 1
    assert (ended, last_words) == ([session.caller], ["bye"])
    assert (len(sessions), sessions.stream_count) == (0, 0)
    await asyncio.wait([call])
    assert call.cancelled()
    # The call's own end comes after that of its session, and must not bring the session back.
    sessions.end_call(session, 1)
    assert len(sessions) == 0


def test_a_session_is_named_inside_by_something_else_than_its_id(sessions: LegacySessions):
    one, other = opened(sessions), opened(sessions)
    names = {one.caller.session, other.caller.session}
    assert len(names | {one.id, other.id}) == 4
    assert None not in names


async def test_everyone_who_ends_is_told(sessions: LegacySessions, clock: FakeClock, ended: list[Caller]):
    evicted, expired, deleted = (opened(sessions) for _ in range(3))
    newest = opened(sessions)
    assert ended == [evicted.caller]
    sessions.end(deleted)
    clock.advance(IDLE_S)
    assert is_alive(sessions, newest)
    await sessions.sweep()
    assert ended == [evicted.caller, deleted.caller, expired.caller]
    sessions.end_all()
    assert ended[-1] is newest.caller


async def test_neither_a_question_nor_what_is_kept_for_resumption_keeps_a_session(
    sessions: LegacySessions, clock: FakeClock
):
    session = opened(sessions)
    stream = sessions.new_stream(session)
    carrier = EventStreams(clock).open(never_opened, stream.opening)
    stream.carry(carrier)
    asking = asyncio.ensure_future(stream.request("roots/list", b"{}", timeout_s=60))
    while not session.requests:
        await asyncio.sleep(0)
    stream.leave(carrier)
    assert session.ring
    assert not session.is_busy
    for _ in range(3):
        opened(sessions)
    with pytest.raises(ClientSilent):
        await asking


async def test_what_nobody_resumes_is_forgotten_and_a_session_that_ends_leaves_nothing_to_look_at(
    sessions: LegacySessions, clock: FakeClock
):
    one, other = opened(sessions), opened(sessions)
    for session in (one, other):
        stream = sessions.new_stream(session)
        stream.opening()
        stream.notify(b"{}")
        stream.finish(b"{}")
    assert one.ring is not None
    assert one.ring.streams
    clock.advance(KEEP_S)
    # Still used, by others than who left.
    assert is_alive(sessions, one)
    sessions.end(other)
    late = sessions.new_stream(other)
    late.opening()
    assert sessions._rings == {one.ring}
    await sessions.sweep()
    assert (sessions._rings, one.ring.streams) == (set(), [])


async def test_streams_that_carry_answers_stay_when_the_others_end(sessions: LegacySessions, clock: FakeClock):
    own, only = opened(sessions), opened(sessions)
    sessions.attach(own, stream(clock))
    sessions.attach(only, stream(clock), carries_answers=True)
    sessions.end_streams()
    assert (own.stream, only.is_busy) == (None, True)
    sessions.end_all()
    assert only.stream is None
