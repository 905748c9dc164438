"""The reason of a failure, out of what a child wrote to stderr."""

import pytest

from proxy_core.backends.last_words import MAX_CHARS, last_words, with_last_words

NODE = [
    "node:internal/modules/cjs/loader:1143",
    "Error: Cannot find module '/srv/nope.js'",
    "    at Module._load (node:internal/modules/cjs/loader:985:27) {",
    "  code: 'MODULE_NOT_FOUND',",
    "}",
    "",
    "Node.js v20.20.2",
]
PYTHON = ["Traceback (most recent call last):", '  File "x.py", line 1', "KeyError: 'API_KEY'"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["", "  "], ""),
        (["starting", "bye"], "bye"),
        (["Error: no token", "see you"], "Error: no token"),
        (PYTHON, "KeyError: 'API_KEY'"),
    ],
)
def test_the_last_line_that_sounds_like_a_reason_is_taken(lines: list[str], words: str) -> None:
    assert last_words(lines) == words


def test_the_version_that_node_ends_with_is_not_taken_for_the_reason() -> None:
    assert last_words(NODE) == "Error: Cannot find module '/srv/nope.js'"


def test_a_line_without_end_is_cut() -> None:
    assert len(last_words(["x" * 10_000])) == MAX_CHARS


def test_the_words_follow_the_reason_as_a_sentence_of_their_own() -> None:
    reason = "The server's process exited with code 1."
    assert with_last_words(reason, []) == reason
    assert with_last_words(reason, ["no token"]) == f"{reason} Its last words: no token"
