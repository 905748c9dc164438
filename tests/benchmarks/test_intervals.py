"""What a few values say of the true one, and how much one thing adds compared with another."""

import math
from random import Random

import pytest

from tests.benchmarks.intervals import Interval, added_interval, added_ratio, median_interval, percentile


@pytest.mark.parametrize(
    ("count", "ranks"), [(6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (12, (3, 10)), (20, (6, 15))]
)
def test_the_interval_ends_at_the_ranks_of_the_sign_test(count: int, ranks: tuple[int, int]):
    values = [float(number) for number in range(1, count + 1)]
    Random(count).shuffle(values)
    assert median_interval(values) == Interval((count + 1) / 2, *map(float, ranks))


def test_the_interval_holds_the_true_median_as_often_as_it_says():
    rng = Random(1)
    held = [
        found.low <= math.log(2) <= found.high
        for found in (median_interval([rng.expovariate(1) for _ in range(12)]) for _ in range(2000))
    ]
    assert 0.95 <= sum(held) / len(held) <= 0.975


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int):
    assert percentile([float(each) for each in range(100, 0, -1)], share) == value


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="5 values are too few"):
        median_interval([1.0] * 5)


def test_values_without_bound_leave_the_rest_as_they_are():
    assert median_interval([1.0, 1.0, 1.0, 1.0, 2.0, math.inf]).shown() == "1.00 [1.00, ∞]"


def test_an_interval_is_shown_with_its_unit():
    assert Interval(0.61, 0.58, 0.644).shown(unit="x") == "0.61x [0.58, 0.64]"


def test_what_one_adds_is_compared_with_what_the_other_adds():
    assert added_ratio(ours=5.0, reference=3.0, without=1.0) == 2.0


def test_who_adds_nothing_adds_no_part_of_anything():
    assert added_ratio(ours=0.9, reference=3.0, without=1.0) == 0.0
    assert added_ratio(ours=0.9, reference=0.8, without=1.0) == 0.0


def test_what_is_added_is_compared_by_the_medians_of_all_rounds():
    """Where the reference adds nothing in some rounds, too."""
    noise = Random(3)
    rounds = [(noise.gauss(0.65, 0.1), noise.gauss(0.45, 0.1), noise.gauss(0.25, 0.1)) for _ in range(60)]
    assert any(math.isinf(added_ratio(*each)) for each in rounds)
    found = added_interval(*zip(*rounds, strict=True))
    assert 1.5 < found.low < 2 < found.high < 3
    assert found.middle == pytest.approx(2, rel=0.15)


def test_no_number_is_times_nothing():
    assert added_ratio(ours=1.5, reference=1.0, without=1.0) == math.inf
