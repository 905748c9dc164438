"""Names: every exposed name, its length as each client counts it, and what was shortened or left out."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from only1mcp_tui import messages
from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.pushed import PushedScreen
from only1mcp_tui.view.names import (
    ASSUMED,
    COLUMNS,
    FILTER_KEYS,
    NameRow,
    arranged,
    name_rows,
    selected_lines,
    summary,
)
from only1mcp_tui.view.text import Line, safe, wrap
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable, Row
from proxy_core.control import Control
from proxy_core.errors import UnknownServer
from proxy_core.telemetry.snapshot import NamedItem

LOOK_S = 2.0
"""Names change seldom, and a long list of them is compared whole."""
HIDDEN_ASKS = 2
"""A gateway elsewhere knows what is hidden when it was asked a second time."""


class NamesScreen(PushedScreen):
    WORD = "Names"
    AUTO_FOCUS = "LiveTable"
    FILTER_KEYS = FILTER_KEYS
    FILTER_HINT = "words, !not, kind:tool, server:github, why:cursor, why:hidden"
    HELP = """\
# Names

Every tool and prompt as clients see it, its length, and which client would refuse it.

A name that was too long or had other characters was made fit, always in the same way; the line below the table
has the server's own.
`routing.name_budget` sets the longest, `tools.deny` leaves tools out.

**s** sorts by the next column, **S** turns the order, **y** copies the name.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse the order", show=False),
        Binding("y", "copy", "Copy"),
    ]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._items: tuple[NamedItem, ...] = ()
        self._rows: list[NameRow] = []
        self._by_key: dict[str, NameRow] = {}
        self._looked_at = float("-inf")
        self._asks = 0
        self._sorted, self._is_reversed = "", False

    def body(self) -> Iterator[Widget]:
        yield Board(id="names-head")
        yield LiveTable(COLUMNS)
        yield Board(id="selected")

    def on_mount(self) -> None:
        self._sorted = self.kept.get("names.sort", "length")
        self._is_reversed = self.kept.get("names.sort-reversed", False)

    @property
    def table(self) -> LiveTable:
        return self.query_one(LiveTable)

    @property
    def selected(self) -> NameRow | None:
        return self._by_key.get(self.table.selected or "")

    # --- drawing --------------------------------------------------------------------------------------------

    def draw(self, picture: Picture) -> None:
        if picture.now - self._looked_at >= LOOK_S:
            self._looked_at = picture.now
            self._look(picture)
        self._show_selected()

    def _look(self, picture: Picture) -> None:
        """Take the names anew; what is hidden only if they changed: each server is asked."""
        items = self.control.names()
        if items != self._items:
            self._items, self._asks = items, 0
        if self._asks >= HIDDEN_ASKS:
            return
        self._asks += 1
        servers = [row.id for row in picture.snapshot.servers]
        self._rows = name_rows(items, (each for server in servers for each in self._hidden(server)))
        self._show_table()

    def _hidden(self, server: str) -> Iterator[tuple[str, str, str]]:
        try:
            found = self.control.detail(server).hidden
        except UnknownServer:
            return
        for name, reason in found:
            yield server, name, reason

    def _show_table(self) -> None:
        rows = arranged(self._rows, self.filter, self._sorted, self._is_reversed)
        shown = {column.key for column in self.table.shown}
        columns = [column for column in COLUMNS if column.key in shown]
        self._by_key = {f"{row.kind} {row.server} {row.name}": row for row in rows}
        nothing = "No name matches the filter." if self._rows else "No server offers anything yet."
        self.table.empty = ((f"  {nothing}", "muted"),)
        self.table.put(
            [Row(key, tuple(column.cell(row) for column in columns)) for key, row in self._by_key.items()],
            self._sorted or None,
            any(each.key == self._sorted and each.right is not self._is_reversed for each in COLUMNS),
        )
        room = max(20, self.width - 4)
        head: list[Line] = [((f"  {part}", "strong"),) for part in wrap(summary(self._rows), room)]
        told: list[Line] = [((f"  {part}", "muted"),) for part in wrap(ASSUMED, room)]
        self.query_one("#names-head", Board).put([*head, *told] if self.size.height >= 20 else head)

    def _show_selected(self) -> None:
        self.query_one("#selected", Board).put(selected_lines(self.selected, self.width))

    def redraw(self) -> None:
        self._show_table()
        super().redraw()

    def status(self) -> Line:
        counted = f"{len(self._by_key)} of {len(self._rows)}  " if self.filter_text else ""
        return *super().status(), (counted, "muted")

    @on(LiveTable.Opened)
    def _opened(self) -> None:
        """Go to the server whose name it is."""
        if (row := self.selected) is not None:
            self.dismiss()
            self.app.post_message(messages.ServerOpened(row.server))

    @on(LiveTable.Moved)
    def _moved(self) -> None:
        self._show_selected()

    # --- keys -----------------------------------------------------------------------------------------------

    @on(LiveTable.HeadClicked)
    def _head_clicked(self, event: LiveTable.HeadClicked) -> None:
        self._sort_by(event.column, self._sorted == event.column and not self._is_reversed)

    def action_sort(self) -> None:
        keys = [column.key for column in self.table.shown]
        at = keys.index(self._sorted) + 1 if self._sorted in keys else 0
        self._sort_by(keys[at % len(keys)], False)

    def action_reverse(self) -> None:
        self._sort_by(self._sorted, not self._is_reversed)

    def _sort_by(self, column: str, is_reversed: bool) -> None:
        self._sorted, self._is_reversed = column, is_reversed
        self.kept.put("names.sort", column)
        self.kept.put("names.sort-reversed", is_reversed)
        self.redraw()

    def action_copy(self) -> None:
        if (row := self.selected) is not None:
            self.post_message(messages.CopyRequested(safe(row.name, 300)))
