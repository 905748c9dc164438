"""Servers: the list, and one server in full beside it; on a narrow terminal the one replaces the other."""

from collections.abc import Hashable, Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.server_table import ServerTableScreen
from only1mcp_tui.view.details import TABS, Scene, head_line, tabs_line
from only1mcp_tui.view.servers import LIST_COLUMNS
from only1mcp_tui.view.text import Line, safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.errors import UnknownServer


def _as_it_is(line: Line) -> Line:
    return line


class ServersScreen(ServerTableScreen):
    """Table at the left, detail with tabs at the right."""

    MODE = "servers"
    COLUMNS = LIST_COLUMNS
    HELP = """\
# Servers

◆ marks the modern era of MCP, ◇ the legacy one, each with its revision; **Clients** lists who asks, likewise.

One server in full. **[** and **]** turn its tabs, **Tab** moves between list and detail.

A drained or disabled server stays so until you say otherwise; the configuration file is not changed.

The rows below a server are its replicas: **d**, **r**, **e** and **p** on one of them leave the others alone.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "turn_tab(1)", "Tabs", key_display="[ ]"),
        Binding("left_square_bracket", "turn_tab(-1)", "Tab before", show=False),
    ]

    _tab = 0

    def body(self) -> Iterator[Widget]:
        with Horizontal(id="panes"):
            yield LiveTable(LIST_COLUMNS)
            with Vertical(id="detail"):
                yield Board(id="head")
                yield Board(id="tabs")
                yield LogView(_as_it_is, id="lines")

    def room(self) -> Hashable:
        return super().room(), self.query_one("#detail").size

    def draw(self, picture: Picture) -> None:
        if not self.has_news:
            return
        super().draw(picture)
        target = self.selected
        if target is None or not (width := self.query_one("#detail").size.width):
            self._show_detail((), (), [])
            return
        try:
            detail = self.control.detail(target.server.id)
        except UnknownServer:
            # Removed between the snapshot and the question; the next snapshot knows.
            self._show_detail((), (), [])
            return
        chosen = target.replica.id if target.replica is not None else ""
        scene = Scene(picture.now, picture.history, width, picture.snapshot.clients, chosen)
        lines = list(TABS[self._tab].lines(detail, scene))
        self._show_detail(head_line(detail.row), tabs_line(detail.row, self._tab, width), lines)

    def _show_detail(self, head: Line, tabs: Line, lines: list[Line]) -> None:
        self.query_one("#head", Board).put([head])
        self.query_one("#tabs", Board).put([tabs, ()])
        self.query_one("#lines", LogView).put(lines)

    def status(self) -> Line:
        target = self.table.selected
        crumb: Line = ((f"Servers › {safe(target, 80)} ", "muted"),) if target and self._is_detail_alone else ()
        return *super().status(), *crumb

    # --- between list and detail ----------------------------------------------------------------------------

    @property
    def _is_detail_alone(self) -> bool:
        return self.has_class("-detail") and self.has_class("-narrow")

    def open(self, target: str) -> None:
        """Show a server, with its detail in sight however narrow the terminal is; `target` may be a replica."""
        self.table.select(target.partition("/")[0])
        self.table.select(target)
        self._open_detail()

    def _open_detail(self) -> None:
        self.add_class("-detail")
        self.query_one("#lines").focus()
        self.call_after_refresh(self.redraw)

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if not self.has_class("-detail"):
            return False
        self.remove_class("-detail")
        self.table.focus()
        self.call_after_refresh(self.redraw)
        return True

    @on(LiveTable.Opened)
    def _opened(self) -> None:
        self._open_detail()

    @on(LiveTable.Moved)
    def _other_server(self) -> None:
        self.query_one("#lines", LogView).action_top()

    # --- tabs -----------------------------------------------------------------------------------------------

    def action_turn_tab(self, by: int) -> None:
        self.action_show_tab((self._tab + by) % len(TABS))

    def action_show_tab(self, number: int) -> None:
        self._tab = number
        self.query_one("#lines", LogView).action_top()
        self.redraw()
