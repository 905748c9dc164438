"""JSON for a person's eyes."""

from typing import Any

from only1mcp_tui.view.json_lines import MAX_LINES, json_lines, parsed, pretty
from only1mcp_tui.view.text import plain


def told(value: Any, width: int = 40) -> list[str]:
    return [plain(line) for line in json_lines(value, width)]


def test_it_is_indented_and_long_strings_are_broken():
    assert told({"a": [1, True], "b": "many words " * 5}, 30) == [
        " {",
        '   "a": [',
        "     1,",
        "     true",
        "   ],",
        '   "b": "many words many',
        "   words many words many",
        '   words many words "',
        " }",
    ]


def test_what_a_terminal_would_take_for_commands_is_escaped_and_the_rest_is_read_as_it_is():
    assert pretty("\x9b31m \u202e") == '"\\u009b31m \\u202e"'
    assert pretty("日本語") == '"日本語"'


def test_what_is_too_deep_is_said_so():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert told(deep) == [" It cannot be shown: it is nested too deeply."]
    assert parsed("[" * 100_000) is None


def test_what_is_long_is_cut_and_said_so():
    lines = told(list(range(5 * MAX_LINES)))
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].startswith(" … cut here, of")
