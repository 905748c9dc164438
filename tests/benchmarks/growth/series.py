"""One growing number and what it makes dearer: the figures, their table, their picture. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.growth.fit import Fit, Point, Verdict, fitted
from tests.benchmarks.growth.plot import Drawn, svg

QUICK_POINTS: Final = 3
SMALLER: Final = 500
"""Of a smaller unit: more of it is told in the next."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of a series is measured."""

    turns: int
    """At each point; the cheapest counts, for what else runs on the machine can only add to a cost."""
    seconds: float
    """Of each turn."""
    is_quick: bool

    def of(self, counts: tuple[int, ...]) -> tuple[int, ...]:
        """The small end of a series alone, if it has to be quick."""
        return counts[:QUICK_POINTS] if self.is_quick else counts


FULL: Final = Effort(turns=3, seconds=0.8, is_quick=False)
QUICK: Final = Effort(turns=1, seconds=0.3, is_quick=True)


@dataclass(frozen=True, slots=True)
class Figure:
    units: int
    cost: float
    per_s: float | None = None
    """How many a second went through meanwhile."""


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    measure: str
    """Unit of its cost: `CPU µs`, `MB`."""
    figures: Sequence[Figure]

    @property
    def title(self) -> str:
        return f"{self.name}, {self.measure}"

    @property
    def points(self) -> list[Point]:
        return [Point(figure.units, figure.cost) for figure in self.figures]

    @property
    def fit(self) -> Fit:
        return fitted(self.points)


@dataclass(frozen=True, slots=True)
class Series:
    title: str
    """Of the picture."""
    unit: str
    """One of what grows."""
    units: str
    curves: Sequence[Curve]
    """All with figures for the same numbers of units."""

    def rows(self) -> list[str]:
        """The figures, and below them what they come to."""
        return [*self._figure_rows(), "", *self._verdict_rows()]

    def picture(self) -> str:
        drawn = [Drawn(curve.title, curve.points) for curve in self.curves]
        return svg(self.title, self.units, "each in its own unit", drawn)

    def _figure_rows(self) -> Iterator[str]:
        heads = [head for curve in self.curves for head in _heads(curve)]
        yield f"| {self.units} | " + " | ".join(heads) + " |"
        yield "|---" * (len(heads) + 1) + "|"
        for row in zip(*(curve.figures for curve in self.curves), strict=True):
            cells = [cell for figure in row for cell in _cells(figure)]
            yield f"| {row[0].units:,} | " + " | ".join(cells) + " |"

    def _verdict_rows(self) -> Iterator[str]:
        yield f"| by number of {self.units} | for each {self.unit} more | exponent | verdict |"
        yield "|---|---|---|---|"
        for curve in self.curves:
            fit = curve.fit
            price = _price(fit.line.per_unit, curve.measure)
            verdict = (
                f"{fit.verdict}, {price} per {self.unit}" if fit.verdict is Verdict.LINEAR else fit.verdict
            )
            yield f"| {curve.title} | {price} | {fit.exponent:.2f} | {verdict} |"


def _price(per_unit: float, measure: str) -> str:
    """Memory for each is told in the size that it has."""
    if measure == "MB":
        for smaller, factor in (("bytes", 1e6), ("KB", 1e3)):
            if abs(per_unit) * factor < SMALLER:
                return f"{rounded(per_unit * factor)} {smaller}"
    return f"{rounded(per_unit)} {measure}"


def _heads(curve: Curve) -> list[str]:
    return [curve.title, "a second"] if curve.figures[0].per_s is not None else [curve.title]


def _cells(figure: Figure) -> list[str]:
    cost = rounded(figure.cost)
    return [cost] if figure.per_s is None else [cost, f"{figure.per_s:,.0f}"]


def rounded(value: float) -> str:
    """Three digits that say something; no more is measured."""
    if value == 0:
        return "0"
    size = abs(value)
    decimals = next(d for d in range(9) if d == 8 or size * 10**d >= 100)
    return f"{value:,.{decimals}f}"
