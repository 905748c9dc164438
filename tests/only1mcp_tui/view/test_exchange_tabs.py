"""The tabs of one exchange."""

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.diff_lines import compare
from only1mcp_tui.view.exchange_tabs import TABS, Page, head_lines, lines_of, tabs_of
from only1mcp_tui.view.text import plain
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeStatus
from tests.support.exchanges import FOUND, hostile_detail, plain_detail, translated_detail
from tests.support.fake_control import exchange_row


def text(title: str, detail: ExchangeDetail, width: int = 120, old: ExchangeDetail | None = None) -> str:
    compared = None if old is None else compare(old, detail)
    tab = next(tab for tab in TABS if tab.title == title)
    return "\n".join(plain(line) for line in lines_of(tab, Page(detail, width, compared)))


def test_the_eras_are_a_tab_only_where_they_differ() -> None:
    assert "Eras" in [tab.title for tab in tabs_of(Page(translated_detail(), 120))]
    assert "Eras" not in [tab.title for tab in tabs_of(Page(plain_detail(exchange_row(1)), 120))]


def test_beside_each_other_lines_that_differ_are_marked() -> None:
    lines = text("Eras", translated_detail()).splitlines()
    differing = next(line for line in lines if "github__search_issues" in line)
    assert " ~ " in differing
    assert '"search_issues"' in differing
    assert any('"limit": 2' in line and " │ " in line for line in lines)


def test_on_a_narrow_screen_they_stand_below_each_other() -> None:
    lines = text("Eras", translated_detail(), 79).splitlines()
    assert any(line.startswith(" ~ ") and "github__search_issues" in line for line in lines)
    assert any(line.startswith(" ~ ") and '"search_issues"' in line for line in lines)
    assert sum(line.startswith("   ") and '"limit": 2' in line for line in lines) == 2


def test_an_open_one_has_no_answer_yet() -> None:
    detail = plain_detail(exchange_row(1, status=ExchangeStatus.OPEN, duration_ms=None))
    assert "There is no answer yet." in text("Response", detail)


def test_bodies_that_were_not_kept_are_said_to_be_so() -> None:
    detail = plain_detail(exchange_row(1))
    detail = replace(detail, messages=tuple(replace(each, body="") for each in detail.messages))
    assert "No body was kept" in text("Request", detail)
    assert "cannot be compared" in text("Diff", detail, old=detail)


def test_a_cut_body_says_how_long_it_was() -> None:
    detail = plain_detail(exchange_row(1))
    messages = tuple(replace(each, is_cut=True, size=2_000_000) for each in detail.messages)
    assert "it had 2.0M bytes" in text("Response", replace(detail, messages=messages))


def test_why_it_cannot_be_made_again_is_said() -> None:
    assert "Cannot be made again: Its body was cut." in text(
        "Timeline", plain_detail(exchange_row(1), why_not_replayable="Its body was cut.")
    )


def test_equal_answers_have_no_difference() -> None:
    old, new = plain_detail(exchange_row(1)), plain_detail(exchange_row(2, duration_ms=25.0))
    assert "No difference" in text("Diff", new, old=old)


def test_a_difference_is_told_with_its_path_and_both_durations() -> None:
    old = plain_detail(exchange_row(1))
    new = plain_detail(exchange_row(2, duration_ms=1250.0), {**FOUND, "isError": True, "more": 1})
    told = text("Diff", new, old=old)
    assert "+ 1 added   - 0 removed   ~ 1 changed" in told
    assert "~ isError" in told
    assert "18ms" in told
    assert "1.2s" in told


def test_an_answer_and_an_error_are_compared_too() -> None:
    old, new = plain_detail(exchange_row(1)), plain_detail(exchange_row(2, code=-32603))
    assert "+ error" in text("Diff", new, old=old)


@pytest.mark.parametrize("tab", [tab.title for tab in TABS])
@pytest.mark.parametrize("width", [30, 80, 200])
def test_an_enemys_exchange_is_shown_in_every_tab(tab: str, width: int) -> None:
    detail = hostile_detail()
    for character in text(tab, detail, width, old=detail):
        assert character == "\n" or (ord(character) >= 0x20 and not 0x7F <= ord(character) < 0xA0)


def test_the_head_says_both_eras_and_what_happened() -> None:
    told = "\n".join(plain(line) for line in head_lines(translated_detail(), 0.0, True, 120))
    assert "*8812" in told
    assert "◆ 2026-07-28 → github/a ◇ 2025-11-25" in told
    assert "2 attempts, 1 input round" in told
    assert "3 secrets masked" in told
