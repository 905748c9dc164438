"""One limit that counts: so many a second with a burst, so many at once, or so many tokens in a day. Pure.

The rate is GCRA, a token bucket in one number: the instant at which the bucket will be full again. Nothing has
to fill it meanwhile, and nothing adds up over time. Times are monotonic seconds, brought by whoever asks.
"""

from collections import deque
from enum import StrEnum
from math import inf
from sys import maxsize
from typing import Final, NamedTuple

SLOTS: Final = 24
SLOT_S: Final = 3600.0
_TOLERANCE: Final = 1e-3
"""Of a call. Sums of fractions are a little off, and what is due now must not have to wait for that."""


class Scope(StrEnum):
    """Whose limit it is."""

    PRINCIPAL = "principal"
    PROFILE = "profile"
    SERVER = "server"
    TOOL = "tool"


class Allowance(NamedTuple):
    """What a meter allows; 0: no such limit."""

    calls_per_s: float = 0.0
    burst: float = 0.0
    concurrent: int = 0


NO_LIMIT: Final = Allowance()


class Meter:
    """A bucket and a count, which `access.limits` alone changes: on every call's way, so field by field."""

    __slots__ = ("allowance", "full_at", "held", "interval_s", "most", "name", "scope", "slack_s")

    def __init__(self, scope: Scope, name: str, allowance: Allowance) -> None:
        self.scope = scope
        self.name = name
        self.full_at = -inf
        """When the bucket is full again, if nothing is taken until then."""
        self.held = 0
        """Requests in flight."""
        self._use(allowance)

    def use(self, allowance: Allowance) -> None:
        """Another allowance. What is in the bucket stays if the rate does; what is in flight always."""
        if allowance[:2] != self.allowance[:2]:
            self.full_at = -inf
        self._use(allowance)

    def _use(self, allowance: Allowance) -> None:
        self.allowance = allowance
        rate = allowance.calls_per_s
        self.interval_s = 1 / rate if rate else 0.0
        self.slack_s = (max(1.0, allowance.burst) - 1 + _TOLERANCE) * self.interval_s if rate else inf
        """How far ahead of now `full_at` may be for one more to fit in."""
        self.most = allowance.concurrent or maxsize

    def wait_s(self, now: float) -> float:
        """Until one more fits into the bucket; 0: now."""
        return max(0.0, self.full_at - self.slack_s - now)

    def is_idle(self, now: float) -> bool:
        """Whether nothing is lost if it is forgotten: full, and nothing in flight."""
        return not self.held and self.full_at <= now


class DayMeter:
    """Tokens of the last 24 hours, hour by hour: what is over is let go of an hour at a time. Bounded."""

    def __init__(self) -> None:
        self._slots: deque[list[int]] = deque()
        """Number of the hour, tokens; oldest first."""

    def add(self, tokens: int, now: float) -> None:
        hour = int(now // SLOT_S)
        if self._slots and self._slots[-1][0] == hour:
            self._slots[-1][1] += tokens
        else:
            self._slots.append([hour, tokens])

    def used(self, now: float) -> int:
        """In 24 hours and what has passed of this one, so never less than in the last 24 hours."""
        oldest = int(now // SLOT_S) - SLOTS
        while self._slots and self._slots[0][0] < oldest:
            self._slots.popleft()
        return sum(tokens for _, tokens in self._slots)

    def wait_s(self, limit: int, now: float) -> float:
        """Until less than `limit` is used; 0: now."""
        used = self.used(now)
        for hour, tokens in self._slots:
            if used < limit:
                break
            used -= tokens
            wait_s = (hour + SLOTS + 1) * SLOT_S - now
            if used < limit:
                return wait_s
        return 0.0
