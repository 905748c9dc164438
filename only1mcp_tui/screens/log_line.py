"""One log line in full: its fields, and all of its text."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from only1mcp_tui import messages
from only1mcp_tui.view.logs import log_text, whole_lines
from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.telemetry.snapshot import LogLine

FRAME = 4
"""Lines of the dialog beside the text: border, an empty one and the keys."""
KEYS: Line = (
    ("y", "key"),
    (" copy  ", "muted"),
    ("j k", "key"),
    (" scroll  ", "muted"),
    ("Esc", "key"),
    (" back", "muted"),
)


def _as_it_is(line: Line) -> Line:
    return line


class LogLineScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy"),
        Binding("escape,q,enter", "leave", "Back"),
    ]
    AUTO_FOCUS = "LogView"

    def __init__(self, line: LogLine) -> None:
        super().__init__()
        self._line = line

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield LogView(_as_it_is, id="whole")
            yield Board(id="whole-foot")

    def on_mount(self) -> None:
        self.query_one(Board).put([(), KEYS])
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        view = self.query_one(LogView)
        lines = whole_lines(self._line, max(10, view.container_size.width - 1))
        view.styles.height = max(1, min(len(lines), self.size.height - FRAME))
        view.put(lines)

    def action_copy(self) -> None:
        self.app.post_message(messages.CopyRequested(log_text(self._line)))

    def action_leave(self) -> None:
        self.dismiss()
