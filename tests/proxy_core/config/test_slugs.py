import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.config.models import SLUG_PATTERN
from proxy_core.config.slugs import slug, unique_slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sequential_Thinking 2", "sequential-thinking-2"),
        ("github", "github"),
        ("Crème Brûlée", "creme-brulee"),
        ("1password", "mcp-1password"),
        ("x", "mcp-x"),
        ("数据库", "server"),
        ("", "server"),
        ("a-very-long-name-that-never-ends", "a-very-long-name-that-ne"),
    ],
)
def test_names_become_ids(name: str, expected: str):
    assert slug(name) == expected


@given(st.lists(st.text(), max_size=30))
def test_ids_are_valid_and_unique_whatever_the_names(names: list[str]):
    taken: list[str] = []
    for name in names:
        taken.append(unique_slug(name, taken))
    assert len(set(taken)) == len(taken)
    assert all(re.fullmatch(SLUG_PATTERN, one) for one in taken)


@given(st.from_regex(SLUG_PATTERN, fullmatch=True).filter(lambda one: "--" not in one))
def test_an_id_is_its_own_slug(server_id: str):
    assert slug(server_id) == server_id


def test_clashes_are_numbered_within_the_length():
    name = "a-very-long-name-that-never-ends"
    assert unique_slug(name, {slug(name)}) == "a-very-long-name-that-2"
    assert unique_slug("git hub", {"git-hub", "git-hub-2"}) == "git-hub-3"
