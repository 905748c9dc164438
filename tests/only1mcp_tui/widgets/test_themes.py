"""Which colours a terminal gets, and that the cursor is seen without any."""

import pytest

from only1mcp_tui.widgets.live_table import LiveTable
from only1mcp_tui.widgets.themes import ANSI, DARK, first_theme
from tests.support.screens import busy_control, shown

THERE = {DARK.name, ANSI, "nord", "gruvbox"}


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "xterm-256color"}, DARK.name),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, DARK.name),
        ({"TERM": "xterm-kitty"}, DARK.name),
        ({"TERM": "linux"}, ANSI),
        ({"TERM": "xterm"}, ANSI),
        ({}, ANSI),
    ],
)
def test_a_terminal_of_few_colours_gets_its_own(environ: dict[str, str], theme: str) -> None:
    assert first_theme((None, ""), THERE, environ) == theme


def test_what_is_wanted_wins_if_it_is_there() -> None:
    assert first_theme(("nord", "gruvbox"), THERE, {"TERM": "linux"}) == "nord"
    assert first_theme(("gone", "gruvbox"), THERE, {"TERM": "linux"}) == "gruvbox"


@pytest.mark.parametrize("theme", [DARK.name, ANSI])
async def test_without_colours_the_cursor_is_turned_round(theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with shown(busy_control()) as (app, pilot):
        app.theme = theme
        await pilot.pause()
        table = app.screen.query_one(LiveTable)
        assert table.lift.reverse
        app.screen.set_focus(None)
        await pilot.pause()
        assert table.lift.underline and not table.lift.reverse


async def test_in_sixteen_colours_the_words_under_the_cursor_get_one_colour() -> None:
    async with shown(busy_control()) as (app, pilot):
        app.theme = ANSI
        await pilot.pause()
        table = app.screen.query_one(LiveTable)
        assert table.lift.color is not None
        assert table.lift.color != table.lift.bgcolor
