"""Quitting: what still drains is seen, a second ctrl+q waits no longer, and a monitor waits for nothing."""

import asyncio
from typing import Any

from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import NOW, FakeControl, row_of
from tests.support.screens import busy_control, pulled, shown, text_of


class Core:
    """Ends when a test says so."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.over = asyncio.Event()

    async def run(self) -> None:
        await self.over.wait()

    def stop(self, force: bool) -> None:
        self.asked.append(force)


def draining() -> FakeControl:
    control = busy_control()
    draining = ServerState.DRAINING
    control.use(
        row_of("github", draining, in_flight=2, drain_until=NOW + 26.4),
        row_of("postgres", draining, in_flight=1, drain_until=NOW + 4),
        row_of("search", draining),
        row_of("clock", ServerState.DRAINED),
    )
    return control


async def test_the_calls_and_the_seconds_fall() -> None:
    core, control = Core(), draining()
    at = [0.0]
    async with shown(control, run=core.run, stop=core.stop, clock=lambda: at[0]) as (app, pilot):
        await pilot.press("ctrl+q")
        await pulled(app, pilot)
        assert "3 calls in flight may finish, within 27 s." in text_of(app)
        at[0] = 10.0
        await pulled(app, pilot)
        assert "17 s left" in text_of(app)
        control.use(row_of("github", ServerState.DRAINING, in_flight=1, drain_until=NOW + 26.4), at=NOW + 11)
        await pulled(app, pilot)
        assert "1 call in flight may finish, within 16 s." in text_of(app)
        core.over.set()


async def test_ctrl_q_again_waits_no_longer_and_says_so() -> None:
    core = Core()
    async with shown(draining(), run=core.run, stop=core.stop) as (app, pilot):
        await pilot.press("ctrl+q")
        await pulled(app, pilot)
        await pilot.press("ctrl+q")
        await pulled(app, pilot)
        assert core.asked == [False, True]
        assert "Not waiting for 3 calls any more." in text_of(app)
        core.over.set()


async def test_a_monitor_leaves_at_once_whatever_runs() -> None:
    for key in ("ctrl+q", "q"):
        options: dict[str, Any] = {"is_remote": True}
        async with shown(draining(), **options) as (app, pilot):
            await pilot.press(key)
            async with asyncio.timeout(10):
                while not app._exit:
                    await pilot.pause()
        assert app.outcome == "The gateway at http://127.0.0.1:8080/mcp goes on."
