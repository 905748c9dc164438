"""A screen that fails costs itself: a banner says so, calls go on, and a key makes it anew."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual import events, work
from textual.binding import Binding
from textual.strip import Strip

from only1mcp_tui import app as app_module
from only1mcp_tui import messages
from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.screens.confirm import ConfirmScreen
from only1mcp_tui.screens.failed import FailedScreen
from only1mcp_tui.screens.logs import LogsScreen
from only1mcp_tui.widgets.log_view import LogView
from tests.support.screens import busy_control, pulled, seen, shown, text_of


class Bug(Exception):
    """Its words are hostile, as those of a server may be."""

    def __init__(self) -> None:
        super().__init__("a bug \x1b[2J [/b]")


class Faults:
    """Switched on by a test, off again before the screen is tried again."""

    at = ""

    @classmethod
    def maybe(cls, place: str) -> None:
        if cls.at == place:
            raise Bug


class FaultyView(LogView[Any]):
    def render_line(self, y: int) -> Strip:
        Faults.maybe("paint")
        return super().render_line(y)

    def on_key(self, event: events.Key) -> None:
        if event.key == "k":
            Faults.maybe("widget handler")


class FaultyScreen(LogsScreen):
    BINDINGS = [Binding("v", "verb", "Verb"), Binding("w", "work", "Work")]  # noqa: RUF012 (Textual's way)

    def body(self) -> Any:
        yield FaultyView(str, follows=True)

    def on_mount(self) -> None:
        Faults.maybe("on_mount")

    def compose(self) -> Any:
        Faults.maybe("compose")
        yield from super().compose()

    def draw(self, picture: Picture) -> None:
        Faults.maybe("draw")

    def on_key(self, event: events.Key) -> None:
        if event.key == "z":
            Faults.maybe("handler")

    def action_verb(self) -> None:
        Faults.maybe("action")

    @work
    async def action_work(self) -> None:
        await asyncio.sleep(0)
        Faults.maybe("worker")


@pytest.fixture(autouse=True)
def faulty_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faults, "at", "")
    monkeypatch.setitem(app_module.SCREENS, "logs", FaultyScreen)


async def _until(holds: Callable[[], bool]) -> None:
    # Not by the pilot: it waits until every widget has read its messages, and one that failed reads none.
    while not holds():
        await asyncio.sleep(0.005)


WORDS = "failed (a bug ␛[2J [/b]). Calls go on."


@pytest.mark.parametrize(
    ("place", "key"),
    [("draw", ""), ("paint", ""), ("handler", "z"), ("widget handler", "k"), ("on_mount", ""), ("compose", "")],
)
async def test_a_screen_that_fails_is_covered_and_can_be_tried_again(
    place: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with shown(busy_control(), may_fail=True) as (app, pilot):
        if key:
            await pilot.press("5")
        Faults.at = place
        app.simulate_key(key or "5")
        if place == "draw":
            await _until(lambda: isinstance(app.screen, FaultyScreen))
            app.pull()
        await _until(lambda: isinstance(app.screen, FailedScreen))
        await seen(app, pilot, f"The screen Logs {WORDS}")
        assert "The screen Logs failed" in caplog.text
        await pilot.press("1")
        await pulled(app, pilot)
        assert WORDS in text_of(app), "the banner of the others says it too"
        await pilot.press("5")
        await pulled(app, pilot)
        assert isinstance(app.screen, FailedScreen), "it stays as it is until someone wants it anew"
        Faults.at = ""
        await pilot.press("r")
        await _until(lambda: isinstance(app.screen, FaultyScreen))
        await pulled(app, pilot)
        assert "5 Logs" in text_of(app) and WORDS not in text_of(app)
        assert app.is_running and app.return_code is None


@pytest.mark.parametrize(("place", "key"), [("action", "v"), ("worker", "w")])
async def test_a_command_or_a_task_that_fails_leaves_the_screen_as_it_is(place: str, key: str) -> None:
    async with shown(busy_control(), may_fail=True) as (app, pilot):
        await pilot.press("5")
        Faults.at = place
        app.simulate_key(key)
        await _until(lambda: "screen" in app._alarms)
        await pulled(app, pilot)
        assert WORDS in text_of(app)
        assert isinstance(app.screen, FaultyScreen) and app.is_running


async def test_a_screen_that_fails_again_and_again_is_covered_again_and_again() -> None:
    async with shown(busy_control(), may_fail=True) as (app, _):
        Faults.at = "draw"
        before = app.screen
        for key in ("5", "r", "r"):
            app.simulate_key(key)
            await _until(
                lambda before=before: isinstance(app.screen, FailedScreen) and app.screen is not before
            )
            before = app.screen
        assert app.is_running


async def test_a_dialog_that_fails_is_closed_and_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    control = busy_control()
    async with shown(control, may_fail=True) as (app, pilot):
        await pilot.press("d")
        await _until(lambda: isinstance(app.screen, ConfirmScreen))

        def fail(*_: object) -> None:
            raise Bug

        monkeypatch.setattr(ConfirmScreen, "on_key", fail, raising=False)
        app.simulate_key("x")
        await _until(lambda: not isinstance(app.screen, ConfirmScreen))
        await pulled(app, pilot)
        assert "The screen ConfirmScreen failed" in text_of(app)
        assert control.asked == [] and app.is_running


async def test_a_fault_in_a_handler_of_the_app_itself_is_told_and_survived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Only1App, "clear_notifications", lambda app: 1 / 0)
    monkeypatch.setattr(Only1App, "copy_to_clipboard", lambda app, text: 1 / 0)
    async with shown(busy_control(), may_fail=True) as (app, pilot):
        app.post_message(messages.CopyRequested("x"))
        await _until(lambda: "screen" in app._alarms)
        await pilot.press("j")
        await pulled(app, pilot)
        assert "A part of the screen failed (division by zero)" in text_of(app)


async def test_the_failure_of_a_hidden_screen_is_told_where_one_is() -> None:
    async with shown(busy_control(), may_fail=True) as (app, pilot):
        await pilot.press("5")
        hidden = app.screen
        await pilot.press("1")
        assert isinstance(hidden, CoreScreen)
        Faults.at = "draw"
        hidden.call_later(hidden.redraw)
        await _until(lambda: hidden in app.failed)
        await pulled(app, pilot)
        assert app.current_mode == "overview" and WORDS in text_of(app)
        app.simulate_key("5")
        await _until(lambda: app.screen is hidden)
        app.pull()
        await _until(lambda: isinstance(app.screen, FailedScreen))
