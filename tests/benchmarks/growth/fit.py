"""How a cost grows with the number of something: its slope, its exponent and a verdict. Pure.

The rule, for costs that are measured to about a tenth:

- **flat**: over the whole range the fitted line rises by at most a quarter of the least cost.
- **worse than linear**: the last point lies above what those before it promise, a tenth of noise in each
  allowed; or from the last but one to the last, cost grows faster than the number to the power of 1.15,
  which nothing does that has a constant price for each.
- **linear**: whatever else rises, with the slope as its price.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

FLAT_SHARE: Final = 0.25
"""Of the least cost: a line that rises by less is called flat."""
NOISE: Final = 0.1
"""Of a cost: what a measurement may be off by."""
STEEP: Final = 1.15
"""An exponent that is more than noise above one."""


class Verdict(StrEnum):
    FLAT = "flat"
    LINEAR = "linear"
    WORSE = "worse than linear"


@dataclass(frozen=True, slots=True)
class Point:
    units: float
    """How many there were of what grows; from 0."""
    cost: float
    """More than 0."""


@dataclass(frozen=True, slots=True)
class Line:
    """cost = base + per_unit * units"""

    base: float
    per_unit: float


@dataclass(frozen=True, slots=True)
class Fit:
    line: Line
    """By least squares on the figures."""
    exponent: float
    """By least squares on their logarithms; points at 0 units take no part."""
    verdict: Verdict


def fitted(points: Sequence[Point]) -> Fit:
    """At least two points, in ascending order of units. Raises: ValueError."""
    if len(points) < 2 or any(a.units >= b.units for a, b in pairwise(points)):
        raise ValueError("A fit needs two points or more, each with more units than the one before.")
    if any(point.cost <= 0 for point in points):
        raise ValueError("A cost is more than nothing.")
    line = least_squares(points)
    return Fit(line, exponent_of(points), _verdict(points, line))


def least_squares(points: Sequence[Point]) -> Line:
    """Raises: ZeroDivisionError if all have the same units."""
    count = len(points)
    mean_units = sum(point.units for point in points) / count
    mean_cost = sum(point.cost for point in points) / count
    spread = sum((point.units - mean_units) ** 2 for point in points)
    common = sum((point.units - mean_units) * (point.cost - mean_cost) for point in points)
    per_unit = common / spread
    return Line(mean_cost - per_unit * mean_units, per_unit)


def exponent_of(points: Sequence[Point]) -> float:
    """1 for what doubles with its units, 0 for what does not care; 0 too if less than two points have units."""
    logs = [Point(math.log(point.units), math.log(point.cost)) for point in points if point.units > 0]
    return least_squares(logs).per_unit if len(logs) > 1 else 0.0


def _verdict(points: Sequence[Point], line: Line) -> Verdict:
    rise = line.per_unit * (points[-1].units - points[0].units)
    if rise <= FLAT_SHARE * min(point.cost for point in points):
        return Verdict.FLAT
    if exponent_of(points[-2:]) > STEEP or _breaks_its_promise(points):
        return Verdict.WORSE
    return Verdict.LINEAR


def _breaks_its_promise(points: Sequence[Point]) -> bool:
    """Whether the last point is above the line from the least cost through the last but one, noise allowed."""
    if len(points) < 3:
        return False
    first, before, last = points[0], points[-2], points[-1]
    # The first may be dear because it was the first: the line begins as low as any of those before the last.
    base = min(point.cost for point in points[:-1]) * (1 - NOISE)
    per_unit = (before.cost * (1 + NOISE) - base) / (before.units - first.units)
    return last.cost * (1 - NOISE) > base + per_unit * (last.units - first.units)
