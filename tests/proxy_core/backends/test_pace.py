"""Attempts to connect begin one after the other; the waits are counted, not slept."""

import asyncio

import pytest

from proxy_core.backends import pace
from proxy_core.backends.pace import SPACING_S, Pace


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What each that had to wait waited for."""
    found: list[float] = []

    async def sleep(delay_s: float) -> None:
        found.append(delay_s)

    monkeypatch.setattr(pace.asyncio, "sleep", sleep)
    return found


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop's time, as its only item."""
    time = [100.0]

    class Loop:
        def time(self) -> float:
            return time[0]

    monkeypatch.setattr(pace.asyncio, "get_running_loop", Loop)
    return time


async def test_one_alone_waits_for_nothing(now: list[float], waited: list[float]):
    turns = Pace()
    await turns.turn()
    now[0] += 2 * SPACING_S
    await turns.turn()
    assert waited == []


async def test_many_at_once_begin_one_after_the_other(now: list[float], waited: list[float]):
    turns = Pace()
    for _ in range(4):
        await turns.turn()
    assert waited == pytest.approx([SPACING_S, 2 * SPACING_S, 3 * SPACING_S])
    now[0] += 10
    await turns.turn()
    assert len(waited) == 3


async def test_one_that_gives_up_holds_nobody():
    turns = Pace()
    await turns.turn()
    second, third = (asyncio.ensure_future(turns.turn()) for _ in range(2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait_for(third, 1)
    assert second.cancelled()
