"""How every main screen looks: in each scene, at each size, on a dark ground and in the colours of ANSI.

One app for all pictures of a screen in a scene: to start one takes longer than to paint it six times.
"""

import pytest
from syrupy.assertion import SnapshotAssertion

from only1mcp_tui.screens.base import NAMES
from tests.support.scenes import SCENES
from tests.support.screens import pulled, shown, svg_of

SIZES = ((80, 24), (120, 36), (200, 60))
THEMES = ("only1-dark", "ansi-dark")


@pytest.mark.parametrize("mode", [mode for _, mode, _ in NAMES])
@pytest.mark.parametrize("name", SCENES)
async def test_looks(name: str, mode: str, picture: SnapshotAssertion) -> None:
    scene = SCENES[name]
    control = scene.control()
    differing = []
    async with shown(control, SIZES[0]) as (app, pilot):
        await app.switch_mode(mode)
        await pulled(app, pilot)
        if scene.then is not None:
            await scene.then(control, app, pilot)
        for theme in THEMES:
            app.theme = theme
            for width, height in SIZES:
                await pilot.resize_terminal(width, height)
                await pulled(app, pilot)
                ground = theme.removeprefix("only1-")
                if svg_of(app) != picture(name=f"{width}x{height}-{ground}"):
                    differing.append((width, height, theme))
    assert not differing
