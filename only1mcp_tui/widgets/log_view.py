"""A long list of lines of which only those in sight are painted; follows its end unless told not to.

`RichLog` lays out every line as it is written and cannot filter; here a line is built when it is looked at,
and a filter is a new list. Knows nothing of what the lines say.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from only1mcp_tui.widgets.lines import Line, Painted, changed_regions

Item = TypeVar("Item")


class LogView(Painted, ScrollView, Generic[Item], can_focus=True, inherit_bindings=False):
    """Items, and the function that makes a line of one."""

    DEFAULT_CSS = """
    LogView { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_by(1)", "Down", show=False),
        Binding("up,k", "scroll_by(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "scroll_page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "scroll_page(-1)", "Page up", show=False),
        Binding("g,home", "top", "Top", show=False),
        Binding("G,end", "bottom", "Bottom", show=False),
    ]

    class FollowChanged(Message):
        """Moving up stops following; the end resumes it."""

    def __init__(
        self,
        draw: Callable[[Item], Line],
        *,
        follows: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._draw = draw
        self._can_follow = follows
        self._items: Sequence[Item] = ()
        self.is_following = follows
        self.empty: Line = ()
        """Shown where there is no item."""

    def put(self, items: Sequence[Item], dropped: int = 0) -> None:
        """Show `items`, of which `dropped` old ones went from the front: what is read stays in its place."""
        old, self._items = self._items, tuple(items)
        self.virtual_size = Size(self.size.width, len(self._items))
        if self.is_following:
            self.refresh()
            self._scroll_to_end()
        elif dropped:
            self.refresh()
            self.scroll_to(y=max(0, self.scroll_offset.y - dropped), animate=False)
        else:
            self._refresh_changed(old)

    def _refresh_changed(self, old: Sequence[Item]) -> None:
        """Of what is in sight, the lines that differ."""
        top, (width, height) = self.scroll_offset.y, self.size
        before, now = old[top : top + height], self._items[top : top + height]
        if regions := changed_regions(before, now, width):
            self.refresh(*regions)

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
            self._scroll_to_end()

    def action_scroll_by(self, lines: int) -> None:
        if lines < 0:
            self.follow(False)
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_scroll_page(self, pages: int) -> None:
        self.action_scroll_by(pages * max(1, self.size.height - 1))

    def action_top(self) -> None:
        self.follow(False)
        self.scroll_to(y=0, animate=False)

    def action_bottom(self) -> None:
        self._scroll_to_end()
        self.follow(True)

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
            return self.strip_of(self.empty, self.paper.width)
        line = self._draw(self._items[index]) if index < len(self._items) else ()
        return self.strip_of(line, self.paper.width)
