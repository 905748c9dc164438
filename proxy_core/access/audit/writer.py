"""The thread that writes: it takes what waits, makes lines of it, and makes them durable once a second.

Nothing that a call does waits for it. What it shares with the loop is a queue, which only the loop appends to
and only the thread takes from, and some numbers that one of them writes and the other reads.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from proxy_core.access.audit.chain import Chain
from proxy_core.access.audit.journal import Journal, Sizes
from proxy_core.access.audit.lines import CallEntry, Line, LineEntry, Lost, Refused, RuleOf, Writing
from proxy_core.access.audit.places import Place, Unusable
from proxy_core.clock import Clock
from proxy_core.errors import ErrorCode

PASS_S: Final = 0.05
"""From the first entry that waits to the look that takes it: so much is written at once."""
SYNC_S: Final = 1.0
RETRY_S: Final = 1.0
SLICE: Final = 32
"""Lines between two chances for the loop to go on: about 0.2 ms."""
log = logging.getLogger(__name__)


class Target(NamedTuple):
    """Where the lines go."""

    path: Path
    key: str | None

    def __repr__(self) -> str:
        return f"Target({self.path})"


class Losses:
    """What could not be told in a line of its own. Each number only grows, and one thread alone writes it."""

    def __init__(self) -> None:
        self.dropped = 0
        """The queue was full."""
        self.shut_out = 0
        """Calls that were refused because nothing could be written."""


class Writer:
    """Sole owner of the journal. `start`, `use`, `stop` are called from the loop, `turned` in the thread."""

    def __init__(
        self,
        target: Target | None,
        sizes: Sizes,
        clock: Clock,
        version: str,
        rule_of: RuleOf,
        losses: Losses,
        turned: Callable[[str], None],
    ) -> None:
        """`turned`: told why nothing can be written, or with nothing that it can again."""
        self.queue: deque[CallEntry | LineEntry] = deque()
        self.is_woken = False
        """As the event, for a tenth of the price."""
        self.failing = ""
        """Why nothing can be written now."""
        self.written = 0
        """Lines."""
        self.lost = 0
        """Lines that are known to be lost: of which a line tells, or will."""
        self.target = target
        self.sizes = sizes
        self._used: Target | None = None
        self._clock = clock
        self._version = version
        self._losses = losses
        self._turned = turned
        self._writing = Writing(rule_of)
        self._journal: Journal | None = None
        self._told_dropped = self._told_shut_out = 0
        self._unmade = 0
        self._synced_at = clock.monotonic()
        self._event = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="only1mcp audit", daemon=True)

    def __repr__(self) -> str:
        return f"Writer({self.target}, {len(self.queue)} waiting, {self.failing or 'well'})"

    # --- from the loop --------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        self.is_woken = True
        self._event.set()

    def use(self, target: Target | None, sizes: Sizes) -> None:
        """Go on there, once what waits now is written; at once, if it cannot be. None: nowhere."""
        self.target, self.sizes = target, sizes
        self._writing.forget()
        self.wake()

    def stop(self, timeout_s: float) -> bool:
        """Write what waits, and end. Blocks; whether it has ended in time."""
        self._stopping.set()
        self._event.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- in the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            is_last = self._stopping.is_set()
            if not is_last:
                self._event.wait(self._patience_s())
                # So that what comes together is written together.
                is_last = self._stopping.wait(PASS_S)
            self._event.clear()
            self.is_woken = False
            self._look()
            if is_last:
                self._end()
                return

    def _patience_s(self) -> float | None:
        if self.failing:
            return RETRY_S
        return SYNC_S if self._journal is not None and self._journal.has_unsynced else None

    def _look(self) -> None:
        try:
            self._writing.set_clock(self._clock.monotonic(), self._clock.wall())
            self._go_there()
            self._drain()
            self._sync(SYNC_S)
            self._turn("")
        except (OSError, Unusable) as error:
            # Nobody has to wake us: we come again by ourselves.
            self.is_woken = True
            self._turn(str(error) or type(error).__name__)
        except Exception as error:
            log.exception("the audit failed")
            self._turn(type(error).__name__)

    def _turn(self, failing: str) -> None:
        if bool(failing) != bool(self.failing):
            self.failing = failing
            self._turned(failing)

    def _go_there(self) -> None:
        """Raises: OSError, Unusable."""
        target = self.target
        if self._journal is not None and target != self._used:
            self._leave(self._journal)
        self._used = target
        if target is None:
            self._unmade += len(self.queue)
            self.queue.clear()
        elif self._journal is None:
            self._journal = Journal(Place(target.path), Chain(target.key), self.sizes, self._version, self._now)
        if self._journal is not None:
            self._journal.sizes = self.sizes

    def _leave(self, journal: Journal) -> None:
        try:
            if not self.failing:
                self._drain()
            journal.close()
        except (OSError, Unusable) as error:
            self._unmade += journal.unwritten
            log.error(
                "%d lines of the audit could not be written to %s: %s", journal.unwritten, self._used, error
            )
        self._journal = None

    def _drain(self) -> None:
        journal, queue = self._journal, self.queue
        if journal is None:
            return
        journal.flush()
        while queue:
            for _ in range(min(SLICE, len(queue))):
                self._seal(journal, queue.popleft())
            # Here the loop may go on.
            journal.flush()
        self._tell_losses(journal)
        journal.flush()

    def _seal(self, journal: Journal, entry: CallEntry | LineEntry) -> None:
        try:
            journal.seal(self._writing.line(entry))
            self.written += 1
        except Exception:
            # Whatever somebody sent to bring this about: the lines after it are still to be written.
            log.exception("a line of the audit could not be made")
            self._unmade += 1

    def _tell_losses(self, journal: Journal) -> None:
        dropped, shut_out = self._losses.dropped, self._losses.shut_out
        for line in (
            _lost(dropped - self._told_dropped, "there was no room for them while nothing could be written"),
            _lost(self._unmade, "they could not be written"),
            _shut_out(shut_out - self._told_shut_out),
        ):
            if line is not None:
                journal.seal(line)
        self._told_dropped, self._told_shut_out = dropped, shut_out
        self._unmade = 0

    def _sync(self, after_s: float) -> None:
        now = self._clock.monotonic()
        if self._journal is not None and self._journal.has_unsynced and now - self._synced_at >= after_s:
            self._synced_at = now
            self._journal.sync()

    def _end(self) -> None:
        journal, self._journal = self._journal, None
        if journal is None:
            return
        try:
            journal.close()
        except (OSError, Unusable) as error:
            log.error("%d lines of the audit could not be written at the end: %s", journal.unwritten, error)

    def _now(self) -> str:
        return self._writing.time(self._clock.monotonic())


def _lost(count: int, why: str) -> Line | None:
    return Lost(count=count, why=why) if count else None


def _shut_out(count: int) -> Line | None:
    if not count:
        return None
    why = "calls are refused while the audit cannot be written (audit.on_full: closed)"
    return Refused(where="gateway", code=ErrorCode.INTERNAL_ERROR, why=why, count=count)
