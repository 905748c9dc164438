"""What may be done with a recorded exchange, in the list and when open: copy, export, make it again."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType

from only1mcp_tui import messages
from only1mcp_tui.screens.base import CoreScreen
from only1mcp_tui.screens.confirm import ConfirmScreen
from only1mcp_tui.screens.exporting import export
from only1mcp_tui.screens.replaying import TargetScreen, ask_replay
from only1mcp_tui.screens.working import work_at
from only1mcp_tui.view.curl import CannotCopy, curl_text
from only1mcp_tui.view.exchange_json import exchange_json
from only1mcp_tui.view.exchange_list import ExchangeList
from only1mcp_tui.view.exchanges import label_of, status_words
from only1mcp_tui.view.numbers import latency
from only1mcp_tui.view.python_snippet import python_text
from only1mcp_tui.view.recorded import DOTS
from only1mcp_tui.view.replay import reads_only, targets_for
from only1mcp_tui.view.text import Line, Span, first_line, safe
from only1mcp_tui.widgets.board import Board
from proxy_core.errors import InvalidParams, Only1Error
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow
from proxy_core.telemetry.tool_detail import ToolDetail

VERBS = ("copy", "export", "mark", "replay")
ROOMY = 112
"""Cells from which on the navigation line has room for the state."""
SPACE: Span = (" ", "text")
COPIED_MOST = 1_000_000
"""Characters; a terminal drops more than that, or worse."""


class ExchangeVerbScreen(CoreScreen):
    """Acts on the chosen exchange. Workers are the app's: one may leave the screen meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy('json')", "Copy JSON"),
        Binding("c", "copy('curl')", "Copy curl"),
        Binding("Y", "copy('python')", "Copy as Python", show=False),
        Binding("R", "replay('here')", "Replay"),
        Binding("E", "replay('elsewhere')", "Replay elsewhere", show=False),
        Binding("x", "export", "Export"),
    ]

    # --- what each screen says ------------------------------------------------------------------------------

    @property
    def chosen(self) -> int | None:
        raise NotImplementedError

    @property
    def exchanges(self) -> ExchangeList:
        raise NotImplementedError

    def ids_to_export(self) -> Sequence[int]:
        raise NotImplementedError

    def open_replay(self, old: ExchangeDetail, new: ExchangeDetail) -> None:
        """Show how a replay went beside how it went before."""
        raise NotImplementedError

    # --- the state of the screen, in words ------------------------------------------------------------------

    def state_line(self) -> Line:
        """What the right end of the navigation line says; on a narrow terminal it has a line of its own."""
        raise NotImplementedError

    def status(self) -> Line:
        return self.state_line() if self.width >= ROOMY else ()

    def show_nav(self) -> None:
        super().show_nav()
        own: Sequence[Line] = () if self.width >= ROOMY else ((SPACE, *self.state_line()),)
        self.query_one("#exchange-state", Board).put(own)

    # --- the palette, the footer ----------------------------------------------------------------------------

    def commands(self) -> Iterable[SystemCommand]:
        if self.chosen is None:
            return
        for word, what, act in (
            ("Copy the request as JSON", "All that was recorded of it", partial(self.action_copy, "json")),
            ("Copy the request as curl", "Commands that make it again", partial(self.action_copy, "curl")),
            ("Copy the request as Python", "A program on the MCP SDK", partial(self.action_copy, "python")),
            (
                "Export requests",
                "The marked ones, else those that pass the filter, as JSONL",
                self.action_export,
            ),
        ):
            yield SystemCommand(word, what, act)
        if self.check_action("replay", ("here",)):
            here, there = (partial(self.action_replay, where) for where in ("here", "elsewhere"))
            yield SystemCommand("Replay the request", "Make it again and compare the answers", here)
            yield SystemCommand("Replay the request elsewhere ...", "On another server or replica", there)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None greys a verb out."""
        allowed = super().check_action(action, parameters)
        if allowed and action in VERBS and self.is_mounted and self.chosen is None:
            return None
        return allowed

    # --- verbs ----------------------------------------------------------------------------------------------

    def action_copy(self, form: str) -> None:
        if (id := self.chosen) is not None:
            self._do(partial(self._copy, id, form), "copy")

    def action_export(self) -> None:
        if ids := self.ids_to_export():
            self._do(partial(self._export, ids), "export")
        else:
            self.notify("There is nothing to export.", markup=False)

    def action_replay(self, where: str) -> None:
        if (id := self.chosen) is not None:
            self._do(partial(self._replay, id, where == "elsewhere"), "replay")

    def _do(self, deed: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        work_at(self.app, partial(self._told, deed), f"exchange:{group}")

    async def _told(self, deed: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await deed()
        except CannotCopy as error:
            self._say(str(error), severity="warning")
        except (Only1Error, OSError) as error:
            self._say(first_line(str(error) or type(error).__name__, 300), severity="error")

    def _say(self, words: str, **how: Any) -> None:
        self.app.notify(words, markup=False, **how)

    async def _copy(self, id: int, form: str) -> None:
        detail = await self.control.exchange(id)
        url = self._picture().snapshot.url
        makers: dict[str, Callable[[], str]] = {
            "json": lambda: exchange_json(detail, 2),
            "curl": lambda: curl_text(detail, url),
            "python": lambda: python_text(detail, url),
        }
        # In a thread: bodies may be large.
        text = await asyncio.to_thread(makers[form])
        if len(text) > COPIED_MOST:
            raise CannotCopy(f"It has {len(text)} characters, too many for a clipboard; x writes it to a file.")
        self.app.post_message(messages.CopyRequested(text))
        if DOTS in text:
            self._say(f"Secrets in it were masked when it was recorded; {DOTS} stands for them.")

    async def _export(self, ids: Sequence[int]) -> None:
        self._say(await export(self.control, ids, Path.cwd(), time.time()))

    async def _replay(self, id: int, elsewhere: bool) -> None:
        old = await self.control.exchange(id)
        if old.why_not_replayable:
            raise CannotCopy(f"It cannot be made again: {safe(old.why_not_replayable, 300)}")
        target = None
        if elsewhere:
            chosen = await self.app.push_screen_wait(
                TargetScreen(old.row, targets_for(old.row, self._picture().snapshot.servers))
            )
            if chosen is None:
                return
            target = chosen.id
        if not reads_only(old.row, await self._tool(old.row)):
            self.app.clear_notifications()
            if not await self.app.push_screen_wait(ConfirmScreen(ask_replay(old.row, target))):
                return
        new = await self.control.replay(id, target)
        if self.app.screen is self:
            self.open_replay(old, new)
        else:
            words, _ = status_words(new.row)
            self._say(f"Made again as {label_of(new.row)}: {words}, {latency(new.row.duration_ms)}.")

    async def _tool(self, row: ExchangeRow) -> ToolDetail | None:
        """Asked for now: from afar the names that are known may be none yet."""
        if row.method != "tools/call":
            return None
        try:
            return await self.control.tool(row.target)
        except InvalidParams:
            # It has left the lists, and with it what its server said of it.
            return None
