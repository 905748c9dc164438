"""The tools, resources or prompts of one server: a list with a cursor and a search, and one of them opened.

Asks the core only when the list is another one, or one is opened; holds cursor, search and scroll alone.
"""

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from only1mcp_tui import messages
from only1mcp_tui.screens.working import work_at
from only1mcp_tui.view.items import (
    COLUMNS,
    Costs,
    Marks,
    about_lines,
    cells,
    item_lines,
    key_of,
    marks_of,
    passes,
    tool_lines,
    tools_of,
)
from only1mcp_tui.view.text import Line, first_line, safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.filter_bar import FilterBar
from only1mcp_tui.widgets.live_table import LiveTable, Row
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.errors import Only1Error
from proxy_core.telemetry.snapshot import NamedItem, ServerDetail
from proxy_core.telemetry.tool_detail import ToolDetail

ABOUT_LINES = 3


def _as_it_is(line: Line) -> Line:
    return line


class ItemsPane(Vertical):
    """`show` takes a detail; what has not changed costs a comparison."""

    DEFAULT_CSS = """
    ItemsPane { height: 1fr; width: 1fr; }
    ItemsPane > LiveTable { width: 1fr; max-width: 100%; background: $surface; }
    ItemsPane > .opened { display: none; }
    ItemsPane.-opened > LiveTable, ItemsPane.-opened > .about { display: none; }
    ItemsPane.-opened > .opened { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "search", "Search", key_display="/")]

    class Changed(Message):
        """Another item is under the cursor, or one was opened or closed."""

    def __init__(self, control: Control, kinds: Sequence[str], *, id: str) -> None:
        super().__init__(id=id)
        self.control = control
        self._kinds = kinds
        self._server = ""
        self._items: dict[str, NamedItem] = {}
        """Those that pass the search, by key."""
        self._all = 0
        self._shown_key: Hashable = None
        self._words = ""
        self._marks = Marks()
        self._opened: NamedItem | None = None
        self._opened_key: Hashable = None
        self._tool: ToolDetail | None = None
        self._fault = ""

    def compose(self) -> ComposeResult:
        yield LiveTable(COLUMNS[self._kinds[0]])
        yield Board(classes="about")
        yield LogView[Line](_as_it_is, classes="opened")

    # --- what the screen asks -------------------------------------------------------------------------------

    @property
    def selected(self) -> NamedItem | None:
        """The one that is open, or else under the cursor."""
        return self._opened or self._items.get(self._table.selected or "")

    @property
    def opened(self) -> NamedItem | None:
        return self._opened

    @property
    def is_withheld(self) -> bool:
        """Whether clients do without the one that is meant."""
        return (item := self.selected) is not None and self._marks.is_withheld(item)

    @property
    def target(self) -> Widget:
        """What takes the focus."""
        return self.query_one(".opened") if self._opened else self._table

    def go_back(self) -> bool:
        """One level back; False at the top."""
        if self._opened is not None:
            self._close()
            return True
        if self._words:
            self.query_one(FilterBar).action_clear()
            return True
        return False

    # --- drawing --------------------------------------------------------------------------------------------

    @property
    def _table(self) -> LiveTable:
        return self.query_one(LiveTable)

    def show(self, detail: ServerDetail, costs: Costs) -> None:
        if detail.row.id != self._server:
            self._leave_server(detail.row.id)
        width, columns = self.size.width, [column.key for column in self._table.shown]
        # By identity where the core keeps it so: to compare a thousand items takes as long as to draw them.
        marked = (detail.tool_changes, detail.naming)
        key = (id(detail.items), len(detail.items), detail.version, id(costs), self._words, width, *columns)
        key = (*key, *marked)
        if key != self._shown_key:
            self._shown_key, self._held = key, (detail.items, costs)
            self._put_rows(detail, costs, columns)
        if self._opened is not None:
            self._show_opened(detail.version)
        else:
            self._show_about()

    def _leave_server(self, server: str) -> None:
        self._server, self._words = server, ""
        if self._opened is not None:
            self._close()
        if self.query(FilterBar):
            self.query_one(FilterBar).value = ""

    def _put_rows(self, detail: ServerDetail, costs: Costs, columns: Sequence[str]) -> None:
        of_kind = [item for item in tools_of(detail) if item.kind in self._kinds]
        self._marks = marks_of(detail)
        self._all = len(of_kind)
        self._items = {key_of(item): item for item in of_kind if passes(item, self._words)}
        destructive = frozenset(detail.destructive)
        self._table.empty = self._empty_line()
        self._table.put(
            [
                Row(key, cells(item, costs, destructive, columns, self._marks))
                for key, item in self._items.items()
            ]
        )

    def _empty_line(self) -> Line:
        if self._all:
            return ((" None of them matches. ", "muted"), ("Esc", "key"), (" ends the search.", "muted"))
        return ((f" It offers no {self._kinds[0]}s.", "muted"),)

    def _show_about(self) -> None:
        item = self.selected
        lines = about_lines(item, self.size.width, ABOUT_LINES, self._marks) if item is not None else []
        self.query_one(".about", Board).put([self._keys_line(), *(lines + [()] * ABOUT_LINES)[:ABOUT_LINES]])

    def _keys_line(self) -> Line:
        """What was found, or what may be done; the footer of a narrow terminal has no room for it."""
        if self._words:
            found = f" {len(self._items)} of {self._all} match {safe(self._words, 40)}"
            return ((found, "warn"),)
        if not self._items:
            return ()
        can_call = self._kinds[0] == "tool" and self.screen.check_action("call_tool", ())
        calls: Line = (("  c", "key"), (" calls it", "muted")) if can_call else ()
        changed = self.selected is not None and self._marks.has_changed(self.selected)
        may_approve = changed and self.screen.check_action("approve", ())
        approves: Line = (("  A", "key"), (" shows what is different", "muted")) if may_approve else ()
        opens: Line = ((" Enter", "key"), (" opens it", "muted")) if not self.is_withheld else ()
        return *opens, *calls, *approves, ("  /", "key"), (" searches", "muted")

    # --- one of them ----------------------------------------------------------------------------------------

    def _show_opened(self, version: int) -> None:
        item, width = self._opened, self.size.width - 1
        assert item is not None
        key = (item, self._tool, self._fault, width)
        if key != self._opened_key:
            self._opened_key = key
            self.query_one(".opened", LogView).put(list(self._opened_lines(item, width)))
        if item.kind == "tool" and version != self._fetched_version:
            self._fetch(item.name, version)

    def _opened_lines(self, item: NamedItem, width: int) -> Iterator[Line]:
        if item.kind != "tool":
            yield from item_lines(item, width)
        elif self._fault:
            yield ((f" {self._fault}", "bad"),)
        elif self._tool is not None:
            yield from tool_lines(self._tool, width)

    _fetched_version = -1

    def _fetch(self, name: str, version: int) -> None:
        self._fetched_version = version
        work_at(self.app, partial(self._take, name), "tool")

    async def _take(self, name: str) -> None:
        tool, fault = None, ""
        try:
            tool = await self.control.tool(name)
        except (Only1Error, OSError) as error:
            fault = first_line(str(error), 200)
        if self._opened is not None and self._opened.name == name:
            self._tool, self._fault = tool, fault
            self.post_message(self.Changed())

    @on(LiveTable.Opened)
    def _open(self, event: LiveTable.Opened) -> None:
        event.stop()
        if (item := self._items.get(event.key)) is None:
            return
        if self._marks.is_withheld(item):
            # Clients have nothing of it that could be shown; what it says now is shown as what is different.
            self.post_message(messages.ApprovalRequested(item.server, item.origin))
            return
        self._opened, self._tool, self._fault, self._fetched_version = item, None, "", -1
        self._opened_key = None
        self.add_class("-opened")
        view = self.query_one(".opened", LogView)
        view.put([])
        view.action_top()
        view.focus()
        self.post_message(self.Changed())

    def _close(self) -> None:
        had_focus = self.query_one(".opened").has_focus
        self._opened = self._tool = None
        self.remove_class("-opened")
        if had_focus:
            self._table.focus()
        self.post_message(self.Changed())

    @on(LiveTable.Moved)
    def _moved(self, event: LiveTable.Moved) -> None:
        event.stop()
        self.post_message(self.Changed())

    @on(LiveTable.HeadClicked)
    def _head_clicked(self, event: LiveTable.HeadClicked) -> None:
        event.stop()

    # --- the search -----------------------------------------------------------------------------------------

    async def action_search(self) -> None:
        if self._opened is not None:
            self._close()
        if not self.query(FilterBar):
            await self.mount(FilterBar("words in name or description", id=f"{self.id}-search"))
        self.query_one(FilterBar).open()

    @on(FilterBar.Edited)
    def _searched(self, event: FilterBar.Edited) -> None:
        event.stop()
        self._words = event.expression.strip()
        self.post_message(self.Changed())

    @on(FilterBar.Left)
    def _search_left(self, event: FilterBar.Left) -> None:
        event.stop()
        self._table.focus()
