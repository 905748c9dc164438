"""Latencies of the last minute, and ever, in little memory: log-spaced counters. Pure; time is passed in."""

import math
from array import array
from itertools import accumulate
from typing import Final

from proxy_core.telemetry.snapshot import Latency

FIRST_MS: Final = 0.05
GROWTH: Final = 1.15
BUCKETS: Final = 128
"""Up to 0.05 ms * 1.15^127, some 40 minutes; a percentile is right within 15 %."""
SLOT_S: Final = 10.0
SLOTS: Final = 7
"""Six full ones and the one being filled."""
_LOG_GROWTH: Final = math.log(GROWTH)


class LatencyWindow:
    __slots__ = ("_older", "_slots", "_starts", "sum_ms")

    def __init__(self) -> None:
        self._slots: list[array[int]] = [array("I", bytes(4 * BUCKETS)) for _ in range(SLOTS)]
        self._starts = [-1] * SLOTS
        self._older = [0] * BUCKETS
        """What the slots held before they were filled anew: so that nothing more is counted a call."""
        self.sum_ms = 0.0
        """Of all that were ever added."""

    def add(self, now: float, ms: float) -> None:
        self._slot(now)[_bucket(ms)] += 1
        self.sum_ms += ms

    def _slot(self, now: float) -> "array[int]":
        turn = int(now // SLOT_S)
        place = turn % SLOTS
        if self._starts[place] != turn:
            self._starts[place] = turn
            self._older = [old + new for old, new in zip(self._older, self._slots[place], strict=True)]
            self._slots[place] = array("I", bytes(4 * BUCKETS))
        return self._slots[place]

    def latency(self, now: float) -> Latency:
        oldest = int(now // SLOT_S) - SLOTS + 1
        live = [slot for slot, start in zip(self._slots, self._starts, strict=True) if start >= oldest]
        counts = [sum(column) for column in zip(*live, strict=True)] if live else []
        total = sum(counts)
        if not total:
            return Latency()
        return Latency(*(_percentile(counts, total, share) for share in (0.50, 0.95, 0.99)))

    def up_to(self, buckets: tuple[int, ...]) -> list[int]:
        """How many ever were in each of these buckets and all below it; the buckets in rising order."""
        ever = [sum(column) for column in zip(self._older, *self._slots, strict=True)]
        running = list(accumulate(ever))
        return [running[bucket] for bucket in buckets]


class RateWindow:
    """Events a second over the last ten full seconds."""

    __slots__ = ("_counts", "_turns")
    SECONDS: Final = 10

    def __init__(self) -> None:
        self._counts = [0] * (self.SECONDS + 1)
        self._turns = [-1] * (self.SECONDS + 1)

    def add(self, now: float) -> None:
        turn = int(now)
        place = turn % (self.SECONDS + 1)
        if self._turns[place] != turn:
            self._turns[place], self._counts[place] = turn, 0
        self._counts[place] += 1

    def per_s(self, now: float) -> float:
        newest = int(now)
        full = range(newest - self.SECONDS, newest)
        return sum(c for c, turn in zip(self._counts, self._turns, strict=True) if turn in full) / self.SECONDS


def top_ms(bucket: int) -> float:
    """Where a bucket ends."""
    return FIRST_MS * GROWTH**bucket


def _bucket(ms: float) -> int:
    if ms <= FIRST_MS:
        return 0
    return min(BUCKETS - 1, 1 + int(math.log(ms / FIRST_MS) / _LOG_GROWTH))


def _percentile(counts: list[int], total: int, share: float) -> float:
    rank, seen = math.ceil(total * share), 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= rank:
            # The middle of the bucket, on the log scale.
            return FIRST_MS * GROWTH ** (bucket - 0.5) if bucket else FIRST_MS
    return FIRST_MS * GROWTH ** (BUCKETS - 1)
