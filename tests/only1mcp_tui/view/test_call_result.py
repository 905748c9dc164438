"""What a tool answered."""

from typing import Any

import pytest

from only1mcp_tui.view.call_result import fault_lines, result_lines
from only1mcp_tui.view.text import plain
from tests.support.server_scene import RESULT


def told(result: dict[str, Any], width: int = 70) -> list[str]:
    return [plain(line) for line in result_lines(result, 12.4, width)]


def test_texts_are_read_and_what_cannot_be_drawn_is_named_with_its_size():
    lines = told(RESULT)
    assert lines[:9] == [
        " ● It answered  in 12ms",
        "",
        " Found 2 issues.",
        " #1 The mill stops",
        " #2 The engine is loud",
        "",
        " image  image/png, 3 kB, not drawn here",
        "",
        " link  The mill stops  https://example.com/issues/1",
    ]
    assert " STRUCTURED" in lines and " THE WHOLE ANSWER" in lines
    assert any("(4011 characters)" in line for line in lines), "the blob itself is cut"


def test_a_tool_s_failure_is_told_apart():
    assert (
        told({"content": [{"type": "text", "text": "no"}], "isError": True})[0] == " ✖ The tool failed  in 12ms"
    )
    assert result_lines({"isError": True}, 1.0, 60)[0][0][1] == "bad"


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
            " audio  audio/wav, 3 bytes, not drawn here",
        ),
        ({"type": "resource", "resource": {"uri": "x:y", "text": "hello"}}, " resource  x:y"),
        ({"type": "resource", "resource": {"uri": "x:y", "blob": "AAAA"}}, " resource  x:y"),
        ({"type": "text", "text": ""}, " an empty text"),
        ({"type": "text", "text": 7}, " an empty text"),
        ({"type": "hologram"}, " hologram  see the JSON"),
        ({}, " a block without a type  see the JSON"),
        (7, " a block without a type  see the JSON"),
    ],
)
def test_every_block_is_told(block: Any, words: str):
    assert told({"content": [block]})[2] == words


@pytest.mark.parametrize("content", [None, [], 7, {}])
def test_an_answer_without_content_says_so(content: Any):
    assert told({"content": content})[2] == " It holds no content."


def test_a_call_without_a_result_says_why():
    assert [plain(line) for line in fault_lines("The server ended.", 1200.0, 60)] == [
        " ✖ No result  after 1.2s",
        "",
        " The server ended.",
    ]


def test_a_deep_and_a_long_answer_end():
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    assert len(told({"content": [deep] * 500, "structuredContent": deep})) < 3000
    assert len(told({"content": [{"type": "text", "text": "line\n" * 50_000}]})) < 3000
