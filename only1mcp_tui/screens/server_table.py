"""What Overview and Servers share: a table of servers and their replicas, and the verbs on the selected one."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message

from only1mcp_tui import messages
from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.view.cards import SLOW_MS, slowest
from only1mcp_tui.view.servers import (
    FILTER_KEYS,
    Cells,
    Order,
    Scene,
    ServerColumn,
    arranged,
    copy_text,
    next_order,
)
from only1mcp_tui.view.targets import DRAINED, Target, find, has_replicas
from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.live_table import LiveTable, RowToBe
from proxy_core.control import Control
from proxy_core.telemetry.snapshot import ServerRow, ServerState

VERBS = ("drain", "restart", "probe", "enable", "clear_cache", "copy")
ROOM_FOR_ADVICE = 76
"""Cells of a table that has room for all that may be done where there is no server."""


class ServerTableScreen(CoreScreen):
    """Acts on the row under the cursor. The row turns when the snapshot says so, not before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "drain", "Drain"),
        Binding("D", "drain_all", "Drain all", show=False),
        Binding("r", "restart", "Restart"),
        Binding("p", "probe", "Probe"),
        Binding("P", "probe_all", "Probe all", show=False),
        Binding("C", "clear_cache", "Clear its cache", show=False),
        Binding("F", "drill", "Fault drill"),
        Binding("A", "approve", "Approve"),
        Binding("L", "log_in", "Log in"),
        Binding("e", "enable", "Enable"),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse the order", show=False),
        Binding("y", "copy", "Copy the row", show=False),
        Binding("i", "import", "Import"),
    ]

    AUTO_FOCUS = "LiveTable"
    FILTER_KEYS = FILTER_KEYS
    FILTER_HINT = "words, !not, state:healthy, transport:stdio, why:refused"
    COLUMNS: ClassVar[Sequence[ServerColumn]]

    order = Order()
    _rows: tuple[ServerRow, ...] = ()
    """Those of the last picture, before the filter."""
    _may_drill = False
    """Whether the configuration allows faults on purpose."""
    _kept = 0
    """How many servers pass the filter."""

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._cells = Cells()
        self._table: LiveTable | None = None

    def on_mount(self) -> None:
        column = self.kept.get(f"{self.MODE}.sort", "")
        if column in {each.key for each in self.COLUMNS}:
            self.order = Order(column, self.kept.get(f"{self.MODE}.sort-reversed", self.order.is_reversed))

    # --- drawing --------------------------------------------------------------------------------------------

    @property
    def table(self) -> LiveTable:
        if self._table is None:
            self._table = self.query_one(LiveTable)
        return self._table

    @property
    def selected(self) -> Target | None:
        """The server or replica under the cursor."""
        key = self.table.selected
        return None if key is None else find(self._rows, key)

    def room(self) -> Hashable:
        return super().room(), self.table.size

    def opens(self, row: ServerRow) -> bool:
        """Whether its replicas stand below it."""
        return has_replicas(row)

    def draw(self, picture: Picture) -> None:
        self._rows = picture.snapshot.servers
        self._may_drill = picture.snapshot.drills_allowed
        table = self.table
        shown = {column.key for column in table.shown}
        columns = [column for column in self.COLUMNS if column.key in shown]
        slow = slowest(self._rows, SLOW_MS)
        scene = Scene(picture.now, picture.history, table.flexible_width, slow.id if slow else None)
        targets = arranged(self._rows, self.COLUMNS, self.filter, self.order, self.opens)
        self._kept = sum([target.replica is None for target in targets])
        self._cells.keep(targets)
        table.empty = self._empty_line(picture)
        chosen = next((column for column in columns if column.key == self.order.column), None)
        table.put(
            [RowToBe(target.id, partial(self._cells.of, target, columns, scene)) for target in targets],
            chosen.key if chosen else None,
            chosen is not None and chosen.right is not self.order.is_reversed,
        )

    def _empty_line(self, picture: Picture) -> Line:
        if not picture.snapshot.url:
            return (("  Starting.", "muted"),)
        if self._rows:
            return (("  No server matches the filter. ", "muted"), ("Esc", "key"), (" clears it.", "muted"))
        if self.table.size.width < ROOM_FOR_ADVICE:
            return (("  No servers yet: ", "muted"), ("i", "key"), (" imports some.", "muted"))
        return (
            ("  No servers yet: ", "muted"),
            ("i", "key"),
            (" imports those of your AI clients, ", "muted"),
            ("only1mcp add", "text"),
            (" adds one.", "muted"),
        )

    def status(self) -> Line:
        if not self.filter_text:
            return super().status()
        return *super().status(), (f"{self._kept}/{len(self._rows)} ", "muted")

    def label_of(self, binding: Binding) -> str:
        target = self.selected
        if binding.action == "drain" and target is not None and target.state in DRAINED:
            return "Undrain"
        if binding.action == "enable" and (target is None or target.state is not ServerState.DISABLED):
            return "Disable"
        if binding.action == "drill" and target is not None and target.row.drill:
            return "End drill"
        return super().label_of(binding)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None greys a verb out, False hides it."""
        if not super().check_action(action, parameters):
            return False
        if action == "drill":
            return self._may_drill
        if action == "log_in":
            return not self.is_mounted or bool((target := self.selected) and target.server.login)
        if action == "approve":
            return not self.is_mounted or bool((target := self.selected) and target.server.changed)
        if action not in VERBS or not self.is_mounted:
            return True
        target = self.selected
        if target is None:
            return None
        is_off = target.state is ServerState.DISABLED
        return None if is_off and action in ("drain", "restart", "probe") else True

    def footer_key(self) -> Hashable:
        target = self.selected
        return (
            super().footer_key(),
            self._may_drill,
            target
            and (
                target.id,
                target.state,
                bool(target.row.drill),
                target.server.changed > 0,
                bool(target.server.login),
            ),
        )

    @on(LiveTable.Moved)
    def _moved(self) -> None:
        self.redraw()

    @on(LiveTable.HeadClicked)
    def _head_clicked(self, event: LiveTable.HeadClicked) -> None:
        is_same = self.order.column == event.column
        self._use_order(Order(event.column, is_same and not self.order.is_reversed))

    def action_sort(self) -> None:
        shown = {column.key for column in self.table.shown}
        self._use_order(next_order(self.order, [column for column in self.COLUMNS if column.key in shown]))

    def action_reverse(self) -> None:
        self._use_order(Order(self.order.column, not self.order.is_reversed))

    def _use_order(self, order: Order) -> None:
        self.order = order
        self.kept.put(f"{self.MODE}.sort", order.column or "")
        self.kept.put(f"{self.MODE}.sort-reversed", order.is_reversed)
        self.redraw()

    # --- verbs ----------------------------------------------------------------------------------------------

    def action_drain(self) -> None:
        if (target := self.selected) is not None:
            is_drained = target.state in DRAINED
            intent = messages.UndrainRequested if is_drained else messages.DrainRequested
            self._wish(intent(target.id))

    def action_drain_all(self) -> None:
        self._wish(messages.DrainAllRequested())

    def action_enable(self) -> None:
        if (target := self.selected) is not None:
            is_off = target.state is ServerState.DISABLED
            intent = messages.EnableRequested if is_off else messages.DisableRequested
            self._wish(intent(target.id))

    def action_restart(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.RestartRequested(target.id))

    def action_probe(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.ProbeRequested(target.id))

    def action_probe_all(self) -> None:
        for row in self._rows:
            if row.state is not ServerState.DISABLED:
                self._wish(messages.ProbeRequested(row.id))

    def action_clear_cache(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.ClearCacheRequested(target.id))

    def action_drill(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.DrillRequested(target.id))

    def action_approve(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.ApprovalRequested(target.server.id))

    def action_log_in(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.LoginRequested(target.id))

    def action_copy(self) -> None:
        if (target := self.selected) is not None:
            self._wish(messages.CopyRequested(copy_text(target)))

    def action_import(self) -> None:
        self._wish(messages.ImportRequested())

    def _wish(self, message: Message) -> None:
        self.post_message(message)
