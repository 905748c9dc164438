"""The process root: hosts the core, stops it in order, survives its failures and the screens' own bugs."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
from syrupy.assertion import SnapshotAssertion
from textual import events
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.closing import ClosingScreen
from only1mcp_tui.screens.confirm import ConfirmScreen
from only1mcp_tui.widgets.board import Board
from proxy_core.config.models import TuiConfig
from proxy_core.control import Control
from proxy_core.errors import PortInUse
from proxy_core.telemetry.snapshot import Notice, Snapshot, Totals
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.screens import GITHUB, TOTALS, busy_control, pulled, seen, shown, still_app, svg_of, text_of


class Core:
    """A core that serves until it is asked to stop, and may fail first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.starts = 0
        self.asked: list[bool] = []
        self.drained = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        self.starts += 1
        if self.failures:
            raise self.failures.pop(0)
        await self.drained.wait()
        self.ended = True

    def stop(self, force: bool) -> None:
        self.asked.append(force)
        if force:
            self.drained.set()

    def hosted(self, control: Control | None = None, **options: object) -> dict[str, object]:
        return {"run": self.run, "stop": self.stop, **options}


async def test_quitting_waits_for_the_core_and_shows_the_drain() -> None:
    core, control = Core(), busy_control()
    async with shown(control, **core.hosted()) as (app, pilot):
        await pilot.press("ctrl+q")
        await pulled(app, pilot)
        assert (core.asked, core.ended) == ([False], False)
        assert "in flight may finish" in text_of(app)
        control.use(row_of("github"), totals=Totals(calls=7))
        await pulled(app, pilot)
        assert "Closing the servers." in text_of(app)
        core.drained.set()
        await _gone(app, pilot)
    assert core.ended
    assert app.outcome == "only1mcp stopped after 2h14m: 7 calls, 0 errors."


async def test_asked_twice_it_stops_without_waiting() -> None:
    core = Core()
    async with shown(busy_control(), **core.hosted()) as (app, pilot):
        await pilot.press("ctrl+q")
        await pilot.press("ctrl+q")
        await _gone(app, pilot)
    assert core.asked == [False, True]


async def test_q_asks_only_if_calls_are_in_flight() -> None:
    core = Core()
    async with shown(busy_control(), **core.hosted()) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        await pilot.pause()
        assert core.asked == []


async def test_q_at_the_root_of_an_idle_gateway_quits() -> None:
    core = Core()
    async with shown(FakeControl(snapshot_of((row_of("clock"),))), **core.hosted()) as (app, pilot):
        await pilot.press("2")
        await pilot.press("q")
        await pilot.pause()
        assert (app.current_mode, core.asked) == ("overview", [])
        await pilot.press("q")
        await pilot.pause()
        assert core.asked == [False]
        core.drained.set()
        await _gone(app, pilot)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_stops_as_a_key_does(number: signal.Signals) -> None:
    core = Core()
    async with shown(busy_control(), **core.hosted()) as (app, pilot):
        os.kill(os.getpid(), number)
        while not core.asked:
            await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, ClosingScreen)
        core.drained.set()
        await _gone(app, pilot)


async def test_a_core_that_fails_is_started_again_under_a_banner() -> None:
    core = Core(RuntimeError("the \x1b[2J floor fell in"))
    async with shown(busy_control(), **core.hosted(restart_delays_s=(2.0,))) as (app, pilot):
        await _until(pilot, lambda: core.starts == 1)
        app.pull()
        await seen(app, pilot, "The gateway failed (the ␛[2J floor fell in)")
        await _until(pilot, lambda: core.starts == 2)
        await pulled(app, pilot)
        assert "The gateway failed" not in text_of(app)


async def test_a_core_waiting_for_its_next_start_can_be_stopped() -> None:
    core = Core(RuntimeError("gone"))
    async with shown(busy_control(), **core.hosted(restart_delays_s=(3600,))) as (app, pilot):
        await _until(pilot, lambda: core.starts == 1)
        await pilot.press("ctrl+q")
        await _gone(app, pilot)
    assert core.starts == 1


async def test_a_port_in_use_ends_the_app_with_the_error() -> None:
    core = Core(PortInUse("127.0.0.1", 8080, "python (pid 7)"))
    app = still_app(busy_control(), **core.hosted())
    async with app.run_test() as pilot:
        await _gone(app, pilot)
    assert isinstance(app.failure, PortInUse)
    assert app.return_code == 3


async def test_a_core_that_was_stopped_elsewhere_ends_the_app() -> None:
    core = Core()
    async with shown(busy_control(), **core.hosted()) as (app, pilot):
        core.drained.set()
        await _gone(app, pilot)
    assert app.outcome.startswith("only1mcp stopped")


class Broken(FakeControl):
    is_broken = False

    def snapshot(self) -> Snapshot:
        if self.is_broken:
            raise ZeroDivisionError("a bug")
        return super().snapshot()


async def test_a_bug_of_the_screen_is_shown_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    core, control = Core(), Broken(snapshot_of((GITHUB,), totals=TOTALS))
    async with shown(control, may_fail=True, **core.hosted()) as (app, pilot):
        control.is_broken = True
        app.pull()
        control.is_broken = False
        await pulled(app, pilot)
        assert "could not be drawn (a bug)" in text_of(app)
        assert app.is_running
    assert "the screen could not be drawn" in caplog.text


async def test_a_blurred_terminal_is_drawn_once_a_second() -> None:
    async with shown(busy_control()) as (app, pilot):
        app.post_message(events.AppBlur())
        await pilot.pause()
        await pulled(app, pilot)
        assert "1 fps" in text_of(app)


async def test_the_configuration_chooses_screen_and_theme() -> None:
    tui = TuiConfig(screen="logs", theme="nord")
    async with shown(busy_control(), tui=tui) as (app, _):
        assert (app.current_mode, app.theme) == ("logs", "nord")


async def test_an_unknown_theme_falls_back_to_ours() -> None:
    async with shown(busy_control(), tui=TuiConfig(theme="no-such")) as (app, _):
        assert app.theme == "only1-dark"


@pytest.mark.parametrize("key", ["ctrl+p", "colon"])
async def test_the_palette_has_the_verbs_of_each_server(key: str) -> None:
    control = busy_control()
    async with shown(control) as (_, pilot):
        await pilot.press(key)
        await pilot.press(*"probe filesystem")
        await pilot.pause(0.3)
        await pilot.press("enter", "enter")
        await _until(pilot, lambda: control.asked == [("probe", "filesystem")])


async def test_the_help_is_opened_and_left_by_a_key() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("question_mark")
        await pulled(app, pilot)
        assert app.screen.query("HelpPanel")
        await pilot.press("escape")
        await pulled(app, pilot)
        assert not app.screen.query("HelpPanel")


async def test_copying_a_row_puts_harmless_text_on_the_clipboard() -> None:
    control = FakeControl(snapshot_of((row_of("clock", address="run \x1b]52;c;x\x07"),)))
    async with shown(control) as (app, pilot):
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == "clock  healthy  stdio  run ␛]52;c;x␇"


async def test_nothing_is_painted_again_while_nothing_changes() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pulled(app, pilot)
        painted: list[Board] = []
        for board in app.screen.query(Board):
            board.refresh = lambda *_, board=board, **__: painted.append(board)  # type: ignore[method-assign]
        app.pull()
        assert painted == []


async def test_a_gateway_elsewhere(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(busy_control(), size, is_remote=None) as (app, _):
        assert svg_of(app) == picture


async def test_leaving_a_gateway_elsewhere_asks_nothing_and_leaves_it_alone() -> None:
    control = busy_control()
    async with shown(control, is_remote=None) as (app, pilot):
        assert control.current.totals.in_flight
        await pilot.press("q")
        await _gone(app, pilot)
    assert app.outcome == "The gateway at http://127.0.0.1:8080/mcp goes on."
    assert control.asked == []


async def test_a_gateway_that_was_lost_is_told_in_the_banner() -> None:
    control = busy_control()
    async with shown(control, is_remote=None) as (app, pilot):
        control.use(notices=(Notice("error", "The gateway does not answer; trying again."),))
        await pulled(app, pilot)
        assert "✖ The gateway does not answer" in text_of(app)


async def test_importing_is_refused_where_the_gateway_does_not_run() -> None:
    async with shown(busy_control(), is_remote=None) as (app, pilot):
        await pilot.press("i")
        await seen(app, pilot, "only where the gateway")


async def test_settings_of_the_screen_apply_while_it_runs() -> None:
    async with shown(busy_control(), tui=TuiConfig(fps=4)) as (app, pilot):
        app.use_tui(TuiConfig(fps=2, theme="nord"))
        await pulled(app, pilot)
        assert "2 fps" in text_of(app)
        assert app.theme == "nord"


async def test_a_theme_chosen_by_hand_stays_where_the_file_did_not_change_its_own() -> None:
    async with shown(busy_control(), tui=TuiConfig(theme="nord")) as (app, pilot):
        app.theme = "only1-light"
        app.use_tui(TuiConfig(theme="nord", fps=1))
        await pilot.pause()
        assert app.theme == "only1-light"


async def test_another_pace_takes_the_place_of_the_timer() -> None:
    app = Only1App(busy_control(), tui=TuiConfig(fps=4), is_remote=False)
    async with app.run_test() as pilot:
        before = app._timer
        app.use_tui(TuiConfig(fps=10))
        await pilot.pause()
        assert before is not None and app._timer is not before
        assert app._timer is not None and app._timer._interval == 0.1


async def _until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    while not holds():
        await pilot.pause()


async def _gone(app: Only1App, pilot: Pilot[None]) -> None:
    """Wait until the app has said that it exits."""
    while not app._exit:
        await pilot.pause()
