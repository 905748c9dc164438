"""Latencies of the last minute, and ever, in little memory: log-spaced counters. Pure; time is passed in."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import add
from typing import Final

from proxy_core.telemetry.snapshot import Latency

FIRST_MS: Final = 0.05
GROWTH: Final = 1.15
BUCKETS: Final = 128
"""Up to 0.05 ms * 1.15^127, some 40 minutes; a percentile is right within 15 %."""
SLOT_S: Final = 10.0
SLOTS: Final = 7
"""Six full ones and the one being filled."""

_NOTHING: Final = array("I", bytes(4 * BUCKETS))
"""A slot that nothing was ever counted in; nobody writes into it."""


class LatencyWindow:
    __slots__ = (
        "_full",
        "_full_at",
        "_high",
        "_low",
        "_older",
        "_slots",
        "_starts",
        "_told",
        "_told_at",
        "_told_sum_ms",
        "sum_ms",
    )

    def __init__(self) -> None:
        self._slots: list[array[int]] = [_NOTHING] * SLOTS
        """Made as they are filled: most servers are idle most of the time."""
        self._starts = [-1] * SLOTS
        self._older: Sequence[int] = _NOTHING
        """What the slots held before they were filled anew: so that nothing more is counted a call."""
        self.sum_ms = 0.0
        """Of all that were ever added."""
        self._low, self._high = BUCKETS, 0
        """All that was ever added lies from the one to before the other: a fifth of the buckets, mostly."""
        # A picture is made four times a second, of every server: what has not changed is not worked out again.
        self._full: Sequence[int] = ()
        """The window without the slot that is being filled."""
        self._full_at = -1
        self._told = Latency()
        self._told_at = -1
        self._told_sum_ms = 0.0

    def add(self, now: float, ms: float) -> None:
        self.add_all(now, ms, [bucket_of(ms)])

    def add_all(self, now: float, sum_ms: float, buckets: Sequence[int]) -> None:
        """Several at once, at least one, all of the slot of `now`. `buckets`: `bucket_of` of each."""
        slot = self._slot(now)
        for bucket in buckets:
            slot[bucket] += 1
        self.sum_ms += sum_ms
        low, high = min(buckets), max(buckets)
        if low < self._low or high >= self._high:
            self._low, self._high = min(self._low, low), max(self._high, high + 1)
            self._full_at = -1

    def _slot(self, now: float) -> "array[int]":
        turn = int(now // SLOT_S)
        place = turn % SLOTS
        if self._starts[place] != turn:
            self._starts[place] = turn
            self._full_at = -1
            if (left := self._slots[place]) is not _NOTHING:
                self._older = [old + new for old, new in zip(self._older, left, strict=True)]
            self._slots[place] = array("I", bytes(4 * BUCKETS))
        return self._slots[place]

    def latency(self, now: float) -> Latency:
        """As of now, or of a moment ago in the same second."""
        second = int(now)
        # Whatever is added grows the sum; the first call of all is told at once.
        is_new = self.sum_ms != self._told_sum_ms and (second != self._told_at or not self._told_sum_ms)
        if is_new or second // SLOT_S != self._told_at // SLOT_S:
            self._told_at, self._told_sum_ms = second, self.sum_ms
            self._told = _latency(self._counts(int(second // SLOT_S)), self._low)
        return self._told

    def _counts(self, turn: int) -> list[int]:
        """From the lowest bucket on that was ever used to the highest."""
        used = slice(self._low, self._high)
        if self._full_at != turn:
            self._full_at = turn
            live = range(turn - SLOTS + 1, turn)
            pairs = zip(self._slots, self._starts, strict=True)
            full = [slot[used] for slot, start in pairs if start in live]
            self._full = list(map(sum, zip(*full, strict=True))) if full else [0] * (self._high - self._low)
        place = turn % SLOTS
        if self._starts[place] != turn:
            return list(self._full)
        return list(map(add, self._full, self._slots[place][used]))

    def up_to(self, buckets: tuple[int, ...]) -> list[int]:
        """How many ever were in each of these buckets and all below it; the buckets in rising order."""
        ever = [sum(column) for column in zip(self._older, *self._slots, strict=True)]
        running = list(accumulate(ever))
        return [running[bucket] for bucket in buckets]


class RateWindow:
    """Events a second over the last ten full seconds."""

    __slots__ = ("_counts", "_newest", "_told", "_told_at", "_turns")
    SECONDS: Final = 10

    def __init__(self) -> None:
        self._counts = [0] * (self.SECONDS + 1)
        self._turns = [-1] * (self.SECONDS + 1)
        self._newest = -1
        self._told = 0.0
        self._told_at = -1

    def add(self, now: float, count: int = 1) -> None:
        turn = int(now)
        if turn < self._told_at:
            # It comes late, into a second that was told as a full one.
            self._told_at = -1
        place = turn % (self.SECONDS + 1)
        if self._turns[place] != turn:
            self._turns[place], self._counts[place] = turn, 0
            self._newest = turn
        self._counts[place] += count

    def per_s(self, now: float) -> float:
        present = int(now)
        if present != self._told_at:
            # Full seconds stay as they are: told once a second, not at every picture.
            self._told_at, self._told = present, self._of(range(present - self.SECONDS, present))
        return self._told

    def _of(self, full: range) -> float:
        if self._newest < full.start:
            return 0.0
        return sum(c for c, turn in zip(self._counts, self._turns, strict=True) if turn in full) / self.SECONDS


def top_ms(bucket: int) -> float:
    """Where a bucket ends."""
    return FIRST_MS * GROWTH**bucket


_TOPS: Final = [top_ms(bucket) for bucket in range(BUCKETS - 1)]


def bucket_of(ms: float) -> int:
    return bisect_left(_TOPS, ms)


def _latency(counts: Sequence[int], first: int) -> Latency:
    """`first`: which bucket the first of the counts is of."""
    running = list(accumulate(counts))
    if not running or not (total := running[-1]):
        return Latency()
    return Latency(
        *(_middle_ms(first + bisect_left(running, math.ceil(total * share))) for share in (0.50, 0.95, 0.99))
    )


def _middle_ms(bucket: int) -> float:
    """On the log scale."""
    return FIRST_MS * GROWTH ** (bucket - 0.5) if bucket else FIRST_MS
