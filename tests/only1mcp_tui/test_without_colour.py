"""Without colours, and with few: cursor, tab, focus, badge and state are told apart by glyph, word or style."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from rich.style import Style
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from tests.support.dialogs import HOUSES, come, house
from tests.support.scenes import degraded
from tests.support.screens import pulled, shown, text_of

FEW = ("ansi-dark", "ansi-light")


def styles_of(app: Only1App, words: str) -> Iterator[Style]:
    """Of every piece of text on the screen that has these words."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if words in segment.text and segment.style is not None:
                yield segment.style


async def test_the_cursor_the_tab_and_the_badge_need_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with shown(degraded()) as (app, pilot):
        assert app.no_color
        assert any(style.reverse for style in styles_of(app, "github")), "the row under the cursor"
        assert not any(style.reverse for style in styles_of(app, "postgres")), "and no other"
        assert all(style.underline for style in styles_of(app, "Overview"))
        await pilot.press("space")
        await pulled(app, pilot)
        assert any(style.reverse for style in styles_of(app, "PAUSED"))


async def test_every_state_has_its_glyph_and_word() -> None:
    async with shown(degraded(), (200, 60)) as (app, _):
        text = text_of(app)
        for words in ("● healthy", "◐ draining", "▲ degraded", "✖ failed", "✖ unhealthy", "◆ auth required"):
            assert words in text
        for words in ("◌ starting", "↻ restarting", "◑ drained", "○ disabled", "⊘ breaker open"):
            assert words in text


async def test_buttons_and_fields_have_a_shape_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with dialog("drill") as (app, _):
        assert_shapes(app)


@pytest.mark.parametrize("theme", FEW)
async def test_buttons_and_fields_have_a_shape_in_few_colours(theme: str) -> None:
    async with dialog("drill", theme) as (app, _):
        assert_shapes(app)


@asynccontextmanager
async def dialog(name: str, theme: str = "") -> AsyncIterator[tuple[Only1App, Pilot[None]]]:
    async with house("well", (120, 36)) as (app, pilot):
        app.theme = theme or app.theme
        await come(app, pilot, next(each for each in HOUSES["well"].opened if each.name == name))
        yield app, pilot


def assert_shapes(app: Only1App) -> None:
    assert any(style.reverse for style in styles_of(app, "Cancel")), "it has the focus"
    (other,) = styles_of(app, "Begin the drill")
    assert other.underline and not other.reverse
    assert "│500" in text_of(app), "a field has an edge"
