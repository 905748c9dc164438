"""How every dialog and every opened screen looks, on a dark ground and in the colours of ANSI.

One app for all of a house: to start one takes longer than to paint its dialogs.
"""

from collections.abc import AsyncIterator
from itertools import count

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens import calling
from tests.support.dialogs import HOUSES, STEPPED, Opened, come, house, leave
from tests.support.screens import pulled, svg_of


@pytest.fixture(autouse=True)
def steady_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is 12 ms later."""
    ticks = count()
    monkeypatch.setattr(calling, "monotonic", lambda: next(ticks) * 0.012)


THEMES = ("only1-dark", "ansi-dark")


@pytest.mark.parametrize("name", HOUSES)
async def test_looks(name: str, picture: SnapshotAssertion) -> None:
    await _look(name, (120, 36), picture)


@pytest.mark.long
@pytest.mark.parametrize("name", HOUSES)
async def test_looks_on_a_small_terminal(name: str, picture: SnapshotAssertion) -> None:
    await _look(name, (80, 24), picture)


async def _look(name: str, size: tuple[int, int], picture: SnapshotAssertion) -> None:
    differing: list[str] = []
    async with house(name, size) as (app, pilot):
        for opened in HOUSES[name].opened:
            await come(app, pilot, opened)
            differing += [each async for each in _differing(app, pilot, opened, picture)]
            if name not in STEPPED and opened is not HOUSES[name].opened[-1]:
                await leave(app, pilot)
    assert not differing


async def _differing(
    app: Only1App, pilot: Pilot[None], opened: Opened, picture: SnapshotAssertion
) -> AsyncIterator[str]:
    for theme in THEMES:
        if opened.is_fresh and theme != app.theme:
            await leave(app, pilot)
            app.theme = theme
            await come(app, pilot, opened)
        app.theme = theme
        await pulled(app, pilot)
        await pulled(app, pilot)
        name = f"{opened.name}-{theme.removeprefix('only1-')}"
        if svg_of(app) != picture(name=name):
            yield name
    app.theme = THEMES[0]
