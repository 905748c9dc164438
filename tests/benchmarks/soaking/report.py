"""What a soak came to, as a line while it runs, as a table, and as JSON. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tests.benchmarks.intervals import percentile
from tests.benchmarks.soaking.verdict import Sample, Slope, Tally, is_long_enough

SHOWN: Final = 20
"""Of what may be endless, the first few."""


@dataclass(frozen=True, slots=True)
class Soak:
    """What a soak came to."""

    seed: int
    minutes: float
    capacity_per_s: float
    per_s: float
    """What was asked for; the calls that were answered are in `tally`."""
    events: dict[str, int]
    tally: Tally
    errors: dict[str, int]
    """Messages of those that were refused."""
    before: Sample
    after: Sample
    slope: Slope | None
    faults: list[str]
    samples: list[Sample]


def line_of(sample: Sample) -> str:
    return (
        f"{sample.at_s:6.0f} s: {sample.rss_mb:.1f} MB, {sample.files} files, {sample.threads} threads, "
        f"{sample.children} children, {sample.sessions} sessions, {sample.answered:,} answered, "
        f"p50 {sample.p50_ms:.1f} ms, p99 {sample.p99_ms:.1f} ms"
    )


def rows(result: Soak) -> list[str]:
    """The table of docs/performance_guide.md."""
    tally, before, after = result.tally, result.before, result.after
    happened = ", ".join(f"{what} {count} times" for what, count in result.events.items())
    p99s = sorted(sample.p99_ms for sample in result.samples)
    return [
        f"| {result.minutes:g} minutes, seed {result.seed} | |",
        "|---|---|",
        f"| calls/s, of {result.capacity_per_s:,.0f} that go through | {result.per_s:,.0f} |",
        f"| what went wrong on purpose | {happened} |",
        f"| calls answered, each compared | {tally.answered:,} |",
        f"| wrong answers | {len(tally.wrong)} |",
        f"| calls without a definite answer | {len(tally.broken)} |",
        f"| errors while a server was hurt or came back | {tally.refused:,} |",
        f"| errors at other times | {len(tally.inexcusable)} |",
        f"| p99 ms, median and worst of {len(p99s)} samples | {percentile(p99s, 0.5):.1f}, {p99s[-1]:.1f} |",
        f"| RSS, MB before and after | {before.rss_mb:.1f}, {after.rss_mb:.1f} |",
        f"| its slope in the second half | {slope_text(result.slope, result.samples)} |",
        f"| descriptors before and after | {before.files}, {after.files} |",
        f"| threads before and after | {before.threads}, {after.threads} |",
        f"| child processes before and after | {before.children}, {after.children} |",
        f"| verdict | {'; '.join(result.faults) or 'passed'} |",
    ]


def slope_text(slope: Slope | None, samples: Sequence[Sample]) -> str:
    if slope is None:
        return "too few samples"
    text = f"{slope.per_h:+.1f} MB an hour (95 %: {slope.low:+.1f} to {slope.high:+.1f})"
    return text if is_long_enough(samples) else f"{text}; too short to judge"


def as_json(result: Soak) -> dict[str, Any]:
    found = asdict(result)
    for kind in ("wrong", "broken", "inexcusable"):
        every = found["tally"][kind]
        found["tally"][kind] = {"count": len(every), "first": list(every[:SHOWN])}
    return found
