"""Requests."""

from collections.abc import Iterator

from textual.widget import Widget

from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.widgets.log_view import LogView


class RequestsScreen(CoreScreen):
    """Begun."""

    MODE = "requests"
    AUTO_FOCUS = "LogView"
    FILTER_KEYS = frozenset()
    FILTER_HINT = "words, !not"

    def body(self) -> Iterator[Widget]:
        yield LogView(lambda line: line)

    def draw(self, picture: Picture) -> None:
        return
