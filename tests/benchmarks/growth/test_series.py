"""How a series is told: the figures as measured, the price for each, and the words of the verdict."""

import pytest

from tests.benchmarks.growth.series import FULL, QUICK, Curve, Figure, Series, rounded


def series(*costs: float) -> Series:
    calls = Curve("tools/call", "CPU µs", [Figure(10**n, cost, 1e6 / cost) for n, cost in enumerate(costs)])
    memory = Curve("memory", "MB", [Figure(10**n, 70 + 0.25 * 10**n) for n in range(len(costs))])
    return Series("Calls by backend", "backend", "backends", [calls, memory])


def test_the_tables_of_a_series():
    assert series(200, 210, 190).rows() == [
        "| backends | tools/call, CPU µs | a second | memory, MB |",
        "|---|---|---|---|",
        "| 1 | 200 | 5,000 | 70.2 |",
        "| 10 | 210 | 4,762 | 72.5 |",
        "| 100 | 190 | 5,263 | 95.0 |",
        "",
        "| by number of backends | for each backend more | exponent | verdict |",
        "|---|---|---|---|",
        "| tools/call, CPU µs | -0.150 CPU µs | -0.01 | flat |",
        "| memory, MB | 250 KB | 0.07 | linear, 250 KB per backend |",
    ]


@pytest.mark.parametrize(("mb", "said"), [(0.7, "0.700 MB"), (0.25, "250 KB"), (66e-6, "66.0 bytes")])
def test_memory_for_each_is_told_in_the_size_that_it_has(mb: float, said: str):
    memory = Curve("memory", "MB", [Figure(n, 70 + mb * n) for n in (0, 10, 10**7)])
    assert said in Series("t", "x", "xs", [memory]).rows()[-1]


def test_what_is_worse_says_so():
    assert series(10, 100, 10_000).rows()[-2].endswith("| worse than linear |")


def test_curves_of_other_numbers_are_not_put_side_by_side():
    short = Curve("memory", "MB", [Figure(1, 70)])
    with pytest.raises(ValueError):
        Series("t", "backend", "backends", [series(1, 2).curves[0], short]).rows()


def test_a_picture_names_every_curve_with_its_unit():
    picture = series(200, 210).picture()
    assert "tools/call, CPU µs" in picture
    assert "memory, MB" in picture


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123456, "0.0123"), (1.234, "1.23"), (99.94, "99.9"), (12345.6, "12,346"), (-0.5, "-0.500")],
)
def test_no_more_digits_than_are_measured(value: float, text: str):
    assert rounded(value) == text


def test_a_quick_look_is_at_the_small_end():
    assert QUICK.of((1, 8, 64, 512)) == (1, 8, 64)
    assert FULL.of((1, 8, 64, 512)) == (1, 8, 64, 512)
