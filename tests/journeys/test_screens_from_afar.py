"""The screens over a gateway elsewhere: far does what near does, others see it, silence is told."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from proxy_core.control_client import RemoteControl
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import ServerState
from tests.journeys.test_screens_on_a_gateway import (
    NOON,
    call,
    client_of,
    clock,
    exchanges,
    pointed_at,
    row,
    single,
    verbs,
)
from tests.support.seat import SOON_S, Seat, config_file, far, proxy_of, watching

TOKEN = "o1-" + "a" * 40


@asynccontextmanager
async def gateway(path: Path) -> AsyncIterator[Proxy]:
    proxy = proxy_of(path)
    async with proxy.started():
        assert await proxy.wait_ready(SOON_S)
        yield proxy


async def test_what_is_done_from_afar_is_done_there_and_seen_by_every_other_monitor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "proxy_core")
    path = config_file(tmp_path, clock(), single("flaky"))
    socket = tmp_path / "admin.sock"
    async with gateway(path) as proxy, client_of(proxy) as client, RemoteControl(socket) as other:
        other.follow()
        async with far(socket) as seat:
            await seat.shows("2/2 healthy")
            await call(client, "clock__convert", NOON)
            await call(client, "flaky__stderr", {"text": "are you there"})
            await _drains(seat, proxy, other)
            await _calls(seat, proxy)
            await _opens_and_replays(seat, proxy)
            await seat.press("5")
            await seat.shows("are you there")
            assert ("clock", "replay") in verbs(proxy)


async def _drains(seat: Seat, proxy: Proxy, other: RemoteControl) -> None:
    await seat.press("2")
    await pointed_at(seat, "clock/b")
    await seat.press("p")
    await seat.shows("clock/b answered in")
    assert row(proxy, "clock").replicas[1].probe is not None
    await seat.press("d")
    await seat.shows("Drain clock/b?")
    await seat.press("y")
    await seat.shows("clock/b is drained.", "◑ drained")
    assert row(proxy, "clock").replicas[1].state is ServerState.DRAINED

    def as_seen_by_the_other() -> ServerState:
        clock_there = next(each for each in other.snapshot().servers if each.id == "clock")
        return clock_there.replicas[1].state

    await seat.until(lambda: as_seen_by_the_other() is ServerState.DRAINED)
    await seat.press("d")
    await seat.shows("clock/b takes calls again.")
    await seat.until(lambda: as_seen_by_the_other() is ServerState.HEALTHY)


async def _calls(seat: Seat, proxy: Proxy) -> None:
    await pointed_at(seat, "clock")
    await seat.press("right_square_bracket", "l")
    await seat.shows("clock__now")
    await seat.press("G", "c")
    await seat.shows("Call clock__now", "timezone")
    await seat.type("UTC")
    await seat.press("f5")
    await seat.shows("It answered", "UTC")
    assert exchanges(proxy, "clock__now")[-1].status == "ok"
    await seat.press("escape", "escape")


async def _opens_and_replays(seat: Seat, proxy: Proxy) -> None:
    await seat.press("4")
    await seat.shows("clock__convert", "flaky__stderr", "clock__now")
    # The first of what is kept: the list and whatever was asked before the first call are newer.
    await seat.until(lambda: seat.app.screen.chosen is not None)  # type: ignore[attr-defined]
    await seat.press("g", "enter")
    await seat.shows("Timeline", "clock__convert", "Requests › ")
    await seat.press("R")
    await seat.shows("No difference: both answers are equal.")
    assert exchanges(proxy, "clock__convert")[-1].is_replay
    await seat.press("escape")


async def test_a_gateway_that_stops_is_told_and_one_that_comes_back_goes_on(tmp_path: Path) -> None:
    path = config_file(tmp_path, single("clock"))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        await first.enter_async_context(gateway(path))
        seat = await stack.enter_async_context(far(tmp_path / "admin.sock"))
        await seat.shows("1/1 healthy")
        await first.aclose()
        await seat.shows("STALE", "Trying again.")
        await seat.press("p")
        await seat.shows("No gateway")
        proxy = await stack.enter_async_context(gateway(path))
        await seat.shows("Connected again", "1/1 healthy", without="STALE")
        await seat.press("p")
        await seat.shows("clock answered in")
        assert row(proxy, "clock").probe is not None


async def test_a_token_that_may_only_look_has_no_verbs_and_is_refused_them(tmp_path: Path) -> None:
    token = {"name": "watch", "sha256": sha256(TOKEN.encode()).hexdigest(), "admin": "read"}
    admin = {"socket": None, "on_port": True}
    path = config_file(tmp_path, single("clock"), auth={"tokens": [token]}, admin=admin)
    async with gateway(path) as proxy:
        url = proxy.snapshot().url.removesuffix("/mcp")
        async with RemoteControl(url, TOKEN) as control:
            await control.fetch_session()
            control.follow()
            async with watching(control) as seat:
                await seat.shows("1/1 healthy", "READONLY", without="Drain")
                await seat.press("d", "r", "e")
                await seat.press("2", "right_square_bracket", "l")
                await seat.shows("clock__now", without="Call")
                await seat.press("c")
                await seat.pilot.pause()
                assert (row(proxy, "clock").state, verbs(proxy)) == (ServerState.HEALTHY, [])
