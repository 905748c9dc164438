"""What the CI ends with: a must that is missed by more than the noise, and nothing else, is a failure."""

import pytest

from tests.benchmarks.goals import GOALS, STEADY, Part, goal_figures
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.musts import Judged, judged

FLOOR = next(goal for goal in GOALS if goal.number == "G2")
CEILING = next(goal for goal in GOALS if goal.number == "G10")


@pytest.mark.parametrize(
    ("low", "middle", "high", "fails", "begin"),
    [
        (1.0, 2.0, 3.9, True, "FAILED: G2 is 2.00x [1.00, 3.90] where >= 4x must hold"),
        (1.0, 2.0, 4.0, False, "Not judged"),
        (3.9, 5.0, 7.0, False, "Not judged"),
        (4.0, 5.0, 7.0, False, "Holds: G2 is 5.00x"),
    ],
)
def test_a_floor_is_missed_if_all_of_the_interval_is_below(
    low: float, middle: float, high: float, fails: bool, begin: str
):
    found = Judged(FLOOR, Interval(middle, low, high))
    assert found.fails is fails
    assert found.sentence.startswith(begin)


@pytest.mark.parametrize(
    ("low", "high", "fails", "begin"),
    [
        (2.1, 3.0, True, "FAILED: G10"),
        (2.0, 3.0, False, "Not judged"),
        (1.0, 2.1, False, "Not judged"),
        (1.0, 2.0, False, "Holds"),
    ],
)
def test_a_ceiling_is_missed_if_all_of_the_interval_is_above(low: float, high: float, fails: bool, begin: str):
    found = Judged(CEILING, Interval((low + high) / 2, low, high))
    assert found.fails is fails
    assert found.sentence.startswith(begin)


def test_what_cannot_be_measured_is_said_and_fails_nothing():
    (nginx,) = (each for each in judged(()) if each.goal.number == "G1")
    assert not nginx.fails
    assert nginx.sentence.startswith("Not judged: G1 was not measured")


def test_every_steady_goal_is_judged_by_the_rounds_of_its_figure_and_no_other_goal():
    rounds = (1.0, 1.1, 1.2, 0.9, 1.0, 1.05)
    steady = {number: median_interval(rounds) for number in STEADY - {"G13"}}
    parts = [Part({**steady, "G13": Interval(99.7, 99.7, 99.7), "G12 modern": median_interval([9.0] * 6)})]
    found = {each.goal.number: each for each in judged(goal_figures(parts))}
    assert found.keys() == STEADY
    assert {number for number, each in found.items() if each.fails} == {"G2", "G5", "G13"}
    assert found["G2"].found == median_interval(rounds)


def test_one_wild_round_in_nine_hides_nothing():
    parts = [Part({"G2": median_interval([1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 0.8, 1.0, 40.0])})]
    (usual,) = (each for each in judged(goal_figures(parts)) if each.goal.number == "G2")
    assert usual.fails


def test_rounds_that_agree_on_nothing_fail_nothing():
    parts = [Part({"G2": median_interval([0.5, 6.0, 2.0, 5.0, 1.0, 4.5, 2.2, 7.0, 3.0])})]
    (usual,) = (each for each in judged(goal_figures(parts)) if each.goal.number == "G2")
    assert not usual.fails and "noise" in usual.sentence
