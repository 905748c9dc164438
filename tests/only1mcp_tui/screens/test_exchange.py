"""One exchange, full screen."""

import gc

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.exchange import ExchangeScreen
from only1mcp_tui.screens.requests import RequestsScreen
from only1mcp_tui.widgets.filter_bar import FilterBar
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.telemetry.exchanges import ExchangeStatus
from tests.support.exchanges import exchanges_control, hostile_detail, plain_detail
from tests.support.fake_control import exchange_row
from tests.support.screens import pulled, seen, shown, text_of

TABS = ("timeline", "request", "response", "notifications", "headers", "raw", "eras")


async def pressed(app: Only1App, pilot: Pilot[None], *keys: str) -> None:
    """Press `keys`, the first of them on a picture of its own: it may have changed the screen."""
    await pilot.press(*keys[:1])
    if len(keys) > 1:
        await pulled(app, pilot)
        await pilot.press(*keys[1:])
    await pulled(app, pilot)


async def filtered(app: Only1App, pilot: Pilot[None], words: str) -> None:
    """As if typed at once."""
    await pilot.press("slash")
    app.screen.query_one(FilterBar).value = words
    await pressed(app, pilot, "enter")


async def opened(app: Only1App, pilot: Pilot[None], *keys: str) -> None:
    """The one that was translated, retried and asked for input; then `keys`."""
    await pressed(app, pilot, "4", "k", "enter")
    await seen(app, pilot, "WHAT")
    await pressed(app, pilot, *keys)


async def test_next_and_previous_go_through_the_list_as_it_is_shown() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4")
        await filtered(app, pilot, "client:cursor")
        await pressed(app, pilot, "enter")
        await seen(app, pilot, "Requests › 8803")
        await pressed(app, pilot, "n")
        assert "Requests › 8803" in text_of(app)
        await pressed(app, pilot, "p")
        await seen(app, pilot, "Requests › 8802")
        await pressed(app, pilot, "escape")
        assert isinstance(app.screen, RequestsScreen)
        assert app.screen.chosen == 8802


async def test_it_stays_open_while_one_is_elsewhere() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await opened(app, pilot, "1")
        assert "Overview" in text_of(app)
        await pressed(app, pilot, "4")
        assert isinstance(app.screen, ExchangeScreen)
        await pressed(app, pilot, "q")
        assert isinstance(app.screen, RequestsScreen)


async def test_what_is_open_is_read_again_when_it_changes() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "enter", "right_square_bracket", "right_square_bracket")
        await seen(app, pilot, "There is no answer yet.")
        row = replace(control.exchanges[8813].row, status=ExchangeStatus.OK, duration_ms=8000.0)
        control.exchanges[8813] = plain_detail(row)
        control.see(row)
        await pulled(app, pilot)
        await seen(app, pilot, '"structuredContent"')
        assert "● ok" in text_of(app)


async def test_words_are_found_one_place_after_the_other() -> None:
    async with shown(exchanges_control(), (80, 24)) as (app, pilot):
        await opened(app, pilot, *["right_square_bracket"] * 5)
        await filtered(app, pilot, "UPSTREAM")
        assert "find: UPSTREAM 1/1" in text_of(app)
        assert "upstream 50" in text_of(app)
        await filtered(app, pilot, "gateway")
        assert "1/11" in text_of(app)
        await pressed(app, pilot, "full_stop", "full_stop")
        assert "3/11" in text_of(app)
        await pressed(app, pilot, "comma")
        assert "2/11" in text_of(app)
        await pressed(app, pilot, "escape")
        assert "find:" not in text_of(app)
        assert isinstance(app.screen, ExchangeScreen)


async def test_marking_and_more_room() -> None:
    async with shown(exchanges_control(), (80, 24)) as (app, pilot):
        await opened(app, pilot, "m")
        assert "*8812" in text_of(app)
        before = app.screen.query_one(LogView).size.height
        await pressed(app, pilot, "z")
        assert app.screen.query_one(LogView).size.height > before + 3
        await pressed(app, pilot, "z")
        assert app.screen.query_one(LogView).size.height == before


async def test_one_that_is_not_kept_any_more_is_said() -> None:
    control = exchanges_control()
    control.see(exchange_row(8820))
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "enter")
        await seen(app, pilot, "8820 is not kept any more")


async def test_a_replay_shows_its_difference_in_place() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await opened(app, pilot, "R")
        await seen(app, pilot, "No difference")
        assert control.replayed == [(8812, None)]
        await pressed(app, pilot, "escape")
        assert isinstance(app.screen, RequestsScreen)


@pytest.mark.parametrize("size", [(120, 36), (40, 12)])
async def test_an_enemys_exchange_steers_nothing(size: tuple[int, int]) -> None:
    async with shown(exchanges_control(hostile_detail()), size) as (app, pilot):
        for key in ("4", "enter", *["right_square_bracket"] * 7, "R", "escape", "E"):
            await pressed(app, pilot, key)
            for character in text_of(app).replace("\n", ""):
                assert ord(character) >= 0x20
                assert not 0x7F <= ord(character) < 0xA0
                assert ord(character) not in (0x202E, 0x2066, 0x200B, 0xD800, 0xE0041)
        assert "could not be drawn" not in str(app._alarms)


async def test_a_replay_whose_original_is_gone_can_still_be_read() -> None:
    control = exchanges_control()
    del control.exchanges[8802]
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "k", "k", "enter")
        await seen(app, pilot, "replay of 8802")
        await seen(app, pilot, "WHAT")
        assert "Diff" not in text_of(app)


async def test_help_names_the_keys_of_both_screens() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4", "question_mark")
        await seen(app, pilot, "Every request of every client")
        await pressed(app, pilot, "question_mark", "k", "enter", "question_mark")
        await seen(app, pilot, "One request")


async def test_one_that_changes_as_the_app_ends_leaves_nothing_unfinished() -> None:
    """What is asked for then is asked in vain, and no coroutine stays behind that was never awaited."""
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        screen = app.screen
        assert isinstance(screen, ExchangeScreen) and screen.chosen is not None
        row = control.exchanges[screen.chosen].row
        control.see(replace(row, duration_ms=1.0))
        app.pull()
        app.workers.cancel_all()
    gc.collect()
