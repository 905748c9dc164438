"""The ring of recorded exchanges: bounded in number and in bytes, the oldest go first.

On the way of a call only references are kept (`trace`). What is promised of them:
- nothing unmasked ever leaves this room: rows and details are made by `records`, which masks;
- what a call held as it came is masked, or dropped but for its size, within about a second of its end. One task
  does that, in slices, and for no more than a small share of the time: where more is said than it can mask, the
  bodies of the rest are dropped and the exchange stays. An exchange that goes on holds what was said so far,
  within bounds;
- where more requests come than could be masked, the rest are recorded in brief: who asked what and how it
  ended. That costs their way next to nothing, and memory little;
- with bodies off nothing of them is kept, nor with `exchanges: 0` anything at all.
Not recorded: pings, subscriptions/listen (it is a stream of its own that may be open for days), what the
gateway asks servers by itself, and the polls of a task that it sees through for a client.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from msgspec import Raw, Struct

from proxy_core.clock import Clock
from proxy_core.errors import UnknownExchange
from proxy_core.facts import RequestFinished
from proxy_core.telemetry import records
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow, ExchangeStatus
from proxy_core.telemetry.records import FULL, OFF, Brief, Kept, Making
from proxy_core.telemetry.trace import KEPT_BYTES, Asker, Failure, Headers, Trace, beginning

MAX_ROWS: Final = 500
"""Of one look; the rest come with the next."""
PASS_S: Final = 0.2
"""From the end of a call to the look that masks what it said."""
SHARE_S: Final = 0.015
"""How long one look may work."""
FULL_PER_S: Final = 250.0
"""Requests that are recorded in full, where more keep coming; masking one takes about 50 microseconds."""
FULL_AT_ONCE: Final = 250.0
"""Likewise, after a time with fewer."""
SAVED_UP_S: Final = (FULL_AT_ONCE - 1) / FULL_PER_S + 1e-6
"""No longer pause is made up for; this one leaves room for so many at once. With a hair for what is lost in
adding up small times."""
FULL_BYTES: Final = 2048
"""A record of more than these counts as several: to mask it takes so much longer."""
SLICE_S: Final = 0.000_25
"""After how much work others are let go on."""
REST_S: Final = 0.002
"""And for how long: a call takes several turns of the loop, and is not to wait for a slice in each of them."""
BRIEFS_AT_ONCE: Final = 256
"""Of those that are recorded in brief: so many are put by before the ring takes them."""
HELD_S: Final = 0.8
"""How long what was said may wait to be masked, before it is dropped."""
log = logging.getLogger(__name__)
_STRICTNESS: Final = {FULL: 0, "redacted": 1, OFF: 2}


class Rules(NamedTuple):
    """As the configuration's section `inspect` says."""

    bodies: str = "redacted"
    exchanges: int = 5000
    max_bytes: int = 33_554_432


class _Briefs(Struct, gc=False):
    """Some that were recorded in brief, one after the other: apart each would cost its call twice as much."""

    first_id: int
    first_seq: int
    of: list[tuple[RequestFinished, int]]
    """And how long each request was."""
    gone: int = 0
    """So many of the first are forgotten."""

    @property
    def oldest_seq(self) -> int:
        return self.first_seq + self.gone

    def brief(self, at: int) -> Brief:
        finished, bytes_in = self.of[at]
        return Brief(self.first_id + at, self.first_seq + at, finished, bytes_in)

    def newer_than(self, seq: int) -> Iterator[Brief]:
        return map(self.brief, range(max(self.gone, seq + 1 - self.first_seq), len(self.of)))


class _Work:
    """Work on the loop, cut into slices: between two of them others have their turn."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since = now()
        self._slice_s = 0.0
        self.spent_s = 0.0

    async def done(self) -> None:
        """One more piece of it."""
        now = self._now()
        took_s = now - self._since
        self.spent_s += took_s
        self._slice_s += took_s
        if self._slice_s >= SLICE_S:
            self._slice_s = 0.0
            await asyncio.sleep(REST_S)
            now = self._now()
        self._since = now


class Recorder:
    """Sole owner of the records."""

    def __init__(self, clock: Clock, rules: Rules = Rules()) -> None:  # noqa: B008 -- frozen
        self._clock = clock
        self._now = clock.monotonic
        self._rules = rules
        self._most = rules.exchanges
        self.is_on = rules.exchanges > 0
        self._wall_offset = clock.wall() - clock.monotonic()
        self._full_from = clock.monotonic() - SAVED_UP_S
        """From when on the next may be recorded in full. Each moves it on, and a pause brings it no nearer than
        that so many may be at once."""
        self._reserved = 0
        self._ring: OrderedDict[int, Trace | Kept] = OrderedDict()
        """Those that are recorded in full: by id, in the order of `seq`."""
        self._in_brief: deque[_Briefs] = deque()
        """The others, likewise."""
        self._count_in_brief = 0
        self._briefs: list[tuple[RequestFinished, int]] = []
        """The newest of those. Without ids yet."""
        self._pending: deque[Trace] = deque()
        """Those that have ended and still hold what was said as it came."""
        self._held = 0
        """Bytes of those, about."""
        self._kept = 0
        """Bytes of the records."""
        self._last_id = self._seq = 0
        self._woken = asyncio.Event()
        self._is_woken = False
        """As the event, for a tenth of the price."""

    def __len__(self) -> int:
        self._put_briefs()
        return len(self._ring) + self._count_in_brief

    @property
    def kept_bytes(self) -> int:
        return self._kept

    def use(self, rules: Rules) -> None:
        """Other rules from now on. Stricter ones about bodies hold for what was recorded too: that goes."""
        self._put_briefs()
        if _STRICTNESS[rules.bodies] > _STRICTNESS[self._rules.bodies]:
            self.clear()
        self._rules = rules
        self._most = rules.exchanges
        self.is_on = rules.exchanges > 0
        self._forget_beyond()
        self._shrink()

    def clear(self) -> None:
        self._briefs.clear()
        self._in_brief.clear()
        self._count_in_brief = 0
        self._ring.clear()
        for trace in self._pending:
            trace.forget()
        self._pending.clear()
        self._held = self._kept = 0

    def settle(self) -> None:
        """No more is masked: drop what still waits for it, but for its size."""
        while self._pending:
            self._drop(self._next_pending())

    # --- on the way of a call ---------------------------------------------------------------------------------

    def takes(self, at: float) -> bool:
        """Whether one that begins now can be recorded in full."""
        if self._reserved:
            self._reserved -= 1
            return True
        if at < self._full_from:
            return False
        self._take(1, at)
        return True

    def reserves(self, at: float) -> bool:
        """What `takes` says; a yes is kept for the one that asks it next, for which this was asked.

        No, if nothing is recorded.
        """
        if at < self._full_from or not self.is_on:
            return False
        self._take(1, at)
        self._reserved += 1
        return True

    def _take(self, count: float, at: float) -> None:
        """So many of those that may be recorded in full."""
        self._full_from = max(self._full_from, at - SAVED_UP_S) + count / FULL_PER_S

    def brief(self, finished: RequestFinished, bytes_in: int) -> None:
        """One that was not recorded while it went on."""
        briefs = self._briefs
        briefs.append((finished, bytes_in))
        if len(briefs) >= BRIEFS_AT_ONCE:
            self._put_briefs()

    def _put_briefs(self) -> None:
        """Where they have their ids, and their places among the others."""
        if not self._briefs:
            return
        briefs, self._briefs = self._briefs, []
        harmless = None
        for at, (finished, bytes_in) in enumerate(briefs):
            # The very same name as that of the one before it, mostly.
            if finished.target is harmless and finished.error_code is None:
                continue
            masked = records.without_secrets(finished)
            if masked is not finished:
                briefs[at] = masked, bytes_in
            else:
                harmless = finished.target
        self._in_brief.append(_Briefs(self._last_id + 1, self._seq + 1, briefs))
        self._last_id += len(briefs)
        self._seq += len(briefs)
        self._count_in_brief += len(briefs)
        self._forget_beyond()

    def begin(
        self,
        method: str,
        params: Raw,
        caller: Asker,
        at: float,
        headers: Headers = (),
        arrival: str = "",
        replay_of: int | None = None,
    ) -> Trace:
        """`at`: now, in the clock's seconds."""
        self._put_briefs()
        self._last_id = number = self._last_id + 1
        self._seq = seq = self._seq + 1
        ring, now, touch = self._ring, self._now, self._touch
        trace = Trace(number, seq, at, method, params, caller, now, touch, headers, arrival, replay_of)
        ring[number] = trace
        self._forget_beyond()
        return trace

    def end(
        self, trace: Trace, at: float, status: ExchangeStatus, result: bytes, failure: Failure | None
    ) -> None:
        """`result`: or the error object, of a failure."""
        size = len(result)
        trace.ended_at, trace.status, trace.failure, trace.size_out = at, status, failure, size
        trace.result = result if size <= KEPT_BYTES else beginning(result)
        if trace.is_seen or trace.id not in self._ring:
            # News for those who know it, or for all: so many came after it that it was forgotten.
            self._touch(trace)
        self._pending.append(trace)
        self._held += _weight_of(trace)
        # At most what a second brings: a large one does not keep all others out for long.
        if (more := (trace.bytes_in + min(size, KEPT_BYTES)) // FULL_BYTES) > 0:
            self._take(min(FULL_PER_S, more), at)
        if self._held > self._rules.max_bytes // 4:
            self._let_go_of_oldest()
        if not self._is_woken:
            self._is_woken = True
            self._woken.set()

    def _touch(self, trace: Trace) -> None:
        self._put_briefs()
        self._seq += 1
        trace.seq, trace.is_seen = self._seq, False
        self._ring[trace.id] = trace
        self._ring.move_to_end(trace.id)
        self._forget_beyond()

    def _forget_beyond(self) -> None:
        """The oldest, where there are too many."""
        while (excess := len(self._ring) + self._count_in_brief - self._most) > 0:
            self._forget_oldest(excess)

    def _forget_oldest(self, most: int) -> None:
        """One, or several in brief."""
        oldest = next(iter(self._ring.values()), None)
        briefs = self._in_brief[0] if self._in_brief else None
        if briefs is not None and (oldest is None or briefs.oldest_seq < oldest.seq):
            count = min(most, len(briefs.of) - briefs.gone)
            if oldest is not None:
                count = min(count, oldest.seq - briefs.oldest_seq)
            briefs.gone += count
            self._count_in_brief -= count
            if briefs.gone == len(briefs.of):
                self._in_brief.popleft()
            return
        _, gone = self._ring.popitem(last=False)
        if isinstance(gone, Kept):
            self._kept -= len(gone.rest)

    def _shrink(self) -> None:
        while self._kept > self._rules.max_bytes * 3 // 4:
            self._forget_oldest(1)

    def _next_pending(self) -> Trace:
        trace = self._pending.popleft()
        self._held = max(0, self._held - _weight_of(trace)) if self._pending else 0
        return trace

    def _let_go_of_oldest(self) -> None:
        while self._pending and self._held > self._rules.max_bytes // 4:
            self._drop(self._next_pending())

    def _drop(self, trace: Trace) -> None:
        if self._ring.get(trace.id) is trace:
            trace.let_go()
        else:
            trace.forget()

    # --- masking, off the way ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Mask what has ended, as long as the gateway runs."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(PASS_S)
            await self.look()
            if not self._pending:
                self._is_woken = False
                self._woken.clear()

    async def look(self) -> None:
        """Mask what waits, for a short while; drop what has waited too long."""
        begun_at = self._now()
        work = _Work(self._now)
        while self._pending and work.spent_s < SHARE_S:
            trace = self._next_pending()
            if self._ring.get(trace.id) is trace:
                await self._sealed(trace, work)
            # A call that is parked, or that others wait for too, holds it still.
            trace.forget()
        while self._pending and begun_at - (self._pending[0].ended_at or 0.0) > HELD_S:
            self._drop(self._next_pending())

    async def _sealed(self, trace: Trace, work: "_Work") -> None:
        try:
            await self._seal(trace, work)
        except Exception:
            # Whatever somebody sent to bring this about: what comes after it is still to be masked.
            log.exception("the exchange %d could not be masked, and was dropped", trace.id)
            self._ring.pop(trace.id, None)

    async def _seal(self, trace: Trace, work: "_Work") -> None:
        making = Making(trace, self._rules.bodies, self._wall_offset)
        for _ in making.steps():
            await work.done()
        kept = records.packed(trace, making.detail())
        if self._ring.get(trace.id) is trace:
            self._ring[trace.id] = kept
            self._kept += len(kept.rest)
            self._shrink()
        await work.done()

    # --- what is seen -----------------------------------------------------------------------------------------

    def rows_after(self, seq: int) -> tuple[int, tuple[ExchangeRow, ...]]:
        """As `Control.exchanges_after`."""
        self._put_briefs()
        newer: list[Trace | Kept | Brief] = []
        for record in reversed(self._ring.values()):
            if record.seq <= seq:
                break
            newer.append(record)
        for briefs in reversed(self._in_brief):
            if briefs.first_seq + len(briefs.of) <= seq + 1:
                break
            newer.extend(briefs.newer_than(seq))
        if not newer:
            return self._seq, ()
        newer.sort(key=_seq_of)
        shown = newer[:MAX_ROWS]
        return shown[-1].seq, tuple(map(self._row, shown))

    def _row(self, record: Trace | Kept | Brief) -> ExchangeRow:
        if isinstance(record, Kept):
            return record.row
        if isinstance(record, Brief):
            return records.row_in_brief(record, self._wall_offset)
        record.is_seen = True
        return records.row_of(record, self._wall_offset)

    async def detail(self, id: int) -> ExchangeDetail:
        """Raises: UnknownExchange."""
        self._put_briefs()
        record = self._ring.get(id)
        if record is None:
            return records.detail_in_brief(self._brief(id), self._wall_offset)
        if isinstance(record, Kept):
            return records.unpacked(record)
        making = Making(record, self._rules.bodies, self._wall_offset)
        for _ in making.steps():
            await asyncio.sleep(0)
        # In the meantime it may have been masked for good.
        known = self._ring.get(id)
        return records.unpacked(known) if isinstance(known, Kept) else making.detail()

    def _brief(self, id: int) -> Brief:
        """Raises: UnknownExchange."""
        for briefs in reversed(self._in_brief):
            at = id - briefs.first_id
            if briefs.gone <= at < len(briefs.of):
                return briefs.brief(at)
        raise UnknownExchange(id)


def _seq_of(record: Trace | Kept | Brief) -> int:
    return record.seq


def _weight_of(trace: Trace) -> int:
    """Bytes that it holds until it is masked, about. What goes on to the server, and what that answers, is held
    in nearly the same words a second time."""
    return trace.held + 2 * (trace.bytes_in + trace.size_out)
