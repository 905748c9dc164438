"""A long list of lines of which only those in sight are painted; follows its end unless told not to.

`RichLog` lays out every line as it is written and cannot filter; here a line is built when it is looked at,
and a filter is a new list. Knows nothing of what the lines say.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from only1mcp_tui.widgets.keys import named
from only1mcp_tui.widgets.lines import Line, Painted, changed_regions

Item = TypeVar("Item")


class LogView(Painted, ScrollView, Generic[Item], can_focus=True, inherit_bindings=False):
    """Items, and the function that makes a line of one."""

    DEFAULT_CSS = """
    LogView { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        [
            Binding("down,j", "scroll_by(1)", "Down", show=False),
            Binding("up,k", "scroll_by(-1)", "Up", show=False),
            Binding("pagedown,ctrl+f", "scroll_page(1)", "Page down", show=False),
            Binding("pageup,ctrl+b", "scroll_page(-1)", "Page up", show=False),
            Binding("g,home", "top", "Top", show=False),
            Binding("G,end", "bottom", "Bottom", show=False),
            Binding("enter", "open", "Open"),
        ]
    )

    class FollowChanged(Message):
        """Moving up stops following; the end resumes it."""

    class Opened(Message):
        """Enter or a double click on the line under the cursor."""

    def __init__(
        self,
        draw: Callable[[Item], Line],
        *,
        follows: bool = False,
        has_cursor: bool = False,
        is_pure: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`has_cursor`: the moving keys move one line's mark, and the list only as far as that needs.

        `is_pure`: `draw` makes the same line of the same item always.
        """
        super().__init__(id=id, classes=classes)
        self._draw = draw
        self._can_follow = follows
        self._has_cursor = has_cursor
        self._is_pure = is_pure
        self._items: Sequence[Item] = ()
        self._sight: tuple[int, Sequence[Item]] = (0, ())
        """The first line in sight and the items from there on, as they were put last."""
        self._cursor = 0
        self.is_following = follows
        self._empty: Line = ()

    @property
    def empty(self) -> Line:
        """Shown where there is no item."""
        return self._empty

    @empty.setter
    def empty(self, line: Line) -> None:
        changes, self._empty = line != self._empty, line
        if changes and not self._items:
            self.refresh()

    def put(self, items: Sequence[Item], dropped: int = 0) -> None:
        """Show `items`, of which `dropped` old ones went from the front: what is read stays in its place.

        `dropped` below 0: so many came before the front. `items` is not copied: who changes it, puts it again
        before the next paint.
        """
        self._items = items
        self.take_size(Size(self.size.width, len(items)))
        if self.is_following:
            self._cursor = max(0, len(items) - 1)
            self._scroll_to_end()
        else:
            self._cursor = max(0, min(self._cursor - dropped, len(items) - 1))
            if dropped:
                self.scroll_to(y=max(0, self.scroll_offset.y - dropped), animate=False, force=True)
        self._refresh_changed()

    def _refresh_changed(self) -> None:
        """Of what is in sight, the lines that differ."""
        top, (width, height) = self.scroll_offset.y, self.size
        (old_top, before), now = self._sight, self._items[top : top + height]
        self._sight = top, now
        if old_top != top or not before:
            self.refresh()
        elif regions := changed_regions(before, now, width):
            self.refresh(*regions)

    @property
    def selected(self) -> Item | None:
        """The item under the cursor; in a list without one, the lowest in sight."""
        if not self._has_cursor:
            return self.line_in_sight
        return self._items[self._cursor] if self._cursor < len(self._items) else None

    @property
    def line_in_sight(self) -> Item | None:
        """The lowest item in sight: what `copy` means in a list without a cursor."""
        last = min(len(self._items), self.scroll_offset.y + self.size.height) - 1
        return self._items[last] if last >= 0 else None

    def follow(self, is_on: bool) -> None:
        if is_on is not self.is_following and self._can_follow:
            self.is_following = is_on
            self.post_message(self.FollowChanged())
        if self.is_following:
            self._cursor = max(0, len(self._items) - 1)
            self._scroll_to_end()
            self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._has_cursor if action == "open" else True

    def action_scroll_by(self, lines: int) -> None:
        if lines < 0:
            self.follow(False)
        if self._has_cursor:
            self._move_to(self._cursor_in_sight + lines)
        else:
            self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_scroll_page(self, pages: int) -> None:
        self.action_scroll_by(pages * max(1, self.size.height - 1))

    def action_top(self) -> None:
        self.follow(False)
        self._move_to(0)
        self.scroll_to(y=0, animate=False)

    def action_bottom(self) -> None:
        self._move_to(len(self._items) - 1)
        self._scroll_to_end()
        self.follow(True)

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Opened())

    # --- the cursor -----------------------------------------------------------------------------------------

    @property
    def _cursor_in_sight(self) -> int:
        """Where the cursor is, or the nearest line in sight after the wheel has left it behind."""
        top = self.scroll_offset.y
        return max(top, min(self._cursor, top + max(1, self.size.height) - 1))

    def _move_to(self, index: int) -> None:
        old, self._cursor = self._cursor, max(0, min(index, len(self._items) - 1))
        if not self._has_cursor or old == self._cursor:
            return
        self._refresh_lines(old, self._cursor)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if not top <= self._cursor < top + height:
            wanted = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=wanted, animate=False)

    def _refresh_lines(self, *indices: int) -> None:
        top, (width, height) = self.scroll_offset.y, self.size
        seen = {index - top for index in indices if 0 <= index - top < height}
        if seen:
            self.refresh(*(Region(0, y, width, 1) for y in seen))

    def on_click(self, event: events.Click) -> None:
        index = self.scroll_offset.y + event.y
        if not self._has_cursor or index >= len(self._items):
            return
        if index < len(self._items) - 1:
            self.follow(False)
        self._move_to(index)
        if event.chain > 1:
            self.action_open()

    def on_focus(self) -> None:
        self._refresh_lines(self._cursor)

    def on_blur(self) -> None:
        self._refresh_lines(self._cursor)

    def on_mouse_scroll_up(self) -> None:
        self.follow(False)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._items))
        if self.is_following:
            self.call_after_refresh(self._scroll_to_end)

    def _scroll_to_end(self) -> None:
        self.scroll_to(y=max(0, len(self._items) - self.size.height), animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        index = y + self.paper.top
        if not self._items and y == 0:
            return self.strip_of(self._empty, self.paper.width)
        if index >= len(self._items):
            return self.strip_of((), self.paper.width)
        item = self._items[index]
        if self._has_cursor and index == self._cursor and (line := self._draw(item)):
            return self.strip_of(line, self.paper.width, self.lift)
        make = partial(self._strip_of_item, item)
        return self.strip_for(item, make) if self._is_pure else make()

    def _strip_of_item(self, item: Item) -> Strip:
        return self.strip_of(self._draw(item), self.paper.width)
