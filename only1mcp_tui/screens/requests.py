"""Requests: the traffic inspector. Every client request as a line that changes in place; Enter opens one."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.widget import Widget

from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.exchange import ExchangeScreen
from only1mcp_tui.screens.exchange_verbs import ExchangeVerbScreen
from only1mcp_tui.view.exchange_list import ExchangeList
from only1mcp_tui.view.exchanges import COLUMNS, ExchangeColumn, Seen, cells_of, parse_exchange_filter
from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.numbers import count
from only1mcp_tui.view.text import Line, Span, fit, safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable, Row
from only1mcp_tui.widgets.source_table import RowSource, SourceTable
from proxy_core.control import Control
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow

HINT = "words, !not, method:tools/call, status:error, ms:>200, bytes:>10k, is:retried"

ROWS_KEPT = 300
"""Made ones: more than a terminal has lines."""
TAKEN_AT_ONCE = 1000
"""Rows of one frame: 5,000 of them, as on the first look, would hold the loop for a twentieth of a second."""


class RequestsScreen(ExchangeVerbScreen):
    """The list. Holds its place while one reads, follows its end otherwise."""

    MODE = "requests"
    AUTO_FOCUS = "SourceTable"
    FILTER_KEYS = frozenset()
    FILTER_HINT = HINT
    HELP = """\
# Requests

Every request of every client, as it happens; the newest is the last. **Enter** opens one.

Moving up holds the list and counts what is new; **f** or **G** follows its end again. **space** holds all.

- `●` ok, `▲` the tool failed, `✖` an error with its code, `⊘` its client gave up, `◌` not answered yet
- `x2` asked twice, `?1` one round of input, `R` a replay, `*` marked

**/** filters: `method:tools/call server:github client:claude status:error ms:>200 bytes:>10k code:-32603` \
`era:legacy`, and `is:` with marked, retried, rounds, cached, translated or replay. `!` before a word: not.

**y** copies it as JSON, **c** as curl, **Y** as Python. **x** writes the marked ones to a file, else those \
that pass the filter. **R** makes it again, **E** on another server or replica.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow"),
        Binding("m", "mark", "Mark"),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse the order", show=False),
    ]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._seq = 0
        self._list = ExchangeList()
        self._sorted: str | None = None
        """The column; None: as they came."""
        self._is_reversed = False
        self._waiting: dict[int, ExchangeRow] = {}
        """What came and is not in the list yet, as it is now: all of it while the screen is paused."""
        self._made: dict[int, tuple[ExchangeRow, object, Row]] = {}
        """Rows of the table, by the exchange, as long as it is the same."""
        self._new = 0
        """How many came while it is paused or held."""

    def body(self) -> Iterator[Widget]:
        yield Board(id="exchange-state")
        yield SourceTable(COLUMNS)

    @property
    def table(self) -> SourceTable:
        return self.query_one(SourceTable)

    @property
    def exchanges(self) -> ExchangeList:
        """For those who open one and go on to its neighbours."""
        return self._list

    @property
    def chosen(self) -> int | None:
        key = self.table.selected
        return None if key is None else int(key)

    # --- drawing --------------------------------------------------------------------------------------------

    def draw(self, picture: Picture) -> None:
        table = self.table
        if not picture.pace.is_paused:
            self._take_news()
        names = {column.key for column in table.shown}
        columns = [column for column in COLUMNS if column.key in names]
        wall = picture.snapshot.wall + picture.now - picture.snapshot.at
        table.empty = self._empty_line()
        sort_column = self._sorted_column
        table.show(
            RowSource(len(self._list), lambda index: self._row(index, columns, wall, "method" not in names)),
            lambda key: self._list.index_of(int(key)),
            follows_top=None if sort_column is not None else self._is_reversed,
            sort_column=self._sorted or ("id" if self._is_reversed else None),
            is_descending=self._is_descending,
        )

    def _take_news(self) -> None:
        self._receive()
        rows = [self._waiting.pop(id) for id in sorted(self._waiting)[:TAKEN_AT_ONCE]]
        added = self._list.take(rows)
        is_followed = self.table.is_following or self._sorted is not None
        self._new = 0 if is_followed else self._new + added

    def _receive(self) -> bool:
        """Have what is new wait to be shown, and no more of it than can be kept; whether there was any."""
        self._seq, news = self.control.exchanges_after(self._seq)
        self._waiting.update((row.id, row) for row in news)
        for id in sorted(self._waiting)[: -self._list.most]:
            del self._waiting[id]
        return bool(news)

    def hold(self, picture: Picture) -> None:
        if self._receive():
            self.show_nav()

    def _row(self, index: int, columns: list[ExchangeColumn], wall: float, names_method: bool) -> Row:
        row = self._list.at(index)
        is_marked = self._list.is_marked(row.id)
        # Of one that is open the time grows.
        key = (is_marked, columns, wall if row.duration_ms is None else 0.0)
        known = self._made.get(row.id)
        if known is not None and known[0] is row and known[1] == key:
            return known[2]
        if len(self._made) >= ROWS_KEPT:
            self._made.clear()
        made = Row(str(row.id), cells_of(row, columns, Seen(wall, is_marked, names_method)))
        self._made[row.id] = row, key, made
        return made

    def _empty_line(self) -> Line:
        if self._list.total:
            return (("  No request matches the filter. ", "muted"), ("Esc", "key"), (" clears it.", "muted"))
        return (("  No requests yet. They appear as clients send them.", "muted"),)

    def state_line(self) -> Line:
        spans: list[Span] = []
        if self.filter_text:
            spans.append((f"filter: {fit(safe(self.filter_text), 30).rstrip()} ", "warn"))
        spans += [(f"{safe(word, 20)}? ", "bad") for word in self.filter.unclear[:3]]
        shown = f"{count(len(self._list))} of {count(self._list.total)}  "
        spans.append((shown if self.filter_text else f"{count(self._list.total)} kept  ", "muted"))
        return *spans, *self._how_it_moves()

    def _how_it_moves(self) -> Line:
        if self._picture().pace.is_paused:
            fresh = sum(row.id not in self._list for row in self._waiting.values())
            return ((f"◌ paused, +{count(fresh)} new ", "warn"),)
        if (column := self._sorted_column) is not None:
            return ((f"by {column.title.lower()}, f follows ", "muted"),)
        if self.table.is_following:
            return (("● following ", "good"),)
        return ((f"◌ held{f', +{count(self._new)} new' if self._new else ''}, f follows ", "warn"),)

    def parse(self, expression: str) -> Filter:
        return parse_exchange_filter(expression)

    def filter_changed(self) -> None:
        self._list.use_filter(self.filter)
        self._new = 0

    def footer_key(self) -> Hashable:
        return super().footer_key(), self.chosen is None

    @on(SourceTable.FollowChanged)
    def _follow_changed(self) -> None:
        self._new = 0
        self.show_nav()

    @on(LiveTable.Moved)
    def _moved(self) -> None:
        if (key := self.footer_key()) != self._footer_key:
            self._footer_key = key
            self.refresh_bindings()
            self._show_footer()

    # --- opening --------------------------------------------------------------------------------------------

    @on(LiveTable.Opened)
    def _opened(self, event: LiveTable.Opened) -> None:
        self.open(int(event.key))

    def open(self, id: int) -> None:
        """Show one in full, over the list."""
        if (row := self._list.get(id)) is not None:
            self.app.push_screen(
                ExchangeScreen(self.control, self._picture, self._list, ExchangeDetail(row), moved=self.select)
            )

    def open_replay(self, old: ExchangeDetail, new: ExchangeDetail) -> None:
        screen = ExchangeScreen(self.control, self._picture, self._list, new, is_whole=True, moved=self.select)
        self.app.push_screen(screen)
        screen.call_after_refresh(screen.open_replay, old, new)

    def ids_to_export(self) -> Sequence[int]:
        """The marked ones, else those that pass the filter, oldest first."""
        return [row.id for row in self._list.marked] or sorted(row.id for row in self._list)

    def select(self, id: int) -> None:
        """Put the cursor on it, if it is shown."""
        if (index := self._list.index_of(id)) is not None:
            self.table.action_move_to(index)

    # --- keys -----------------------------------------------------------------------------------------------

    def action_follow(self) -> None:
        if self._sorted_column is not None:
            self._use_order(None, False)
            self.redraw()
        self.table.follow(not self.table.is_following)
        self.redraw()

    def action_mark(self) -> None:
        if (id := self.chosen) is not None:
            self._list.mark(id)
            if not self.table.is_following:
                self.table.action_move(-1 if self._is_reversed and self._sorted is None else 1)
            self.redraw()

    @property
    def _sorted_column(self) -> ExchangeColumn | None:
        return next((column for column in COLUMNS if column.key == self._sorted), None)

    @property
    def _is_descending(self) -> bool:
        """Numbers show their highest first, as in the other tables."""
        column = self._sorted_column
        return self._is_reversed if column is None else column.right is not self._is_reversed

    def action_sort(self) -> None:
        names = [None, *(column.key for column in self.table.shown if column.key not in ("id", "time"))]
        at = names.index(self._sorted) if self._sorted in names else 0
        self._use_order(names[(at + 1) % len(names)], False)
        self.redraw()

    def action_reverse(self) -> None:
        self._use_order(self._sorted, not self._is_reversed)
        self.redraw()

    @on(LiveTable.HeadClicked)
    def _head_clicked(self, event: LiveTable.HeadClicked) -> None:
        chosen = None if event.column in ("id", "time") else event.column
        is_same = chosen == self._sorted
        self._use_order(chosen, is_same and not self._is_reversed)
        self.redraw()

    def _use_order(self, column: str | None, is_reversed: bool) -> None:
        self._sorted, self._is_reversed = column, is_reversed
        chosen = self._sorted_column
        self._list.use_order(None if chosen is None else chosen.order, self._is_descending)
        if chosen is not None:
            self.table.is_following = False

    def commands(self) -> Iterable[SystemCommand]:
        yield from super().commands()
        yield SystemCommand("Follow new requests", "Or hold the list where it is", self.action_follow)
        yield SystemCommand("Mark the request", "Or take its mark away", self.action_mark)
