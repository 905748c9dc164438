"""The thread that writes: it takes what waits, makes lines of it, and makes them durable once a second.

Nothing that a call does waits for it. What it shares with the loop is a queue, which only the loop appends to
and only the thread takes from, and some numbers that one of them writes and the other reads.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from proxy_core.access.audit.chain import Chain
from proxy_core.access.audit.journal import Journal, Sizes
from proxy_core.access.audit.lines import Line, Lost, Refused
from proxy_core.access.audit.places import Place, Unusable
from proxy_core.access.audit.writing import CallEntry, LineEntry, RuleOf, Writing
from proxy_core.clock import Clock
from proxy_core.errors import ErrorCode

PASS_S: Final = 0.05
"""From the first entry that waits to the look that takes it: so much is written at once."""
SYNC_S: Final = 1.0
RETRY_S: Final = 1.0
THREAD: Final = "only1mcp audit"
SLICE: Final = 64
"""Lines between two chances for the loop to go on: about 0.2 ms."""
log = logging.getLogger(__name__)


class Target(NamedTuple):
    """Where the lines go."""

    path: Path
    key: str | None

    def __repr__(self) -> str:
        return f"Target({self.path})"


class Move(NamedTuple):
    """From here on lines go there; None: nowhere. Waits among them, so that each goes where it was meant to."""

    target: Target | None
    sizes: Sizes


Entry: TypeAlias = CallEntry | LineEntry | Move


class Losses:
    """What could not be told in a line of its own. Each number only grows, and one thread alone writes it."""

    def __init__(self) -> None:
        self.dropped = 0
        """The queue was full."""
        self.shut_out = 0
        """Calls that were refused because nothing could be written."""


class Writer:
    """Sole owner of the journal. `turned` is called in the thread, what others may use from the loop."""

    def __init__(
        self,
        target: Target,
        sizes: Sizes,
        clock: Clock,
        version: str,
        rule_of: RuleOf,
        losses: Losses,
        turned: Callable[[str], None],
    ) -> None:
        """`turned`: told why nothing can be written, or with nothing that it can again."""
        self.queue: deque[Entry] = deque()
        self.is_woken = False
        """As the event, for a tenth of the price."""
        self.failing = ""
        """Why nothing can be written now."""
        self.written = 0
        """Lines."""
        self.lost = 0
        """Lines that could not be made or written, though there was room for them to wait."""
        self._target: Target | None = target
        self._sizes = sizes
        self._clock = clock
        self._version = version
        self._losses = losses
        self._turned = turned
        self._writing = Writing(rule_of)
        self._journal: Journal | None = None
        self._told_dropped = self._told_shut_out = self._told_lost = 0
        self._synced_at = clock.monotonic()
        self._event = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    def __repr__(self) -> str:
        return f"Writer({self._target}, {len(self.queue)} waiting, {self.failing or 'well'})"

    # --- from the loop --------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        self.is_woken = True
        self._event.set()

    def move(self, target: Target | None, sizes: Sizes) -> None:
        """Go on there, once what waits now is written; at once, if it cannot be."""
        self.queue.append(Move(target, sizes))
        self.wake()

    def stop(self, timeout_s: float) -> bool:
        """Write what waits, and end. Blocks; whether it has ended in time."""
        self._stopping.set()
        self._event.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- in the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._event.wait(self._patience_s())
            # So that what comes together is written together.
            is_last = self._stopping.wait(PASS_S)
            self._event.clear()
            self.is_woken = False
            self._look()
        self._leave()

    def _patience_s(self) -> float | None:
        if self.failing:
            return RETRY_S
        return SYNC_S if self._journal is not None and self._journal.has_unsynced else None

    def _look(self) -> None:
        try:
            self._writing.set_clock(self._clock.monotonic(), self._clock.wall())
            if self.failing:
                self._skip_to_move()
            self._open()
            self._drain()
            self._sync()
            self._turn("")
        except (OSError, Unusable) as error:
            # Nobody has to wake us: we come again by ourselves.
            self.is_woken = True
            self._turn(_words(error))
        except Exception as error:
            # The thread would end with it, and nobody would write any more or say so.
            log.exception("the audit failed")
            self._turn(type(error).__name__)

    def _turn(self, failing: str) -> None:
        if bool(failing) != bool(self.failing):
            self.failing = failing
            self._turned(failing)

    # --- where lines go -------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Raises: OSError, Unusable."""
        if self._journal is None and self._target is not None:
            place, chain = Place(self._target.path), Chain(self._target.key)
            self._journal = Journal(place, chain, self._sizes, self._version, self._now)

    def _go(self, move: Move) -> None:
        """Raises: OSError, Unusable."""
        self._writing.forget()
        self._sizes = move.sizes
        if move.target != self._target:
            self._leave()
            self._target = move.target
            self._open()
        if self._journal is not None:
            self._journal.sizes = move.sizes

    def _skip_to_move(self) -> None:
        """What cannot be written where it should be is written where the configuration says by now."""
        last: Move | None = None
        waiting: list[Entry] = []
        for _ in range(len(self.queue)):
            entry = self.queue.popleft()
            if isinstance(entry, Move):
                last = entry
            else:
                waiting.append(entry)
        self.queue.extendleft(reversed(waiting))
        if last is not None:
            self._go(last)

    def _leave(self) -> None:
        journal, self._journal = self._journal, None
        if journal is None:
            return
        try:
            journal.close()
        except (OSError, Unusable) as error:
            self.lost += journal.unwritten
            log.error("%d lines of the audit could not be written at the end: %s", journal.unwritten, error)

    # --- lines ----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Raises: OSError, Unusable."""
        self._flush()
        while self.queue:
            self._take(min(SLICE, len(self.queue)))
            # Here the loop may go on.
            self._flush()
        self._tell_losses()
        self._flush()

    def _flush(self) -> None:
        if self._journal is not None:
            self._journal.flush()

    def _take(self, count: int) -> None:
        writing = self._writing
        for _ in range(count):
            entry, journal = self.queue.popleft(), self._journal
            if isinstance(entry, Move):
                self._go(entry)
            elif journal is not None:
                try:
                    if len(entry) == 2:
                        journal.seal(writing.other(entry))
                    else:
                        journal.seal_call(writing.call(entry))
                    self.written += 1
                except Exception:
                    # Whatever somebody sent to bring this about: the lines after it are still to be written.
                    log.exception("a line of the audit could not be made")
                    self.lost += 1

    def _tell_losses(self) -> None:
        if self._journal is None:
            return
        dropped, shut_out, lost = self._losses.dropped, self._losses.shut_out, self.lost
        for line in (
            _lost(dropped - self._told_dropped, "too many waited while nothing could be written"),
            _lost(lost - self._told_lost, "they could not be made or written"),
            _shut_out(shut_out - self._told_shut_out),
        ):
            if line is not None:
                self._journal.seal(line)
        self._told_dropped, self._told_shut_out, self._told_lost = dropped, shut_out, lost

    def _sync(self) -> None:
        now = self._clock.monotonic()
        if self._journal is not None and self._journal.has_unsynced and now - self._synced_at >= SYNC_S:
            self._synced_at = now
            self._journal.sync()

    def _now(self) -> str:
        return self._writing.time(self._clock.monotonic()).decode()


def _lost(count: int, why: str) -> Line | None:
    return Lost(count=count, why=why) if count else None


def _words(error: OSError | Unusable) -> str:
    """For people, who have no use for numbers."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _shut_out(count: int) -> Line | None:
    if not count:
        return None
    why = "calls are refused while the audit cannot be written (audit.on_full: closed)"
    return Refused(where="gateway", code=ErrorCode.INTERNAL_ERROR, why=why, count=count)
