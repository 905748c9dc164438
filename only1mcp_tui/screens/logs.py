"""Logs: our own lines and every child's stderr, filtered, followed or held."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from only1mcp_tui import messages
from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.screens.export import export
from only1mcp_tui.screens.log_level import ask_log_level
from only1mcp_tui.screens.log_line import LogLineScreen
from only1mcp_tui.view.log_book import LogBook
from only1mcp_tui.view.logs import FILTER_KEYS, LEVELS, Choice, log_spans, log_text
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, safe
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.telemetry.snapshot import LogLine

LEVEL_KEY = "logs.level"
"""Where the level that is shown is kept."""


class LogsScreen(CoreScreen):
    """A virtual list over the log ring."""

    MODE = "logs"
    AUTO_FOCUS = "LogView"
    FILTER_KEYS = FILTER_KEYS
    FILTER_HINT = "words, !not, level:warning, src:github"
    HELP = """\
# Logs

Our own lines and what each server's process writes to its stderr; the newest 50,000.

**v** turns what is shown: all, from info, from warning, errors alone.
**s** shows the source under the cursor alone.
**L** sets what the gateway itself writes, until the next reload.

`level:warning` also shows errors. Moving up holds the list, **f** follows its end again.
**Enter** shows the whole line, **y** copies it, **x** writes all lines that are shown to a file.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow"),
        Binding("v", "turn_level", "Level"),
        Binding("s", "only_source", "Source"),
        Binding("x", "export", "Export"),
        Binding("y", "copy", "Copy"),
        Binding("L", "set_level", "Gateway's level"),
    ]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self.book = LogBook()
        self._seen_seq = 0
        self._asked_seq = 0
        """Until here the lines were counted that wait behind a pause."""
        self._below = 0
        """Lines that came below while the list was held."""
        self._waiting = 0
        """Lines that came while the screen was paused."""

    def body(self) -> Iterator[Widget]:
        yield LogView[LogLine](log_spans, follows=True, has_cursor=True, is_pure=True)

    def on_mount(self) -> None:
        level = self.kept.get(LEVEL_KEY, LEVELS[0])
        self.book.choose(Choice(level=level if level in LEVELS else LEVELS[0]))

    @property
    def view(self) -> "LogView[LogLine]":
        return self.query_one(LogView)

    # --- drawing --------------------------------------------------------------------------------------------

    def draw(self, picture: Picture) -> None:
        if picture.pace.is_paused and self._seen_seq:
            # Only its room is another: what is new waits.
            return
        self._seen_seq, news = self.control.logs_after(self._seen_seq)
        self._asked_seq, self._waiting = self._seen_seq, 0
        view = self.view
        view.empty = (("  Nothing was logged yet." if not self.book.lines else "  No line passes.", "muted"),)
        if not news:
            return
        added, dropped = self.book.take(news)
        if not view.is_following:
            self._below += added
        if added or dropped:
            view.put(self.book.kept, dropped)

    def hold(self, picture: Picture) -> None:
        before = self._asked_seq
        self._asked_seq, news = self.control.logs_after(before)
        if news:
            self._waiting += len(news)
            self.show_nav()

    def status(self) -> Line:
        book = self.book
        parts: list[tuple[str, str]] = list(super().status())  # type: ignore[arg-type]
        if book.choice.source:
            parts.append((f"source {safe(book.choice.source, 40)}  ", "warn"))
        if book.choice.level != LEVELS[0]:
            parts.append(
                (f"{book.choice.level} and worse  " if book.choice.level != "error" else "errors  ", "warn")
            )
        counted = "searching" if book.is_searching else f"{len(book.kept):,} of {len(book.lines):,} lines"
        parts.append((f"{counted}  ", "muted"))
        return *parts, self._pace()

    def _pace(self) -> tuple[str, str]:
        if self._waiting:
            return f"‖ paused, +{self._waiting:,} new ", "warn"
        if self.view.is_following:
            return "● following ", "good"
        return f"◌ held{f', +{self._below:,} new' if self._below else ''}, f follows ", "warn"

    # --- what is shown --------------------------------------------------------------------------------------

    def filter_changed(self) -> None:
        self._choose(replace(self.book.choice, filter=self.filter))

    def _choose(self, choice: Choice) -> None:
        self.book.choose(choice)
        self._below = 0
        self.view.follow(True)
        self._search()

    def _search(self) -> None:
        """Step by step; between two of them the loop is free for calls."""
        if found := self.book.search():
            self.view.put(self.book.kept, -found)
        elif not self.book.kept:
            self.view.put(self.book.kept)
        if self.book.is_searching:
            self.call_later(self._search_on, self.book.choice)
        else:
            self.show_nav()

    def _search_on(self, choice: Choice) -> None:
        # Another choice has begun a search of its own.
        if choice is self.book.choice and self.book.is_searching:
            self._search()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if not self.book.choice.source:
            return False
        self._choose(replace(self.book.choice, source=""))
        return True

    def action_turn_level(self) -> None:
        level = LEVELS[(LEVELS.index(self.book.choice.level) + 1) % len(LEVELS)]
        self.kept.put(LEVEL_KEY, level)
        self._choose(replace(self.book.choice, level=level))

    def action_only_source(self) -> None:
        line = self.view.selected
        source = "" if self.book.choice.source or line is None else line.source
        self._choose(replace(self.book.choice, source=source))

    @on(LogView.FollowChanged)
    def _follow_changed(self) -> None:
        self._below = 0
        self.show_nav()

    def action_follow(self) -> None:
        self.view.follow(not self.view.is_following)

    # --- with one line, or all of them ----------------------------------------------------------------------

    @on(LogView.Opened)
    def _opened(self) -> None:
        if (line := self.view.selected) is not None:
            self.app.push_screen(LogLineScreen(line))

    def action_copy(self) -> None:
        if (line := self.view.selected) is not None:
            self.post_message(messages.CopyRequested(log_text(line)))

    @work(group="export", exclusive=True)
    async def action_export(self) -> None:
        # Copied now: the list goes on while the thread writes.
        lines = self.book.kept[:]
        try:
            path = await export("only1mcp-log", ".log", lambda: map(log_text, lines))
        except OSError as error:
            words = f"The lines could not be written: {error.strerror or error}."
            self.notify(safe(words), severity="error", markup=False)
            return
        self.notify(f"{plural(len(lines), 'line')} written to {safe(str(path))}.", markup=False)

    @work(group="level", exclusive=True)
    async def action_set_level(self) -> None:
        await ask_log_level(self.app, self.control)
