"""Servers: the list, and one server in full beside it; on a narrow terminal the one replaces the other."""

from collections.abc import Callable, Hashable, Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from only1mcp_tui import messages
from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.calling import CallScreen
from only1mcp_tui.screens.items_pane import ItemsPane
from only1mcp_tui.screens.server_table import ServerTableScreen
from only1mcp_tui.screens.tab_data import TabData
from only1mcp_tui.view.details import NUMBER_OF, TABS, Scene, head_line, nothing_on_stderr, tabs_lines
from only1mcp_tui.view.servers import LIST_COLUMNS
from only1mcp_tui.view.text import Line, safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.errors import UnknownServer
from proxy_core.telemetry.snapshot import NamedItem, ServerDetail

TAB_OF_ACTION = {"call_tool": "tools", "follow": "stderr", "find_orphans": "process"}
"""What a key does in one tab alone."""
STDERR_LINE_LIMIT = 2000


def _as_it_is(line: Line) -> Line:
    return line


def _stderr_line(line: str) -> Line:
    return ((f" {safe(line, STDERR_LINE_LIMIT)}", "text"),)


class ServersScreen(ServerTableScreen):
    """Table at the left, detail with tabs at the right."""

    MODE = "servers"
    COLUMNS = LIST_COLUMNS
    HELP = """\
# Servers

◆ marks the modern era of MCP, ◇ the legacy one, each with its revision; **Clients** lists who asks, likewise.

One server in full. **[** and **]** turn its tabs, **Tab**, **h** and **l** move between list and detail,
**Esc** goes back one level.

**Tools**, **Resources**, **Prompts**: **/** searches, **Enter** opens one. What a tool *reads*, *writes* or
*destroys* is its server's own word. **c** calls a tool: a form from its schema, or raw JSON.

**≠** is not what it was, **+** is new and withheld, **!** names tools of other servers. **A** shows what is
different and approves it; `on_change: quarantine` withholds such tools until then. **L** logs in, with your
browser, at a server that wants it.

**Stderr** follows its end; moving up holds it, **f** follows again. **Process**: **o** looks for what earlier
gateways left behind, **r** starts the whole group again. **Probes**: **p** probes now.

A drained or disabled server stays so until you say otherwise; the configuration file is not changed.

The rows below a server are its replicas: **d**, **r**, **e** and **p** on one of them leave the others alone.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "call_tool", "Call"),
        Binding("f", "follow", "Follow"),
        Binding("o", "find_orphans", "Orphans"),
        Binding("right_square_bracket", "turn_tab(1)", "Tabs", key_display="[ ]"),
        Binding("left_square_bracket", "turn_tab(-1)", "Tab before", show=False),
        Binding("l", "to_detail", "To the detail", show=False),
        Binding("h", "to_list", "To the list", show=False),
    ]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._tab = 0
        self._server: str | None = None
        """Whose detail is shown."""
        self._drawn: dict[str, Hashable] = {}
        """What each tab was drawn from last."""
        self._data = TabData(control)
        self._arguments: dict[str, dict[str, object]] = {}
        """Tool -> the last ones that it was called with."""

    def body(self) -> Iterator[Widget]:
        with Horizontal(id="panes"):
            yield LiveTable(LIST_COLUMNS)
            with Vertical(id="detail"):
                yield Board(id="head")
                yield Board(id="tabs")
                yield from self._tab_widgets()

    def _tab_widgets(self) -> Iterator[Widget]:
        """One for each tab, so that each keeps its place while others are looked at."""
        for number, tab in enumerate(TABS):
            widget: Widget
            if tab.kinds:
                widget = ItemsPane(self.control, tab.kinds, id=f"tab-{tab.id}")
            elif tab.id == "stderr":
                widget = LogView[str](_stderr_line, follows=True, is_pure=True, id="tab-stderr")
            else:
                widget = LogView[Line](_as_it_is, id=f"tab-{tab.id}")
            widget.display = number == self._tab
            yield widget

    # --- drawing --------------------------------------------------------------------------------------------

    def room(self) -> Hashable:
        return super().room(), self.found("detail", Vertical).size

    def draw(self, picture: Picture) -> None:
        if not self.has_news:
            return
        super().draw(picture)
        target = self.selected
        width = self.found("detail", Vertical).size.width
        if target is None or not width:
            self._show_head((), [])
            return
        try:
            detail = self.control.detail(target.server.id)
        except UnknownServer:
            # Removed between the snapshot and the question; the next snapshot knows.
            self._show_head((), [])
            return
        if detail.row.id != self._server:
            self._other_server(detail.row.id)
        chosen = target.replica.id if target.replica is not None else ""
        is_alone = self._is_detail_alone
        head = head_line(detail.row, self._crumbs, is_alone, chosen if is_alone else "")
        self._show_head(head, tabs_lines(detail.row, self._tab, width))
        self._draw_tab(detail, self._scene(picture, detail.row.id, width, chosen))

    def _scene(self, picture: Picture, server: str, width: int, chosen: str) -> Scene:
        snapshot = picture.snapshot
        caches = tuple(row for row in snapshot.savings.caches if row.server == server)
        return Scene(
            picture.now,
            picture.history,
            width - 1,
            snapshot.clients,
            chosen,
            round(snapshot.wall - snapshot.at, 1),
            caches,
            self._data.orphans,
            not self.is_readonly,
        )

    def _show_head(self, head: Line, tabs: list[Line]) -> None:
        self.part("head").put([head])
        self.part("tabs").put([*tabs, ()])

    def _draw_tab(self, detail: ServerDetail, scene: Scene) -> None:
        tab = TABS[self._tab]
        if tab.kinds:
            self._data.renew(self, detail.version, self._picture().snapshot.context)
            self._pane.show(detail, self._data.costs)
        elif tab.id == "stderr":
            self._draw_stderr(detail)
        else:
            self._draw_lines(detail, scene)

    def _draw_lines(self, detail: ServerDetail, scene: Scene) -> None:
        tab = TABS[self._tab]
        # Ages grow; settings and probes are drawn again only when they are others.
        keys: dict[str, Hashable] = {
            "config": (detail.settings, detail.defaults, scene.width),
            "probes": (detail.probes, scene.replica, scene.width),
        }
        key = keys.get(tab.id)
        if key is not None and self._drawn.get(tab.id) == key:
            return
        self._drawn[tab.id] = key
        self._lines_of(tab.id).put(list(tab.lines(detail, scene)))

    def _draw_stderr(self, detail: ServerDetail) -> None:
        key = (detail.row.id, detail.stderr_seq, len(detail.stderr), detail.stderr[-1:])
        if self._drawn.get("stderr") == key:
            return
        before, self._drawn["stderr"] = self._drawn.get("stderr"), key
        view = self.found("tab-stderr", LogView)
        view.empty = nothing_on_stderr(detail.row)
        view.put(detail.stderr, _dropped(before, key))

    def _other_server(self, server: str) -> None:
        self._server = server
        self._drawn.clear()
        for tab in TABS:
            if not tab.kinds:
                view = self._lines_of(tab.id)
                view.put([])
                view.action_top()
        self._lines_of("stderr").follow(True)

    def _lines_of(self, tab: str) -> "LogView[Line]":
        return self.found(f"tab-{tab}", LogView)

    @property
    def _pane(self) -> ItemsPane:
        return self.found(f"tab-{TABS[self._tab].id}", ItemsPane)

    @property
    def _item(self) -> NamedItem | None:
        """The one that is meant, in a tab of items."""
        return self._pane.selected if TABS[self._tab].kinds else None

    @property
    def _crumbs(self) -> tuple[str, ...]:
        """Where one is inside the server, if that is not to be seen otherwise."""
        opened = self._pane.opened if TABS[self._tab].kinds else None
        if opened is None:
            return ()
        return TABS[self._tab].title, opened.origin

    def status(self) -> Line:
        how: Line = ()
        if TABS[self._tab].id == "stderr":
            is_following = self._lines_of("stderr").is_following
            how = (("● following ", "good"),) if is_following else (("◌ held, f follows ", "warn"),)
        return *super().status(), *how

    def footer_key(self) -> Hashable:
        item = self._item
        return super().footer_key(), self._tab, item and item.name, self._lines_of("stderr").is_following

    def label_of(self, binding: Binding) -> str:
        if binding.action == "follow" and self._lines_of("stderr").is_following:
            return "Hold"
        return super().label_of(binding)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in TAB_OF_ACTION and self.is_mounted:
            if TABS[self._tab].id != TAB_OF_ACTION[action]:
                return False
            if action == "call_tool" and (self._item is None or self._pane.is_withheld):
                return None
        return super().check_action(action, parameters)

    # --- between list and detail ----------------------------------------------------------------------------

    @property
    def _is_detail_alone(self) -> bool:
        return self.has_class("-detail") and self.has_class("-narrow")

    @property
    def _is_in_detail(self) -> bool:
        focused = self.focused
        return focused is not None and self.query_one("#detail") in focused.ancestors

    def open(self, target: str) -> None:
        """Show a server, with its detail in sight however narrow the terminal is; `target` may be a replica."""
        self.table.select(target.partition("/")[0])
        self.table.select(target)
        self._open_detail()

    def _open_detail(self) -> None:
        self.add_class("-detail")
        self._focus_tab()
        self.call_after_refresh(self.redraw)

    def _focus_tab(self) -> None:
        tab = TABS[self._tab]
        (self._pane.target if tab.kinds else self._lines_of(tab.id)).focus()

    def go_back(self) -> bool:
        if self._is_in_detail and TABS[self._tab].kinds and self._pane.go_back():
            return True
        if super().go_back():
            return True
        if not self.has_class("-detail") and not self._is_in_detail:
            return False
        self.action_to_list()
        return True

    def action_to_list(self) -> None:
        self.remove_class("-detail")
        self.table.focus()
        self.call_after_refresh(self.redraw)

    def action_to_detail(self) -> None:
        if self.selected is not None:
            self._open_detail()

    @on(LiveTable.Opened)
    def _opened(self) -> None:
        self._open_detail()

    # --- tabs -----------------------------------------------------------------------------------------------

    def action_turn_tab(self, by: int) -> None:
        self.action_show_tab((self._tab + by) % len(TABS))

    def action_show_tab(self, number: int) -> None:
        was_in_detail = self._is_in_detail
        for each, tab in enumerate(TABS):
            self.query_one(f"#tab-{tab.id}").display = each == number
        self._tab = number
        if was_in_detail:
            self._focus_tab()
        # Only then it has a size to draw for.
        self.call_after_refresh(self.redraw)

    @on(ItemsPane.Changed)
    def _items_changed(self) -> None:
        self.redraw()

    @on(LogView.FollowChanged)
    def _follow_changed(self) -> None:
        self.redraw()

    def action_follow(self) -> None:
        view = self._lines_of("stderr")
        view.follow(not view.is_following)

    def action_find_orphans(self) -> None:
        self._data.find_orphans(self)

    def action_approve(self) -> None:
        if (target := self.selected) is not None:
            tool = self._item.origin if self._item is not None and self._tab == NUMBER_OF["tools"] else ""
            self.post_message(messages.ApprovalRequested(target.server.id, tool))

    def action_call_tool(self) -> None:
        if (item := self._item) is not None and self._tab == NUMBER_OF["tools"]:
            self.app.push_screen(CallScreen(self.control, item.name, self._arguments))


def _dropped(before: Hashable, now: tuple[str, int, int, object]) -> int:
    """How many lines went from the front since, so that what is read stays in its place."""
    if not isinstance(before, tuple) or before[0] != now[0]:
        return 0
    return max(0, int(before[2]) + (now[1] - int(before[1])) - now[2])
