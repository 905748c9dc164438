"""Listeners are told in slices; how many in one turn of the loop is counted, never timed."""

import asyncio
from collections import Counter

import pytest

from proxy_core.gateway import telling
from proxy_core.gateway.telling import SLICE, Telling
from tests.support.scripted_channel import until

MANY = 3 * SLICE + 1


class Crowd:
    """Listeners, and in which turn of the loop each was told of what."""

    def __init__(self, size: int) -> None:
        self.here = list(range(size))
        self.told: list[tuple[str, int]] = []
        self.turn = 0
        self.by_turn: Counter[int] = Counter()
        self.telling = Telling[int]("test")

    def tell(self, what: str, key: str | None = None) -> None:
        def say(listener: int) -> None:
            if listener in self.here:
                self.told.append((what, listener))
                self.by_turn[self.turn] += 1

        self.telling.tell(key or what, lambda: list(self.here), say)

    async def until_told(self, count: int) -> None:
        while len(self.told) < count:
            self.turn += 1
            assert self.turn < 1000
            await asyncio.sleep(0)

    def whats(self) -> list[str]:
        return list(dict.fromkeys(what for what, _ in self.told))


async def test_few_are_told_at_once():
    crowd = Crowd(SLICE)
    crowd.tell("a")
    assert len(crowd.told) == SLICE


async def test_many_are_told_in_slices_and_in_order():
    crowd = Crowd(MANY)
    crowd.tell("a")
    assert crowd.told == []
    await crowd.until_told(MANY)
    assert crowd.told == [("a", number) for number in range(MANY)]
    assert max(crowd.by_turn.values()) == SLICE and len(crowd.by_turn) == 4


async def test_what_comes_meanwhile_waits_for_its_turn():
    crowd = Crowd(MANY)
    crowd.tell("a")
    crowd.here = crowd.here[: SLICE + 1]
    crowd.tell("b")
    await crowd.until_told(2 * SLICE + 2)
    assert crowd.whats() == ["a", "b"]
    crowd.here = [0]
    await until(lambda: not len(crowd.telling._tasks))
    crowd.tell("c")
    assert crowd.told[-1] == ("c", 0)


async def test_of_what_waits_under_one_key_the_newest_is_told():
    crowd = Crowd(MANY)
    crowd.tell("first")
    await crowd.until_told(1)
    for what in ("working", "completed"):
        crowd.tell(what, key="task")
    await crowd.until_told(2 * MANY)
    await until(lambda: not len(crowd.telling._tasks))
    assert crowd.whats() == ["first", "completed"] and len(crowd.told) == 2 * MANY


async def test_who_has_left_is_told_nothing():
    crowd = Crowd(MANY)
    crowd.tell("a")
    await crowd.until_told(SLICE)
    crowd.here.remove(MANY - 1)
    await until(lambda: not len(crowd.telling._tasks))
    assert len(crowd.told) == MANY - 1


async def test_beyond_the_bound_nothing_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(telling, "MAX_WAITING", 1)
    crowd = Crowd(MANY)
    crowd.tell("a")
    crowd.tell("b")
    assert crowd.whats() == ["b"] and len(crowd.told) == MANY
    await crowd.until_told(2 * MANY)
    assert crowd.whats() == ["b", "a"]


async def test_what_comes_in_the_very_turn_in_which_the_last_is_told_is_told_too():
    crowd = Crowd(MANY)
    crowd.tell("a")
    await until(lambda: not crowd.telling._is_busy)
    crowd.tell("b")
    await crowd.until_told(2 * MANY)
    assert crowd.whats() == ["a", "b"]


async def test_closed_it_forgets_what_waits():
    crowd = Crowd(MANY)
    crowd.tell("a")
    await crowd.telling.aclose()
    await asyncio.sleep(0)
    assert crowd.told == []
