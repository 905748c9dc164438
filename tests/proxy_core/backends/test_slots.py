"""Places for calls on one connection: who gets one when, and who is turned away."""

import asyncio
from collections.abc import Callable

import pytest

from proxy_core.backends.slots import Slots
from proxy_core.errors import BackendUnavailable, Overloaded

NEVER = float("inf")


class Room:
    """Slots, and what became of each call that wanted one."""

    def __init__(self, limit: int, max_waiting: int = 10) -> None:
        self.slots = Slots(limit, lambda: max_waiting)
        self.order: list[str] = []

    async def enter(self, name: str, until: float = NEVER) -> None:
        if self.slots.taken < self.slots.limit:
            self.slots.taken += 1
        else:
            await self.slots.wait(until)
        self.order.append(name)

    async def enters(self, *names: str) -> list["asyncio.Task[None]"]:
        tasks = [asyncio.ensure_future(self.enter(name)) for name in names]
        await asyncio.sleep(0)
        return tasks

    async def leaves(self, count: int = 1) -> None:
        for _ in range(count):
            self.slots.give()
        await asyncio.sleep(0)


async def test_calls_beyond_the_limit_wait_in_order_of_arrival() -> None:
    room = Room(2)
    await room.enters("a", "b", "c", "d")
    assert (room.order, room.slots.waiting) == (["a", "b"], 2)
    await room.leaves()
    assert room.order == ["a", "b", "c"]
    await room.leaves(3)
    assert (room.order, room.slots.taken) == (["a", "b", "c", "d"], 0)


async def test_a_call_too_many_is_turned_away_at_once() -> None:
    room = Room(1, max_waiting=1)
    await room.enters("a", "b")
    with pytest.raises(Overloaded):
        await room.enter("c")
    assert room.slots.waiting == 1


async def test_who_gives_up_waiting_leaves_the_queue() -> None:
    room = Room(1)
    _, second, _ = await room.enters("a", "b", "c")
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await room.leaves()
    assert room.order == ["a", "c"]


async def test_a_place_granted_to_someone_who_has_just_gone_is_passed_on() -> None:
    room = Room(1)
    _, second, _ = await room.enters("a", "b", "c")
    room.slots.give()
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.sleep(0)
    assert room.order == ["a", "c"]
    assert (room.slots.taken, room.slots.waiting) == (1, 0)


async def test_a_call_that_went_before_its_turn_is_passed_over() -> None:
    room = Room(1)
    _, second, _ = await room.enters("a", "b", "c")
    second.cancel()
    room.slots.give()
    await asyncio.gather(second, return_exceptions=True)
    assert (room.slots.taken, room.slots.waiting) == (1, 0)


async def test_waiting_ends_when_its_time_is_over() -> None:
    room = Room(1)
    await room.enter("a")
    early, late = asyncio.ensure_future(room.enter("b", 10)), asyncio.ensure_future(room.enter("c", 20))
    await asyncio.sleep(0)
    room.slots.expire(10)
    with pytest.raises(Overloaded):
        await early
    await room.leaves()
    await late
    assert room.order == ["a", "c"]


async def test_a_lost_connection_ends_all_waiting() -> None:
    room = Room(1)
    _, *waiting = await room.enters("a", "b", "c")
    room.slots.fail(BackendUnavailable("box", "gone"))
    for each in waiting:
        with pytest.raises(BackendUnavailable):
            await each


async def test_a_call_whose_client_thinks_lends_its_place_and_has_the_next_free_one() -> None:
    room = Room(1)
    await room.enters("a", "b", "c")
    room.slots.give()
    await asyncio.sleep(0)
    assert room.order == ["a", "b"]
    back = asyncio.ensure_future(room.slots.come_back())
    await asyncio.sleep(0)
    assert not back.done()
    await room.leaves()
    await back
    assert (room.order, room.slots.taken) == (["a", "b"], 1), "before those that have not begun"
    room.slots.give()
    await asyncio.sleep(0)
    assert room.order == ["a", "b", "c"]


async def test_a_call_that_ends_before_it_is_back_takes_no_place() -> None:
    room = Room(1)
    await room.enters("a", "b")
    for is_granted in (False, True):
        back = asyncio.ensure_future(room.slots.come_back())
        await asyncio.sleep(0)
        if is_granted:
            room.slots.give()
        back.cancel()
        with pytest.raises(asyncio.CancelledError):
            await back
    await asyncio.sleep(0)
    assert (room.order, room.slots.taken) == (["a", "b"], 1)


async def test_narrowed_to_one_those_under_way_go_on_and_the_next_waits_for_all() -> None:
    room = Room(3)
    await room.enters("a", "b", "c")
    room.slots.narrow()
    await room.enters("d")
    await room.leaves(2)
    assert room.order == ["a", "b", "c"]
    await room.leaves()
    assert room.order == ["a", "b", "c", "d"]


async def test_how_many_may_wait_is_asked_anew_each_time() -> None:
    bound = 0
    current: Callable[[], int] = lambda: bound  # noqa: E731 - it closes over the test's own variable
    slots = Slots(0, current)
    with pytest.raises(Overloaded):
        await slots.wait(NEVER)
    bound = 1
    waiting = asyncio.ensure_future(slots.wait(NEVER))
    await asyncio.sleep(0)
    assert slots.waiting == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
