"""On a terminal that is smaller than any that we draw pictures of: all there is stays within reach."""

import pytest

from only1mcp_tui.app import SCREENS
from tests.support.dialogs import HOUSES, STEPPED, come, house, leave
from tests.support.plots import moving_app
from tests.support.scenes import degraded
from tests.support.screens import pulled, text_of

SMALL, TINY = (60, 20), (40, 12)


@pytest.mark.parametrize("size", [SMALL, TINY], ids=["60x20", "40x12"])
async def test_every_main_screen_is_readable(size: tuple[int, int]) -> None:
    app = moving_app(degraded())
    async with app.run_test(size=size, notifications=False) as pilot:
        for mode in SCREENS:
            await app.switch_mode(mode)
            # The first picture gives the lines around the body their heights.
            await pulled(app, pilot)
            await pulled(app, pilot)
            lines = text_of(app).splitlines()
            assert len(lines) == size[1]
            assert "only1mcp" in lines[0]
            assert f"{list(SCREENS).index(mode) + 1} {mode.capitalize()}" in lines[1], mode
            assert "? Help" in lines[-1] and ("q Back" in lines[-1] or "q Quit" in lines[-1]), mode
            if mode in ("overview", "servers"):
                assert any("github" in line and "● healthy" in line for line in lines), mode
    assert "screen" not in app._alarms


@pytest.mark.parametrize("name", ["well", "calling"])
async def test_the_buttons_of_every_dialog_are_whole(name: str) -> None:
    async with house(name, SMALL) as (app, pilot):
        for opened in HOUSES[name].opened:
            await come(app, pilot, opened)
            for button in app.screen.query("Button"):
                dialog = app.screen.query_one(".dialog").region
                assert dialog.contains_region(button.region), (opened.name, button.label)
            if name not in STEPPED:
                await leave(app, pilot)


@pytest.mark.long
@pytest.mark.parametrize("name", HOUSES)
async def test_every_dialog_opens_where_it_has_hardly_room(name: str) -> None:
    async with house(name, TINY) as (app, pilot):
        for opened in HOUSES[name].opened:
            for key in opened.keys:
                await pilot.press(key)
                await pulled(app, pilot)
            assert len(text_of(app).splitlines()) == TINY[1]
            if name not in STEPPED and opened is not HOUSES[name].opened[-1]:
                await leave(app, pilot)
