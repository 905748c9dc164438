import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.catalog.names import Charset, exposed_prompt_name, exposed_tool_name, slug_of
from proxy_core.config.models import SLUG_PATTERN
from proxy_core.protocol.translate import normalise_prompt

LEGAL = {"plain": re.compile(r"[A-Za-z0-9_-]+"), "sep986": re.compile(r"[A-Za-z0-9_.-]+")}
slugs = st.from_regex(SLUG_PATTERN, fullmatch=True)
own_names = st.text(min_size=1, max_size=300)
charsets: st.SearchStrategy[Charset] = st.sampled_from(["plain", "sep986"])
budgets = st.integers(24, 128)


def exposed(tool: str, charset: Charset = "plain", budget: int = 48, slug: str = "a") -> str:
    return exposed_tool_name(slug, tool, prefix="always", charset=charset, budget=budget)


@pytest.mark.requirement("N01")
def test_a_legal_name_is_kept_behind_the_server_id():
    assert exposed("create_issue", slug="github") == "github__create_issue"


def test_without_prefix_a_legal_name_is_as_the_server_has_it():
    assert exposed_tool_name("a", "search", prefix="none", charset="plain", budget=48) == "search"


@pytest.mark.requirement("N02")
@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("two words", "a__two_words-5e12eb"),
        ("dotted.name", "a__dotted_name-1dc3de"),
        ("größe", "a__gr__e-ad6e0e"),
        ("x" * 200, "a__" + "x" * 38 + "-0bd41b"),
    ],
)
def test_an_illegal_or_long_name_is_made_legal_and_carries_a_mark(tool: str, name: str):
    """These exact names are a promise: clients keep them in their own settings across our releases."""
    assert exposed(tool) == name


def test_the_dot_is_kept_where_the_settings_allow_it():
    assert exposed("dotted.name", "sep986") == "a__dotted.name"


def test_names_that_differ_only_in_what_is_replaced_stay_apart():
    assert len({exposed(tool) for tool in ("a.b", "a b", "a/b", "a_b")}) == 4


def test_a_lone_surrogate_is_a_name_like_any_other():
    assert re.fullmatch(r"a___-[0-9a-f]{6}", exposed("\ud800"))


@pytest.mark.requirement("N02")
@given(slugs, own_names, charsets, budgets)
def test_every_name_is_legal_and_within_the_budget(slug: str, tool: str, charset: Charset, budget: int):
    name = exposed(tool, charset, budget, slug)
    assert LEGAL[charset].fullmatch(name)
    assert len(name) <= budget


@pytest.mark.requirement("N02")
@given(slugs, slugs, own_names, own_names, budgets)
def test_two_tools_never_share_a_name_unless_their_marks_collide(
    slug: str, other: str, tool: str, another: str, budget: int
):
    same_tool = (slug, tool) == (other, another)
    first, second = exposed(tool, budget=budget, slug=slug), exposed(another, budget=budget, slug=other)
    assert same_tool or first != second or re.search(r"-[0-9a-f]{6}\Z", first)


@given(slugs, own_names)
def test_a_name_that_is_not_cut_leads_back_to_its_server(slug: str, tool: str):
    assert slug_of(exposed(tool, budget=128, slug=slug)) == slug


@pytest.mark.parametrize("name", ["search", "__search", "a__", "a_b", ""])
def test_a_name_without_a_server_id_leads_nowhere(name: str):
    assert not slug_of(name)


def test_a_prompt_keeps_its_characters():
    assert exposed_prompt_name("a", "Größe, bitte.") == "a__Größe, bitte."


@pytest.mark.parametrize("name", ["zero\u200bwidth", "\x1b[31mred", "over\u202eride", "\u200b"])
def test_a_prompt_loses_the_characters_that_hide_or_act_and_carries_a_mark(name: str):
    assert re.fullmatch(r"a__(zerowidth|red|override|)-[0-9a-f]{6}", exposed_prompt_name("a", name))


@given(slugs, own_names)
def test_a_prompt_is_called_what_its_list_calls_it(slug: str, name: str):
    shown = exposed_prompt_name(slug, name)
    assert normalise_prompt({"name": shown}, "2025-06-18")["name"] == shown


@given(slugs, own_names)
def test_a_prompt_name_is_at_most_128_characters(slug: str, name: str):
    shown = exposed_prompt_name(slug, name)
    assert len(shown) <= 128
    assert shown == f"{slug}__{name}" or re.search(r"-[0-9a-f]{6}\Z", shown)
