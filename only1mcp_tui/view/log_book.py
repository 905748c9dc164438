"""The log lines that a screen keeps, and which of them it shows. Bounded; each line is looked at once.

A new choice goes through what is kept in steps, the newest lines first, so that no step holds the loop that
carries the calls, and what is in sight is right at once.
"""

from collections.abc import Callable, Iterable

from only1mcp_tui.view.logs import EVERYTHING, Choice, passing
from only1mcp_tui.view.tail import Tail
from proxy_core.telemetry.logs import RING_BYTES, RING_LINES, weight
from proxy_core.telemetry.snapshot import LogLine

STEP = 4000
"""Lines that one step looks at: a few milliseconds."""


class LogBook:
    def __init__(self, most_lines: int = RING_LINES, most_bytes: int = RING_BYTES) -> None:
        self.lines: Tail[LogLine] = Tail()
        self.kept: Tail[LogLine] = Tail()
        """Those that pass the choice."""
        self.choice = EVERYTHING
        self._passes: Callable[[LogLine], bool] = passing(EVERYTHING)
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._bytes = 0
        self._unread = 0
        """Lines at the front that the choice has not seen yet."""

    @property
    def is_searching(self) -> bool:
        return self._unread > 0

    def take(self, news: Iterable[LogLine]) -> tuple[int, int]:
        """Add these: how many of them are shown, and how many that were shown made room."""
        added = 0
        for line in news:
            self._bytes += weight(line)
            self.lines.append(line)
            if self._passes(line):
                self.kept.append(line)
                added += 1
        return added, self._make_room()

    def _make_room(self) -> int:
        cut = cut_kept = 0
        while len(self.lines) - cut > self._most_lines or (self._bytes > self._most_bytes and self.lines):
            line = self.lines[cut]
            self._bytes -= weight(line)
            cut += 1
            if cut_kept < len(self.kept) and self.kept[cut_kept] is line:
                cut_kept += 1
        self.lines.cut(cut)
        self.kept.cut(cut_kept)
        self._unread = max(0, self._unread - cut)
        return cut_kept

    def choose(self, choice: Choice) -> None:
        """Show others from now on; `search` finds them."""
        self.choice = choice
        self._passes = passing(choice)
        self.kept = Tail()
        self._unread = len(self.lines)

    def search(self, most: int = STEP) -> int:
        """Look at the newest `most` lines that the choice has not seen: how many of them are shown."""
        first = max(0, self._unread - most)
        found = [line for line in self.lines[first : self._unread] if self._passes(line)]
        self._unread = first
        self.kept.put_before(found)
        return len(found)
