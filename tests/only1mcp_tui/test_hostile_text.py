"""Every field that holds text, hostile, through every screen: none of it steers the terminal or ends the app.

Goes by the types of what screens are handed and by the app's own table of screens, so that what is added is
covered too.
"""

import asyncio
import re
import sys
import unicodedata
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from only1mcp_tui.app import SCREENS
from tests.support.hostile import HUGE, PIECES, hostile_control
from tests.support.processes import ROOT, quiet_env
from tests.support.screens import pulled, shown
from tests.support.terminal import Terminal

STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that a terminal obeys, hides, or turns the line by."""
DIALOGS: Final = ("d", "e", "p", "y", "ctrl+r", "R", "D", "i")
"""Keys that open one, or say something, where the screen has them."""
STEPS: Final = (("j",), ("enter",), ("right_square_bracket",), ("tab", "k"), ("escape",))
hostile_texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


async def _walk(text: str) -> None:
    for number in range(1, len(SCREENS) + 1):
        control = hostile_control(lambda: text)
        async with shown(control, (100, 30)) as (app, pilot):
            await pilot.press(str(number))
            for keys in (*STEPS, *((key,) for key in DIALOGS)):
                await pilot.press(*keys)
                await pulled(app, pilot)
                for strip in app.screen._compositor.render_strips():
                    wrong = [c for c in strip.text if unicodedata.category(c) in STEERING]
                    assert not wrong, (number, keys, strip.text)
                if len(app.screen_stack) > 1:
                    await pilot.press("escape")
            assert not app.failed and app.is_running


def test_no_screen_renders_what_steers_a_terminal() -> None:
    asyncio.run(_walk("".join(PIECES)))


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(hostile_texts)
def test_no_screen_renders_what_steers_a_terminal_in_many_mixtures(text: str) -> None:
    asyncio.run(_walk(text))


@pytest.mark.long
def test_a_megabyte_in_every_field_is_cut_and_drawn() -> None:
    asyncio.run(_walk(HUGE))


APP = """
import sys
sys.path.insert(0, {root!r})
from only1mcp_tui.app import Only1App
from tests.support.hostile import PIECES, hostile_control
app = Only1App(hostile_control(lambda: "".join(PIECES)))
app.run()
assert not app.failed, app._alarms
"""
OURS: Final = re.compile(
    rb"\x1b\[[0-9;:?<>=]*[ $]?[@-~]"  # moves, colours, modes and questions
    rb"|\x1b[78=>M]|\x1b\(B"
    rb"|\x1b\]22;[a-z-]*\x07"  # the shape of the mouse pointer
)


def test_a_terminal_gets_no_sequence_but_the_screens_own(tmp_path: Path) -> None:
    program = tmp_path / "hostile.py"
    program.write_text(APP.format(root=str(ROOT)))
    terminal = Terminal([sys.executable, str(program)], tmp_path, quiet_env(tmp_path))
    try:
        terminal.shows("Overview")
        for number in range(1, len(SCREENS) + 1):
            terminal.press(f"{number}j\r")
            terminal.shows("Quit" if number == 1 else "Back")
        terminal.press("\x11")
        assert terminal.ends() == 0
        rest = OURS.sub(b"", terminal.output)
        assert b"\x1b" not in rest, rest[max(0, rest.find(b"\x1b") - 40) :][:80]
        assert not re.search(rb"\xc2[\x80-\x9f]|\x07|\x7f", rest)
        assert all(terminal.is_restored().values())
    finally:
        terminal.close()
