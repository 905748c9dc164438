"""How every main screen looks: in each scene, at each size, on a dark ground and in the colours of ANSI.

One app for all pictures of a screen in a scene: to start one takes longer than to paint it six times.
"""

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from only1mcp_tui.app import SCREENS, Only1App
from tests.support.plots import MOVED_S, moving_app, plotted
from tests.support.scenes import SCENES
from tests.support.screens import pulled, svg_of

SIZES = ((80, 24), (120, 36), (200, 60))
THEMES = ("only1-dark", "ansi-dark")


@pytest.mark.parametrize("mode", SCREENS)
@pytest.mark.parametrize("name", SCENES)
async def test_looks(name: str, mode: str, picture: SnapshotAssertion) -> None:
    scene = SCENES[name]
    control = scene.control()
    app = moving_app(control, MOVED_S if control.current.servers else 0)
    differing = []
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await app.switch_mode(mode)
        await _drawn(app, pilot, mode)
        if scene.then is not None:
            await scene.then(control, app, pilot)
        for theme in THEMES:
            app.theme = theme
            for width, height in SIZES:
                await pilot.resize_terminal(width, height)
                await _drawn(app, pilot, mode)
                ground = theme.removeprefix("only1-")
                if svg_of(app) != picture(name=f"{width}x{height}-{ground}"):
                    differing.append((width, height, theme))
    assert not differing


async def _drawn(app: Only1App, pilot: Pilot[None], mode: str) -> None:
    await pulled(app, pilot)
    if mode == "metrics":
        await plotted(app, pilot)
