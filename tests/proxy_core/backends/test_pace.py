"""How many attempts to connect go on at once, in which order, and that none is kept by another."""

import asyncio

import pytest

from proxy_core.backends import pace
from proxy_core.backends.pace import AT_ONCE, Pace, at_once
from tests.support.scripted_channel import until


class Attempts:
    """Attempts that end when they are told to."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.begun: list[int] = []
        self.ends: dict[int, asyncio.Future[str]] = {}
        self.tasks: list[asyncio.Task[str]] = []

    async def make(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for number in range(len(self.tasks), len(self.tasks) + count):
            self.ends[number] = loop.create_future()

            async def attempt(number: int = number) -> str:
                self.begun.append(number)
                return await self.ends[number]

            self.tasks.append(asyncio.ensure_future(self.pace.paced(attempt)))
        await self.rest()

    async def end(self, *numbers: int) -> None:
        for number in numbers:
            self.ends[number].set_result(f"done {number}")
        await self.rest()

    async def rest(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    monkeypatch.setattr(pace, "LONGEST_S", 3600.0)
    return Attempts()


async def test_so_many_go_on_at_once_and_the_others_follow_in_order(attempts: Attempts):
    await attempts.make(AT_ONCE + 3)
    assert attempts.begun == list(range(AT_ONCE))
    await attempts.end(3)
    assert attempts.begun[AT_ONCE:] == [AT_ONCE]
    await attempts.end(0, 1)
    assert attempts.begun[AT_ONCE:] == [AT_ONCE, AT_ONCE + 1, AT_ONCE + 2]
    assert await attempts.tasks[3] == "done 3"


async def test_an_attempt_that_fails_makes_room_too(attempts: Attempts):
    await attempts.make(AT_ONCE + 1)
    attempts.ends[0].set_exception(OSError("no"))
    with pytest.raises(OSError, match="no"):
        await attempts.tasks[0]
    await attempts.rest()
    assert attempts.begun[-1] == AT_ONCE


async def test_one_that_takes_long_makes_room_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pace, "LONGEST_S", 0.01)
    attempts = Attempts()
    await attempts.make(2 * AT_ONCE)
    await until(lambda: len(attempts.begun) == 2 * AT_ONCE)
    await attempts.end(*range(2 * AT_ONCE))
    assert attempts.pace._going == 0
    await attempts.make(1)
    assert attempts.pace._going == 1


async def test_those_that_give_up_while_they_wait_are_passed_over(attempts: Attempts):
    await attempts.make(AT_ONCE + 3)
    attempts.tasks[AT_ONCE].cancel()
    # Its turn comes in the very turn of the loop in which it is cancelled.
    attempts.ends[0].set_result("")
    await attempts.rest()
    attempts.tasks[AT_ONCE + 1].cancel()
    await attempts.rest()
    await attempts.end(1)
    assert AT_ONCE not in attempts.begun and attempts.begun[-1] == AT_ONCE + 2
    for number, task in enumerate(attempts.tasks):
        task.cancel()
        attempts.ends[number].cancel()
    await asyncio.wait(attempts.tasks)
    assert attempts.pace._going == 0


async def test_without_a_pace_it_begins_at_once():
    async def attempt() -> int:
        return 3

    assert await at_once(attempt) == 3
