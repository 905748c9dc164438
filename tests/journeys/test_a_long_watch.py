"""The app over a gateway with traffic, for long: what it holds does not grow with what went through."""

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.journeys.test_screens_on_a_gateway import call, client_of, clock, single
from tests.support.http_client import Client
from tests.support.seat import Seat, config_file, near, proxy_of

KEPT = 50
"""Exchanges that the gateway keeps; its rings are full after as many."""
A_TURN = 4 * KEPT
"""Calls between two looks at every screen."""
AT_ONCE = 8
LOOKED_AT = ("1", "2", "3", "4", "5")
OF_A_ROW, OF_A_LINE = 3, 2
"""Objects that the screen's own rings hold of each exchange and log line; two minutes do not fill them."""
SLACK = 4000
"""Objects that come with a second look: caches of widgets and of painted lines. One a call is far more."""
GROWTH_MB = 24.0
"""Of the process: those rings, and what a heap does not give back."""


@dataclass(frozen=True)
class Held:
    tasks: int
    files: int
    widgets: int
    objects: int
    """But for those in rings, which are bounded and may not be full."""
    rss_mb: float


def held(seat: Seat) -> Held:
    gc.collect()
    process = psutil.Process()
    widgets = sum(1 for screen in seat.app.screen_stack for _ in screen.query("*"))
    requests = seat.app._screen_stacks["requests"][0]
    rows, lines = requests.exchanges.total, len(seat.app._control.logs_after(0)[1])  # type: ignore[attr-defined]
    objects = len(gc.get_objects()) - OF_A_ROW * rows - OF_A_LINE * lines
    rss_mb = process.memory_info().rss / 1e6
    return Held(len(asyncio.all_tasks()), process.num_fds(), widgets, objects, rss_mb)


@pytest.fixture
def own_log() -> Iterator[None]:
    """Lines go to the gateway's ring alone: those that a test's log keeps would grow."""
    ours = logging.getLogger("proxy_core")
    before = ours.level, ours.propagate
    ours.setLevel("INFO")
    ours.propagate = False
    yield
    ours.setLevel(before[0])
    ours.propagate = before[1]


async def traffic(client: Client, calls: int) -> None:
    """Calls, `AT_ONCE` at a time; each tenth writes a line to stderr, which is a line of the log."""
    for start in range(0, calls, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, calls))
        await asyncio.gather(*(_one(client, number) for number in numbers))


async def _one(client: Client, number: int) -> None:
    if number % 10:
        await call(client, "clock__now", {"timezone": "UTC"})
    else:
        await call(client, "flaky__stderr", {"text": f"line {number}"})


async def look_at_everything(seat: Seat) -> None:
    for key in LOOKED_AT:
        await seat.press(key)
        await seat.pilot.pause()
    await seat.press("4")
    await seat.until(lambda: seat.app.screen.chosen is not None)  # type: ignore[attr-defined]
    await seat.press("enter")
    await seat.shows("Requests › ")
    await seat.press("escape", "1")


async def settled(seat: Seat) -> Held:
    """Everything shown once more, and what serves a single call is over."""
    await look_at_everything(seat)
    await seat.until(lambda: seat.app._control.snapshot().totals.in_flight == 0)
    return held(seat)


@pytest.mark.parametrize("seconds", [1, pytest.param(120, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
async def test_what_is_held_does_not_grow_with_what_went_through(
    seconds: float, tmp_path: Path, own_log: None
) -> None:
    inspect = {"exchanges": KEPT}
    proxy = proxy_of(config_file(tmp_path, clock(), single("flaky"), inspect=inspect))
    async with near(proxy) as seat, client_of(proxy) as client:
        await traffic(client, 4 * KEPT)
        await settled(seat)
        await traffic(client, KEPT)
        before = await settled(seat)
        ends_at, calls = time.monotonic() + seconds, 0
        while time.monotonic() < ends_at:
            await traffic(client, A_TURN)
            calls += A_TURN
            await look_at_everything(seat)
        after = await settled(seat)
        assert len(proxy.exchanges_after(0)[1]) == KEPT
        print(f"{calls} calls: {before}, then {after}")
        assert after.tasks <= before.tasks + 4, (before, after)
        assert after.files <= before.files + 4, (before, after)
        assert after.widgets == before.widgets
        assert after.objects <= before.objects + SLACK, (before, after)
        assert after.rss_mb < before.rss_mb + GROWTH_MB, (before, after)
