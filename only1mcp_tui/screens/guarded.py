"""An app that lives on when one of its screens fails: the gateway's calls run in the same process.

Textual ends the app at any exception that reaches it. Here only two things still do that: a failure of the app
itself while it starts, and one of the screen that tells of failures. Everything else is logged and told in a
banner; a screen that cannot be painted, or whose messages no longer run, is covered by a `FailedScreen`.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

from textual import events
from textual._context import active_message_pump
from textual.actions import ActionParseResult
from textual.app import App
from textual.dom import DOMNode, NoScreen
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed

from only1mcp_tui.screens.failed import FailedScreen
from only1mcp_tui.view.text import first_line

log = logging.getLogger(__name__)

ROOT_EVENTS: Final = (events.Load, events.Compose, events.Mount, events.Unmount)
"""What makes and ends the app itself: without these there is nothing to live on."""
NOWHERE: Final = "nowhere"
"""A mode to stand in while another is made anew."""


class GuardedApp(App[None]):
    """Keeps failures of screens from ending the process."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: WeakSet[Screen[Any]] = WeakSet()
        self._failure_words = ""
        self.add_mode(NOWHERE, Screen)

    def tell_failure(self, words: str) -> None:
        """Raise the banner; empty: take it away."""
        raise NotImplementedError

    def new_screen(self, mode: str) -> Any:
        """What makes the screen of a mode."""
        raise NotImplementedError

    # --- where exceptions come by ---------------------------------------------------------------------------

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:
            self.note_failure("A command of the screen", error)
            return True

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, ROOT_EVENTS):
            await super().on_event(event)
            return
        try:
            await super().on_event(event)
        except Exception as error:
            self.note_failure("A part of the screen", error)

    async def _on_message(self, message: Message) -> None:
        if isinstance(message, events.Event):
            await super()._on_message(message)
            return
        try:
            await super()._on_message(message)
        except Exception as error:
            self.note_failure("A part of the screen", error)

    def _handle_exception(self, error: Exception) -> None:
        if isinstance(error, WorkerFailed):
            self.note_failure("A task of the screen", _cause(error.error))
            return
        screen = self._screen_at_fault()
        if screen is None or isinstance(screen, FailedScreen):
            super()._handle_exception(error)
        else:
            self.fail(screen, error)

    def _screen_at_fault(self) -> Screen[Any] | None:
        """Whose code is running; None if that is the app itself."""
        pump = active_message_pump.get(None)
        if not isinstance(pump, Widget):
            return None
        try:
            return pump.screen
        except NoScreen:
            # Not yet mounted, or not any more: it can only have been on its way to what is seen.
            return self.screen if self.screen_stack else None

    # --- what becomes of them -------------------------------------------------------------------------------

    def note_failure(self, what: str, error: BaseException) -> None:
        """Say it and go on: what failed was one step, and the screen still stands."""
        log.error("%s failed", what, exc_info=error)
        self.tell_failure(f"{what} failed ({words_of(error)}). Calls go on.")

    def fail(self, screen: Screen[Any], error: BaseException) -> None:
        """This screen cannot be used any more."""
        if screen in self.failed:
            return
        self.failed.add(screen)
        self.note_failure(f"The screen {_name(screen)}", error)
        self._failure_words = f"The screen {_name(screen)} failed ({words_of(error)}). Calls go on."
        self.call_later(self.cover_failures)

    async def cover_failures(self) -> None:
        """Nothing that failed is what is seen: dialogs are closed, a main screen is covered."""
        while self.screen_stack and self.screen in self.failed:
            if len(self.screen_stack) > 1:
                # Whoever waits for the answer of a dialog gets none.
                self.screen.dismiss(None)
            else:
                await self.push_screen(FailedScreen(self._failure_words))

    async def action_try_again(self) -> None:
        """Make the screen of the present mode anew."""
        mode = self.current_mode
        self.tell_failure("")
        with self.batch_update():
            await self.switch_mode(NOWHERE)
            await self.remove_mode(mode)
            self.add_mode(mode, self.new_screen(mode))
            await self.switch_mode(mode)


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error


def _name(screen: Screen[Any]) -> str:
    mode = getattr(screen, "MODE", "")
    return mode.capitalize() if mode else type(screen).__name__


def words_of(error: BaseException) -> str:
    """What went wrong, as one harmless line."""
    return first_line(str(error) or type(error).__name__, 200)
