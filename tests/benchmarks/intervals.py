"""What measured values say: their middle, how far from it the truth may be, and their tail. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Final

from proxy_core.load.tally import percentile as percentile_of_ordered

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 4000
_SEED: Final = 1
FEWEST: Final = 6
"""Values that hold the true median between them so surely."""


@dataclass(frozen=True, slots=True)
class Interval:
    middle: float
    low: float
    high: float
    values: tuple[float, ...] = field(default=(), compare=False)
    """What it was made of, in the order of the rounds."""

    def shown(self, form: str = ".2f", unit: str = "") -> str:
        """As in a table: `0.61x [0.58, 0.64]`."""
        if self.low == self.high:
            return _shown(self.middle, form) + unit
        low, middle, high = (_shown(value, form) for value in (self.low, self.middle, self.high))
        return f"{middle}{unit} [{low}, {high}]"


def median_interval(values: Sequence[float]) -> Interval:
    """The median, between two of the values that hold the true one with a confidence of at least 95 %.

    By ranks: each value is above the true median with a chance of one half, whatever the distribution is, so
    some may be infinite. Raises: ValueError for fewer than `FEWEST` values.
    """
    count = len(values)
    ordered = sorted(values)
    rank, outside = 0, 0.0
    while (outside := outside + 2 * math.comb(count, rank) / 2**count) <= 1 - CONFIDENCE:
        rank += 1
    if rank == 0:
        raise ValueError(f"{count} values are too few for a confidence of {CONFIDENCE:.0%}.")
    return Interval(median(ordered), ordered[rank - 1], ordered[count - rank], tuple(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Of one or more, in any order: the smallest value that so large a share of them does not pass."""
    return percentile_of_ordered(sorted(values), share)


def added_ratio(ours: float, reference: float, without: float) -> float:
    """How many times what `reference` adds to `without` is what `ours` adds; never below 0.

    Infinite where the reference added nothing, for then we added any number of times that.
    """
    added, allowed = ours - without, reference - without
    if added <= 0:
        return 0.0
    return added / allowed if allowed > 0 else math.inf


def added_interval(ours: Sequence[float], reference: Sequence[float], without: Sequence[float]) -> Interval:
    """`added_ratio` of the medians, with the bootstrap's interval; each argument has a value of every round.

    Not the median of the rounds' own ratios: what a reference adds to a percentile of one round may be next to
    nothing, and a ratio to that says nothing of anybody.
    """
    rounds = list(zip(ours, reference, without, strict=True))
    random = Random(_SEED)

    def of(chosen: Sequence[tuple[float, ...]]) -> float:
        return added_ratio(*(median(figures) for figures in zip(*chosen, strict=True)))

    found = sorted(of(random.choices(rounds, k=len(rounds))) for _ in range(RESAMPLES))
    outside = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Interval(of(rounds), found[outside], found[-1 - outside])


def _shown(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "∞"
