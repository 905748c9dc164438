"""The three tools of search mode: few tokens, and every wrong argument answered in words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.gateway import meta_tools
from proxy_core.gateway.meta_tools import BadArguments, Called, Search
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.translate import normalise_tool

SERVERS = [f"server-{number:02d}" for number in range(45)]


def params(arguments: Any = None, **more: Any) -> Raw:
    return Raw(json.dumps({"name": "x", "arguments": arguments} | more).encode())


def items(servers: list[str]) -> list[dict[str, Any]]:
    return [entry.item for entry in meta_tools.definitions(servers)]


def test_the_definitions_are_valid_and_say_what_each_may_do():
    for item in items(SERVERS):
        assert normalise_tool(item, MODERN) == item
    hints = {item["name"]: item.get("annotations") for item in items(SERVERS)}
    # Without annotations a tool may do anything, which is what may be behind call_tool.
    assert hints == {
        "search_tools": {"readOnlyHint": True},
        "describe_tools": {"readOnlyHint": True},
        "call_tool": None,
    }


def test_the_search_asks_for_keywords_and_names_the_servers():
    description = items(["github", "files"])[0]["description"]
    assert "verb + object + product" in description
    assert "github, files." in description
    assert "none" in items([])[0]["description"]


def test_the_definitions_of_45_servers_are_415_tokens_at_most():
    """Four bytes a token: counted by a tokenizer they were 371."""
    assert len(json.dumps(items(SERVERS), separators=(",", ":"))) <= 415 * 4 * 1.1


def test_a_long_list_of_servers_is_cut_and_the_rest_counted():
    servers = [f"server-number-{number:04d}" for number in range(1_000)]
    description = items(servers)[0]["description"]
    assert len(description) < meta_tools.MAX_SERVERS_CHARS + 300
    assert "and 950 more" in description


def test_a_search_is_read_with_its_defaults():
    assert meta_tools.search_of(params({"queries": ["a", "b"]})) == Search(("a", "b"), None, 5)
    asked = {"queries": "create issue", "server": "github", "limit": 500}
    assert meta_tools.search_of(params(asked)) == Search(("create issue",), "github", 20)
    assert meta_tools.search_of(params({"queries": ["x" * 1_000], "limit": -1})) == Search(
        ("x" * 400,), None, 1
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (None, '"queries" must be an array of 1 to 3 texts.'),
        ({}, '"queries" must be an array of 1 to 3 texts.'),
        ({"queries": []}, '"queries" must be'),
        ({"queries": ["a", "b", "c", "d"]}, '"queries" must be'),
        ({"queries": [1]}, '"queries" must be'),
        ({"queries": [" "]}, '"queries" must be'),
        ({"queries": ["a"], "limit": "5"}, '"limit" must be a whole number.'),
        ({"queries": ["a"], "limit": True}, '"limit" must be a whole number.'),
        ({"queries": ["a"], "server": 5}, '"server" must be the id of one server.'),
        ([1], "The arguments must be an object."),
        ("x", "The arguments must be an object."),
    ],
)
def test_a_search_that_cannot_be_made_says_what_it_wants(arguments: Any, words: str):
    with pytest.raises(BadArguments) as caught:
        meta_tools.search_of(params(arguments))
    assert caught.value.message.startswith(words)


def test_names_are_asked_for_once_each():
    assert meta_tools.names_of(params({"names": ["a", "b", "a"]})) == ("a", "b")
    with pytest.raises(BadArguments):
        meta_tools.names_of(params({"names": ["a"] * 21}))


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ({"name": "a__b", "arguments": {"x": 1}}, Called("a__b", Raw(b'{"x": 1}'))),
        ({"name": "a__b"}, Called("a__b", None)),
        ({"name": "a__b", "arguments": None}, Called("a__b", None)),
        ({"name": "a__b", "arguments": {}}, Called("a__b", Raw(b"{}"))),
    ],
)
def test_a_call_is_read_as_it_is_meant(arguments: Any, call: Called):
    assert meta_tools.called(params(arguments)) == call


@pytest.mark.parametrize(
    "arguments",
    [{}, {"name": ""}, {"name": 5}, {"name": "a", "arguments": [1]}, {"name": "a", "arguments": "{}"}],
)
def test_a_call_that_names_nothing_or_has_no_object_is_refused(arguments: Any):
    with pytest.raises(BadArguments):
        meta_tools.called(params(arguments))


def test_the_call_that_is_meant_keeps_all_but_name_and_arguments():
    meta, brought = {"progressToken": 7}, {"requestState": "s", "inputResponses": {"r1": {}}}
    raw = params({"name": "a__b", "arguments": {"x": 1}}, _meta=meta, **brought)
    found = meta_tools.rewritten(raw, meta_tools.called(raw))
    assert json.loads(bytes(found)) == {"name": "a__b", "arguments": {"x": 1}, "_meta": meta} | brought
    bare = params({"name": "a__b"})
    assert json.loads(bytes(meta_tools.rewritten(bare, meta_tools.called(bare)))) == {"name": "a__b"}


KEYS = st.sampled_from(["queries", "names", "name", "limit", "server", "arguments"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 50) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


@given(JSON)
def test_no_arguments_do_more_than_be_refused(arguments: Any):
    for read in (meta_tools.search_of, meta_tools.names_of, meta_tools.called):
        try:
            read(params(arguments))
        except BadArguments as refusal:
            assert refusal.message.endswith(".")


def test_what_a_model_made_up_is_shown_cut_and_without_what_acts():
    told = meta_tools.unknown_tool("evil\u202e" + "x" * 5_000, ["a__b", "a__c"])
    assert len(told) < 1_400
    assert "\u202e" not in told
    assert told.endswith("Did you mean a__b, a__c?")
    assert meta_tools.unknown_tool("x", []).endswith("Find one with search_tools.")
    assert meta_tools.unknown_server("x", ["a", "b"]) == "No server is called x. The servers are: a, b."
