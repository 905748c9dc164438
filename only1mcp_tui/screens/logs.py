"""Logs: our own lines and every child's stderr, filtered, followed or held."""

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from only1mcp_tui import messages
from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.view.logs import FILTER_KEYS, log_fields, log_spans
from only1mcp_tui.view.text import Line, plain
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.telemetry.snapshot import LogLine

LINES_KEPT = 5000


class LogsScreen(CoreScreen):
    """A virtual list over the log ring."""

    MODE = "logs"
    AUTO_FOCUS = "LogView"
    FILTER_KEYS = FILTER_KEYS
    FILTER_HINT = "words, !not, level:warning, src:github"
    HELP = """\
# Logs

Our own lines and what each server's process writes to its stderr.

`level:warning` also shows errors. Moving up holds the list, **f** follows its end again.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow"),
        Binding("y", "copy", "Copy the line", show=False),
    ]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._seen_seq = 0
        self._lines: list[LogLine] = []
        self._kept: list[LogLine] = []

    def body(self) -> Iterator[Widget]:
        yield LogView[LogLine](log_spans, follows=True)

    @property
    def view(self) -> "LogView[LogLine]":
        return self.query_one(LogView)

    def draw(self, picture: Picture) -> None:
        self._seen_seq, news = self.control.logs_after(self._seen_seq)
        if not news:
            return
        self._lines += news
        del self._lines[:-LINES_KEPT]
        self._kept += self._passing(news)
        dropped = max(0, len(self._kept) - LINES_KEPT)
        del self._kept[:dropped]
        self.view.put(self._kept, dropped)

    def _passing(self, lines: Iterable[LogLine]) -> list[LogLine]:
        return [line for line in lines if self.filter.matches(log_fields(line))]

    def status(self) -> Line:
        is_following = self.view.is_following
        how: Line = (("● following ", "good"),) if is_following else (("◌ held, f follows ", "warn"),)
        return *super().status(), (f"{len(self._kept)} of {len(self._lines)} lines  ", "muted"), *how

    def filter_changed(self) -> None:
        self._kept = self._passing(self._lines)
        self.view.put(self._kept)

    @on(LogView.FollowChanged)
    def _follow_changed(self) -> None:
        self.show_nav()

    def action_follow(self) -> None:
        self.view.follow(not self.view.is_following)

    def action_copy(self) -> None:
        if (line := self.view.line_in_sight) is not None:
            self.post_message(messages.CopyRequested(plain(log_spans(line)).strip()))
