"""A scrollbar that is built anew only when its looks change: beside a growing list its numbers always do.

Textual's own builds every line of it then, which takes longer than all other lines of the list together.
"""

from collections.abc import Hashable
from math import ceil

from textual.geometry import Region
from textual.scrollbar import ScrollBar
from textual.strip import Strip

PARTS = 8
"""Of a cell, in which a thumb begins or ends."""


class SteadyBar(ScrollBar):
    """Looks and behaves as Textual's."""

    _built: list[Strip] = []  # noqa: RUF012 (never changed in place)
    _built_of: Hashable = None

    def render_lines(self, crop: Region) -> list[Strip]:
        look = (crop, self.size, self._colours(), self._thumb(), len(self.get_line_filters()))
        if look != self._built_of:
            self._built, self._built_of = super().render_lines(crop), look
        return self._built

    def notify_style_update(self) -> None:
        self._built_of = None
        super().notify_style_update()

    def _colours(self) -> Hashable:
        assert self.parent is not None
        styles = self.parent.styles
        is_shown = self.screen.styles.scrollbar_color.a
        under = self.parent.background_colors[0] if styles.scrollbar_background.a < 1 else None
        if self.grabbed:
            return styles.scrollbar_background_active, styles.scrollbar_color_active, is_shown, under
        if self.mouse_over:
            return styles.scrollbar_background_hover, styles.scrollbar_color_hover, is_shown, under
        return styles.scrollbar_background, styles.scrollbar_color, is_shown, under

    def _thumb(self) -> tuple[int, int] | None:
        """Where it begins and ends, in parts of a cell, as `ScrollBarRender.render_bar` works it out."""
        size, virtual, window = self.size.height, ceil(self.window_virtual_size), ceil(self.window_size)
        if not size or not window or window >= virtual or size == virtual:
            return None
        length = max(1, window / (virtual / size))
        start = int((size - length) * (self.position / (virtual - window)) * PARTS)
        return start, start + ceil(length * PARTS)
