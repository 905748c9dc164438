"""Confirmation: the default leaves things as they are."""

import asyncio

import pytest

from proxy_core.control import AbandonedCall, DrainOutcome
from proxy_core.errors import UnknownServer
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.screens import (
    FILES,
    GITHUB,
    busy_control,
    replicated_control,
    seen,
    shown,
    text_of,
)


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


async def test_the_cache_of_the_server_under_the_cursor_is_cleared() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    async with shown(control) as (app, pilot):
        await pilot.press("C")
        await seen(app, pilot, "3 kept answers of github dropped")
        assert control.asked == [("clear_cache", "github")]


async def test_every_cache_is_cleared_from_the_palette() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    async with shown(control) as (app, pilot):
        commands = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        commands["Clear every cache"]()
        await seen(app, pilot, "3 kept answers dropped")
        assert control.asked == [("clear_cache", "*")]


async def test_a_second_wish_about_a_server_takes_the_place_of_the_first() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    control.held = asyncio.Event()
    async with shown(control) as (app, pilot):
        await pilot.press("p", "p")
        await pilot.pause()
        assert len([worker for worker in app.workers if worker.is_running]) == 1
        control.held.set()
        await app.workers.wait_for_complete()


async def test_what_a_drain_abandoned_is_told_by_id_and_tool_and_bounded() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    cut = tuple(AbandonedCall(f"c{number}", "tools/call", f"search_{number}") for number in range(40))
    control.outcome = DrainOutcome(2, 40, cut)
    async with shown(control) as (app, pilot):
        await pilot.press("d", "y")
        await seen(app, pilot, "2 calls finished, 40")
        said = " ".join(str(toast.message) for toast in app._notifications)
        assert said.endswith("40 cut off: search_0 (c0), search_1 (c1), search_2 (c2) and 37 more.")


async def test_a_drain_leaves_its_grace_to_the_configuration() -> None:
    control = FakeControl(snapshot_of((GITHUB,)))
    async with shown(control) as (app, pilot):
        await pilot.press("d", "y")
        await app.workers.wait_for_complete()
        assert control.graces_s == [None]


async def test_shift_d_drains_everything_that_is_on_after_one_question() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("D")
        await seen(app, pilot, "Drain all servers?")
        assert control.asked == []
        await pilot.press("y")
        await seen(app, pilot, "10 servers drained. 20 calls finished.")
        drained = {server for verb, server in control.asked if verb == "drain"}
    assert drained == {row.id for row in control.current.servers} - {"slack"}


async def test_shift_d_puts_everything_back_where_all_is_drained() -> None:
    states = {"a": ServerState.DRAINED, "b": ServerState.DRAINING, "c": ServerState.DISABLED}
    control = FakeControl(snapshot_of(row_of(server, state) for server, state in states.items()))
    async with shown(control) as (app, pilot):
        await pilot.press("D")
        await seen(app, pilot, "Undrain all servers?")
        await pilot.press("y")
        await app.workers.wait_for_complete()
        assert control.asked == [("undrain", "a"), ("undrain", "b")]


async def test_one_server_that_refuses_keeps_no_other_from_being_drained() -> None:
    control = FakeControl(snapshot_of((GITHUB, FILES)))
    control.refusal = UnknownServer("github")
    async with shown(control) as (app, pilot):
        await pilot.press("D", "y")
        await seen(app, pilot, "There is no server")
        assert {server for _, server in control.asked} == {"github", "filesystem"}


async def test_the_palette_has_every_verb_on_every_replica_and_on_all() -> None:
    async with shown(replicated_control()) as (app, _):
        titles = {command.title for command in app.get_system_commands(app.screen)}
    assert {"Drain github/b", "Restart files/y", "Drain github", "Drain all servers"} <= titles
    assert "Drain postgres/main" not in titles
