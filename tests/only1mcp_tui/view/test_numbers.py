"""Numbers as short words."""

import pytest

from only1mcp_tui.view.numbers import count, countdown, duration, latency, millis, percent, rate, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0s"), (9.9, "9s"), (125, "2m05s"), (8040, "2h14m"), (273_600, "3d04h")],
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "-"), (0.42, "0.4"), (17.6, "18"), (999, "999"), (7738, "7.7s"), (9999, "10s")]
)
def test_a_latency_is_as_exact_as_it_is_short(value: float | None, words: str) -> None:
    assert millis(value) == words


def test_a_latency_with_its_unit_has_one_unit() -> None:
    assert [latency(value) for value in (None, 0.42, 390.0, 5000.0)] == ["-", "0.4ms", "390ms", "5.0s"]


def test_a_countdown_rounds_up_and_ends_at_zero() -> None:
    assert [countdown(value) for value in (26.2, 0.1, -4, 130.0)] == ["27 s", "1 s", "0 s", "2m10s"]


def test_a_size_is_in_the_unit_that_suits_it() -> None:
    assert [size(value) for value in (812_000, 42_300_000, 1_340_000_000)] == ["812 kB", "42 MB", "1.3 GB"]


def test_rates_and_counts_grow_a_unit() -> None:
    assert [rate(0.04), rate(142.31), rate(12_345)] == ["0.0", "142.3", "12.3k"]
    assert [count(9999), count(13_320), count(2_500_000)] == ["9999", "13.3k", "2.5M"]


def test_a_share_of_nothing_is_no_number() -> None:
    assert [percent(1, 0), percent(0, 5), percent(1, 3), percent(9, 5)] == ["-", "0", "33.3", "100"]
