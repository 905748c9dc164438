"""Rows of servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.filters import Filter, parse_filter
from only1mcp_tui.view.history import History
from only1mcp_tui.view.servers import (
    FILTER_KEYS,
    LIST_COLUMNS,
    OVERVIEW_COLUMNS,
    Order,
    Scene,
    arranged,
    next_order,
    row_cells,
)
from only1mcp_tui.view.states import LOOKS
from only1mcp_tui.view.targets import Target, find
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import NOW, row_of
from tests.support.screens import mixed_rows, replicated_rows

UNSORTED = Order()
SCENE = Scene(NOW, History(), 20)


def test_every_state_has_a_glyph_and_a_word_of_its_own() -> None:
    assert set(LOOKS) == set(ServerState)
    assert len({(look.glyph, look.word) for look in LOOKS.values()}) == len(LOOKS)


@pytest.mark.parametrize("column", [column.key for column in OVERVIEW_COLUMNS])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_any_column_can_sort(column: str, is_reversed: bool) -> None:
    rows = arranged(mixed_rows(), OVERVIEW_COLUMNS, Filter(), Order(column, is_reversed))
    assert {row.id for row in rows} == {row.id for row in mixed_rows()}


def test_what_needs_an_eye_comes_first_when_sorted_by_state() -> None:
    rows = arranged(mixed_rows(), OVERVIEW_COLUMNS, Filter(), Order("state"))
    assert [row.state for row in rows][:2] == [ServerState.FAILED, ServerState.UNHEALTHY]


def test_sorting_comes_back_to_the_order_of_the_configuration() -> None:
    order = Order()
    for _ in range(len(OVERVIEW_COLUMNS) + 1):
        order = next_order(order, OVERVIEW_COLUMNS)
    assert order == Order()


def shown(expression: str = "", order: Order = UNSORTED) -> list[str]:
    chosen = parse_filter(expression, FILTER_KEYS)
    return [target.id for target in arranged(replicated_rows(), OVERVIEW_COLUMNS, chosen, order)]


GITHUB = ["github", "github/a", "github/b", "github/c"]
FILES = ["files", "files/x", "files/y"]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_replicas_stay_below_their_server_however_it_is_sorted(is_reversed: bool) -> None:
    ids = shown(order=Order("rps", is_reversed))
    at = ids.index("github")
    assert ids[at : at + 4] == GITHUB
    assert ids != shown()


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("files", FILES),
        ("breaker:open", ["github", "github/b", "jira"]),
        ("id:github/a", ["github", "github/a"]),
        ("state:draining", ["github", "github/c", "postgres"]),
        ("nobody", []),
    ],
)
def test_a_replica_that_matches_keeps_its_server(expression: str, ids: list[str]) -> None:
    assert shown(expression) == ids


def test_the_last_replica_shown_closes_the_branch() -> None:
    chosen = parse_filter("id:github/a", FILTER_KEYS)
    *_, last = arranged(replicated_rows(), LIST_COLUMNS, chosen, Order())
    assert row_cells(last, LIST_COLUMNS, SCENE)[0][0] == "└ a"


def test_a_replica_has_numbers_of_its_own_and_no_one_else_s() -> None:
    target = find(replicated_rows(), "github/b")
    assert target is not None
    keys = [column.key for column in OVERVIEW_COLUMNS]
    said = dict(zip(keys, row_cells(target, OVERVIEW_COLUMNS, Scene(NOW, History(), 60)), strict=True))
    assert said["state"][0] == "⊘ breaker open"
    assert said["probe"] == ("1s HTTP 500 390ms", "bad")
    assert said["trend"][0].startswith("breaker open, tried again in 13s")
    assert (said["rps"][0], said["p95"][0], said["err"][0]) == ("", "", "")


@given(st.text(st.characters(), max_size=300))
def test_no_text_of_a_server_reaches_a_cell_unsafe(text: str) -> None:
    row = row_of("x", ServerState.FAILED, reason=text, name=text, address=text)
    for span in row_cells(Target(row), OVERVIEW_COLUMNS, SCENE):
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in span[0])
