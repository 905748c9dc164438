"""Turn what a child writes on stderr into lines fit for a log: bounded in length and in rate.

Knows nothing of processes. MCP says that stderr is free-form and no sign of an error
(2025-11-25 basic/transports, "stdio").
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

MAX_LINE_BYTES: Final = 4096
BURST_LINES: Final = 500
LINES_PER_S: Final = 50
KEPT_LINES: Final = 20
"""Of a flood, the last lines are kept: they say why the child died."""


class LineBudget:
    """How many lines may pass now: a burst, then a steady rate."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: float = BURST_LINES
        self._counted_at = monotonic()

    def take(self, wanted: int) -> int:
        now = self._monotonic()
        self._left = min(BURST_LINES, self._left + (now - self._counted_at) * LINES_PER_S)
        self._counted_at = now
        granted = min(wanted, int(self._left))
        self._left -= granted
        return granted


class StderrLines:
    """Bytes in, lines out to `emit`; what the budget refuses is counted, and its end kept."""

    def __init__(self, emit: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._budget = LineBudget(monotonic)
        self._partial = b""
        self._held_count = 0
        self._held: deque[bytes] = deque(maxlen=KEPT_LINES)

    def feed(self, data: bytes) -> None:
        *lines, partial = (self._partial + data).split(b"\n")
        self._partial = partial[:MAX_LINE_BYTES]
        granted = self._budget.take(len(lines))
        if granted:
            self._release()
        for line in lines[:granted]:
            self._write(line)
        self._held_count += len(lines) - granted
        self._held.extend(line[:MAX_LINE_BYTES] for line in lines[granted:][-KEPT_LINES:])

    def end(self) -> None:
        """Nothing more comes: write what was held back, and a last line without its end."""
        self._release()
        if self._partial:
            self._write(self._partial)
            self._partial = b""

    def _release(self) -> None:
        if lost := self._held_count - len(self._held):
            self._emit(f"({lost} lines left out: too many at once)")
        for line in self._held:
            self._write(line)
        self._held.clear()
        self._held_count = 0

    def _write(self, line: bytes) -> None:
        self._emit(line[:MAX_LINE_BYTES].rstrip(b"\r").decode(errors="replace"))
