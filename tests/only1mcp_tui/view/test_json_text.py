"""JSON values as text for a person's eyes, and back."""

from typing import Any

from only1mcp_tui.view.json_text import parsed, pretty


def test_what_a_terminal_would_take_for_commands_is_escaped_and_the_rest_is_read_as_it_is():
    assert pretty("\x9b31m \u202e") == '"\\u009b31m \\u202e"'
    assert pretty("日本語") == '"日本語"'


def test_what_is_too_deep_is_no_text_and_no_value():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert pretty(deep) == ""
    assert parsed("[" * 100_000) is None
