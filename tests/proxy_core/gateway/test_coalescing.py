"""One call for many: joined while it is under way, gathered in a window before it is made."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy_core.config.saving import BatchingConfig
from proxy_core.errors import BackendUnavailable
from proxy_core.gateway.coalescing import Flight, Flights, JoinCounts, Subject
from tests.support.clock import FakeClock
from tests.support.scripted_channel import until

READ = Subject("box", "resources/read", "file:///a")
LIST = Subject("box", "tools/list")


class Server:
    """Counts what it is asked; the test answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[Flight[Any], asyncio.Future[Any]]] = []
        self.cancelled = 0

    async def make(self, flight: Flight[Any]) -> Any:
        call = asyncio.get_running_loop().create_future()
        self.calls.append((flight, call))
        try:
            return await call
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def asked(self, count: int) -> None:
        await until(lambda: len(self.calls) == count)

    def answer(self, value: Any, call: int = -1) -> None:
        self.calls[call][1].set_result(value)


@pytest.fixture
def server() -> Server:
    return Server()


MakeFlights = Callable[..., Flights]


@pytest.fixture
async def flights_of(clock: FakeClock) -> AsyncIterator[MakeFlights]:
    made: list[Flights] = []

    def make(**config: Any) -> Flights:
        settings = BatchingConfig.model_validate(config)
        made.append(Flights(clock, lambda: settings))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


def ask(flights: Flights, server: Server, key: Any = "k", subject: Subject = READ) -> "asyncio.Task[Any]":
    async def answer() -> Any:
        return (await flights.join(key, subject, server.make))[0]

    return asyncio.ensure_future(answer())


def counts(flights: Flights, subject: Subject = READ) -> JoinCounts:
    return flights.counts[subject.method, subject.server]


# --- joining ------------------------------------------------------------------------------------------------


async def test_equal_requests_under_way_become_one_call(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    asked = [ask(flights, server) for _ in range(5)]
    await server.asked(1)
    asked += [ask(flights, server) for _ in range(5)]
    other = ask(flights, server, "other")
    await server.asked(2)
    server.answer("A", 0)
    server.answer("B", 1)
    assert await asyncio.gather(*asked, other) == ["A"] * 10 + ["B"]
    assert (counts(flights).asked, counts(flights).made, counts(flights).saved) == (11, 2, 9)


async def test_what_is_answered_is_joined_no_more(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    first = ask(flights, server)
    await server.asked(1)
    server.answer(1)
    assert await first == 1
    second = ask(flights, server)
    await server.asked(2)
    server.answer(2)
    assert await second == 2


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_who_gives_up_harms_nobody(flights_of: MakeFlights, server: Server, gone: int):
    flights = flights_of()
    asked = [ask(flights, server) for _ in range(3)]
    await server.asked(1)
    asked.pop(gone).cancel()
    await asyncio.sleep(0)
    late = ask(flights, server)
    server.answer("A")
    assert await asyncio.gather(*asked, late) == ["A"] * 3
    assert (len(server.calls), server.cancelled) == (1, 0)


async def test_the_last_one_takes_the_call_along_and_nobody_joins_it(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    asked = [ask(flights, server) for _ in range(3)]
    await server.asked(1)
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    fresh = ask(flights, server)
    await server.asked(2)
    assert server.cancelled == 1
    server.answer("B")
    assert await fresh == "B"
    assert counts(flights).saved == 0


async def test_a_failure_reaches_all(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    asked = [ask(flights, server) for _ in range(3)]
    await server.asked(1)
    server.calls[0][1].set_exception(BackendUnavailable("box", "gone"))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in outcomes] == [BackendUnavailable] * 3
    assert len(flights) == 0


async def test_whoever_asks_after_an_invalidation_gets_what_was_asked_after_it(
    flights_of: MakeFlights, server: Server
):
    flights = flights_of()
    before = ask(flights, server)
    await server.asked(1)
    flights.invalidate(lambda subject: subject == LIST)
    assert not server.calls[0][0].is_void
    flights.invalidate(lambda subject: subject == READ)
    after = ask(flights, server)
    await server.asked(2)
    server.answer("old", 0)
    server.answer("new", 1)
    assert await asyncio.gather(before, after) == ["old", "new"]
    assert [flight.is_void for flight, _ in server.calls] == [True, False]


async def test_a_personal_answer_is_for_the_first_alone(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    asked = [ask(flights, server) for _ in range(3)]
    await server.asked(1)
    server.calls[0][0].keep_personal()
    await server.asked(3)
    for place, value in enumerate("ABC"):
        server.answer(value, place)
    assert await asyncio.gather(*asked) == ["A", "B", "C"]
    assert (counts(flights).asked, counts(flights).made, counts(flights).saved) == (3, 3, 0)


async def test_whose_call_became_personal_may_leave_and_nobody_gets_what_was_its(
    flights_of: MakeFlights, server: Server
):
    flights = flights_of()
    first, second = ask(flights, server), ask(flights, server)
    await server.asked(1)
    server.calls[0][0].keep_personal()
    first.cancel()
    await server.asked(2)
    await until(lambda: server.cancelled == 1)
    server.answer("B", 1)
    assert await second == "B"


async def test_a_request_that_nobody_joins_is_found_by_an_invalidation(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    alone = asyncio.ensure_future(flights.alone(READ, server.make))
    joined = ask(flights, server)
    await server.asked(2)
    flights.invalidate(lambda subject: subject.server == "box")
    for place in range(2):
        server.answer("A", place)
    _, flight = await alone
    assert flight.is_void
    assert await joined == "A"


# --- the window -----------------------------------------------------------------------------------------------


async def test_requests_within_the_window_make_one_call_however_quick_the_server(flights_of: MakeFlights):
    flights, made = flights_of(window_ms=100), []

    async def quick(flight: Flight[str]) -> str:
        made.append(flight)
        return "A"

    async def later(wait_s: float) -> str:
        await asyncio.sleep(wait_s)
        return (await flights.join("k", LIST, quick))[0]

    # A moment apart each, as clients are; well within the window.
    assert await asyncio.gather(*(later(each / 200) for each in range(5))) == ["A"] * 5
    assert len(made) == 1
    count = counts(flights, LIST)
    assert (count.asked, count.made, count.saved, count.windows, count.windows_full) == (5, 1, 4, 1, 0)


async def test_a_full_window_ends_early_and_the_rest_joins_what_is_under_way(
    flights_of: MakeFlights, server: Server
):
    flights = flights_of(window_ms=10_000, max_batch_size=10)
    asked = [ask(flights, server, subject=LIST) for _ in range(25)]
    await server.asked(1)
    server.answer("A")
    assert await asyncio.gather(*asked) == ["A"] * 25
    assert counts(flights, LIST).windows_full == counts(flights, LIST).made == 1


async def test_different_requests_of_one_method_leave_the_window_together(
    flights_of: MakeFlights, server: Server
):
    flights = flights_of(window_ms=10_000, max_batch_size=3)
    asked = [ask(flights, server, key, LIST) for key in "ab"]
    await asyncio.sleep(0.01)
    assert server.calls == []
    asked.append(ask(flights, server, "c", LIST))
    await server.asked(3)
    for place in range(3):
        server.answer(place, place)
    assert await asyncio.gather(*asked) == [0, 1, 2]


async def test_another_server_has_a_window_of_its_own(flights_of: MakeFlights, server: Server):
    flights = flights_of(window_ms=10_000, max_batch_size=2)
    asked = [ask(flights, server, "a", LIST), ask(flights, server, "b", Subject("web", "tools/list"))]
    await asyncio.sleep(0.01)
    assert server.calls == []
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert counts(flights, LIST).made == 0


async def test_who_gives_up_in_the_window_harms_nobody_and_saves_nothing(
    flights_of: MakeFlights, server: Server
):
    flights = flights_of(window_ms=50)
    first, second = ask(flights, server, subject=LIST), ask(flights, server, subject=LIST)
    await asyncio.sleep(0)
    first.cancel()
    await server.asked(1)
    server.answer("A")
    assert await second == "A"
    assert counts(flights, LIST).made == 1


@pytest.mark.parametrize(
    "config", [{"enabled": False}, {"window_ms": 0}, {"methods": ["prompts/list"]}, {"max_batch_size": 1}]
)
async def test_without_a_window_a_call_is_made_at_once_and_still_joined(
    flights_of: MakeFlights, server: Server, config: dict[str, Any]
):
    flights = flights_of(**{"window_ms": 10_000} | config)
    asked = [ask(flights, server, subject=LIST) for _ in range(3)]
    await server.asked(1)
    server.answer("A")
    assert await asyncio.gather(*asked) == ["A"] * 3


async def test_an_invalidation_within_the_window_changes_nothing(flights_of: MakeFlights, server: Server):
    """Nothing has been asked yet, so nothing that comes can be old."""
    flights = flights_of(window_ms=20)
    first = ask(flights, server, subject=LIST)
    await asyncio.sleep(0)
    flights.invalidate(lambda subject: True)
    second = ask(flights, server, subject=LIST)
    await server.asked(1)
    assert not server.calls[0][0].is_void
    server.answer("A")
    assert await asyncio.gather(first, second) == ["A", "A"]


async def test_the_time_in_windows_is_added_up(flights_of: MakeFlights, server: Server, clock: FakeClock):
    flights = flights_of(window_ms=20)
    asked = ask(flights, server, subject=LIST)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(3)
    await server.asked(1)
    server.answer("A")
    await asked
    assert counts(flights, LIST).window_wait_s == 3


async def test_counts_of_servers_that_are_gone_are_forgotten(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    asked = ask(flights, server)
    await server.asked(1)
    server.answer("A")
    await asked
    flights.keep({"box"})
    assert flights.counts
    flights.keep({"web"})
    assert not flights.counts


async def test_the_end_of_the_gateway_ends_what_is_under_way(flights_of: MakeFlights, server: Server):
    flights = flights_of()
    asked = ask(flights, server)
    await server.asked(1)
    await flights.aclose()
    (outcome,) = await asyncio.gather(asked, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)
