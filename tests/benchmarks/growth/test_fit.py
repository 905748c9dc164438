"""What is called flat, linear and worse, on costs whose law is known."""

import math
import random
from collections.abc import Callable

import pytest

from tests.benchmarks.growth.fit import Point, Verdict, exponent_of, fitted, least_squares

COUNTS = (1, 10, 100, 1000, 20_000)


def points(cost: Callable[[float], float], counts: tuple[int, ...] = COUNTS) -> list[Point]:
    return [Point(count, cost(count)) for count in counts]


def noisy(cost: Callable[[float], float], seed: int) -> list[Point]:
    """Off by up to a twentieth, each by its own."""
    numbers = random.Random(seed)
    return [Point(point.units, point.cost * numbers.uniform(0.95, 1.05)) for point in points(cost)]


def test_the_line_through_points_that_lie_on_one_is_that_line():
    line = least_squares(points(lambda n: 40 + 3 * n))
    assert line.base == pytest.approx(40)
    assert line.per_unit == pytest.approx(3)


def test_points_beside_a_line_pull_equally():
    line = least_squares([Point(0, 1), Point(1, 1), Point(2, 4)])
    assert (line.base, line.per_unit) == (pytest.approx(0.5), pytest.approx(1.5))


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_exponent_is_the_power(power: float):
    assert exponent_of(points(lambda n: 7 * n**power)) == pytest.approx(power)


def test_what_has_no_units_has_no_logarithm():
    assert exponent_of([Point(0, 5), Point(10, 1), Point(100, 10)]) == pytest.approx(1)
    assert exponent_of([Point(0, 5), Point(10, 1)]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_each_law_gets_its_verdict_whatever_the_noise(seed: int):
    laws = {
        "constant": (lambda n: 200.0, Verdict.FLAT),
        "a call alone costs more": (lambda n: 200 + 150 / n, Verdict.FLAT),
        "a little for each": (lambda n: 200 + 0.02 * n, Verdict.LINEAR),
        "all of it for each": (lambda n: 3.0 * n, Verdict.LINEAR),
        "the square root": (lambda n: 50 + 10 * n**0.5, Verdict.LINEAR),
        "the square": (lambda n: 0.1 * n * n, Verdict.WORSE),
        "the square beside a fixed cost": (lambda n: 200 + 1e-4 * n * n, Verdict.WORSE),
        "a cliff at the end": (lambda n: 2000.0 if n > 1000 else 200.0, Verdict.WORSE),
    }
    found = {name: fitted(noisy(law, seed)).verdict for name, (law, _) in laws.items()}
    assert found == {name: verdict for name, (_, verdict) in laws.items()}


def test_a_quarter_of_the_least_cost_is_flat_and_a_little_more_is_not():
    assert fitted([Point(0, 100), Point(10, 125)]).verdict is Verdict.FLAT
    assert fitted([Point(0, 100), Point(10, 126)]).verdict is Verdict.LINEAR


def test_a_first_figure_that_is_dear_makes_nothing_worse():
    """8 ms for a reload and 14 µs for each, after a first reload of 13 ms."""
    costs = [Point(1, 12_900), Point(100, 8300), Point(1000, 22_600), Point(5000, 80_000)]
    assert fitted(costs[:3]).verdict is Verdict.LINEAR
    assert fitted(costs).verdict is Verdict.LINEAR


def test_what_falls_is_flat():
    assert fitted(points(lambda n: 400 - 0.01 * n)).verdict is Verdict.FLAT


def test_over_four_decades_even_a_logarithm_beside_the_number_is_seen():
    assert fitted(points(lambda n: 10 + n * math.log2(n + 1))).verdict is Verdict.WORSE


@pytest.mark.parametrize(
    "bad",
    [[], [Point(1, 1)], [Point(2, 1), Point(1, 1)], [Point(1, 1), Point(1, 2)], [Point(1, 1), Point(2, 0)]],
)
def test_no_fit_is_made_of_what_is_none(bad: list[Point]):
    with pytest.raises(ValueError):
        fitted(bad)
