"""Verdicts on what was measured, and the table of them."""

import math

import pytest

from tests.benchmarks.goals import GOALS, NOT_MEASURED, STEADY, Goal, Part, goal_figures, goal_rows
from tests.benchmarks.intervals import Interval

MORE = Goal("M", "more is better", must=4, aim=6)
LESS = Goal("L", "less is better", must=2, aim=1.5, is_floor=False)


def at(value: float) -> Interval:
    return Interval(value, value - 1, value + 1)


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (MORE, 3.99, "missed"),
        (MORE, 4.0, "must met"),
        (MORE, 5.99, "must met"),
        (MORE, 6.0, "aim met"),
        (LESS, math.inf, "missed"),
        (LESS, 2.01, "missed"),
        (LESS, 2.0, "must met"),
        (LESS, 1.5, "aim met"),
        (LESS, 0.0, "aim met"),
    ],
)
def test_the_median_decides(goal: Goal, value: float, verdict: str):
    assert goal.verdict(at(value)) == verdict


def test_what_was_not_measured_is_neither_met_nor_missed():
    assert MORE.verdict(None) == NOT_MEASURED


def test_no_aim_is_easier_than_what_must_be():
    for goal in GOALS:
        assert goal.verdict(Interval(goal.aim, goal.aim, goal.aim)) == "aim met"
        assert (goal.aim >= goal.must) is goal.is_floor or goal.aim == goal.must


def test_every_goal_has_its_row_in_order_whatever_part_found_it():
    found = {goal.number: at(goal.must) for goal in GOALS}
    some, others = dict(list(found.items())[5:]), dict(list(found.items())[:5])
    rows = goal_rows([Part(some), Part({**others, "G4": None})])
    assert [row.split(":")[0] for row in rows[2:]] == [f"| {goal.number}" for goal in GOALS]
    assert {row.count("|") for row in rows} == {6}
    assert f"| - | {NOT_MEASURED} |" in rows[2 + [goal.number for goal in GOALS].index("G4")]


def test_a_goal_that_nobody_looked_at_is_no_goal_that_is_met():
    with pytest.raises(KeyError):
        goal_rows([Part({"G1": at(1)})])


def test_a_row_says_bounds_in_their_unit():
    rate = next(goal for goal in GOALS if goal.number == "G4")
    assert rate.bound(rate.must) == ">= 10,000/s"
    assert LESS.bound(LESS.aim) == "<= 1.5x"


def test_goals_are_figures_that_another_run_can_be_compared_with():
    rounds = Interval(0.5, 0.4, 0.6, (0.4, 0.5, 0.6))
    parts = [Part({"G1": rounds, "G2": None, "G3 p50": Interval(math.inf, 1, math.inf, (1, math.inf))})]
    parts.append(Part({"G13": at(100)}))
    nginx, ids = goal_figures(parts)
    assert (nginx.samples, nginx.better, nginx.must, nginx.aim) == (rounds.values, "higher", 0.35, 0.6)
    assert (ids.samples, ids.unit) == ((100,), "%")


def test_goals_on_which_equal_runs_agree_fail_a_run_that_is_worse_and_no_others():
    figures = {figure.name: figure for figure in goal_figures([Part({goal.number: at(1) for goal in GOALS})])}
    assert {goal.number for goal in GOALS if figures[goal.title].is_must} == STEADY


def test_only_goals_there_are_can_be_a_must():
    assert {goal.number for goal in GOALS} >= STEADY
