"""Better, worse or neither: by the ratio, its interval and its direction."""

from random import Random

import pytest

from tests.benchmarks.results import Figure, Section
from tests.benchmarks.test_results import results
from tests.benchmarks.verdicts import Verdict, compare, compared, interval_of_ratio, number, rows


def figure(*samples: float, better: str = "lower", is_must: bool = False, name: str = "cpu") -> Figure:
    return Figure(name, "µs", better, samples, is_must=is_must)  # type: ignore[arg-type]


def scaled(by: float, *samples: float) -> tuple[float, ...]:
    return tuple(by * sample for sample in samples)


QUIET = (100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8)
NOISY = (60.0, 140.0, 80.0, 120.0, 100.0, 70.0, 130.0)


@pytest.mark.parametrize(
    ("before", "by", "better", "verdict"),
    [
        (QUIET, 1.0, "lower", Verdict.SAME),
        (QUIET, 1.2, "lower", Verdict.WORSE),
        (QUIET, 1.2, "higher", Verdict.BETTER),
        (QUIET, 0.8, "lower", Verdict.BETTER),
        (QUIET, 0.8, "higher", Verdict.WORSE),
        # Beyond the noise, but not by enough to say so of two runs.
        (QUIET, 1.04, "lower", Verdict.SAME),
        (QUIET, 0.96, "lower", Verdict.SAME),
        # Far enough, but within the noise.
        (NOISY, 1.2, "lower", Verdict.SAME),
        (NOISY, 3.0, "lower", Verdict.WORSE),
        # Too few rounds for an interval: the tolerance.
        (QUIET[:1], 1.1, "lower", Verdict.SAME),
        (QUIET[:1], 1.2, "lower", Verdict.WORSE),
        (QUIET[:3], 0.8, "lower", Verdict.BETTER),
    ],
)
def test_a_verdict(before: tuple[float, ...], by: float, better: str, verdict: Verdict):
    found = compare("calls", figure(*scaled(by, *before), better=better), figure(*before, better=better))
    assert found.verdict is verdict
    assert found.ratio == pytest.approx(by)
    assert (found.interval is None) is (len(before) < 4)


def test_the_interval_holds_the_ratio_and_is_the_same_each_time():
    interval = interval_of_ratio(NOISY, QUIET)
    assert interval is not None and interval[0] <= 1.0 <= interval[1]
    assert interval == interval_of_ratio(NOISY, QUIET)


def test_equal_runs_are_seldom_told_apart():
    """Of 200 pairs drawn from the same distribution, 10 % noise: the interval alone would err in some."""
    random = Random(7)
    verdicts = [
        compare(
            "calls",
            figure(*(random.gauss(100, 10) for _ in range(7))),
            figure(*(random.gauss(100, 10) for _ in range(7))),
        ).verdict
        for _ in range(200)
    ]
    assert verdicts.count(Verdict.SAME) >= 180


def test_only_what_is_a_must_fails_and_only_if_it_is_worse():
    worse = figure(*scaled(2, *QUIET), is_must=True)
    assert compare("calls", worse, figure(*QUIET)).fails
    assert not compare("calls", figure(*scaled(2, *QUIET)), figure(*QUIET)).fails
    assert not compare("calls", figure(*scaled(0.5, *QUIET), is_must=True), figure(*QUIET)).fails


@pytest.mark.parametrize("before", [None, figure(0.0), Figure("cpu", "ms", "lower", (1.0,))])
def test_what_cannot_be_compared_is_new(before: Figure | None):
    found = compare("calls", figure(1.0, is_must=True), before)
    assert (found.verdict, found.before, found.fails) == (Verdict.NEW, None, False)


def test_figures_are_found_by_section_and_name():
    now = results(figure(*scaled(2, *QUIET)), figure(1.0, name="other"))
    now.sections["screen"] = Section([], (figure(1.0),))
    found = compared(now, results(figure(*QUIET)))
    assert [(each.section, each.figure.name, each.verdict) for each in found] == [
        ("memory", "cpu", Verdict.WORSE),
        ("memory", "other", Verdict.NEW),
        ("screen", "cpu", Verdict.NEW),
    ]


def test_a_table_says_it_all():
    table = rows(
        [
            compare("calls", figure(*scaled(2, *QUIET), is_must=True), figure(*QUIET)),
            compare("memory", figure(71.0, name="RSS"), figure(70.0)),
            compare("memory", figure(71.0, name="RSS"), None),
        ]
    )
    assert table[2].startswith("| calls: cpu, µs (must) | 100 | 200 | 2.00 | ")
    assert table[2].endswith(" | **worse** |")
    assert table[3] == "| memory: RSS, µs | 70.0 | 71.0 | 1.01 | - | no difference |"
    assert table[4] == "| memory: RSS, µs | - | 71.0 | - | - | new |"


@pytest.mark.parametrize(("value", "words"), [(12_345.6, "12,346"), (99.94, "99.9"), (0.456, "0.46")])
def test_numbers_are_short(value: float, words: str):
    assert number(value) == words
