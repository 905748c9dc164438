"""The mouse: what is seen can be clicked, and lists move under the wheel."""

from textual import events
from textual.pilot import Pilot
from textual.widget import Widget

from only1mcp_tui.app import SCREENS, Only1App
from only1mcp_tui.screens.confirm import ConfirmScreen
from only1mcp_tui.screens.exchange import ExchangeScreen
from only1mcp_tui.screens.logs import LogsScreen
from only1mcp_tui.screens.overview import OverviewScreen
from only1mcp_tui.screens.requests import RequestsScreen
from only1mcp_tui.widgets.live_table import LiveTable
from tests.support.dialogs import leave
from tests.support.scenes import healthy, many
from tests.support.screens import pulled, shown, text_of


def place_of(app: Only1App, words: str) -> tuple[int, int]:
    """Where these words begin on the screen."""
    for y, line in enumerate(text_of(app).splitlines()):
        if words in line:
            return line.index(words), y
    raise AssertionError(f"{words!r} is not there:\n{text_of(app)}")


async def click(app: Only1App, pilot: Pilot[None], words: str, times: int = 1) -> None:
    await pilot.click(offset=place_of(app, words), times=times)
    await pulled(app, pilot)


async def wheel(app: Only1App, pilot: Pilot[None], widget: Widget) -> None:
    """One turn down over its middle."""
    x, y = widget.region.center
    at = (int(x), int(y))
    event = events.MouseScrollDown(widget, *at, 0, 1, 0, False, False, False, *at)
    app.screen._forward_event(event)
    await pulled(app, pilot)


async def test_each_name_in_the_navigation_line_leads_there() -> None:
    async with shown(healthy()) as (app, pilot):
        for mode in (*list(SCREENS)[1:], "overview"):
            await click(app, pilot, mode.capitalize())
            assert app.current_mode == mode


async def test_a_click_chooses_a_row_and_two_open_it() -> None:
    async with shown(healthy()) as (app, pilot):
        assert isinstance(screen := app.screen, OverviewScreen)
        await click(app, pilot, "postgres  ")
        assert screen.table.selected == "postgres"
        await click(app, pilot, "search  ", times=2)
        await pulled(app, pilot)
        assert app.current_mode == "servers"
        assert "search" in text_of(app)


async def test_a_head_sorts_and_sorts_the_other_way() -> None:
    async with shown(healthy()) as (app, pilot):
        assert isinstance(screen := app.screen, OverviewScreen)
        await click(app, pilot, "TOOLS")
        assert (screen.order.column, screen.order.is_reversed) == ("tools", False)
        await click(app, pilot, "TOOL▼")
        assert screen.order.is_reversed
        assert "TOOL▲" in text_of(app)


async def test_a_hint_of_the_footer_is_pressed() -> None:
    async with shown(healthy()) as (app, pilot):
        await click(app, pilot, "d Drain")
        assert isinstance(app.screen, ConfirmScreen)
        await click(app, pilot, "Cancel")
        assert not isinstance(app.screen, ConfirmScreen)


async def test_two_clicks_open_a_request_and_its_tabs_are_clicked() -> None:
    async with shown(healthy()) as (app, pilot):
        await pilot.press("4")
        await pulled(app, pilot)
        await click(app, pilot, "8812", times=2)
        await pulled(app, pilot)
        assert isinstance(app.screen, ExchangeScreen)
        await click(app, pilot, "Headers")
        assert "content-type" in text_of(app)
        await leave(app, pilot)


async def test_the_tabs_of_a_server_are_clicked() -> None:
    async with shown(healthy()) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        await click(app, pilot, "Config")
        assert "timeouts.call_idle_s" in text_of(app)


async def test_the_wheel_moves_lists_and_lets_go_of_their_end() -> None:
    async with shown(many()) as (app, pilot):
        table = app.screen.query_one(LiveTable)
        await wheel(app, pilot, table)
        assert table.scroll_offset.y > 0
        await pilot.press("4")
        await pulled(app, pilot)
        assert isinstance(app.screen, RequestsScreen)
        await pilot.press("g")
        await wheel(app, pilot, app.screen.table)
        assert app.screen.table.scroll_offset.y > 0
        await pilot.press("5", "g")
        await pulled(app, pilot)
        assert isinstance(app.screen, LogsScreen)
        await wheel(app, pilot, app.screen.view)
        assert app.screen.view.scroll_offset.y > 0
