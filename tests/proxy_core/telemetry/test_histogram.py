import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.telemetry.histogram import LatencyWindow, RateWindow, top_ms
from proxy_core.telemetry.snapshot import Latency
from tests.support.clock import FakeClock


def test_without_a_call_there_is_no_latency():
    assert LatencyWindow().latency(0) == Latency(None, None, None)


@given(st.lists(st.floats(0.1, 100_000), min_size=1, max_size=200))
def test_percentiles_are_right_within_15_percent(latencies_ms: list[float]):
    window, clock = LatencyWindow(), FakeClock()
    for ms in latencies_ms:
        window.add(clock.monotonic(), ms)
    found = window.latency(clock.monotonic())
    ranked = sorted(latencies_ms)
    for share, value in ((0.50, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms)):
        assert value == pytest.approx(ranked[math.ceil(share * len(ranked)) - 1], rel=0.15)


@pytest.mark.parametrize("ms", [0.0, 0.01, 1e9])
def test_what_is_out_of_range_counts_at_its_end(ms: float):
    window = LatencyWindow()
    window.add(0, ms)
    assert window.latency(0).p50_ms is not None


def test_a_call_is_seen_for_a_minute_and_then_forgotten():
    window, clock = LatencyWindow(), FakeClock()
    window.add(clock.monotonic(), 10)
    clock.advance(59)
    window.add(clock.monotonic(), 1000)
    assert window.latency(clock.monotonic()).p50_ms == pytest.approx(10, rel=0.15)
    clock.advance(12)
    assert window.latency(clock.monotonic()).p50_ms == pytest.approx(1000, rel=0.15)
    clock.advance(3600)
    assert window.latency(clock.monotonic()) == Latency()


def test_a_rate_is_that_of_the_last_ten_full_seconds():
    window, clock = RateWindow(), FakeClock()
    for _ in range(30):
        window.add(clock.monotonic())
        clock.advance(0.5)
    assert window.per_s(clock.monotonic()) == 2
    clock.advance(5)
    assert window.per_s(clock.monotonic()) == 1
    clock.advance(5)
    assert window.per_s(clock.monotonic()) == 0


def test_the_second_that_still_runs_does_not_count_yet():
    window, clock = RateWindow(), FakeClock()
    window.add(clock.monotonic())
    assert window.per_s(clock.monotonic()) == 0
    clock.advance(1)
    assert window.per_s(clock.monotonic()) == 0.1


@pytest.mark.parametrize("order", [(1.0, 3000.0, 40.0), (40.0, 1.0, 3000.0), (3000.0, 40.0, 1.0)])
def test_percentiles_do_not_depend_on_the_order_in_which_latencies_came(order):
    window, clock = LatencyWindow(), FakeClock()
    for ms in order:
        for _ in range(10):
            window.add(clock.monotonic(), ms)
        clock.advance(12)
        window.latency(clock.monotonic())
    told = window.latency(clock.monotonic())
    assert told.p50_ms == pytest.approx(40, rel=0.15)
    assert told.p99_ms == pytest.approx(3000, rel=0.15)


def test_what_comes_late_into_a_second_that_was_told_counts_too():
    window, clock = RateWindow(), FakeClock()
    window.add(clock.monotonic())
    clock.advance(1)
    assert window.per_s(clock.monotonic()) == 0.1
    window.add(clock.monotonic() - 1)
    assert window.per_s(clock.monotonic()) == 0.2


def test_what_was_counted_once_is_never_forgotten():
    window, clock = LatencyWindow(), FakeClock()
    for _ in range(30):
        window.add(clock.monotonic(), 1.0)
        window.add(clock.monotonic(), 1000.0)
        clock.advance(9)
    clock.advance(3600)
    window.add(clock.monotonic(), 1e9)
    below, middle, above, last = window.up_to((5, 40, 100, 127))
    assert (below, middle, above, last) == (0, 30, 60, 61)
    assert window.sum_ms == 30 * 1001.0 + 1e9
    assert window.latency(clock.monotonic()).p50_ms == pytest.approx(top_ms(127), rel=0.15)


def test_what_is_added_is_told_from_the_next_second_on_and_the_first_at_once() -> None:
    window = LatencyWindow()
    assert window.latency(100.0) == Latency()
    window.add(100.1, 1.0)
    first = window.latency(100.2)
    assert first.p50_ms == pytest.approx(1.0, rel=0.15)
    for _ in range(9):
        window.add(100.3, 100.0)
    assert window.latency(100.9) is first
    assert window.latency(101.0).p50_ms == pytest.approx(100.0, rel=0.15)


def test_calls_leave_the_window_while_none_are_added() -> None:
    window = LatencyWindow()
    window.add(5.0, 1.0)
    assert window.latency(6.0) != Latency()
    assert window.latency(6.0 + 10 * 7) == Latency()
