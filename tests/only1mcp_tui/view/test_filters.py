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
