"""The plots' memory: one sample a second, bounded, only of what exists."""

from only1mcp_tui.view.history import KEPT_S, History, sparkline
from proxy_core.telemetry.snapshot import Totals
from tests.support.fake_control import row_of, snapshot_of


def test_a_second_sample_within_the_second_is_not_taken() -> None:
    history = History()
    for now in (0.0, 0.25, 0.5, 1.0):
        history.sample(snapshot_of(totals=Totals(calls_per_s=now)), now)
    assert list(history.series("calls_per_s")) == [0.0, 1.0]


def test_the_ring_is_bounded() -> None:
    history = History()
    for now in range(KEPT_S + 30):
        history.sample(snapshot_of(), float(now))
    assert len(history.series("calls_per_s")) == KEPT_S


def test_a_server_that_is_gone_is_forgotten() -> None:
    history = History()
    history.sample(snapshot_of((row_of("clock", calls_per_s=2.0),)), 0.0)
    assert list(history.of_server("clock")) == [2.0]
    history.sample(snapshot_of(), 1.0)
    assert list(history.of_server("clock")) == []


def test_a_sparkline_has_its_newest_value_at_the_right() -> None:
    assert sparkline([0, 5, 10], 5) == "  ▁▄▇"


def test_silence_draws_nothing() -> None:
    assert sparkline([0, 0], 4) == "    "
    assert sparkline([], 0) == ""
