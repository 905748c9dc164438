"""The ground behind other widgets, which Textual asks for at each frame: as it was made last."""

from collections.abc import Hashable
from typing import Self

from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Ground(Widget):
    """Of a widget that shows nothing of its own. Must stand before the class whose painting it keeps."""

    _ground: list[Strip] = []  # noqa: RUF012 (never changed in place)
    _ground_of: Hashable = None

    def render_lines(self, crop: Region) -> list[Strip]:
        key = (crop, self.size, len(self.get_line_filters()))
        if key != self._ground_of:
            self._ground, self._ground_of = super().render_lines(crop), key
        return self._ground

    def notify_style_update(self) -> None:
        self._ground_of = None
        super().notify_style_update()

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        self._ground_of = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class SideBySide(Ground, Horizontal):
    pass


class OneBelowTheOther(Ground, Vertical):
    pass
