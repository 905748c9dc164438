"""Exchanges as rows."""

import pytest

from only1mcp_tui.view.exchanges import (
    COLUMNS,
    Seen,
    age,
    byte_count,
    cells_of,
    fields_of,
    numbers_of,
    parse_exchange_filter,
    server_of,
)
from proxy_core.telemetry.exchanges import ExchangeRow, ExchangeStatus
from tests.support.fake_control import exchange_row


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0s"), (7.9, "7s"), (999, "999s"), (1020, "17m"), (90_000, "25h"), (1e9, "999h")],
)
def test_an_age_has_four_cells(seconds: float, words: str) -> None:
    assert age(seconds) == words
    assert len(words) <= 4


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (999, "999"), (1890, "1.9k"), (65_536, "65.5k"), (999_400, "999k"), (1_300_000, "1.3M")],
)
def test_a_number_of_bytes_has_five_cells(value: int, words: str) -> None:
    assert byte_count(value) == words
    assert len(words) <= 5


def words_of(row: ExchangeRow, is_marked: bool = False) -> dict[str, str]:
    cells = cells_of(row, COLUMNS, Seen(row.wall + 7.4, is_marked, names_method=True))
    return {column.key: cell[0] for column, cell in zip(COLUMNS, cells, strict=True)}


def test_a_row_says_how_it_went() -> None:
    status = ExchangeStatus
    assert words_of(exchange_row(1))["status"] == "● ok"
    assert words_of(exchange_row(1, status=status.ERROR, code=-32603, attempts=2))["status"] == "✖ -32603 x2"
    assert words_of(exchange_row(1, status=status.TOOL_ERROR, rounds=1))["status"] == "▲ tool error ?1"
    assert words_of(exchange_row(1, is_replay=True))["status"] == "● ok R"
    opened = words_of(exchange_row(1, status=status.OPEN, duration_ms=None), is_marked=True)
    assert (opened["status"], opened["ms"], opened["id"]) == ("◌ open", "7s", "*1")


def test_a_list_is_named_by_its_method_where_no_column_says_it() -> None:
    assert words_of(exchange_row(1, "tools/list", ""))["target"] == "tools/list"


@pytest.mark.parametrize(
    ("server", "replica", "words"),
    [
        ("github", "a", "github/a"),
        ("github", "main", "github"),
        ("github", "", "github"),
        ("", "", ""),
    ],
)
def test_the_replica_is_named_where_it_says_more(server: str, replica: str, words: str) -> None:
    assert server_of(exchange_row(1, server=server, replica=replica)) == words


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("search_issues", True),
        ("claude github", True),
        ("method:tools/call server:github status:ok ms:>10 client:claude", True),
        ("is:retried is:cached is:translated is:replay", True),
        ("is:rounds", False),
        ("era:legacy", False),
        ("bytes:>2k", True),
        ("anon", True),
        ("codegithub", False),
    ],
)
def test_the_filter_finds_a_row(expression: str, matches: bool) -> None:
    row = exchange_row(1, attempts=2, saved="hit", is_translated=True, is_replay=True)
    assert parse_exchange_filter(expression).matches(fields_of(row, False), numbers_of(row)) is matches
