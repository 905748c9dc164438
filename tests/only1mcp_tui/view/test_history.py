"""The memory of plots: one sample a second, an hour at most, gaps where nothing was seen, no negative rate."""

import sys
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.history import KEPT_S, History, Window, sparkline
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings
from proxy_core.telemetry.snapshot import Latency, Snapshot, Totals
from tests.support.fake_control import row_of, snapshot_of


def shown(values: Iterable[float]) -> list[float | None]:
    """Missing ones as None, which is equal to itself."""
    return [None if value != value else value for value in values]


def at(now: float, *rows: object, **fields: object) -> Snapshot:
    return snapshot_of(rows, at=now, **{"started_at": 0.0} | fields)  # type: ignore[arg-type]


def test_a_second_sample_within_the_second_is_not_taken() -> None:
    history = History()
    for now in (0.0, 0.25, 0.5, 1.0):
        history.sample(snapshot_of(totals=Totals(calls_per_s=now)), now)
    assert list(history.series("calls_per_s")) == [0.0, 1.0]


def test_a_sparkline_is_given_two_minutes() -> None:
    history = History()
    for now in range(KEPT_S + 30):
        history.sample(at(now), float(now))
    assert len(history.series("calls_per_s")) == KEPT_S


def test_a_server_that_is_gone_is_forgotten() -> None:
    history = History()
    history.sample(snapshot_of((row_of("clock", calls_per_s=2.0),)), 0.0)
    assert list(history.of_server("clock")) == [2.0]
    history.sample(snapshot_of(), 1.0)
    assert list(history.of_server("clock")) == []


def test_seconds_that_nobody_saw_are_a_gap_and_no_zeros() -> None:
    history = History()
    for now in (0, 1, 60, 61):
        history.sample(at(now, totals=Totals(calls_per_s=1.0)), float(now))
    minute = shown(history.read("calls_per_s", Window.MINUTE))
    assert minute[-2:] == [1.0, 1.0]
    assert minute[0] is None or minute[0] == 1.0
    assert set(minute[1:-2]) == {None}


def test_a_picture_that_has_grown_old_is_a_gap() -> None:
    history = History()
    history.sample(at(0.0, totals=Totals(in_flight=3)), 0.0)
    for now in range(1, 10):
        history.sample(at(0.0, totals=Totals(in_flight=3)), float(now))
    history.sample(at(10.0, totals=Totals(in_flight=4)), 10.0)
    assert shown(history.newest("in_flight")) == [3, 3, 3, 3, *[None] * 6, 4]


def test_a_second_that_a_slow_screen_skipped_is_no_gap() -> None:
    history = History()
    for now in (0.9, 2.1):
        history.sample(at(now, totals=Totals(in_flight=3)), now)
    assert shown(history.newest("in_flight")) == [3, 3, 3]


def test_counters_become_rates() -> None:
    history = History()
    savings = Savings((CacheRow("m", "a", 10, 5),), (JoinRow("m", "a", asked=5, made=4, saved=1),))
    more = Savings((CacheRow("m", "a", 14, 6),), (JoinRow("m", "a", asked=8, made=5, saved=3),))
    totals = Totals(tokens_served=1000)
    history.sample(at(0.0, row_of("a", retries=1), savings=savings, totals=totals), 0.0)
    history.sample(
        at(2.0, row_of("a", retries=5), savings=more, totals=replace(totals, tokens_served=1800)), 2.0
    )
    names = ("retries_per_s", "hits_per_s", "lookups_per_s", "joined_per_s", "asked_per_s", "tokens_per_s")
    assert [history.newest(name)[-1] for name in names] == [2.0, 2.0, 2.5, 1.0, 1.5, 400.0]
    assert [history.newest(name, "a")[-1] for name in names[:4]] == [2.0, 2.0, 2.5, 1.0]


def test_a_restart_of_the_gateway_is_a_gap_and_no_negative_rate() -> None:
    history = History()
    for now, tokens, started_at in ((0, 1000, 0.0), (1, 1500, 0.0), (2, 50, 2.0), (3, 80, 2.0)):
        history.sample(at(now, started_at=started_at, totals=Totals(tokens_served=tokens)), float(now))
    assert shown(history.newest("tokens_per_s")) == [None, 500, None, 30]


def test_counters_that_go_back_without_a_restart_are_a_gap_too() -> None:
    history = History()
    for now, retries in enumerate((7, 9, 1, 2)):
        history.sample(at(now, row_of("a", retries=retries)), float(now))
    assert shown(history.newest("retries_per_s")) == [None, 2, None, 1]


def test_a_clock_that_goes_back_begins_a_new_history() -> None:
    history = History()
    history.sample(at(5000.0, totals=Totals(in_flight=3)), 5000.0)
    history.sample(at(7.0, totals=Totals(in_flight=4)), 7.0)
    assert shown(history.newest("in_flight")) == [4]
    assert history.since_s(9.0) == 2.0


def test_a_server_that_does_nothing_is_at_zero_since_it_was_seen_and_has_no_latency() -> None:
    history = History()
    history.sample(at(0.0), 0.0)
    for now in (1, 2, 3):
        busy = {"calls_per_s": 2.0, "latency": Latency(1, 2, 3)} if now == 3 else {}
        history.sample(at(now, row_of("a", **busy)), float(now))
    assert shown(history.read("calls_per_s", Window.MINUTE, "a"))[-4:] == [None, 0, 0, 2]
    assert shown(history.read("p95_ms", Window.MINUTE, "a"))[-4:] == [None, None, None, 2]


@pytest.fixture(scope="module")
def hour() -> History:
    """An hour and a bit: one call in flight, but in second 3000 nine; p95 at 5 ms for the same second."""
    history = History()
    for now in range(3700):
        is_peak = now == 3000
        row = row_of("a", calls_per_s=now % 10, latency=Latency(1, 5.0 if is_peak else 1.0, 9))
        totals = Totals(calls_per_s=now % 10, in_flight=9 if is_peak else 1)
        history.sample(at(now, row, totals=totals), float(now))
    return history


def test_an_hour_keeps_means_of_rates_and_the_highest_of_levels(hour: History) -> None:
    calls, levels = hour.read("calls_per_s", Window.HOUR), hour.read("in_flight", Window.HOUR)
    assert len(calls) == 360
    assert set(calls) == {4.5}
    assert max(levels) == 9
    assert levels.index(9) == 359 - (368 - 300)
    assert max(hour.read("p95_ms", Window.HOUR, "a")) == 5
    assert set(hour.read("calls_per_s", Window.HOUR, "a")) == {4.5}


def test_ten_minutes_are_kept_to_the_second(hour: History) -> None:
    seconds = hour.read("calls_per_s", Window.TEN_MINUTES)
    assert len(seconds) == 600
    assert list(seconds[-3:]) == [7, 8, 9]
    assert list(hour.read("calls_per_s", Window.MINUTE)) == list(seconds[-60:])


def test_a_server_takes_twenty_kilobytes_and_none_while_it_does_nothing(hour: History) -> None:
    def taken(history: History) -> int:
        track = history._servers["a"]
        return sys.getsizeof(track.seconds) + sys.getsizeof(track.tens)

    idle = History()
    for now in range(700):
        idle.sample(at(now, row_of("a")), float(now))
    assert taken(hour) < 20_000
    assert taken(idle) < 1_000


def test_the_busiest_servers_of_late_are_known_in_the_order_of_the_configuration() -> None:
    history = History()
    for now in range(300):
        early = row_of("early", calls_per_s=50.0 if now < 30 else 0.0)
        late = row_of("late", calls_per_s=2.0)
        history.sample(at(now, row_of("idle"), early, late), float(now))
    assert history.busiest(5) == ["early", "late"]
    assert history.busiest(1) == ["late"]


def test_a_trend_is_made_once_a_second() -> None:
    history = History()
    history.sample(at(0.0, row_of("a", calls_per_s=1.0)), 0.0)
    first = history.trend("a", 4)
    assert first == "   ▇"
    assert history.trend("a", 4) is first
    history.sample(at(1.0, row_of("a", calls_per_s=0.5)), 1.0)
    assert history.trend("a", 4) == "  ▇▄"
    assert history.trend("nobody", 4) == "    "


def test_a_sparkline_has_its_newest_value_at_the_right() -> None:
    assert sparkline([0, 5, 10], 5) == "  ▁▄▇"


def test_a_gap_in_a_sparkline_is_blank() -> None:
    assert sparkline([10, float("nan"), 10], 3) == "▇ ▇"


def test_silence_draws_nothing() -> None:
    assert sparkline([0, 0], 4) == "    "
    assert sparkline([], 0) == ""
    assert sparkline([float("nan")], 2) == "  "
