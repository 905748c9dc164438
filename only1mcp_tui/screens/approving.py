"""Tools that are not what they were: what is different, shown before it may be approved.

The default is to leave things as they are; what could not be shown cannot be approved.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from only1mcp_tui.screens.scrolled import ScrolledDialog, as_it_is
from only1mcp_tui.screens.working import work_at
from only1mcp_tui.view.numbers import clock_time
from only1mcp_tui.view.text import Line, first_line, safe, wrap
from only1mcp_tui.view.tool_diff import (
    NAME_LIMIT,
    DiffLine,
    approved_words,
    diff_lines,
    diff_of,
    stands_words,
    what_words,
    whose_words,
)
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.errors import Only1Error
from proxy_core.telemetry.tool_changes import ToolChange

FRAME = 6
"""Lines of the dialog beside head and diff: border, foot and buttons."""


class ApproveScreen(ScrolledDialog[ToolChange | None]):
    """The change that is approved; None: none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "approve", "Approve"),
        Binding("n,escape,q", "leave", "Cancel"),
        Binding("right_square_bracket", "turn(1)", "Next change", key_display="[ ]"),
        Binding("left_square_bracket", "turn(-1)", "Change before", show=False),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, control: Control, changes: Sequence[ToolChange], first: str = "") -> None:
        """`first`: the tool that is shown first, if it is among them."""
        super().__init__()
        self._control = control
        self._changes = changes
        self._number = next((n for n, each in enumerate(changes) if each.tool == first), 0)
        self._lines: Sequence[DiffLine] | None = None
        """None: not there yet."""
        self._fault = ""

    @property
    def _change(self) -> ToolChange:
        return self._changes[self._number]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Board(id="approve-head")
            yield LogView(as_it_is, id="approve-diff", classes="scrolled")
            yield Board(id="approve-foot")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button("y  Approve", id="yes", compact=True)

    def on_mount(self) -> None:
        super().on_mount()
        self._fetch()

    # --- what is shown --------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        self._lines, self._fault = None, ""
        self.query_one("#yes", Button).disabled = True
        work_at(self, partial(self._take, self._change), "diff")

    async def _take(self, change: ToolChange) -> None:
        try:
            diff = await self._control.tool_diff(change.server, change.tool, change.digest)
            self._lines = await asyncio.to_thread(lambda: list(diff_of(diff)))
        except (Only1Error, OSError) as error:
            self._fault = first_line(str(error), 200)
        self.query_one("#yes", Button).disabled = self._lines is None
        self.view.action_top()
        self.draw()

    def draw(self) -> None:
        view = self.view
        # One cell for the scrollbar, there or not: whether there is one depends on how the lines wrap.
        width = view.container_size.width - 1
        if width < 1:
            return
        lines = self._body(width)
        head = [*self._head(width), ()]
        room = max(1, self.size.height - FRAME - len(head))
        view.styles.height = min(len(lines), room)
        view.put(lines)
        self.query_one("#approve-head", Board).put(head)
        self.query_one("#approve-foot", Board).put([(), self._foot(len(lines) > room)])

    def _head(self, width: int) -> list[Line]:
        change = self._change
        count = f"  {self._number + 1} of {len(self._changes)}" if len(self._changes) > 1 else ""
        name = f" {safe(change.server, 40)} › {safe(change.tool, NAME_LIMIT)}"
        words = f"{stands_words(change)} {whose_words(change)} Noticed at {clock_time(change.since)}."
        return [
            ((name, "strong"), (f"  {what_words(change)}", "warn"), (count, "muted")),
            *(((f" {part}", "muted"),) for part in wrap(words, max(20, width - 2))),
        ]

    def _body(self, width: int) -> list[Line]:
        if self._fault:
            return [((f" {part}", "bad"),) for part in wrap(self._fault, max(10, width - 2))]
        return [((" ...", "muted"),)] if self._lines is None else diff_lines(self._lines, width)

    def _foot(self, is_long: bool) -> Line:
        scrolls: Line = ((" j k", "key"), (" scroll ", "muted")) if is_long else ()
        turns: Line = ((" [ ]", "key"), (" other changes ", "muted")) if len(self._changes) > 1 else ()
        return *scrolls, *turns, (" Esc", "key"), (" leaves it as it is", "muted")

    # --- what is done ---------------------------------------------------------------------------------------

    def action_turn(self, by: int) -> None:
        if len(self._changes) > 1:
            self._number = (self._number + by) % len(self._changes)
            self._fetch()
            self.draw()

    def action_approve(self) -> None:
        if self._lines is not None:
            self.dismiss(self._change)

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self.action_approve()
        else:
            self.dismiss(None)


async def approve(control: Control, change: ToolChange) -> str:
    """Do it, as it was shown; the sentence to say then."""
    return approved_words(change.server, await control.approve(change.server, change.tool, change.digest))
