"""A table painted line by line: fixed columns, a cursor that follows its row's key, repaints of what changed.

`DataTable` renders every visible cell again on any change and keeps its cursor on an index; under a live sort
that is a wrong row and forty milliseconds of a loop that has calls to carry. Knows nothing of servers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from only1mcp_tui.widgets.keys import named
from only1mcp_tui.widgets.lines import Line, Painted, Span, changed_regions

GAP = 2
MARGIN = 1


class Column(Protocol):
    """What the table must know of a column."""

    @property
    def key(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def right(self) -> bool: ...
    @property
    def shown_from(self) -> int: ...
    @property
    def flexible(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    cells: tuple[Span, ...]
    """One for each column that `shown` names, in order."""


class RowToBe:
    """A row whose cells are made when they are looked at: of three hundred, some thirty are in sight."""

    __slots__ = ("_cells", "_make", "key")

    def __init__(self, key: str, make: Callable[[], tuple[Span, ...]]) -> None:
        self.key = key
        self._make = make
        self._cells: tuple[Span, ...] | None = None

    @property
    def cells(self) -> tuple[Span, ...]:
        if self._cells is None:
            self._cells = self._make()
        return self._cells


AnyRow: TypeAlias = Row | RowToBe


class LiveTable(Painted, ScrollView, can_focus=True, inherit_bindings=False):
    """Rows with a cursor. `put` takes the whole picture and repaints the lines that differ."""

    DEFAULT_CSS = """
    LiveTable { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        [
            Binding("down,j", "move(1)", "Down", show=False),
            Binding("up,k", "move(-1)", "Up", show=False),
            Binding("g,home", "move_to(0)", "First", show=False),
            Binding("G,end", "move_to(-1)", "Last", show=False),
            Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
            Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
            Binding("enter", "open", "Open"),
        ]
    )

    class Moved(Message):
        """The cursor is on another row; None where there is none."""

        def __init__(self, key: str | None) -> None:
            super().__init__()
            self.key = key

    class Opened(Message):
        """Enter or a double click on a row."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class HeadClicked(Message):
        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._rows: Sequence[AnyRow] = ()
        self._cursor = 0
        self._sorted: tuple[str | None, bool] = (None, False)
        self._layout: Sequence[tuple[Column, int]] = ()
        self._layout_width = -1
        self.empty: Line = ()
        """Shown where there is no row."""

    # --- what the screen gives and asks ---------------------------------------------------------------------

    @property
    def shown(self) -> list[Column]:
        """The columns that the width allows."""
        return [column for column, _ in self._laid_out_for(self.size.width)]

    @property
    def flexible_width(self) -> int:
        """Cells of the column that takes what the others leave."""
        return next((wide for column, wide in self._laid_out_for(self.size.width) if column.flexible), 0)

    def _laid_out_for(self, width: int) -> Sequence[tuple[Column, int]]:
        """The shown columns with their widths; worked out again only when the table's own width changed."""
        if self._layout_width != width:
            self._layout_width = width
            self._layout = _layout(self._columns, width)
        return self._layout

    @property
    def selected(self) -> str | None:
        return self._rows[self._cursor].key if self._rows else None

    def put(self, rows: Sequence[AnyRow], sort_column: str | None = None, is_descending: bool = False) -> None:
        before, old = self.selected, self._rows
        self._rows = tuple(rows)
        self._keep_cursor(before)
        if self._sorted != (sort_column, is_descending):
            self._sorted = (sort_column, is_descending)
            self.refresh()
        elif not old or not self._rows:
            self.refresh()
        elif regions := self._changed(old):
            self.refresh(*regions)
        self.take_size(Size(self.size.width, len(self._rows) + 1))
        if self.selected != before:
            self.post_message(self.Moved(self.selected))

    def _changed(self, old: Sequence[AnyRow]) -> list[Region]:
        """Of what is in sight, the lines that differ."""
        top, (width, height) = self.scroll_offset.y, self.size
        sight = slice(top, top + height - 1)
        before, now = ([row.cells for row in rows[sight]] for rows in (old, self._rows))
        return changed_regions(before, now, width, top=1)

    def select(self, key: str) -> None:
        for index, row in enumerate(self._rows):
            if row.key == key:
                self.action_move_to(index)

    def _keep_cursor(self, key: str | None) -> None:
        """Stay on the row with `key` wherever it went; if it is gone, on the nearest line."""
        old = self._cursor
        at = next((index for index, row in enumerate(self._rows) if row.key == key), None)
        self._cursor = min(old, max(0, len(self._rows) - 1)) if at is None else at
        if self._cursor != old:
            self._refresh_rows(old, self._cursor)
            self.call_after_refresh(self._scroll_to_cursor)

    # --- moving ---------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self.action_move_to(max(0, self._cursor + by))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 2))

    def action_move_to(self, index: int) -> None:
        if not self._rows:
            return
        old, last = self._cursor, len(self._rows) - 1
        self._cursor = last if index < 0 else min(index, last)
        if self._cursor != old:
            self._refresh_rows(old, self._cursor)
            self._scroll_to_cursor()
            self.post_message(self.Moved(self.selected))

    def action_open(self) -> None:
        if (key := self.selected) is not None:
            self.post_message(self.Opened(key))

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._click_head(event.x)
            return
        index = event.y - 1 + self.scroll_offset.y
        if index < len(self._rows):
            self.action_move_to(index)
            if event.chain == 2:
                self.action_open()

    def _click_head(self, x: int) -> None:
        right = MARGIN
        for column, wide in self._laid_out_for(self.size.width):
            right += wide + GAP
            if x < right:
                self.post_message(self.HeadClicked(column.key))
                return

    def on_focus(self) -> None:
        self._refresh_rows(self._cursor)

    def on_blur(self) -> None:
        self._refresh_rows(self._cursor)

    def _scroll_to_cursor(self) -> None:
        """The head covers the first line, so a row is in sight from the line below it."""
        top, height = self.scroll_offset.y, self.size.height - 1
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False, force=True)

    def _refresh_rows(self, *indexes: int) -> None:
        rows = [Region(0, index, self.size.width, 1) for index in indexes]
        if regions := self._visible(rows):
            self.refresh(*regions)

    def _visible(self, rows: Sequence[Region]) -> list[Region]:
        """Regions of rows as regions of this widget, without what is scrolled away."""
        window = Region(0, 1, self.size.width, self.size.height - 1)
        moved = (region.translate((0, 1 - self.scroll_offset.y)).intersection(window) for region in rows)
        return [region for region in moved if region]

    # --- painting -------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width, top, whole = self.paper
        columns = self._laid_out_for(whole)
        if y == 0:
            return self._strip(columns, [self._title(column) for column, _ in columns], width)
        index = y - 1 + top
        if index >= len(self._rows):
            return self.strip_of(self.empty if not self._rows and y == 2 else (), width)
        if index == self._cursor:
            return self._strip(columns, self._row(index).cells, width, self.lift)
        return self._strip_of_row(self._row(index), columns, width)

    def _row(self, index: int) -> AnyRow:
        return self._rows[index]

    def _strip_of_row(self, row: AnyRow, columns: Sequence[tuple[Column, int]], width: int) -> Strip:
        return self._strip(columns, row.cells, width)

    def _strip(
        self,
        columns: Sequence[tuple[Column, int]],
        cells: Sequence[Span],
        width: int,
        lift: Style | None = None,
    ) -> Strip:
        """The cells side by side; neighbours of one role become one segment, for each costs."""
        ink = self.inks(lift)
        segments: list[Segment] = []
        text, role, room = " " * MARGIN, "text", width - MARGIN
        for (column, wide), (cell, cell_role, *_) in zip(columns, cells, strict=False):
            padded = _padded(cell, wide, column.right)
            room -= wide + GAP
            if cell_role == role:
                text += padded
            else:
                segments.append(Segment(text, ink(role)))
                text, role = padded, cell_role
        if -GAP <= room < 0:
            # Beside a scrollbar the gap after the last column is narrower.
            text, room = text[:room], 0
        segments.append(Segment(text, ink(role)))
        if room > 0:
            segments.append(Segment(" " * room, ink("text")))
        strip = Strip(segments, width + max(0, -room))
        return strip if room >= 0 else strip.crop(0, width)

    def _title(self, column: Column) -> Span:
        sorted_by, is_descending = self._sorted
        mark = "▼" if is_descending else "▲"
        # Where both have no room the mark stays: the word is known by then.
        return f"{column.title[: column.width - 1]}{mark}" if column.key == sorted_by else column.title, "head"


def _layout(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    shown = [column for column in columns if column.shown_from <= width]
    others = sum(column.width + GAP for column in shown if not column.flexible)
    rest = width - others - GAP - 2 * MARGIN
    return [(column, max(column.width, rest) if column.flexible else column.width) for column in shown]


@lru_cache(maxsize=2048)
def _padded(text: str, width: int, right: bool) -> str:
    """With the gap to the next one. Of two frames most cells say the same, and columns know few words."""
    return _fit(text, width, right) + " " * GAP


def _fit(text: str, width: int, right: bool) -> str:
    if text.isascii():
        short = text if len(text) <= width else text[: max(0, width - 1)] + "…"
        return short.rjust(width) if right else short.ljust(width)
    if (cells := cell_len(text)) > width:
        return set_cell_size(set_cell_size(text, width - 1) + "…", width)
    return " " * (width - cells) + text if right else text + " " * (width - cells)
