"""Overview: everything at one glance."""

from collections import deque
from collections.abc import Callable, Iterator

from textual import on
from textual.widget import Widget

from only1mcp_tui import messages
from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.server_table import ServerTableScreen
from only1mcp_tui.view.cards import card_lines
from only1mcp_tui.view.overview import event_line, selected_line
from only1mcp_tui.view.panels import (
    CLIENTS_FROM,
    CLIENTS_WIDTH,
    CONTEXT_FROM,
    CONTEXT_WIDTH,
    beside,
    client_lines,
    context_lines,
)
from only1mcp_tui.view.servers import OVERVIEW_COLUMNS
from only1mcp_tui.view.targets import has_replicas, needs_an_eye
from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable
from proxy_core.control import Control
from proxy_core.facts import CallRetried, Fact, ProbeFinished, RequestFinished, SessionsChanged
from proxy_core.telemetry.snapshot import ServerRow

TRAFFIC = RequestFinished | SessionsChanged | ProbeFinished | CallRetried
"""Facts that are no news: they come with every call or every few seconds."""
EVENTS_KEPT = 40
EVENTS_SHOWN = ((50, 14), (40, 8), (30, 5), (0, 3))
"""Rows of the terminal, and how many events it has room for beside the table."""


class OverviewScreen(ServerTableScreen):
    """Cards, the table of servers, and the latest events."""

    MODE = "overview"
    COLUMNS = OVERVIEW_COLUMNS
    HELP = """\
# Overview

How the gateway and each server behind it are doing right now.

**Enter** opens a server, **d** drains it: no new calls, those in flight finish.
Where a server is not well, its last column says why. **!** marks the slowest one.

CACHE: how many of the answers that were looked up were there; how many are kept; calls that no server had
to answer. CONTEXT: what the lists of tools cost a model in the mode in force, in tokens.

**ctrl+r** shows what the configuration file would change.
"""

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._events: deque[Fact] = deque(maxlen=EVENTS_KEPT)
        self._seen_seq = 0

    def body(self) -> Iterator[Widget]:
        yield Board(id="cards")
        yield LiveTable(OVERVIEW_COLUMNS)
        yield Board(id="selected")
        yield Board(id="events")

    def opens(self, row: ServerRow) -> bool:
        # At one glance: replicas that are all well say nothing that their server does not say.
        return has_replicas(row) and needs_an_eye(row)

    def draw(self, picture: Picture) -> None:
        has_events = self._take_events()
        if not (self.has_news or has_events):
            return
        width = self.width
        self.part("events").put(self._event_lines(picture, width))
        if not self.has_news:
            return
        cards = card_lines(picture.snapshot, picture.history, width)
        self.part("cards").put(cards)
        super().draw(picture)
        selected = selected_line(self.selected, picture.now, width, not self.is_readonly)
        self.part("selected").put([selected])

    def _event_lines(self, picture: Picture, width: int) -> list[Line]:
        snapshot = picture.snapshot
        shown = next(events for rows, events in EVENTS_SHOWN if self.size.height >= rows)
        panels = []
        if width >= CLIENTS_FROM:
            panels.append((CLIENTS_WIDTH, client_lines(snapshot.clients, picture.now, shown)))
        if width >= CONTEXT_FROM:
            panels.append((CONTEXT_WIDTH, context_lines(snapshot.servers, shown)))
        room = width - sum(wide + 2 for wide, _ in panels)
        told = (event_line(fact, snapshot, room) for fact in reversed(self._events))
        lines = [line for line in told if line is not None][:shown]
        empty: Line = (("  Nothing has happened yet.", "muted"),)
        lines += [empty] if not lines else []
        return beside([(("  EVENTS", "head"),), *lines, *[()] * (shown - len(lines))], panels, width)

    def _take_events(self) -> bool:
        """Whether there are new ones."""
        self._seen_seq, facts = self.control.events_after(self._seen_seq)
        news = [fact for fact in facts if not isinstance(fact, TRAFFIC)]
        self._events += news
        return bool(news)

    @on(LiveTable.Opened)
    def _opened(self, event: LiveTable.Opened) -> None:
        self.post_message(messages.ServerOpened(event.key))
