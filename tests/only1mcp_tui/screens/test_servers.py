"""Servers: list and detail, side by side or one for the other."""

import pytest
from syrupy.assertion import SnapshotAssertion

from only1mcp_tui.screens.servers import ServersScreen
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import row_of
from tests.support.screens import busy_control, pulled, shown, svg_of, text_of

TABS = ("summary", "tools", "resources", "prompts", "clients", "config", "stderr")


async def test_the_table(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(busy_control(), size) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        assert svg_of(app) == picture


@pytest.mark.parametrize("tab", TABS)
async def test_the_tabs(tab: str, size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(busy_control(), size) as (app, pilot):
        await pilot.press("2", "enter", *["right_square_bracket"] * TABS.index(tab))
        await pulled(app, pilot)
        assert svg_of(app) == picture


async def test_enter_on_the_overview_opens_that_server() -> None:
    async with shown(busy_control(), (80, 24)) as (app, pilot):
        await pilot.press("j", "enter")
        await pulled(app, pilot)
        assert isinstance(app.screen, ServersScreen)
        assert "Servers › filesystem" in text_of(app)


async def test_escape_goes_from_detail_to_list_to_overview() -> None:
    async with shown(busy_control(), (80, 24)) as (app, pilot):
        await pilot.press("2", "enter", "escape")
        await pulled(app, pilot)
        assert "postgres" in text_of(app)
        await pilot.press("escape")
        await pulled(app, pilot)
        assert app.current_mode == "overview"


async def test_the_tabs_wrap_around() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2", "left_square_bracket")
        await pulled(app, pilot)
        assert "It is not a child process" in text_of(app)


async def test_a_click_on_a_tab_shows_it() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        await pilot.click("#tabs", offset=(12, 0))
        await pilot.pause()
        assert "github__create_issue" in text_of(app)


async def test_the_stderr_of_a_child_is_shown_without_its_escapes_or_markup() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2", "j", "left_square_bracket")
        await pulled(app, pilot)
        assert "␛[31mred␛[0m [bold]" in text_of(app)


async def test_a_server_that_left_the_configuration_leaves_the_screen() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("2")
        control.use(row_of("clock"))
        await pulled(app, pilot)
        assert "github" not in text_of(app)
        assert "● healthy for" in text_of(app)


async def test_the_keys_that_make_no_sense_for_a_disabled_server_are_grey() -> None:
    control = busy_control()
    control.use(row_of("slack", ServerState.DISABLED))
    async with shown(control) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        enabled = {active.binding.action: active.enabled for active in app.screen.active_bindings.values()}
        assert (enabled["drain"], enabled["restart"], enabled["probe"]) == (False, False, False)
        assert enabled["enable"]
        assert "e Enable" in text_of(app)


async def test_badges_tell_the_era_and_the_revision_of_servers_and_clients() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2", *["right_square_bracket"] * TABS.index("clients"))
        await pulled(app, pilot)
        text = text_of(app)
        assert "◆ 2026-07-28  claude-code  402 calls here, 812 requests, 2s ago" in text
        assert "◇ 2024-11-05  old agent  token:ci  0 calls here, 7 requests" in text
        assert "◇ 25-11" in text


async def test_the_filter_finds_servers_by_era() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2", "slash", *"era:modern")
        await pulled(app, pilot)
        text = text_of(app)
        assert "github" in text
        assert "filesystem" not in text
