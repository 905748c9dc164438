"""Whether a figure has become better or worse than in a baseline, or whether the noise is larger. Pure.

Where both runs have rounds: the ratio of their medians, with an interval from resampled rounds. Rounds of one
run are more alike than two runs are, so a ratio within `SAME` of 1 is no difference either, however narrow its
interval. Where there are too few rounds for an interval: the ratio alone, with a wider tolerance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from statistics import median
from typing import Final

from tests.benchmarks.results import Figure, Results

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 4000
FEWEST: Final = 4
"""Rounds of each run that an interval can be made of."""
SAME: Final = 0.05
TOLERANCE: Final = 0.15
"""Of figures with fewer rounds."""
_SEED: Final = 1


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference"
    NEW = "new"
    """The baseline has no figure of that name."""


@dataclass(frozen=True, slots=True)
class Compared:
    section: str
    figure: Figure
    before: float | None
    """The baseline's; None for a new figure."""
    ratio: float
    """Of this run to the baseline."""
    interval: tuple[float, float] | None
    """Where the ratio lies in 95 of 100 resamplings; None: there were too few rounds."""
    verdict: Verdict

    @property
    def fails(self) -> bool:
        return self.verdict is Verdict.WORSE and self.figure.is_must


def compared(now: Results, baseline: Results) -> list[Compared]:
    """Every figure of `now`; what only the baseline has was not measured."""
    known = {
        (name, figure.name): figure for name, section in baseline.sections.items() for figure in section.figures
    }
    return [
        compare(name, figure, known.get((name, figure.name)))
        for name, section in now.sections.items()
        for figure in section.figures
    ]


def compare(section: str, figure: Figure, before: Figure | None) -> Compared:
    if before is None or before.unit != figure.unit or before.value <= 0 or figure.value <= 0:
        return Compared(section, figure, None, 1.0, None, Verdict.NEW)
    ratio = figure.value / before.value
    interval = interval_of_ratio(figure.samples, before.samples)
    verdict = _verdict(ratio, interval, figure.better == "lower")
    return Compared(section, figure, before.value, ratio, interval, verdict)


def _verdict(ratio: float, interval: tuple[float, float] | None, lower_is_better: bool) -> Verdict:
    tolerance = TOLERANCE if interval is None else SAME
    low, high = interval or (ratio, ratio)
    # A ratio and its inverse are the same distance from 1.
    if high < 1 and ratio * (1 + tolerance) < 1:
        return Verdict.BETTER if lower_is_better else Verdict.WORSE
    if low > 1 and ratio > 1 + tolerance:
        return Verdict.WORSE if lower_is_better else Verdict.BETTER
    return Verdict.SAME


def interval_of_ratio(now: Sequence[float], before: Sequence[float]) -> tuple[float, float] | None:
    """By the bootstrap, percentiles of the ratio of medians; None if either has too few samples."""
    if min(len(now), len(before)) < FEWEST:
        return None
    random = Random(_SEED)
    ratios = sorted(
        median(random.choices(now, k=len(now))) / median(random.choices(before, k=len(before)))
        for _ in range(RESAMPLES)
    )
    outside = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return ratios[outside], ratios[-1 - outside]


def rows(found: Sequence[Compared]) -> list[str]:
    """As a table in Markdown."""
    return [
        "| figure | baseline | now | ratio | 95 % of resamplings | verdict |",
        "|---|---|---|---|---|---|",
        *_lines(found),
    ]


def _lines(found: Sequence[Compared]) -> Iterator[str]:
    for each in found:
        figure = each.figure
        before = "-" if each.before is None else number(each.before)
        ratio = "-" if each.before is None else f"{each.ratio:.2f}"
        between = "-" if each.interval is None else f"{each.interval[0]:.2f} to {each.interval[1]:.2f}"
        verdict = f"**{each.verdict}**" if each.fails else each.verdict
        name = f"{each.section}: {figure.name}, {figure.unit}" + (" (must)" if figure.is_must else "")
        yield f"| {name} | {before} | {number(figure.value)} | {ratio} | {between} | {verdict} |"


def number(value: float) -> str:
    """Three digits or so."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
