"""What every line-painted widget shares: roles resolved to styles once, spans turned into strips.

A paint holds the event loop that also carries the proxy's calls, so a line is rebuilt only when its spans
changed, and a style is looked up only after the theme changed. Knows nothing of servers.
"""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Span: TypeAlias = tuple[str, str] | tuple[str, str, str]
"""Text, role, and perhaps the action that a click runs."""
Line: TypeAlias = tuple[Span, ...]

ROLES = (
    *("text", "strong", "muted", "good", "warn", "bad", "info", "accent", "trend", "link"),
    *("brand", "badge", "gap", "key", "off", "tab", "tab-on", "head", "cursor", "cursor-blurred"),
)


class Painted(Widget):
    """A widget whose lines are spans of role and text."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{role}" for role in ROLES}

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

    _style_of_role: dict[str, Style]

    def notify_style_update(self) -> None:
        """Forget the styles: the theme, the colours or the size changed."""
        self._style_of_role = {}
        super().notify_style_update()

    def style_of(self, role: str) -> Style:
        try:
            return self._style_of_role[role]
        except (AttributeError, KeyError):
            return self._resolve(role)

    def _resolve(self, role: str) -> Style:
        if "_style_of_role" not in self.__dict__:
            self._style_of_role = {}
        style = self.get_component_rich_style(f"line--{role}")
        self._style_of_role[role] = style
        return style

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
        segments = []
        used = 0
        for text, role, *action in line:
            if not text:
                continue
            style = self.style_of(role) if lift is None else self.style_of(role) + lift
            if action:
                style += Style(meta={"@click": action[0]})
            segments.append(Segment(text, style))
            used += len(text) if text.isascii() else cell_len(text)
        if used < width:
            base = self.style_of("text")
            segments.append(Segment(" " * (width - used), base if lift is None else base + lift))
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
