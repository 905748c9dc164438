"""What a soak is failed for, and what it is not; the slope's interval on figures whose slope is known."""

import math
from dataclasses import replace
from random import Random

import pytest

from tests.benchmarks.soaking.verdict import (
    MORE_FILES,
    Sample,
    Tally,
    faults,
    is_long_enough,
    rss_slope,
    second_half,
    t_quantile,
)

CALM = Sample(0, 90.0, 60, 12, 5, sessions=0, in_flight=0, answered=10_000, p50_ms=1.0, p99_ms=5.0)
FINE = Tally(answered=1_000_000, wrong=[], broken=[], refused=300, inexcusable=[])


def watched(
    mb_per_h: float, *, minutes: int = 30, noise_mb: float = 0.0, warm_up_mb: float = 0.0
) -> list[Sample]:
    """Every 10 s; what warms up is warm after a quarter of the time."""
    numbers = Random(1)
    found = []
    for number in range(minutes * 6 + 1):
        at_s = number * 10.0
        warm = warm_up_mb * min(1.0, at_s / (minutes * 15))
        rss_mb = 90 + warm + mb_per_h * at_s / 3600 + numbers.uniform(-noise_mb, noise_mb)
        found.append(replace(CALM, at_s=at_s, rss_mb=rss_mb))
    return found


def test_the_second_half_is_by_time():
    assert [sample.at_s for sample in second_half(watched(0, minutes=1))] == [30, 40, 50, 60]


def test_a_slope_without_noise_is_told_exactly():
    slope = rss_slope(watched(30))
    assert slope is not None
    assert (slope.per_h, slope.low, slope.high) == (pytest.approx(30),) * 3


def test_the_interval_holds_the_slope_and_is_wider_with_more_noise():
    calm, wild = rss_slope(watched(30, noise_mb=0.5)), rss_slope(watched(30, noise_mb=5))
    assert calm is not None and wild is not None
    assert calm.low < 30 < calm.high
    assert wild.high - wild.low > 5 * (calm.high - calm.low)


def test_two_samples_have_no_interval():
    assert rss_slope(watched(30)[:2]) is None
    assert rss_slope([]) is None


@pytest.mark.parametrize(
    ("degrees", "value"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (10, 2.228), (30, 2.042), (1000, 1.962)],
)
def test_students_t_is_that_of_the_tables(degrees: int, value: float):
    assert math.isclose(t_quantile(degrees), value, abs_tol=0.011)


def test_what_is_calm_passes_and_what_warms_up_first_too():
    assert faults(FINE, watched(0, noise_mb=2), CALM, CALM) == []
    assert faults(FINE, watched(0, warm_up_mb=50), CALM, CALM) == []


def test_a_leak_is_told_and_a_short_look_does_not_judge_one():
    (fault,) = faults(FINE, watched(60, noise_mb=1), CALM, CALM)
    assert "memory grows by" in fault
    short = watched(60, minutes=2)
    assert not is_long_enough(short)
    assert faults(FINE, short, CALM, CALM) == []


def test_a_slope_that_may_be_chance_is_no_leak():
    samples = watched(15, noise_mb=10)
    slope = rss_slope(samples)
    assert slope is not None and slope.low < 10
    assert faults(FINE, samples, CALM, CALM) == []


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (replace(FINE, wrong=["a"]), "1 wrong answers"),
        (replace(FINE, broken=["a", "b"]), "2 calls without a definite answer"),
        (replace(FINE, inexcusable=["a"]), "1 errors while nothing was wrong with the server"),
        (replace(FINE, answered=0), "no call was answered"),
    ],
)
def test_every_call_counts(tally: Tally, said: str):
    assert faults(tally, watched(0), CALM, CALM) == [said]


def test_what_is_left_behind_is_told():
    (fault,) = faults(FINE, watched(0), CALM, replace(CALM, files=CALM.files + MORE_FILES + 1))
    assert fault == "9 files more are left than there were, 8 are allowed"
    assert faults(FINE, watched(0), CALM, replace(CALM, files=CALM.files + MORE_FILES)) == []
    assert faults(FINE, watched(0), CALM, replace(CALM, sessions=3)) == ["3 sessions are left"]
    assert faults(FINE, watched(0), CALM, replace(CALM, in_flight=1)) == ["1 calls in flight are left"]


def test_what_rises_all_the_while_is_told_and_what_comes_and_goes_is_not():
    rising = [replace(sample, threads=12 + number // 10) for number, sample in enumerate(watched(0))]
    assert any(fault.startswith("threads rose by") for fault in faults(FINE, rising, CALM, CALM))
    restless = [replace(sample, children=5 + number % 4) for number, sample in enumerate(watched(0))]
    assert faults(FINE, restless, CALM, CALM) == []
