"""What the gateway is measured against, and whether it holds. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.benchmarks.intervals import Interval
from tests.benchmarks.results import Figure

NOT_MEASURED: Final = "not measured: what it is compared with is not installed"
LEFT_OUT: Final = "not measured in a short look"


@dataclass(frozen=True, slots=True)
class Goal:
    number: str
    what: str
    must: float
    aim: float
    unit: str = "x"
    is_floor: bool = True
    """Whether more is better."""
    form: str = ".2f"

    @property
    def title(self) -> str:
        return f"{self.number}: {self.what}"

    def bound(self, value: float) -> str:
        # As short as it can be said: 0.35, 2, 10,000.
        return f"{'>=' if self.is_floor else '<='} {value:,g}{self.unit}"

    def verdict(self, found: Interval | None) -> str:
        """By the median; the interval says how sure that is."""
        if found is None:
            return NOT_MEASURED
        if self.holds(found.middle, self.aim):
            return "aim met"
        return "must met" if self.holds(found.middle, self.must) else "missed"

    def holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.is_floor else value <= bound

    def best_of(self, found: Interval) -> float:
        """The end of the interval that is kinder to us."""
        return found.high if self.is_floor else found.low

    def worst_of(self, found: Interval) -> float:
        return found.low if self.is_floor else found.high


GOALS: Final = (
    Goal("G1", "nginx's CPU for a forwarded tools/call / ours, 64 connections", 0.35, 0.60),
    Goal("G2", "the CPU of a 40-line aiohttp.web + ClientSession + json proxy / ours", 4, 6),
    Goal("G3 p50", "what we add to p50 at 1,000 calls/s / what nginx adds", 2, 1.5, is_floor=False),
    Goal("G3 p99", "the same of p99", 3, 2, is_floor=False),
    Goal("G4", "forwarded calls of one core: 1 / CPU seconds a call", 10_000, 15_000, "/s", form=",.0f"),
    Goal("G5", "the CPU of aiohttp.web with the ready bytes of a 10 KB tools/list / ours", 2, 3),
    Goal("G6", "our calls/s at 8 connections / those of FastMCP's proxy", 200, 500, form=".0f"),
    Goal("G7", "the same / the best bridge's over the same stdio child", 6, 12, form=".1f"),
    Goal(
        "G8 kept", "with the screen open: calls a second of processor time, of those headless",
        85, 95, " %", form=".0f",
    ),
    Goal("G8 p99", "with the screen open: p99 at 300 calls/s / that headless", 5, 2, is_floor=False),
    Goal("G9 headless", "memory with 100 idle backends", 60, 45, " MB", is_floor=False, form=".0f"),
    Goal("G9 screen", "the same with the screen", 100, 75, " MB", is_floor=False, form=".0f"),
    Goal("G10", "from start to the first answer / bare aiohttp.web to its port", 2, 1.3, is_floor=False),
    Goal("G11 cache", "a hit of the cache, 1,000 entries", 2, 1, " µs", is_floor=False),
    Goal("G11 balancer", "a pick of 100 replicas, the slowest of five policies", 2, 1, " µs", is_floor=False),
    Goal("G11 metrics", "metrics and the ring of requests, for each call", 2, 1, " µs", is_floor=False),
    Goal(
        "G12 modern", "reading a 100 KB reply, less reading one of 1 KB, in passes of a decoder",
        1.2, 0.7, " passes", is_floor=False,
    ),
    Goal("G12 legacy", "the same, legacy client and server", 1.2, 0.7, " passes", is_floor=False),
    Goal("G13", "of 64 calls at once with one JSON-RPC id, those answered right", 100, 100, " %", form=".0f"),
)  # fmt: skip
GOAL: Final[Mapping[str, Goal]] = {goal.number: goal for goal in GOALS}
STEADY: Final = frozenset({"G1", "G2", "G5", "G13"})
"""On which equal runs agree: counts, and processor time beside another's in the same round."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one measurement found."""

    found: Mapping[str, Interval | None]
    """By goal; None where there was nothing to compare with."""
    table: Sequence[str] = field(default=())
    """The figures behind it."""
    figures: tuple[Figure, ...] = ()
    """Those of them that can be compared with another run's, beside the goals."""


def goal_rows(parts: Sequence[Part], *, is_short: bool = False) -> list[str]:
    """Raises: KeyError for a goal that no part looked at, unless it was a short look."""
    found = _found(parts)
    rows = ["| goal | must | aim | measured | verdict |", "|---|---|---|---|---|"]
    for goal in GOALS:
        if is_short and goal.number not in found:
            shown, verdict = "-", LEFT_OUT
        else:
            interval = found[goal.number]
            shown = interval.shown(goal.form, goal.unit) if interval else "-"
            verdict = goal.verdict(interval)
        rows.append(
            f"| {goal.title} | {goal.bound(goal.must)} | {goal.bound(goal.aim)} | {shown} | {verdict} |"
        )
    return rows


def goal_figures(parts: Sequence[Part]) -> tuple[Figure, ...]:
    """The goals that were measured, and came to a number, as figures that runs are compared by."""
    found = _found(parts)
    return tuple(
        Figure(
            name=goal.title,
            unit=goal.unit.strip(),
            better="higher" if goal.is_floor else "lower",
            samples=samples,
            must=goal.must,
            aim=goal.aim,
            is_must=goal.number in STEADY,
        )
        for goal in GOALS
        if (interval := found.get(goal.number))
        and all(map(math.isfinite, samples := interval.values or (interval.middle,)))
    )


def _found(parts: Sequence[Part]) -> dict[str, Interval | None]:
    return {number: interval for part in parts for number, interval in part.found.items()}
