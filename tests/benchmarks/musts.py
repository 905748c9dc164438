"""Whether what must hold fails to, by more than the noise: what the CI ends with. Pure.

Only goals on which equal runs agree are asked about (`goals.STEADY`), and only an interval that lies beyond the
bound as a whole is a failure. What could not be measured, and what the noise hides, is said and no failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.goals import GOALS, STEADY, Goal
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.results import Figure


@dataclass(frozen=True, slots=True)
class Judged:
    goal: Goal
    found: Interval | None
    """None: it could not be measured."""

    @property
    def fails(self) -> bool:
        return self.found is not None and not self.goal.holds(self.goal.best_of(self.found), self.goal.must)

    @property
    def sentence(self) -> str:
        goal, found = self.goal, self.found
        if found is None:
            return f"Not judged: {goal.number} was not measured, for what it is compared with is missing."
        figure = f"{found.shown(goal.form, goal.unit)} where {goal.bound(goal.must)} must hold ({goal.what})"
        if self.fails:
            return f"FAILED: {goal.number} is {figure}."
        if goal.holds(goal.worst_of(found), goal.must):
            return f"Holds: {goal.number} is {figure}."
        return f"Not judged: {goal.number} is {figure}: the bound is within the noise of this run."


def judged(figures: Sequence[Figure]) -> list[Judged]:
    """Every steady goal, by the figures of a run's section of goals."""
    by_name = {figure.name: figure for figure in figures}
    return [Judged(goal, _interval(by_name.get(goal.title))) for goal in GOALS if goal.number in STEADY]


def _interval(figure: Figure | None) -> Interval | None:
    if figure is None:
        return None
    # One value is a count, which has no noise.
    if len(figure.samples) == 1:
        return Interval(figure.value, figure.value, figure.value)
    return median_interval(figure.samples)
