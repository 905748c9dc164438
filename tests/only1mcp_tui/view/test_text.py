"""Untrusted text: whatever comes in, one harmless line comes out."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from only1mcp_tui.view.text import clip, first_line, fit, safe, safe_lines, spread, wrap

ANYTHING = st.text(st.characters(), max_size=200)
"""Lone surrogates too."""


@given(ANYTHING)
def test_no_control_direction_or_hidden_character_survives(text: str) -> None:
    for character in safe(text):
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert not 0x200B <= ord(character) <= 0x200F
        assert not 0x202A <= ord(character) <= 0x202E
        assert not 0x2066 <= ord(character) <= 0x2069


@given(ANYTHING, st.integers(1, 60))
def test_the_limit_holds_and_the_line_can_be_written(text: str, limit: int) -> None:
    line = safe(text, limit)
    assert len(line) <= limit
    line.encode()


@given(ANYTHING)
def test_safe_text_is_left_alone(text: str) -> None:
    assert safe(safe(text)) == safe(text)


def test_a_control_character_becomes_its_picture() -> None:
    assert safe("a\x1b[31mb\n\x07\x7f\x9b") == "a␛[31mb␊␇␡�"


@given(ANYTHING.map(safe), st.integers(1, 40), st.booleans())
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, right)) == width


@given(ANYTHING.map(safe), st.integers(1, 40))
def test_a_clipped_line_is_exactly_as_wide_as_asked(text: str, width: int) -> None:
    assert sum(cell_len(span[0]) for span in clip(((text, "text"), ("end", "bad")), width)) == width


def test_the_right_end_gives_way_where_both_do_not_fit() -> None:
    left = (("a long left end", "text"),)
    assert spread(left, (("right", "text"),), 18) == left


def test_text_wraps_at_spaces() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]


@given(ANYTHING.map(safe), st.integers(2, 40))
def test_no_wrapped_line_is_wider_than_asked(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_the_first_line_says_how_many_follow() -> None:
    assert first_line("one\ntwo\nthree") == "one (and 2 more)"
    assert first_line("one\x1b\n") == "one␛"
    assert first_line("") == ""


def test_many_lines_are_cut_to_the_most() -> None:
    assert safe_lines("a\nb\x1b\nc", most=2) == ["a", "b␛"]
