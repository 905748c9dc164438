"""The charts: the busiest servers by name, shares of what there was, and nothing invented."""

from typing import Any

import pytest

from only1mcp_tui.view.history import History, Window
from only1mcp_tui.view.plots import (
    KINDS,
    NO_CALLS,
    NO_TRAFFIC,
    TOP_SERVERS,
    Chart,
    Scope,
    chart_of,
    nice_top,
    spark_of,
)
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings
from proxy_core.telemetry.snapshot import Latency, Snapshot, Totals
from tests.support.fake_control import row_of, snapshot_of

BY_KEY = {kind.key: kind for kind in KINDS}
MINUTE = Scope(Window.MINUTE)


def seen(seconds: int, **fields: Any) -> tuple[History, Snapshot]:
    """So many seconds of one picture; `fields` may be functions of the second."""
    history = History()
    snapshot = snapshot_of()
    for now in range(seconds):
        known = {key: value(now) if callable(value) else value for key, value in fields.items()}
        snapshot = snapshot_of(**{"at": float(now), "started_at": 0.0} | known)
        history.sample(snapshot, float(now))
    return history, snapshot


def chart(key: str, history: History, snapshot: Snapshot, scope: Scope = MINUTE, points: int = 100) -> Chart:
    return chart_of(BY_KEY[key], history, scope, snapshot, points)


@pytest.mark.parametrize("key", sorted(BY_KEY.keys() - {"lag"}))
@pytest.mark.parametrize("server", [None, "a"])
def test_an_empty_history_says_so(key: str, server: str | None) -> None:
    history, snapshot = seen(3, servers=(row_of("a"),))
    made = chart(key, history, snapshot, Scope(Window.MINUTE, server))
    assert made.note == (
        "Counted for all servers together." if server and BY_KEY[key].is_shared else NO_TRAFFIC
    )
    assert made.curves == ()


def test_a_window_without_calls_is_not_a_gateway_without_traffic() -> None:
    history, snapshot = seen(3, totals=Totals(calls=7), servers=(row_of("a", calls=7),))
    assert chart("calls", history, snapshot).note == NO_CALLS
    assert chart("latency", history, snapshot).note == NO_CALLS
    assert chart("errors", history, snapshot).note == ""


def test_the_busiest_servers_have_curves_and_all_others_one() -> None:
    rows = tuple(row_of(f"s{number}", calls_per_s=float(number), calls=1) for number in range(9))
    history, snapshot = seen(70, servers=rows, totals=Totals(calls=9))
    made = chart("calls", history, snapshot)
    assert [curve.label for curve in made.curves] == ["s4", "s5", "s6", "s7", "s8", "others"]
    assert [curve.letter for curve in made.curves] == list("abcdef")
    assert len(made.curves) == TOP_SERVERS + 1
    assert made.curves[-1].last == "6.0"
    assert all(
        curve.values[0] != curve.values[0] for curve in chart("calls", history, snapshot, Scope()).curves
    )
    assert made.figures == (("all", "36.0"), ("min", "36.0"), ("max", "36.0"))


def test_one_server_in_scope_is_alone() -> None:
    rows = (row_of("a", calls_per_s=2.0, calls=1), row_of("b", calls_per_s=1.0, calls=1))
    history, snapshot = seen(70, servers=rows, totals=Totals(calls=9))
    made = chart("calls", history, snapshot, Scope(Window.MINUTE, "b"))
    assert [(curve.label, curve.last) for curve in made.curves] == [("b", "1.0")]


def test_latency_tells_p95_and_its_scale_holds_p99() -> None:
    latency = lambda now: Totals(calls=9, latency=Latency(4, 18 if now else 12, 41))  # noqa: E731
    history, snapshot = seen(5, totals=latency)
    made = chart("latency", history, snapshot)
    assert [(curve.label, curve.last) for curve in made.curves] == [
        ("p50", "4.0"),
        ("p95", "18"),
        ("p99", "41"),
    ]
    assert made.figures == (("p95", "18"), ("min", "12"), ("max", "18"))
    assert made.top == 50


def test_a_share_is_of_what_was_looked_up_and_missing_where_nothing_was() -> None:
    hits = lambda now: Savings((CacheRow("m", "a", hits=min(now, 5) * 3, misses=min(now, 5)),))  # noqa: E731
    history, snapshot = seen(40, savings=hits, totals=Totals(calls=9))
    curve = chart("cache", history, snapshot).curves[0]
    assert curve.values[-36] == 75
    # Long after the last lookup there is nothing to take a share of.
    assert curve.values[-1] != curve.values[-1]
    assert curve.last == "-"


def test_answers_without_a_call_count_joined_requests_too() -> None:
    savings = lambda now: Savings(  # noqa: E731
        (CacheRow("m", "a", hits=now, misses=now),), (JoinRow("m", "a", asked=now, made=now, saved=0),)
    )
    history, snapshot = seen(30, savings=savings, totals=Totals(calls=9))
    assert [curve.last for curve in chart("cache", history, snapshot).curves] == ["50", "50"]


def test_many_samples_become_as_many_points_as_there_is_room_for() -> None:
    peak = lambda now: Totals(calls=9, calls_per_s=1.0, in_flight=9 if now == 333 else 1)  # noqa: E731
    history, snapshot = seen(601, totals=peak)
    made = chart("flight", history, snapshot, Scope(Window.TEN_MINUTES), points=100)
    assert len(made.curves[0].values) == 100
    assert max(made.curves[0].values) == 9


def test_hostile_names_are_made_safe() -> None:
    rows = (row_of("\x1b]0;x\x07[bold]", calls_per_s=2.0, calls=1),)
    history, snapshot = seen(5, servers=rows, totals=Totals(calls=9))
    label = chart("calls", history, snapshot).curves[0].label
    assert label.isprintable()
    assert "\x1b" not in label


def test_a_line_of_the_newest_seconds_has_the_last_value_in_words() -> None:
    history, _ = seen(30, servers=(row_of("a", calls_per_s=2.0),), totals=Totals(in_flight=3))
    values, last = spark_of(BY_KEY["calls"], history, MINUTE, 10)
    assert (list(values), last) == ([2.0] * 10, "2.0")
    assert spark_of(BY_KEY["flight"], history, MINUTE, 10)[1] == "3"
    assert spark_of(BY_KEY["latency"], history, MINUTE, 10)[1] == "-"
    assert spark_of(BY_KEY["lag"], history, Scope(Window.MINUTE, "a"), 10) == ((), "-")


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0, 1), (0.3, 0.4), (1, 2), (1.9, 2), (3.95, 5), (41, 50), (98, 100), (99.9, 200), (1e6, 2e6)],
)
def test_a_scale_ends_at_a_round_number_above_the_highest_value(highest: float, top: float) -> None:
    assert nice_top(highest) == pytest.approx(top)
