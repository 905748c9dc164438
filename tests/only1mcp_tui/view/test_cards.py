"""The cards: the same figures at every width, nothing invented where nothing was counted."""

from typing import Any

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.cards import NOT_COUNTED, card_lines, saving_words, slowest
from only1mcp_tui.view.history import History
from only1mcp_tui.view.text import cells, plain
from proxy_core.telemetry.context_bill import ContextTotals, Cost
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings
from proxy_core.telemetry.snapshot import Latency, Snapshot
from tests.support.fake_control import row_of, snapshot_of
from tests.support.plots import BILL
from tests.support.screens import CLIENTS, TOTALS

SAVINGS = Savings(
    (CacheRow("m", "a", hits=6, misses=4, entries=120),), (JoinRow("m", "a", asked=4, made=1, saved=3),)
)
SLOW, FAST = row_of("search", latency=Latency(1, 410, 900)), row_of("files", latency=Latency(1, 3, 9))


def full(**fields: Any) -> Snapshot:
    known = {"totals": TOTALS, "savings": SAVINGS, "context": BILL, "clients": CLIENTS}
    return snapshot_of((SLOW, FAST), **(known | fields))


def text(snapshot: Snapshot, width: int) -> str:
    return "\n".join(plain(line) for line in card_lines(snapshot, History(), width))


@pytest.mark.parametrize("width", [100, 107, 120, 150, 200])
def test_cards_are_as_wide_as_the_screen_and_say_everything(width: int) -> None:
    lines = card_lines(full(), History(), width)
    assert len(lines) == 4
    assert {cells(line) for line in lines} == {width}
    said = text(full(), width)
    for words in ("142.3 rps", "err 0.3 %", "p95 18", "slowest search 410", "60.0 % hits", "120 kept", "9 "):
        assert words in said
    for words in ("3 seen", "8 in flight", "12 sessions", "3 streams", "12.4k tokens", "mode full", "search"):
        assert words in said
    assert "…" not in said


@pytest.mark.parametrize("width", [20, 40, 60, 80, 99])
def test_a_narrow_screen_gets_two_lines_the_weightiest_first(width: int) -> None:
    lines = card_lines(full(), History(), width)
    assert len(lines) == 2
    assert all(cells(line) <= width for line in lines)
    assert plain(lines[0]).startswith("  142.3 rps")


def test_eighty_cells_are_enough_for_all_that_matters() -> None:
    first, second = text(full(), 80).splitlines()
    assert first == "  142.3 rps  p95 18 ms  err 0.3 %  in flight 8  12 sessions  3 clients"
    assert second == "  slowest search 410 ms  cache 60.0 %  saved 9  tokens 12.4k full"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_nothing_is_said_of_what_was_not_counted(width: int) -> None:
    said = text(snapshot_of(), width)
    assert NOT_COUNTED in said or "not counted" in said
    assert "slowest" not in said
    assert "% hits" not in said


def test_the_slowest_server_is_named_where_there_are_several_to_compare() -> None:
    assert slowest((FAST, SLOW, row_of("idle"))) is SLOW
    assert slowest((SLOW, row_of("idle"))) is None
    assert slowest(()) is None
    assert slowest((FAST, SLOW), 410) is SLOW
    assert slowest((FAST, SLOW), 411) is None


def test_a_hostile_name_fits_its_card() -> None:
    evil = row_of("\x1b[31m" + "日本" * 40, latency=Latency(1, 999, 999))
    for width in (80, 100, 120):
        lines = card_lines(replace(full(), servers=(evil, FAST)), History(), width)
        assert all("\x1b" not in span[0] for line in lines for span in line)
        assert all(cells(line) <= width for line in lines)


def bill(mode: str, in_force: int, search: int | None) -> ContextTotals:
    cost = None if search is None else Cost(search, search)
    return ContextTotals("x", True, mode, Cost(in_force, in_force), Cost(1000, 1000), Cost(600, 600), cost)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (bill("full", 1000, 100), "search would save 90.0 %"),
        (bill("full", 1000, None), "compact would save 40.0 %"),
        (bill("compact", 600, 5000), "saves 40.0 % of full"),
        (bill("full", 1000, 5000), "compact would save 40.0 %"),
        (bill("compact", 500, 5000), "saves 50.0 % of full"),
        (replace(bill("full", 1000, None), compact=Cost(999, 995)), "the cheapest mode"),
    ],
)
def test_what_another_mode_would_save(context: ContextTotals, words: str) -> None:
    assert saving_words(context)[0] == words


def test_a_bill_of_lists_that_have_changed_says_so() -> None:
    assert "full, counting" in text(full(context=replace(BILL, is_complete=False)), 120)
