"""The language of the filter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.filters import parse_filter

KEYS = frozenset({"state", "id", "why"})
ROW = {"state": "healthy", "id": "github", "why": "", "text": "github healthy http://host"}


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("", True),
        ("git", True),
        ("GIT heal", True),
        ("git jira", False),
        ("!jira", True),
        ("!git", False),
        ("state:heal", True),
        ("state:ealthy", False),
        ("stat:heal", True),
        ("!state:heal", False),
        ("id:heal", False),
        ("http://host", True),
        ("!", True),
    ],
)
def test_a_filter_matches(expression: str, matches: bool) -> None:
    assert parse_filter(expression, KEYS).matches(ROW) is matches


@given(st.text())
def test_nothing_that_can_be_typed_fails(expression: str) -> None:
    parse_filter(expression, KEYS).matches(ROW)


NUMBERS = frozenset({"ms", "bytes", "code"})
CHOICES = {"is": ("marked", "retried"), "status": ("ok", "error", "tool_error")}
EXCHANGE_KEYS = frozenset({"is", "status", "method"})
EXCHANGE = {"is": "marked retried", "status": "tool_error", "method": "tools/call", "text": "tools/call claude"}
COUNTED = {"ms": 200.4, "bytes": 12_000, "code": None}


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("ms:>200", True),
        ("ms:<200", False),
        ("ms:>=201 ", False),
        ("ms:200", True),
        ("ms:=200ms", True),
        ("ms:<0.3s", True),
        ("!ms:>200", False),
        ("bytes:>10k", True),
        ("bytes:>12.5k", False),
        ("code:-32603", False),
        ("!code:-32603", True),
        ("is:mark", True),
        ("is:retried is:marked", True),
        ("!is:retried", False),
        ("is:", True),
        ("status:error", False),
        ("status:tool", True),
        ("ms:>200 method:tools !claudia", True),
    ],
)
def test_a_filter_with_numbers_and_flags_matches(expression: str, matches: bool) -> None:
    chosen = parse_filter(expression, EXCHANGE_KEYS, NUMBERS, CHOICES)
    assert chosen.matches(EXCHANGE, COUNTED) is matches
    assert chosen.unclear == ()


@pytest.mark.parametrize(
    "word", ["ms:>abc", "ms:", "!ms:>", "bytes:>10x", "is:odd", "status:nope", "ms:>1e999"]
)
def test_a_term_that_cannot_be_understood_is_named_and_hides_nothing(word: str) -> None:
    chosen = parse_filter(f"{word} claude", EXCHANGE_KEYS, NUMBERS, CHOICES)
    assert chosen.unclear == (word,)
    assert chosen.matches(EXCHANGE, COUNTED)


@given(st.text(alphabet="ms:><=0123456789.k-! iserot", max_size=30))
def test_nothing_that_looks_like_a_number_fails(expression: str) -> None:
    parse_filter(expression, EXCHANGE_KEYS, NUMBERS, CHOICES).matches(EXCHANGE, COUNTED)
