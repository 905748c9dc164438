"""The process root: hosts the core on Textual's own loop, pulls its picture, carries wishes to it.

Holds no panel logic. A core that fails raises a banner and is started again; a bug of a screen is logged and
shown, and never stops the calls that the core carries.
"""

import asyncio
import logging
import os
import signal
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from rich.text import Text
from textual import events, on, work
from textual.app import SystemCommand
from textual.screen import Screen
from textual.timer import Timer

from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.screens.closing import ClosingScreen
from only1mcp_tui.screens.guarded import words_of
from only1mcp_tui.screens.kept import SAVE_S, Kept
from only1mcp_tui.screens.keyed import KeyedApp
from only1mcp_tui.screens.keymap import checked, notice
from only1mcp_tui.screens.logs import LogsScreen
from only1mcp_tui.screens.metrics import MetricsScreen
from only1mcp_tui.screens.overview import OverviewScreen
from only1mcp_tui.screens.palette import Commands, commands_of
from only1mcp_tui.screens.question import QuestionScreen
from only1mcp_tui.screens.readonly import guarded
from only1mcp_tui.screens.requests import RequestsScreen
from only1mcp_tui.screens.servers import ServersScreen
from only1mcp_tui.screens.terminal import continue_only_on, is_gone, let_go_of, terminal
from only1mcp_tui.screens.wishing import Writer
from only1mcp_tui.view.closing import left_line, outcome_line
from only1mcp_tui.view.elicitation_form import news
from only1mcp_tui.view.history import History
from only1mcp_tui.view.news import News
from only1mcp_tui.view.overview import Pace
from only1mcp_tui.view.staleness import again_words, shown_now, stale_s
from only1mcp_tui.view.text import safe_lines
from only1mcp_tui.widgets.themes import DARK, LIGHT, first_theme
from proxy_core.config.importers import FoundServer
from proxy_core.config.models import TuiConfig
from proxy_core.control import Control
from proxy_core.errors import InsecureBind, Only1Error, PortInUse, TlsUnusable
from proxy_core.telemetry.snapshot import Notice

log = logging.getLogger(__name__)

RESTART_DELAYS_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each new start of a core that failed; the last one repeats."""
CANNOT_START = (PortInUse, InsecureBind, TlsUnusable)
"""Another try would fail as the first did: the caller says why."""
BUSY_LAG_MS = 20.0
"""From this loop lag on the screen halves its own pace, and again from twice as much on: calls come first."""
PREPARATIONS = 25
"""Steps, at most, in which a gateway with very many servers prepares a picture: then it is made as it is."""
SILENT_S = 2.0
"""After so long without a new picture the old one counts as what still is."""
SCREENS: dict[str, type[CoreScreen]] = {
    "overview": OverviewScreen,
    "servers": ServersScreen,
    "metrics": MetricsScreen,
    "requests": RequestsScreen,
    "logs": LogsScreen,
}
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Only1App(KeyedApp):
    """The screens over one `Control`."""

    TITLE = "only1mcp"
    CSS_PATH = "app.tcss"
    DEFAULT_MODE = "overview"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {Commands}  # noqa: RUF012 (Textual declares it so)

    def __init__(
        self,
        control: Control,
        *,
        run: Callable[[], Awaitable[None]] | None = None,
        stop: Callable[[bool], None] | None = None,
        tui: TuiConfig | None = None,
        discover: Callable[[], Sequence[FoundServer]] | None = None,
        write: Writer | None = None,
        clock: Callable[[], float] = time.monotonic,
        restart_delays_s: Sequence[float] = RESTART_DELAYS_S,
        pulls_by_itself: bool = True,
        is_remote: bool | None = None,
        on_shown: Callable[[], None] = lambda: None,
        kept: Kept | None = None,
        readonly: bool = False,
        welcomes: bool = False,
    ) -> None:
        """`run` serves until `stop(force)` was called; without it only the screens run, over a core elsewhere.

        `is_remote` says so of a core that this app does not run; None: as `run` tells.
        `on_shown` is called once, when the first picture is drawn.
        `kept` outlives the run; None: nothing does. `readonly`: look only, whatever the configuration says.
        `welcomes`: where there is no configuration, ask what to do, once.
        `discover` finds the servers of AI clients, `write` puts the chosen into our file and names it.
        """
        super().__init__()
        self.failure: Only1Error | None = None
        """Why the core could not be started at all, for the caller to print."""
        self.outcome = ""
        """The line to print when the screen is gone."""
        self._readonly = readonly
        self._welcomes = welcomes
        self._control = control = guarded(control, lambda: self.is_readonly)
        self._run_core = run
        self._stop_core = stop
        self._is_remote = run is None if is_remote is None else is_remote
        self._tui = tui or TuiConfig()
        self._discover = discover
        self._write = write
        self._clock = clock
        self.kept = kept or Kept()
        # Asked now: the first screen that is seen will be the one that was seen last.
        self._first_screen = self._tui.screen or self.kept.get("screen", self.DEFAULT_MODE)
        self._restart_delays_s = restart_delays_s
        self._pulls_by_itself = pulls_by_itself
        self._on_shown = on_shown
        self._timer: Timer | None = None
        self._snapshot = control.snapshot()
        self._offset = self._snapshot.at - clock()
        self._pulled_at = float("-inf")
        self._is_due = True
        """Whether the history may lack something of the last picture."""
        self.history = History()
        self._is_paused = False
        self._is_blurred = False
        self._asked: set[str] = set()
        """Questions that a toast has told of."""
        self._given_theme = ""
        self._news = News()
        self._seen_facts = 0
        self._alarms: dict[str, Notice] = {}
        self._stopping = asyncio.Event()
        self._terminal = terminal()
        self._has_hung_up = False
        for mode in SCREENS:
            self.add_mode(mode, self.new_screen(mode))

    # --- life -----------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = self._theme_of(self._tui)
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        continue_only_on(self._terminal)
        if self._run_core is not None:
            self._host(self._run_core)
        if self._pulls_by_itself:
            self._timer = self.set_interval(1 / self._tui.fps, self._tick)
        if self.kept.path is not None:
            self.set_interval(SAVE_S, self.kept.save)
        self._use_keys(self._tui)
        if self._welcomes and self._snapshot.demo and not self.kept.get("welcomed", False):
            self._welcome()
        if self._first_screen != self.DEFAULT_MODE and self._first_screen in self._modes:
            self.switch_mode(self._first_screen)
        self.call_after_refresh(self._on_shown)

    def use_tui(self, tui: TuiConfig) -> None:
        """Apply changed settings of the screen; what a person chose stays where the file says what it said."""
        before, self._tui = self._tui, tui
        if not self.is_running:
            return
        if tui.theme != before.theme and "TEXTUAL_THEME" not in os.environ:
            self.theme = self._theme_of(tui)
        if tui.keys != before.keys:
            self._use_keys(tui)
            for screen in self.screen_stack:
                if isinstance(screen, CoreScreen):
                    screen.redraw()
        if tui.fps != before.fps and self._timer is not None:
            self._timer.stop()
            self._timer = self.set_interval(1 / tui.fps, self._tick)

    def _theme_of(self, tui: TuiConfig) -> str:
        wanted = tui.theme, self.kept.get("theme", "")
        self._given_theme = first_theme(wanted, self.available_themes, os.environ, self.is_headless)
        return self._given_theme

    def watch_theme(self, theme: str) -> None:
        """Keep what was chosen; what we or the configuration gave is no choice."""
        if (
            self._tui.theme is None
            and self._given_theme
            and (theme != self._given_theme or self.kept.get("theme", ""))
        ):
            self.kept.put("theme", theme)

    def _use_keys(self, tui: TuiConfig) -> None:
        keys, faults = checked(tui.keys, self._bindings)
        self.set_keymap(keys)
        self._alarms.pop("keys", None)
        if faults:
            self._alarm("keys", "warning", notice(faults))

    @property
    def is_readonly(self) -> bool:
        """Whether one may only look: said at the start, by the configuration, or by the gateway watched."""
        return self._readonly or self._tui.readonly or bool(getattr(self._control, "is_readonly", False))

    async def on_unmount(self) -> None:
        await self.kept.save()
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    @work(group="core", name="core", exit_on_error=False)
    async def _host(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run the core until it is asked to stop; start it again after a failure."""
        starts = 0
        while not self._stopping.is_set():
            try:
                await run()
                break
            except CANNOT_START as error:
                self.failure = error
                self.exit(return_code=3)
                return
            except Exception as error:
                log.exception("the core failed")
                starts += 1
                await self._wait_to_restart(error, starts)
        self._end()

    async def _wait_to_restart(self, error: Exception, starts: int) -> None:
        delay_s = self._restart_delays_s[min(starts, len(self._restart_delays_s)) - 1]
        words = f"The gateway failed ({words_of(error)}). It starts again in {delay_s:g} s (try {starts})."
        self._alarm("core", "error", words)
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            self._alarms.pop("core", None)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._hang_up()
        else:
            self._begin_stop()

    def _hang_up(self) -> None:
        """The terminal is gone, so that nobody looks on: stop, once, however often that is told."""
        if self._has_hung_up:
            return
        self._has_hung_up = True
        let_go_of(self._terminal)
        if self._driver is not None:
            # Its writer thread dies of the first write that fails. Then its queue fills, and the next paint
            # would keep the loop for good, with the core's drain on it.
            setattr(self._driver, "write", _unseen)  # noqa: B010 -- a method of its class
        self._begin_stop()

    def _fatal_error(self) -> None:
        # Textual's own prints the local variables of every frame, and secrets are among them.
        self.panic(_trace())

    def _begin_stop(self) -> None:
        """Ask the core to stop and show what it waits for; asked twice, it waits no longer."""
        force = self._stopping.is_set()
        self._stopping.set()
        if self._run_core is None or self._stop_core is None:
            self._end()
            return
        self._stop_core(force)
        if not force:
            self._is_paused = False
            self.push_screen(ClosingScreen(self._picture))
        elif isinstance(closing := self.screen, ClosingScreen):
            closing.force()

    def _end(self) -> None:
        self.pull()
        is_remote = self._is_remote
        self.outcome = left_line(self._snapshot) if is_remote else outcome_line(self._snapshot, self._now())
        self.exit()

    # --- the picture ----------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock() + self._offset

    @property
    def _fps(self) -> int:
        if self._is_blurred:
            return 1
        lag_ms = self._snapshot.totals.loop_lag_p99_ms
        halvings = (lag_ms > BUSY_LAG_MS) + (lag_ms > 2 * BUSY_LAG_MS)
        return max(1, self._tui.fps >> halvings)

    def _picture(self) -> Picture:
        snapshot, now = self._snapshot, self._now()
        pace = Pace(self._fps, self._is_paused, self._is_remote, stale_s(snapshot, now), self.is_readonly)
        alarms = tuple(self._alarms.values())
        return Picture(snapshot, shown_now(snapshot, now), self.history, pace, alarms)

    async def _tick(self) -> None:
        if is_gone(self._terminal):
            self._hang_up()
        # A timer comes a little early or late; half a tick of tolerance keeps the pace.
        if self._clock() - self._pulled_at >= 1 / self._fps - 0.5 / self._tui.fps:
            self._pulled_at = self._clock()
            await self._pull_in_steps()

    async def _pull_in_steps(self) -> None:
        """As `pull`, but between the steps the loop can carry calls."""
        for _ in range(PREPARATIONS):
            if not self._safely(self._control.prepare):
                break
            await asyncio.sleep(0)
        self._safely(self._take)
        if has_work := self._is_due:
            await asyncio.sleep(0)
        self._safely(self._learn)
        if has_work:
            await asyncio.sleep(0)
        self._safely(self._show)

    def pull(self) -> None:
        """Take the core's picture and hand it to what is on screen."""
        self._pulled_at = self._clock()
        for step in (self._take, self._learn, self._show):
            self._safely(step)

    def _safely(self, step: Callable[[], object]) -> object:
        try:
            return step()
        except Exception as error:
            # A bug there must not stop the proxy that lives in this process, nor fill its log.
            if "screen" not in self._alarms:
                log.exception("the screen could not be drawn")
            self.tell_failure(f"The screen could not be drawn ({words_of(error)}). Calls go on.")
            return None

    def _take(self) -> None:
        snapshot = self._control.snapshot()
        is_new = snapshot is not self._snapshot
        if is_new:
            if words := again_words(self._snapshot, snapshot, self._now()):
                self.notify(words, markup=False)
            self._snapshot = snapshot
            self._offset = snapshot.at - self._clock()
        # With a new picture, so that both are drawn at once; one is due every second. But what is far away may
        # be silent for longer.
        self._is_due |= is_new or self._now() - self.history.turn >= SILENT_S

    def _learn(self) -> None:
        """Keep of the picture what is drawn over time, and tell what is news in it."""
        snapshot, is_due, self._is_due = self._snapshot, self._is_due, False
        if is_due and snapshot.stale_since is None:
            self.history.sample(snapshot, self._now())
        if words := news(snapshot.questions, self._asked):
            self.notify(words, severity="warning", markup=False, timeout=10)
        self._asked = {question.id for question in snapshot.questions}
        self._tell_news()

    def _show(self) -> None:
        if self.screen in self.failed:
            # It failed while another mode was seen.
            self.call_later(self.cover_failures)
        picture = self._picture()
        if self._is_paused:
            if isinstance(screen := self.screen, CoreScreen):
                screen.hold(picture)
            return
        for screen in self.screen_stack:
            if not isinstance(screen, CoreScreen | ClosingScreen | QuestionScreen) or screen in self.failed:
                continue
            if screen.is_mounted:
                try:
                    screen.show(picture)
                except Exception as error:
                    self.fail(screen, error)

    def _tell_news(self) -> None:
        self._seen_facts, facts = self._control.events_after(self._seen_facts)
        if (toast := self._news.take(facts, self._now())) is not None:
            self.notify(toast.words, severity="error" if toast.is_bad else "information", markup=False)

    def _alarm(self, key: str, level: str, words: str) -> None:
        self._alarms[key] = Notice(level, words)

    def tell_failure(self, words: str) -> None:
        if words:
            self._alarm("screen", "error", words)
        else:
            self._alarms.pop("screen", None)

    def new_screen(self, mode: str) -> Callable[[], CoreScreen]:
        return partial(SCREENS[mode], self._control, self._picture)

    @on(events.AppBlur)
    def _blurred(self) -> None:
        self._is_blurred = True

    @on(events.AppFocus)
    def _focused(self) -> None:
        self._is_blurred = False

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for command in commands_of(self, screen):
            yield SystemCommand(command.name, command.hint, command.run, command.is_offered)


def _unseen(_data: str) -> None:
    """What is painted where nobody looks."""


def _trace() -> Text:
    return Text("\n".join(safe_lines(traceback.format_exc(), most=80)))
