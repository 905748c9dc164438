"""Servers: list and detail, side by side or one for the other."""

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Static

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.servers import ServersScreen
from only1mcp_tui.view import details
from only1mcp_tui.widgets.live_table import LiveTable
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import row_of
from tests.support.screens import busy_control, pulled, replicated_control, seen, shown, svg_of, text_of
from tests.support.server_scene import server_control

TABS = tuple(tab.id for tab in details.TABS)


async def test_the_table(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(busy_control(), size) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        assert svg_of(app) == picture


@pytest.mark.parametrize("tab", TABS)
async def test_the_tabs(tab: str, picture: SnapshotAssertion) -> None:
    async with shown(server_control()) as (app, pilot):
        server = ("j",) if tab in ("stderr", "process") else ()
        await pilot.press("2", *server, *["right_square_bracket"] * TABS.index(tab), "l")
        await settled(app, pilot)
        if tab == "process":
            await pilot.press("o")
            await settled(app, pilot)
        assert svg_of(app) == picture


async def test_a_tool_in_full(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(server_control(), size) as (app, pilot):
        await pilot.press("2", "right_square_bracket", "l")
        await settled(app, pilot)
        await pilot.press("enter")
        await settled(app, pilot)
        assert svg_of(app) == picture


async def settled(app: Only1App, pilot: Pilot[None]) -> None:
    """What was asked for is there and drawn."""
    await pulled(app, pilot)
    await app.workers.wait_for_complete()
    await pulled(app, pilot)


async def test_a_search_narrows_the_list_and_escape_goes_back_one_level_each() -> None:
    async with shown(server_control(), (80, 24)) as (app, pilot):
        await pilot.press("2", "right_square_bracket", "l")
        await settled(app, pilot)
        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"good", "enter")
        await settled(app, pilot)
        assert "1 of 4 match good" in text_of(app)
        assert "github__search" not in text_of(app)
        await pilot.press("enter")
        await settled(app, pilot)
        assert "Servers › github › Tools › delete_repo" in text_of(app)
        await pilot.press("escape")
        await settled(app, pilot)
        assert "1 of 4 match good" in text_of(app)
        await pilot.press("escape")
        await settled(app, pilot)
        assert "github__search" in text_of(app)
        await pilot.press("escape")
        await settled(app, pilot)
        assert app.screen.query_one(LiveTable).has_focus
        await pilot.press("escape")
        await pilot.pause()
        assert app.current_mode == "overview"


async def test_what_a_tab_shows_costs_nothing_while_it_stays_the_same() -> None:
    control = server_control()
    async with shown(control) as (app, pilot):
        await pilot.press("2", "right_square_bracket")
        await settled(app, pilot)
        table, put = app.screen.query_one("#tab-tools LiveTable", LiveTable), list[object]()
        table.put = lambda *rows, **_: put.append(rows)  # type: ignore[method-assign]
        control.use(replace(control.current.servers[0], calls=9000), control.current.servers[1])
        app.pull()
        assert put == []
        control.details["github"] = replace(control.details["github"], items=(), version=2)
        control.use(*control.current.servers)
        app.pull()
        assert len(put) == 1


async def test_each_tab_keeps_its_place() -> None:
    control = server_control()
    async with shown(control, (80, 24)) as (app, pilot):
        await pilot.press("2", "left_square_bracket", "l")
        await settled(app, pilot)
        await pilot.press("j", "j", "j", "right_square_bracket", "left_square_bracket")
        await settled(app, pilot)
        assert app.screen.query_one("#tab-probes", LogView).scroll_offset.y == 3
        assert app.screen.query_one("#tab-probes").has_focus


async def test_stderr_is_followed_held_and_followed_again() -> None:
    control = server_control()
    async with shown(control, (80, 24)) as (app, pilot):
        await pilot.press("2", "j", *["right_square_bracket"] * TABS.index("stderr"), "l")
        await settled(app, pilot)
        assert "line 39." in text_of(app) and "● following" in text_of(app)
        await pilot.press("k")
        await settled(app, pilot)
        lines = (*control.details["files"].stderr, "news")
        control.details["files"] = replace(control.details["files"], stderr=lines, stderr_seq=41)
        await settled(app, pilot)
        assert "news" not in text_of(app) and "◌ held, f follows" in text_of(app)
        await pilot.press("f")
        await settled(app, pilot)
        assert "news" in text_of(app)


async def test_h_and_l_move_between_list_and_detail() -> None:
    async with shown(server_control(), (80, 24)) as (app, pilot):
        await pilot.press("2", "l")
        await settled(app, pilot)
        assert "Servers › github" in text_of(app)
        await pilot.press("h")
        await settled(app, pilot)
        assert "files" in text_of(app)


async def test_the_keys_of_one_tab_are_not_those_of_another() -> None:
    async with shown(server_control()) as (app, pilot):
        await pilot.press("2")
        await settled(app, pilot)
        actions = {active.binding.action for active in app.screen.active_bindings.values()}
        assert not actions & {"call_tool", "follow", "find_orphans"}
        await pilot.press("right_square_bracket")
        await settled(app, pilot)
        actions = {active.binding.action for active in app.screen.active_bindings.values()}
        assert "call_tool" in actions


async def test_enter_on_the_overview_opens_that_server() -> None:
    async with shown(busy_control(), (80, 24)) as (app, pilot):
        await pilot.press("j", "enter")
        await seen(app, pilot, "Servers › filesystem")
        assert isinstance(app.screen, ServersScreen)


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
        assert "Not probed yet." in text_of(app)


async def test_a_click_on_a_tab_shows_it() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        await pilot.click("#tabs", offset=(12, 0))
        await pilot.pause()
        assert "github__create_issue" in text_of(app)


async def test_the_stderr_of_a_child_is_shown_without_its_escapes_or_markup() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("2", "j", *["right_square_bracket"] * TABS.index("stderr"))
        await settled(app, pilot)
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


async def test_replicas_below_their_servers(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(replicated_control(), size) as (app, pilot):
        await pilot.press("2", "j")
        await pulled(app, pilot)
        assert svg_of(app) == picture


async def test_the_summary_of_a_server_with_replicas(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(replicated_control(), size) as (app, pilot):
        await pilot.press("2", "j", "j", "enter")
        await pulled(app, pilot)
        assert svg_of(app) == picture


@pytest.mark.parametrize(
    ("moves", "key", "verb", "target"),
    [
        (1, "d", "drain", "github/a"),
        (2, "r", "restart", "github/b"),
        (2, "e", "disable", "github/b"),
        (2, "p", "probe", "github/b"),
        (3, "d", "undrain", "github/c"),
        (0, "d", "drain", "github"),
    ],
)
async def test_a_verb_on_a_replica_is_about_that_replica(moves: int, key: str, verb: str, target: str) -> None:
    control = replicated_control()
    async with shown(control) as (app, pilot):
        await pilot.press("2", *["j"] * moves, key)
        await pulled(app, pilot)
        await pilot.press("y")
        await app.workers.wait_for_complete()
        assert control.asked == [(verb, target)]


async def test_the_question_names_the_replica_and_who_serves_on() -> None:
    async with shown(replicated_control()) as (app, pilot):
        await pilot.press("2", "j", "j", "d")
        await pulled(app, pilot)
        text = text_of(app)
        assert "Drain github/b?" in text
        assert "a still serves github." in text


async def test_the_question_says_when_no_other_replica_serves() -> None:
    async with shown(replicated_control()) as (app, pilot):
        await pilot.press("2", "j", "d")
        await pulled(app, pilot)
        said = " ".join(str(text.content) for text in app.screen.query(Static))
        assert "2 calls in flight may finish. No other replica serves. Its 26 tools leave the lists" in said


async def test_of_a_detail_only_the_lines_that_changed_are_painted() -> None:
    control = replicated_control()
    async with shown(control) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        view, painted = app.screen.query_one("#tab-summary", LogView), list[Region]()
        view.refresh = lambda *regions, **_: painted.extend(regions)  # type: ignore[method-assign]
        app.pull()
        assert painted == []
        rows = control.current.servers
        control.use(replace(rows[0], retries=5), *rows[1:])
        app.pull()
        assert [region.height for region in painted] == [1]


async def test_a_replica_that_goes_leaves_the_cursor_on_a_row() -> None:
    control = replicated_control()
    async with shown(control) as (app, pilot):
        await pilot.press("2", "j", "j", "j")
        rows = control.current.servers
        control.use(replace(rows[0], replicas=rows[0].replicas[:2]), *rows[1:])
        await pulled(app, pilot)
        assert app.screen.query_one(LiveTable).selected is not None
        assert "└ b" in text_of(app)
