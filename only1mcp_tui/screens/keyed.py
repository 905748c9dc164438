"""The keys of the whole app, and the way back of Escape and q: one level at a time, out only at the top."""

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.screens.confirm import ConfirmScreen
from only1mcp_tui.screens.export import export
from only1mcp_tui.screens.ledger import LedgerScreen
from only1mcp_tui.screens.log_level import ask_log_level
from only1mcp_tui.screens.names import NamesScreen
from only1mcp_tui.screens.pushed import PushedScreen
from only1mcp_tui.screens.verbs import ask_quit
from only1mcp_tui.screens.wishing import WishingApp
from only1mcp_tui.view.text import first_line, safe
from only1mcp_tui.widgets.keys import named
from proxy_core.config.models import TuiConfig

PUSHED: dict[str, type[PushedScreen]] = {"names": NamesScreen, "ledger": LedgerScreen}


class KeyedApp(WishingApp):
    """Answers the keys that no screen and no widget has taken."""

    _tui: TuiConfig
    _is_paused: bool
    _is_remote: bool

    BINDINGS: ClassVar[list[BindingType]] = named(
        [
            Binding("1", "switch_mode('overview')", "Overview", show=False),
            Binding("2", "switch_mode('servers')", "Servers", show=False),
            Binding("3", "switch_mode('metrics')", "Metrics", show=False),
            Binding("4", "switch_mode('requests')", "Requests", show=False),
            Binding("5", "switch_mode('logs')", "Logs", show=False),
            Binding("a", "answer", "Answer a server's question", show=False),
            Binding("N", "show('names')", "Names", show=False),
            Binding("T", "show('ledger')", "Context ledger", show=False),
            Binding("space", "pause", "Pause"),
            Binding("ctrl+r", "reload", "Reload the configuration", show=False),
            Binding("t", "change_theme", "Theme", show=False),
            # Textual adds its own ctrl+p only where nothing else opens the palette.
            Binding("ctrl+p", "command_palette", "Commands", show=False, priority=True),
            Binding("colon", "command_palette", "Commands", show=False),
            Binding("ctrl+s", "screenshot", "Save the screen as SVG", show=False),
            Binding("escape", "back", "Back", show=False),
            Binding("pagedown", "scroll_help(1)", "Help: down", show=False, priority=True),
            Binding("pageup", "scroll_help(-1)", "Help: up", show=False, priority=True),
            Binding("question_mark", "toggle_help", "Help", key_display="?"),
            Binding("q", "leave", "Quit"),
            Binding("ctrl+q", "quit", "Quit at once", show=False, priority=True),
        ]
    )

    def _picture(self) -> Picture:
        raise NotImplementedError

    def pull(self) -> None:
        raise NotImplementedError

    def use_tui(self, tui: TuiConfig) -> None:
        raise NotImplementedError

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """What is seen now, where the other exports go: a home without ~/Downloads has it too."""
        self._save(self.export_screenshot(title="only1mcp"))

    @work(group="screenshot", exclusive=True)
    async def _save(self, picture: str) -> None:
        try:
            file = await export("only1mcp-screen", ".svg", lambda: [picture])
        except OSError as error:
            self.notify(
                f"The screen was not saved: {first_line(str(error), 200)}", severity="error", markup=False
            )
        else:
            self.notify(f"Saved as {safe(str(file), 300)}.", markup=False)

    def action_pause(self) -> None:
        """Hold the screen still; the core goes on."""
        self._is_paused = not self._is_paused
        if isinstance(screen := self.screen, CoreScreen):
            screen.redraw()

    def action_show(self, what: str) -> None:
        """Open it over the main screen, once."""
        if what == "welcome":
            self._welcome()
        elif not isinstance(self.screen, PUSHED[what] | ModalScreen):
            self.push_screen(PUSHED[what](self._control, self._picture))

    async def action_switch_mode(self, mode: str) -> None:
        if mode == self.current_mode:
            while isinstance(self.screen, PushedScreen):
                await self.pop_screen()
        else:
            await super().action_switch_mode(mode)

    def action_set_fps(self, fps: int) -> None:
        self.use_tui(self._tui.model_copy(update={"fps": fps}))

    @work(group="level", exclusive=True)
    async def action_set_level(self) -> None:
        if not self._refuses_changes():
            await ask_log_level(self, self._control)

    def action_toggle_help(self) -> None:
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()
        self.call_after_refresh(self.pull)

    def action_scroll_help(self, pages: int) -> None:
        """It takes no focus: the rows beside it keep theirs, and with it what the help is about."""
        for panel in self.screen.query("HelpPanel"):
            panel.scroll_relative(y=pages * max(1, panel.size.height - 1), animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "scroll_help":
            return bool(self.screen_stack and self.screen.query("HelpPanel"))
        return super().check_action(action, parameters)

    async def action_back(self) -> None:
        self._go_back()

    def _go_back(self) -> bool:
        """One level back; False at the top of the first screen."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
            return True
        if isinstance(screen := self.screen, CoreScreen) and screen.go_back():
            return True
        if self.current_mode == self.DEFAULT_MODE:
            return False
        self.switch_mode(self.DEFAULT_MODE)
        return True

    @work(group="leave", exclusive=True)
    async def action_leave(self) -> None:
        if self._go_back():
            return
        # A gateway elsewhere goes on with its calls.
        in_flight = 0 if self._is_remote else self._snapshot.totals.in_flight
        if not in_flight or await self.push_screen_wait(ConfirmScreen(ask_quit(in_flight))):
            self._begin_stop()

    async def action_quit(self) -> None:
        self._begin_stop()
