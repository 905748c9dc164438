"""Rows of servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.history import History
from only1mcp_tui.view.servers import OVERVIEW_COLUMNS, Order, Scene, arranged, next_order, row_cells
from only1mcp_tui.view.states import LOOKS
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import NOW, row_of
from tests.support.screens import mixed_rows

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


@given(st.text(st.characters(), max_size=300))
def test_no_text_of_a_server_reaches_a_cell_unsafe(text: str) -> None:
    row = row_of("x", ServerState.FAILED, reason=text, name=text, address=text)
    for span in row_cells(row, OVERVIEW_COLUMNS, SCENE):
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in span[0])
