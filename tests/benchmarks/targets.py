"""The targets that the project began with, each with what was measured, how, and by what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.footprint import HEADLESS
from tests.benchmarks.forwarding import RATE
from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.pace import ADDED_P99
from tests.benchmarks.parts import Parts
from tests.benchmarks.results import Section


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    bound: float
    unit: str
    condition: str
    part: str
    """Whose harness measures it."""
    harness: str
    """Its module."""
    found: Callable[[Part], Interval]
    form: str
    is_floor: bool = False

    def row(self, part: Part) -> str:
        interval = self.found(part)
        is_met = interval.middle > self.bound if self.is_floor else interval.middle < self.bound
        sign = ">" if self.is_floor else "<"
        link = f"[`{self.harness}`](../tests/benchmarks/{self.harness})"
        measured = interval.shown(self.form, f" {self.unit}")
        return (
            f"| {self.what} | {sign} {self.bound:,g} {self.unit} | {measured} "
            f"| {'met' if is_met else '**missed**'} | {self.condition} | {link} |"
        )


def _figure(name: str) -> Callable[[Part], Interval]:
    def found(part: Part) -> Interval:
        (figure,) = (each for each in part.figures if each.name == name)
        if len(figure.samples) == 1:
            return Interval(figure.value, figure.value, figure.value)
        return median_interval(figure.samples)

    return found


def _goal(number: str) -> Callable[[Part], Interval]:
    def found(part: Part) -> Interval:
        interval = part.found[number]
        assert interval is not None, f"{number} needs nothing that may be missing"
        return interval

    return found


TARGETS: Final = (
    Target(
        "added p99", 5, "ms", "1,000 calls/s, open loop; less that of the backend itself in the same round",
        "pace", "pace.py", _figure(ADDED_P99), ".2f",
    ),
    Target(
        "forwarded calls", 10_000, "req/s", "tools/call, 64 connections, 300 bytes back; on one core",
        "forwarding", "forwarding.py", _figure(RATE), ",.0f", is_floor=True,
    ),
    Target(
        "memory with 100 backends", 100, "MB", "headless, idle HTTP backends, all listed",
        "memory", "footprint.py", _figure(HEADLESS), ".0f",
    ),
    Target(
        "cache hit", 100, "µs", "1,000 entries of 1 KB, without sockets", "micro", "caching.py",
        _goal("G11 cache"), ".2f",
    ),
    Target(
        "balancer", 10, "µs", "100 replicas, the slowest of five policies", "micro", "balancing.py",
        _goal("G11 balancer"), ".2f",
    ),
)  # fmt: skip


async def targets_section(parts: Parts) -> Section:
    head = ["| what | target | measured | | conditions | harness |", "|---|---|---|---|---|---|"]
    return Section(head + [target.row(await parts.of(target.part)) for target in TARGETS])
