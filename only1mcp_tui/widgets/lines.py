"""What every line-painted widget shares: roles resolved to styles once, spans turned into strips, strips kept.

A paint holds the event loop that also carries the proxy's calls, so a line is rebuilt only when its spans
changed, and a style is looked up only after the theme changed. Knows nothing of servers.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.dom import DOMNode
from textual.geometry import Region, Size
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widget import Widget

from only1mcp_tui.widgets.steady_bar import SteadyBar

Span: TypeAlias = tuple[str, str] | tuple[str, str, str]
"""Text, role, and perhaps the action that a click runs."""
Line: TypeAlias = tuple[Span, ...]

ROLES = (
    *("text", "strong", "muted", "good", "warn", "bad", "info", "accent", "trend", "link"),
    *("brand", "badge", "gap", "key", "off", "tab", "tab-on", "head", "cursor", "cursor-blurred"),
)


MOST_STRIPS = 300
"""More than a terminal has lines."""


class Paper(NamedTuple):
    """The room of one paint."""

    width: int
    """Cells of a line: those that no scrollbar covers."""
    top: int
    """Which line is the first in sight."""
    whole: int
    """Cells of the widget."""


class Inks(dict[str, Style]):
    """Role -> style, made when it is asked for the first time."""

    def __init__(self, make: Callable[[str], Style]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, role: str) -> Style:
        ink = self[role] = self._make(role)
        return ink


class Painted(Widget):
    """A widget whose lines are spans of role and text."""

    KNOWN_ROLES: ClassVar[frozenset[str]] = frozenset(ROLES)

    DEFAULT_CSS = """
    Painted {
        & > .line--text { color: $foreground; }
        & > .line--strong { color: $foreground; text-style: bold; }
        & > .line--muted { color: $text-muted; }
        & > .line--good { color: $text-success; }
        & > .line--warn { color: $text-warning; }
        & > .line--bad { color: $text-error; }
        & > .line--info { color: $text-primary; }
        & > .line--accent { color: $text-accent; }
        & > .line--trend { color: $primary 65%; }
        & > .line--link { color: $foreground; text-style: underline; }
        & > .line--brand { color: $primary; text-style: bold; }
        & > .line--badge { color: $background; background: $warning; text-style: bold; }
        & > .line--gap { background: $background; }
        & > .line--key { color: $text-accent; text-style: bold; }
        & > .line--off { color: $text-disabled; }
        & > .line--tab { color: $text-muted; }
        & > .line--tab-on { color: $primary; text-style: bold underline; }
        & > .line--head { color: $text-muted; text-style: bold; }
        & > .line--cursor { background: $primary 30%; }
        & > .line--cursor-blurred { background: $primary 12%; }
        &:ansi > .line--cursor { color: ansi_bright_white; background: ansi_blue; }
        &:ansi > .line--cursor-blurred { color: ansi_bright_blue; background: ansi_default; }
        &:nocolor > .line--cursor { color: $foreground; background: $background; text-style: reverse; }
        &:nocolor > .line--cursor-blurred { text-style: underline; }
        &:nocolor > .line--badge { text-style: reverse bold; }
    }
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._style_of_role: dict[str, Style] = {}
        self._inks: dict[Style | None, Inks] = {}
        """What roles are painted with, by what lies over them; the terminal's filters have gone over it."""
        self._kept: dict[int, Strip] = {}
        """Lines as they were painted last."""
        self._kept_for: object = None
        self._strips: dict[int, tuple[object, Strip]] = {}
        """Those of `strip_for`, by the identity of what they show."""
        self._strips_for: object = None
        self._paper: Paper | None = None
        """Of the last paint."""
        self._has_frame: bool | None = None

    def notify_style_update(self) -> None:
        """Forget the styles: the theme, the colours or the size changed."""
        before, self._style_of_role = self._style_of_role, {}
        self._inks = {}
        self._kept = {}
        self._strips = {}
        self._has_frame = None
        super().notify_style_update()
        if before and any(self._looked_up(role) != style for role, style in before.items()):
            self.refresh()

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """As any widget's; the lines in `regions` are built anew, without regions all of them."""
        if layout:
            # A border may have come or gone.
            self._has_frame = None
        if not regions:
            self._kept = {}
        for region in regions:
            for y in region.line_range:
                self._kept.pop(y, None)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        bar = self._vertical_scrollbar
        if bar is None:
            # As Textual makes its own.
            bar = SteadyBar(vertical=True, name="vertical", thickness=self.scrollbar_size_vertical)
            self._vertical_scrollbar = bar
            bar.display = False
            self.app._start_widget(self, bar)
        return bar

    def render_lines(self, crop: Region) -> list[Strip]:
        """What was painted before as it was, the rest anew.

        Textual's own way looks at border, padding and filters of each line at each paint, which costs more than
        our lines do. A widget that has a border or padding after all is painted that way.
        """
        self._paper = self._measured()
        room = (self._paper.width, self._paper.whole, len(self.get_line_filters()))
        if room != self._strips_for:
            self._strips, self._strips_for = {}, room
        if self._has_frame is None:
            self._has_frame = not self._is_plain()
        if self._has_frame:
            return super().render_lines(crop)
        width = self._paper.width
        key = (*room, self._paper.top, self.size.height)
        if key != self._kept_for:
            self._kept, self._kept_for = {}, key
        strips = [self._line(y) for y in crop.line_range]
        is_whole = crop.x == 0 and crop.right >= width
        return strips if is_whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def take_size(self, size: Size) -> None:
        """The lines are so many now. The screen is laid out anew only if that may move anything on it."""
        old = self.virtual_size
        if size == old:
            return
        has_bar = self.show_vertical_scrollbar and min(size.height, old.height) > self.size.height
        if has_bar and size.width == old.width and not self.styles.auto_dimensions:
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)
        else:
            self.virtual_size = size

    def watch_show_vertical_scrollbar(self, is_shown: bool) -> None:
        # Scrolling moves its thumb only while it is shown, and a list that follows its end scrolls before that.
        if is_shown:
            self.vertical_scrollbar.position = self.scroll_y

    @property
    def paper(self) -> Paper:
        """What the lines of the paint under way stand on."""
        return self._paper or self._measured()

    def _measured(self) -> Paper:
        # Asking a widget for its size walks the screen's map: once a paint, not once a line.
        whole = self.size.width
        bar = self._vertical_scrollbar
        # A bar that has come and has no place yet covers nothing: to spare its cells would leave the lines too
        # short for the place that they are cut to, and none of them would be seen.
        covered = self.scrollbar_size_vertical if bar is not None and bar.region else 0
        return Paper(max(0, whole - covered), self.scroll_offset.y, whole)

    def _is_plain(self) -> bool:
        styles = self.styles
        return not any(styles.gutter) and not styles.tint.a and self.opacity == 1.0 == styles.text_opacity

    def _line(self, y: int) -> Strip:
        strip = self._kept.get(y)
        if strip is None:
            strip = self._kept[y] = self.render_line(y)
        return strip

    def strip_for(self, thing: object, make: Callable[[], Strip]) -> Strip:
        """The strip of `thing`, which stays what it is: made once, whatever lines it moves over.

        A list that follows its end moves all of its lines at each frame.
        """
        known = self._strips.get(id(thing))
        if known is not None and known[0] is thing:
            return known[1]
        if len(self._strips) >= MOST_STRIPS:
            self._strips.clear()
        strip = make()
        self._strips[id(thing)] = thing, strip
        return strip

    def style_of(self, role: str) -> Style:
        style = self._style_of_role.get(role)
        if style is None:
            style = self._style_of_role[role] = self._looked_up(role)
        return style

    def _looked_up(self, role: str) -> Style:
        """As that of a component class, but of the few roles that are painted, and when they are.

        Textual would look up each of two dozen for every widget whenever a class of any changes: a third of a
        second of the loop when a screen with many tabs is opened.
        """
        if role not in self.KNOWN_ROLES:
            raise KeyError(role)
        node = DOMNode(classes=f"line--{role}")
        node._attach(self)
        self.app.stylesheet.apply(node, animate=False)
        return node.rich_style

    def inks(self, lift: Style | None = None) -> Callable[[str], Style]:
        """What roles are painted with, with `lift` laid over them."""
        inks = self._inks.get(lift)
        if inks is None:
            inks = self._inks[lift] = Inks(partial(self._ink, lift))
        return inks.__getitem__

    def _ink(self, lift: Style | None, role: str) -> Style:
        return self._filtered(self.style_of(role) if lift is None else self.style_of(role) + lift)

    def _filtered(self, style: Style) -> Style:
        """As NO_COLOR and the like want it: a filter sees only styles, so once for each style is enough."""
        segments = [Segment("x", style)]
        for line_filter in self.get_line_filters():
            segments = line_filter.apply(segments, self.background_colors[1])
        return segments[0].style or style

    @property
    def lift(self) -> Style:
        """What is laid over the line under the cursor: its ground.

        Where colours are few or none its words get one colour too: no ground suits all of theirs.
        """
        whole = self.style_of("cursor" if self.has_focus else "cursor-blurred")
        has_few = self.app.native_ansi_color or self.app.no_color
        return whole if has_few else whole.background_style

    def strip_of(self, line: Sequence[Span], width: int, lift: Style | None = None) -> Strip:
        """`line` as a strip of exactly `width` cells; `lift`, a cursor's ground, is laid over its styles."""
        ink = self.inks(lift)
        segments = []
        used = 0
        for text, role, *action in line:
            if not text:
                continue
            style = ink(role)
            if action:
                style += Style(meta={"@click": action[0]})
            segments.append(Segment(text, style))
            used += len(text) if text.isascii() else cell_len(text)
        if used < width:
            segments.append(Segment(" " * (width - used), ink("text")))
        strip = Strip(segments, max(used, width))
        return strip if used <= width else strip.crop(0, width)


def changed_regions(old: Sequence[object], new: Sequence[object], width: int, top: int = 0) -> list[Region]:
    """One region for each run of lines that differ."""
    regions: list[Region] = []
    start: int | None = None
    for y in range(max(len(old), len(new)) + 1):
        differs = y < max(len(old), len(new)) and (y >= len(old) or y >= len(new) or old[y] != new[y])
        if differs and start is None:
            start = y
        elif not differs and start is not None:
            regions.append(Region(0, top + start, width, y - start))
            start = None
    return regions
