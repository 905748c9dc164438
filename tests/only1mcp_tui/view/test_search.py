"""Words in lines."""

from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.search import highlighted, lines_with
from only1mcp_tui.view.text import Line, plain

LINES: list[Line] = [(("One ", "text"), ("two", "good")), (("three", "text"),), (("two two", "bad", "act"),)]


def test_lines_are_found_whatever_the_case() -> None:
    assert lines_with(LINES, " TWO ") == [0, 2]
    assert lines_with(LINES, "one two") == [0]
    assert lines_with(LINES, "  ") == []


def test_each_place_is_set_off_and_the_rest_keeps_its_role() -> None:
    assert highlighted(LINES[2], "two") == (("two", "badge"), (" ", "bad", "act"), ("two", "badge"))
    assert highlighted(LINES[1], "two") == LINES[1]


@given(st.lists(st.tuples(st.text(), st.just("text"))).map(tuple), st.text())
def test_a_highlighted_line_says_the_same(line: Line, words: str) -> None:
    assert plain(highlighted(line, words)) == plain(line)
