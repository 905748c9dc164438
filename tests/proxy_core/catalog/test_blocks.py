"""What is merged again and again: only what changed is made anew. Counted, never timed."""

from typing import Any

import pytest
from msgspec.structs import replace

from proxy_core.catalog.merge import Catalog, Entry, Merger, ServerLists, merge
from proxy_core.config.models import RoutingConfig, ToolRules
from tests.proxy_core.catalog.lists import lists

NAMING = RoutingConfig()
SERVERS = (
    lists("alpha", "a", "b", "c", uris=("x:1", "x:2"), templates=("x:{n}",), prompts=("p",)),
    lists("beta", "a", "b", "c", uris=("x:1", "y:1"), prompts=("p",)),
    lists("gamma"),
)


def all_of(catalog: Catalog) -> tuple[Entry, ...]:
    return (*catalog.tools, *catalog.resources, *catalog.templates, *catalog.prompts)


def made_anew(before: Catalog, now: Catalog) -> list[str]:
    """Entries that are other objects than before."""
    known = {id(entry) for entry in all_of(before)}
    return [entry.exposed for entry in all_of(now) if id(entry) not in known]


def described(server: ServerLists, tool: str, words: str) -> ServerLists:
    """The same server with another list: the same items, but for one that says `words`."""
    items = tuple({**item, "description": words} if item["name"] == tool else item for item in server.tools)
    return replace(server, tools=items)


def test_what_did_not_change_is_the_same_object_again():
    merger = Merger()
    before = merger.merged(SERVERS, NAMING)
    now = merger.merged([replace(each, rules=ToolRules()) for each in SERVERS], NAMING)
    assert made_anew(before, now) == [] and now == before


def test_of_a_list_that_was_read_again_one_changed_tool_is_made_anew():
    merger = Merger()
    before = merger.merged(SERVERS, NAMING)
    servers = (described(SERVERS[0], "b", "other"), *SERVERS[1:])
    now = merger.merged(servers, NAMING)
    assert made_anew(before, now) == ["alpha__b"]
    assert now == merge(servers, NAMING) != before


def test_a_server_that_comes_or_goes_makes_nothing_of_others_anew():
    merger = Merger()
    before = merger.merged(SERVERS, NAMING)
    more = merger.merged((*SERVERS, lists("delta", "d")), NAMING)
    assert made_anew(before, more) == ["delta__d"]
    assert made_anew(more, merger.merged(SERVERS, NAMING)) == []


def test_a_uri_whose_owner_went_is_named_anew():
    merger = Merger()
    before = merger.merged(SERVERS, NAMING)
    assert [entry.exposed for entry in before.resources if entry.origin == "x:1"] == ["x:1", "beta+x:1"]
    servers = (replace(SERVERS[0], resources=SERVERS[0].resources[1:]), *SERVERS[1:])
    now = merger.merged(servers, NAMING)
    assert now == merge(servers, NAMING)
    assert made_anew(before, now) == ["x:1"]


@pytest.mark.parametrize(
    "changed",
    [
        {"rules": ToolRules(deny=("b",))},
        {"prefix": "none"},
        {"is_strict": True},
        {"tools": ()},
        {"tools": ({"name": "a"}, {"name": "a", "inputSchema": {"type": "object"}})},
        {"tools": ({"name": "b", "_meta": {"ui": {"resourceUri": "x:1"}}},)},
        {"prompts": ({"name": "p", "title": "P"}, {"name": "p"}, {})},
        {"resources": ({"uri": "x:2", "name": "other"},)},
        {"title": "Another"},
    ],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("place", [0, 1])
def test_whatever_changes_the_outcome_is_that_of_a_first_merge(changed: dict[str, Any], place: int):
    merger = Merger()
    merger.merged(SERVERS, NAMING)
    servers = list(SERVERS)
    servers[place] = replace(SERVERS[place], **changed)
    assert merger.merged(servers, NAMING) == merge(servers, NAMING)
    assert merger.merged(SERVERS, NAMING) == merge(SERVERS, NAMING)


def test_an_item_that_was_refused_lends_its_entry_to_nobody():
    """Of two with one name the first may be refused, and what is listed then is not it."""
    bad = {"name": "a", "inputSchema": {"properties": {"x": {"type": "object", "x-mcp-header": "!"}}}}
    good = {"name": "a", "inputSchema": {"type": "object"}}
    strict = replace(lists("alpha"), tools=(bad, good), is_strict=True)
    merger = Merger()
    (entry,) = merger.merged([strict], NAMING).tools
    assert entry.item["inputSchema"] == {"type": "object"}
    again = replace(strict, tools=(bad,))
    assert merger.merged([again], NAMING) == merge([again], NAMING)
    assert merger.merged([again], NAMING).tools == ()


def test_names_that_two_servers_have_are_told_apart_as_at_first():
    none = RoutingConfig(prefix="none")
    servers = [lists("alpha", "a", "beta__a"), lists("beta", "a", "c")]
    merger = Merger()
    first = merger.merged(servers, none)
    assert first == merge(servers, none) == merger.merged(servers, none)
    assert [(each.server, each.name) for each in first.hidden] == [("alpha", "beta__a"), ("beta", "a")]
    assert merger.merged(servers[1:], none) == merge(servers[1:], none)


def test_lists_of_one_principal_change_nothing_for_the_next_merge():
    merger = Merger()
    before = merger.merged(SERVERS, NAMING)
    own = merger.merged((described(SERVERS[0], "b", "mine"), *SERVERS[1:]), NAMING, keep=False)
    assert made_anew(before, own) == ["alpha__b"]
    assert made_anew(before, merger.merged(SERVERS, NAMING)) == []
