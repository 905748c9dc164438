"""A dialog over something long: the keys scroll it whichever button has the focus."""

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.log_view import LogView

Result = TypeVar("Result")


def as_it_is(line: Line) -> Line:
    return line


class ScrolledDialog(ModalScreen[Result]):
    """Has one LogView of the class `scrolled`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.focus_previous", "Other button", show=False),
        Binding("right,l", "app.focus_next", "Other button", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("g,home", "end('top')", "Top", show=False),
        Binding("G,end", "end('bottom')", "End", show=False),
    ]

    def draw(self) -> None:
        """Once there is a size to draw for, and whenever that is another."""
        raise NotImplementedError

    @property
    def view(self) -> "LogView[Line]":
        return self.query_one(".scrolled", LogView)

    def on_mount(self) -> None:
        # The keys scroll it from wherever the focus is; between the buttons it would only be in the way.
        self.view.can_focus = False
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def action_scroll(self, lines: int) -> None:
        self.view.action_scroll_by(lines)

    def action_page(self, pages: int) -> None:
        self.view.action_scroll_page(pages)

    def action_end(self, end: str) -> None:
        if end == "top":
            self.view.action_top()
        else:
            self.view.action_bottom()
