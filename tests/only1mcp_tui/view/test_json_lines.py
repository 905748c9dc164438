"""JSON as lines: pretty where it is JSON, whole where it is not, bounded whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.json_lines import LINES_SHOWN, json_lines, text_lines
from only1mcp_tui.view.text import cells, plain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def shown(text: str, width: int = 1000) -> list[str]:
    return [plain(line) for line in json_lines(text, width)]


@given(VALUES)
def test_json_looks_as_if_it_were_indented(value: object) -> None:
    assert shown(json.dumps(value)) == json.dumps(value, indent=2).split("\n")


def test_text_that_was_cut_is_shown_as_far_as_it_goes() -> None:
    assert shown('{"a": [1, {"b": "unfin') == ["{", '  "a": [', "    1,", "    {", '      "b": "unfin']


def test_keys_numbers_and_words_have_roles() -> None:
    line = json_lines('{"key": 12, "other": null, "text": "x"}', 80)
    assert ('"key"', "accent") in line[1]
    assert ("12", "info") in line[1]
    assert ("null", "warn") in line[2]
    assert ('"x"', "good") in line[3]


@given(st.text(max_size=200) | VALUES.map(json.dumps), st.integers(10, 40))
def test_no_line_is_too_wide_and_none_steers_a_terminal(text: str, width: int) -> None:
    for line in (*json_lines(text, width), *text_lines(text, width)):
        assert cells(line) <= width
        assert all(ord(character) >= 0x20 for span in line for character in span[0])


@pytest.mark.parametrize(
    "text",
    ["[" * 10**6, "[" + "1," * 500_000, '"' + "x" * 10**6, '"' + "日" * 10**6, '"' * 10**6, "\\" * 10**6],
    ids=["deep", "many", "long", "wide", "quotes", "escapes"],
)
def test_a_megabyte_from_an_enemy_has_a_bounded_number_of_lines_and_says_that_it_is_cut(text: str) -> None:
    lines = json_lines(text, 100)
    assert len(lines) <= LINES_SHOWN + 1
    assert "more than is shown" in plain(lines[-1])
    assert "more than is shown" in plain(list(text_lines(text, 100))[-1])
