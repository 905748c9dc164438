"""A few full-width lines: title, cards, events, footer."""

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip

from only1mcp_tui.widgets.lines import Line, Painted, changed_regions


class Board(Painted):
    """A few full-width lines. `put` repaints those that changed; a layout follows only if their number did."""

    DEFAULT_CSS = """
    Board { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: Sequence[Line] = ()

    def put(self, lines: Sequence[Line]) -> None:
        old, self.lines = self.lines, tuple(lines)
        if old == self.lines:
            return
        if len(old) != len(self.lines):
            self.refresh(layout=True)
        elif regions := changed_regions(old, self.lines, self.size.width):
            self.refresh(*regions)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        return self.strip_of(self.lines[y] if y < len(self.lines) else (), self.paper.width)
