"""Confirmation: the default leaves things as they are."""

import asyncio

import pytest
from syrupy.assertion import SnapshotAssertion

from proxy_core.errors import UnknownServer
from tests.support.fake_control import FakeControl, snapshot_of
from tests.support.screens import FILES, GITHUB, busy_control, pulled, seen, shown, svg_of, text_of


async def test_the_question_before_a_drain(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(busy_control(), size) as (app, pilot):
        await pilot.press("d")
        await pulled(app, pilot)
        assert svg_of(app) == picture


@pytest.mark.parametrize("key", ["n", "escape", "enter"])
async def test_no_is_what_happens_by_default(key: str) -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("d", key)
        await app.workers.wait_for_complete()
        assert control.asked == []


@pytest.mark.parametrize(("key", "verb"), [("d", "drain"), ("e", "disable"), ("r", "restart")])
async def test_yes_acts_on_the_selected_server(key: str, verb: str) -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press(key, "y")
        await app.workers.wait_for_complete()
        assert control.asked == [(verb, "github")]


async def test_a_restart_asks_only_if_calls_are_in_flight() -> None:
    control = FakeControl(snapshot_of((FILES,)))
    async with shown(control) as (app, pilot):
        await pilot.press("r")
        await app.workers.wait_for_complete()
        assert control.asked == [("restart", "filesystem")]


@pytest.mark.parametrize(("server", "key", "verb"), [("notes", "d", "undrain"), ("slack", "e", "enable")])
async def test_turning_back_on_asks_nothing(server: str, key: str, verb: str) -> None:
    control = busy_control()
    row = next(row for row in control.current.servers if row.id == server)
    control.use(row)
    async with shown(control) as (app, pilot):
        await pilot.press(key)
        await app.workers.wait_for_complete()
        assert control.asked == [(verb, server)]


async def test_the_outcome_is_told() -> None:
    async with shown(FakeControl(snapshot_of((GITHUB,)))) as (app, pilot):
        await pilot.press("d", "y")
        await seen(app, pilot, "2 calls finished")


async def test_a_refusal_is_told_without_markup() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    control.refusal = UnknownServer("[/red]\x1b[2J")
    async with shown(control) as (app, pilot):
        await pilot.press("p")
        await seen(app, pilot, "[/red]")
        assert "There is no server" in text_of(app)


async def test_probe_all_leaves_out_what_is_switched_off() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("P")
        await app.workers.wait_for_complete()
        probed = {server for verb, server in control.asked if verb == "probe"}
        assert "slack" not in probed
        assert len(probed) == len(control.current.servers) - 1


async def test_a_second_wish_about_a_server_takes_the_place_of_the_first() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    control.held = asyncio.Event()
    async with shown(control) as (app, pilot):
        await pilot.press("p", "p")
        await pilot.pause()
        assert len([worker for worker in app.workers if worker.is_running]) == 1
        control.held.set()
        await app.workers.wait_for_complete()
