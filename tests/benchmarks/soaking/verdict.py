"""Whether a soak was passed: what was answered, what grew, what was left. Pure: figures in, sentences out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Final

from tests.benchmarks.growth.fit import Point, least_squares

LEAK_MB_PER_H: Final = 10.0
"""Memory leaks if the whole interval of its slope lies above this."""
JUDGED_FROM_S: Final = 300.0
"""A second half shorter than this tells what a heap does by the second, and nothing of a leak."""
MORE_FILES: Final = 8
RISING_FILES: Final = 32
"""Under load: connections to the servers come and go with the calls."""
MORE_THREADS: Final = 2
MORE_CHILDREN: Final = 2
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss_mb: float
    files: int
    threads: int
    children: int
    sessions: int
    in_flight: int
    """Calls that a server is serving."""
    answered: int
    """Calls since the sample before."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Slope:
    """With the interval that holds the true one, if what is left beside the line is chance alone."""

    per_h: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the calls."""

    answered: int
    wrong: Sequence[str]
    """Answers that are not their call's own."""
    broken: Sequence[str]
    """Calls without any answer: the connection was closed, or something came that is no JSON-RPC."""
    refused: int
    """Errors while their server was hurt, or just after."""
    inexcusable: Sequence[str]
    """Errors at other times."""


def rss_slope(samples: Sequence[Sample]) -> Slope | None:
    """MB an hour over the second half; None if that has fewer than three samples."""
    half = second_half(samples)
    if len(half) < 3:
        return None
    points = [Point(sample.at_s / 3600, sample.rss_mb) for sample in half]
    line = least_squares(points)
    degrees = len(points) - 2
    mean_h = sum(point.units for point in points) / len(points)
    spread = sum((point.units - mean_h) ** 2 for point in points)
    left = sum((point.cost - line.base - line.per_unit * point.units) ** 2 for point in points)
    margin = t_quantile(degrees) * math.sqrt(left / degrees / spread)
    return Slope(line.per_unit, line.per_unit - margin, line.per_unit + margin)


def t_quantile(degrees: int) -> float:
    """Student's t at both ends of the interval: exact for one and two degrees, to a hundredth from three on."""
    share = (1 + CONFIDENCE) / 2
    if degrees == 1:
        return math.tan(math.pi * (share - 0.5))
    if degrees == 2:
        return (2 * share - 1) / math.sqrt(2 * share * (1 - share))
    # Abramowitz and Stegun, 26.7.5.
    z = NormalDist().inv_cdf(share)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / float(degrees) ** power for power, term in enumerate(terms))


def second_half(samples: Sequence[Sample]) -> Sequence[Sample]:
    """By time: whatever is filled once is full by then."""
    middle_s = samples[-1].at_s / 2 if samples else 0.0
    return [sample for sample in samples if sample.at_s >= middle_s]


def is_long_enough(samples: Sequence[Sample]) -> bool:
    half = second_half(samples)
    return len(half) >= 3 and half[-1].at_s - half[0].at_s >= JUDGED_FROM_S


def faults(tally: Tally, samples: Sequence[Sample], before: Sample, after: Sample) -> list[str]:
    """A sentence for each promise that was not kept. `before` and `after`: idle, the same configuration."""
    found = []
    for count, what in (
        (len(tally.wrong), "wrong answers"),
        (len(tally.broken), "calls without a definite answer"),
        (len(tally.inexcusable), "errors while nothing was wrong with the server"),
    ):
        if count:
            found.append(f"{count:,} {what}")
    if not tally.answered:
        found.append("no call was answered")
    slope = rss_slope(samples)
    if slope is not None and is_long_enough(samples) and slope.low > LEAK_MB_PER_H:
        found.append(f"memory grows by {slope.low:.1f} MB an hour or more")
    for left, what in ((after.sessions, "sessions"), (after.in_flight, "calls in flight")):
        if left:
            found.append(f"{left} {what} are left")
    for name, more, rising in (
        ("files", MORE_FILES, RISING_FILES),
        ("threads", MORE_THREADS, MORE_THREADS),
        ("children", MORE_CHILDREN, MORE_CHILDREN),
    ):
        if (left := getattr(after, name) - getattr(before, name)) > more:
            found.append(f"{left} {name} more are left than there were, {more} are allowed")
        if (risen := _risen(second_half(samples), name)) > rising:
            found.append(f"{name} rose by {risen:g} in the second half, {rising} are allowed")
    return found


def _risen(samples: Sequence[Sample], name: str) -> float:
    """From the median of the first third to that of the last; servers that come and go do not show in it."""
    third = len(samples) // 3
    if not third:
        return 0.0
    values: list[float] = [getattr(sample, name) for sample in samples]
    return median(values[-third:]) - median(values[:third])
