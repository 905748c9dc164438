"""A replica kept connected: starts, losses, back-off, giving up. Its waits are cut short by asking for it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy_core.backends.connection import Connection
from proxy_core.backends.replica import CRASHES, MIN_WAKE_S, Replica
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from proxy_core.errors import BackendAuthRequired, BackendError, BackendExited, BackendUnavailable
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.clock import FakeClock
from tests.support.scripted_channel import (
    Owner,
    Reply,
    ScriptedServer,
    discovered,
    exits,
    silence,
    until,
)

CHILD = StdioTransport(command="box")
REMOTE = HttpTransport(url="http://box.example/mcp")
DOWN = BackendUnavailable("box", "The server cannot be reached.", "could not connect")


class Kept:
    """A replica with all that stands around it."""

    def __init__(self, discover: Reply | list[Reply], transport: Any = CHILD, **more: Any) -> None:
        self.server = ScriptedServer({"server/discover": discover})
        self.clock = FakeClock()
        self.states: list[S] = []
        self.opened: list[Connection] = []
        self.open_error: Exception | None = None
        self.replica = Replica(
            ServerConfig(id="box", transport=transport, **{"era": "modern"} | more),
            self.server.channel,
            Owner(),
            self.clock,
            on_open=self._on_open,
            on_open_further=self._on_open,
            on_state=lambda before, now, reason: self.states.append(now),
        )

    async def _on_open(self, connection: Connection) -> None:
        self.opened.append(connection)
        if self.open_error is not None:
            raise self.open_error

    async def reached(self, state: S) -> None:
        await until(lambda: self.replica.state is state)

    async def waiting(self) -> float:
        """Until it waits for its next start; how long it will."""
        retry_at: float = await until(lambda: self.replica.retry_at)
        return retry_at - self.clock.monotonic()

    async def again(self) -> None:
        """Start now instead of when the wait is over, and wait until that attempt has ended."""
        starts = self.server.starts
        self.replica.start()
        await until(lambda: self.server.starts > starts)
        await until(lambda: self.replica.connection or self.replica.retry_at or self.replica.state is S.FAILED)


@pytest.fixture
async def keep() -> AsyncIterator[Callable[..., Kept]]:
    kept: list[Kept] = []

    def new(*args: Any, **more: Any) -> Kept:
        kept.append(Kept(*args, **more))
        return kept[-1]

    yield new
    for each in kept:
        await each.replica.stop()


async def test_a_server_takes_calls_once_it_has_been_read(keep: Any) -> None:
    kept = keep(discovered())
    assert kept.replica.state is S.STARTING
    kept.replica.start()
    connection = await kept.replica.ready()
    assert kept.states == [S.HEALTHY]
    assert kept.opened == [connection] == [kept.replica.connection]
    assert kept.replica.opening is None


async def test_who_asks_when_it_settles_misses_nothing_before_the_wait_begins(keep: Any) -> None:
    """As a task that is started for the wait: it begins a turn of the loop later."""
    kept = keep(discovered())
    settled = kept.replica.settled()
    kept.replica.start()
    await kept.replica.ready()
    async with asyncio.timeout(5):
        await settled


async def test_a_server_that_is_switched_off_does_not_start(keep: Any) -> None:
    kept = keep(discovered(), enabled=False)
    assert (kept.replica.state, kept.replica.reason) == (S.DISABLED, "switched off in the configuration")
    with pytest.raises(BackendUnavailable, match="disabled"):
        kept.replica.lease()


@pytest.mark.requirement("B08")
async def test_a_child_that_crashed_is_started_again_after_a_second(keep: Any) -> None:
    kept = keep(discovered())
    kept.replica.start()
    first = await kept.replica.ready()
    kept.server.line.ends()
    assert await kept.waiting() == 1
    assert kept.states == [S.HEALTHY, S.RESTARTING]
    assert "code 3" in kept.replica.reason
    await kept.again()
    assert kept.states == [S.HEALTHY, S.RESTARTING, S.HEALTHY]
    assert kept.replica.restarts == 1
    assert kept.replica.reason == ""
    assert await kept.replica.ready() is not first


@pytest.mark.requirement("B08")
async def test_a_child_that_came_back_is_listened_to_again(keep: Any) -> None:
    kept = keep(discovered(capabilities={"tools": {"listChanged": True}}))
    kept.replica.start()
    await kept.server.next("subscriptions/listen")
    kept.server.line.ends()
    await kept.waiting()
    await kept.again()
    await kept.server.next("subscriptions/listen")


@pytest.mark.requirement("B01")
async def test_a_child_that_exits_on_the_probe_stays_in_service_afterwards(keep: Any) -> None:
    kept = keep(exits, era="auto")
    kept.server.script["initialize"] = [
        lambda asked: asked.answer({"protocolVersion": "2025-06-18", "capabilities": {}})
    ]
    kept.server.script["notifications/initialized"] = [silence]
    kept.replica.start()
    await kept.replica.ready()
    for _ in range(10):
        await asyncio.sleep(0)
    assert kept.states == [S.HEALTHY]
    assert kept.server.starts == 2


@pytest.mark.requirement("B08")
async def test_a_child_that_does_not_start_is_tried_after_longer_and_longer_waits_and_then_given_up(
    keep: Any,
) -> None:
    kept = keep(exits)
    kept.replica.start()
    waits = [await kept.waiting()]
    while kept.replica.state is not S.FAILED:
        await kept.again()
        if kept.replica.retry_at is not None:
            waits.append(await kept.waiting())
    assert waits == [1, 2, 4, 8]
    assert kept.states == [S.UNHEALTHY, S.FAILED]
    assert kept.server.starts == CRASHES
    assert kept.replica.reason.startswith("gave up after 5 crashes in 10 minutes: ")
    with pytest.raises(BackendUnavailable):
        await kept.replica.ready()
    assert kept.server.starts == CRASHES, "a call does not end a crash loop"


async def test_a_child_that_was_given_up_is_tried_afresh_when_asked(keep: Any) -> None:
    kept = keep([exits] * CRASHES + [discovered()])
    kept.replica.start()
    for _ in range(CRASHES - 1):
        await kept.waiting()
        await kept.again()
    assert kept.replica.state is S.FAILED
    kept.replica.start()
    await kept.replica.ready()
    assert kept.states[-2:] == [S.STARTING, S.HEALTHY]


async def test_crashes_that_are_far_apart_are_no_loop(keep: Any) -> None:
    kept = keep(discovered())
    kept.replica.start()
    for _ in range(CRASHES + 2):
        await kept.reached(S.HEALTHY)
        kept.server.line.ends()
        assert await kept.waiting() == 1
        kept.clock.advance(151)
        await kept.again()
    assert kept.replica.state is S.HEALTHY
    assert kept.replica.restarts == CRASHES + 2


async def test_crashes_in_service_are_a_loop_too(keep: Any) -> None:
    kept = keep(discovered())
    kept.replica.start()
    for _ in range(CRASHES):
        await kept.reached(S.HEALTHY)
        kept.server.line.ends()
        await until(lambda: kept.replica.state is not S.HEALTHY)
        kept.clock.advance(100)
        # The last time it is given up, which may take it a turn to find.
        await until(lambda: kept.replica.retry_at or kept.replica.state is S.FAILED)
        if kept.replica.state is not S.FAILED:
            await kept.again()
    await kept.reached(S.FAILED)


async def test_a_remote_server_is_never_given_up_and_its_waits_are_random_within_bounds(
    keep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    kept = keep(discovered(), REMOTE)
    kept.server.start_fault = DOWN
    kept.replica.start()
    waits = [await kept.waiting()]
    for _ in range(9):
        await kept.again()
        waits.append(await kept.waiting())
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert kept.states == [S.UNHEALTHY]
    assert kept.replica.reason == "could not connect"


async def test_a_remote_server_that_asks_for_credentials_says_so_until_it_has_them(keep: Any) -> None:
    kept = keep(discovered(), REMOTE)
    kept.server.start_fault = BackendAuthRequired("box", "The server asks for credentials.", "it answered 401")
    kept.replica.start()
    await kept.waiting()
    assert (kept.replica.state, kept.replica.reason) == (S.AUTH_REQUIRED, "it answered 401")
    kept.server.start_fault = None
    await kept.again()
    assert kept.states == [S.AUTH_REQUIRED, S.HEALTHY]


async def test_a_call_brings_the_next_start_forward_and_waits_for_it(keep: Any) -> None:
    kept = keep(discovered())
    kept.server.start_fault = DOWN
    kept.replica.start()
    await kept.waiting()
    kept.server.start_fault = None
    assert await kept.replica.ready() is kept.opened[0]


async def test_calls_do_not_hammer_a_server_that_is_down(keep: Any) -> None:
    kept = keep(discovered())
    kept.server.start_fault = DOWN
    kept.replica.start()
    await kept.waiting()
    for _ in range(5):
        with pytest.raises(BackendUnavailable, match="not available"):
            await kept.replica.ready()
        await kept.waiting()
    assert kept.server.starts == 2
    kept.clock.advance(MIN_WAKE_S)
    with pytest.raises(BackendUnavailable):
        await kept.replica.ready()
    assert kept.server.starts == 3


async def test_a_call_waits_for_the_attempt_under_way_and_fails_with_it(keep: Any) -> None:
    kept = keep(silence)
    kept.replica.start()
    calls = [asyncio.ensure_future(kept.replica.ready()) for _ in range(3)]
    await until(lambda: kept.server.asked)
    assert not any(call.done() for call in calls)
    kept.server.asked[0].refuse(-32601)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [BackendUnavailable] * 3


async def test_a_call_does_not_wait_longer_than_a_connection_may_take(keep: Any) -> None:
    kept = keep(silence, timeouts={"connect_s": 0.05})
    kept.replica.start()
    with pytest.raises(BackendUnavailable, match="still starting"):
        await kept.replica.ready()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BackendError("box", -1, "no lists today"), "it answered: no lists today"),
        (BackendExited("box", "The server's process exited."), "The server's process exited."),
    ],
)
async def test_a_server_whose_lists_cannot_be_read_is_not_in_service(
    keep: Any, error: Exception, reason: str
) -> None:
    kept = keep(discovered())
    kept.open_error = error
    kept.replica.start()
    await kept.waiting()
    assert (kept.replica.state, kept.replica.reason) == (S.UNHEALTHY, reason)
    assert kept.server.transcript[-1] == "close"


async def test_a_server_that_answers_and_goes_is_a_failed_attempt(keep: Any) -> None:
    def answers_and_goes(asked: Any) -> None:
        discovered()(asked)
        exits(asked)

    kept = keep(answers_and_goes)
    kept.replica.start()
    await kept.waiting()
    assert kept.replica.state is S.UNHEALTHY
    assert kept.replica.connection is None


async def test_a_server_lost_while_its_lists_are_read_is_not_forgotten(keep: Any) -> None:
    kept = keep([discovered(), silence])

    async def lose(connection: Connection) -> None:
        kept.server.line.ends()

    kept.replica._on_open = lose
    kept.replica.start()
    await kept.reached(S.RESTARTING)


async def test_a_stop_ends_an_attempt_and_leaves_nothing_open(keep: Any) -> None:
    kept = keep(silence)
    kept.replica.start()
    await until(lambda: kept.server.asked)
    await kept.replica.stop()
    await kept.replica.stop()
    assert kept.server.transcript[-1] == "close"
    assert (kept.replica.connection, kept.replica.opening, kept.replica.retry_at) == (None, None, None)


async def test_leases_are_counted_and_idle_waits_for_the_last(keep: Any) -> None:
    kept = keep(discovered())
    replica = kept.replica
    assert await replica.idle(0) == 0
    with replica.lease(), replica.lease() as leased:
        assert (leased.in_flight, await replica.idle(0)) == (2, 2)
        waiting = asyncio.ensure_future(replica.idle(30))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting == replica.in_flight == 0


async def test_a_lease_ends_with_an_error_too(keep: Any) -> None:
    replica = keep(discovered()).replica
    with pytest.raises(ZeroDivisionError), replica.lease():
        raise ZeroDivisionError
    assert replica.in_flight == 0
