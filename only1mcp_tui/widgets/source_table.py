"""A table over rows that are made when they are looked at: of thousands a frame makes those in sight.

Follows one end until the cursor leaves it, as `less +F` does; then the row under the cursor stays on its line,
whatever is added or goes around it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import overload

from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from only1mcp_tui.widgets.lines import changed_regions
from only1mcp_tui.widgets.live_table import AnyRow, Column, LiveTable, Row


class RowSource(Sequence[Row]):
    """Rows by index, made by a function."""

    def __init__(self, count: int, make: Callable[[int], Row]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self._make(at) for at in range(*index.indices(self._count))]
        return self._make(index)


class SourceTable(LiveTable):
    """`show` takes a source in place of `put`'s rows."""

    class FollowChanged(Message):
        """The cursor left the end that was followed, or came back to it."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(columns, id=id)
        self.is_following = True
        self._follows_top: bool | None = False
        """Which end new rows come in at; None: they come in anywhere, and nothing is followed."""
        self._key: str | None = None
        self._in_sight: tuple[int, list[AnyRow]] = (0, [])

    @property
    def selected(self) -> str | None:
        return self._key

    def show(
        self,
        source: Sequence[Row],
        index_of: Callable[[str], int | None],
        *,
        follows_top: bool | None = False,
        sort_column: str | None = None,
        is_descending: bool = False,
    ) -> None:
        self._rows = source
        self._follows_top = follows_top
        if self._sorted != (sort_column, is_descending):
            self._sorted = (sort_column, is_descending)
            self._in_sight = (-1, [])
        self.take_size(Size(self.size.width, len(source) + 1))
        self._place_cursor(index_of)
        self._repaint()

    def _place_cursor(self, index_of: Callable[[str], int | None]) -> None:
        last = len(self._rows) - 1
        before, key = self._cursor, self._key
        at = None if key is None else index_of(key)
        if self.is_following and self._follows_top is not None:
            self._cursor = 0 if self._follows_top else max(0, last)
            self._scroll_to_cursor()
        elif at is not None:
            self._cursor = at
            self._keep_line(before)
        else:
            self._cursor = min(before, max(0, last))
            self._scroll_to_cursor()
        self._key = self._rows[self._cursor].key if last >= 0 else None
        if self._cursor != before:
            self._in_sight = (-1, [])
        if self._key != key:
            self.post_message(self.Moved(self._key))

    def _keep_line(self, before: int) -> None:
        """Scroll with the row under the cursor, so that the eye need not look for it."""
        if self._cursor != before:
            self._scroll_now(self.scroll_offset.y + self._cursor - before)

    def on_mouse_scroll_up(self) -> None:
        """Who looks back is not to be carried away; the cursor stays where it is."""
        if self._follows_top is False:
            self._say_follows(False)

    def _repaint(self) -> None:
        """Of what is in sight, the lines that differ."""
        top, (width, height) = self.scroll_offset.y, self.size
        old_top, old = self._in_sight
        rows: list[AnyRow] = list(self._rows[top : top + max(0, height - 1)])
        self._in_sight = (top, rows)
        if top != old_top or not old or not rows:
            self.refresh()
        elif regions := changed_regions(old, rows, width, 1):
            self.refresh(*regions)

    def _row(self, index: int) -> AnyRow:
        """As it was shown, where it is in sight still."""
        top, rows = self._in_sight
        return rows[index - top] if 0 <= index - top < len(rows) and top >= 0 else super()._row(index)

    def _strip_of_row(self, row: AnyRow, columns: Sequence[tuple[Column, int]], width: int) -> Strip:
        return self.strip_for(row, partial(super()._strip_of_row, row, columns, width))

    def follow(self, is_on: bool) -> None:
        if not is_on:
            self._say_follows(False)
        elif self._follows_top is not None:
            self._say_follows(True)
            self.action_move_to(0 if self._follows_top else -1)

    def action_move_to(self, index: int) -> None:
        if not self._rows:
            return
        old, last = self._cursor, len(self._rows) - 1
        self._cursor = last if index < 0 else min(index, last)
        if self._follows_top is not None:
            self._say_follows(self._cursor == (0 if self._follows_top else last))
        if self._cursor != old:
            self._refresh_rows(old, self._cursor)
            self._scroll_to_cursor()
            self._key = self._rows[self._cursor].key
            self.post_message(self.Moved(self._key))

    def _say_follows(self, is_following: bool) -> None:
        if is_following is not self.is_following:
            self.is_following = is_following
            self.post_message(self.FollowChanged())

    def _scroll_to_cursor(self) -> None:
        """At once: what is painted next in this frame depends on where we are."""
        top, height = self.scroll_offset.y, self.size.height - 1
        if self._cursor < top:
            self._scroll_now(self._cursor)
        elif self._cursor >= top + height:
            self._scroll_now(self._cursor - height + 1)

    def _scroll_now(self, top: int) -> None:
        self.scroll_to(y=max(0, top), animate=False, force=True, immediate=True)
