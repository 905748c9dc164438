from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy_core.catalog.merge import Catalog, Entry, Hidden
from proxy_core.config.models import ToolRules
from proxy_core.protocol.header_params import HeaderParam
from tests.proxy_core.catalog.lists import lists, merged


def shown(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.exposed for entry in entries]


def reasons(catalog: Catalog) -> list[tuple[str, str, str]]:
    return [(each.server, each.name, each.reason) for each in catalog.hidden]


@pytest.mark.requirement("N01")
def test_equal_names_of_two_servers_stand_side_by_side():
    catalog = merged(lists("alpha", "search"), lists("beta", "search"))
    assert shown(catalog.tools) == ["alpha__search", "beta__search"]
    assert catalog.hidden == ()


@pytest.mark.requirement("N13")
def test_order_is_the_configurations_then_that_of_code_points():
    catalog = merged(lists("zeta", "b", "Z", "a", prompts=("q", "p")), lists("alpha", "c"))
    assert shown(catalog.tools) == ["zeta__Z", "zeta__a", "zeta__b", "alpha__c"]
    assert shown(catalog.prompts) == ["zeta__p", "zeta__q"]


@pytest.mark.requirement("N13")
@given(st.permutations(["a", "b", "a.b", "a b", "a_b-1b2b3b", "ab"]), st.permutations(["x:1", "x:2", "x:{n}"]))
def test_a_server_that_shuffles_its_lists_changes_nothing(tools: list[str], uris: list[str]):
    def catalog(names: list[str], own: list[str]) -> Catalog:
        return merged(lists("one", *names, uris=(*own,)), lists("two", uris=(*own,)))

    assert catalog(tools, uris) == catalog(sorted(tools), sorted(uris))


def test_an_item_keeps_what_its_server_said_and_tells_where_it_is_from():
    tool = {"name": "go", "title": "Go", "x-new": [1], "_meta": {"vendor/k": 1}, "inputSchema": {"$defs": {}}}
    before = deepcopy(tool)
    (entry,) = merged(replace(lists("alpha"), tools=(tool,))).tools
    assert entry.item == {
        **before,
        "name": "alpha__go",
        "_meta": {"vendor/k": 1, "dev.only1mcp/origin": {"backend": "alpha", "name": "go"}},
    }
    assert tool == before


def test_a_server_cannot_speak_in_our_name():
    tool = {"name": "go", "_meta": {"dev.only1mcp/origin": {"backend": "other"}, "dev.only1mcp/partial": []}}
    (entry,) = merged(replace(lists("alpha"), tools=(tool,))).tools
    assert entry.item["_meta"] == {"dev.only1mcp/origin": {"backend": "alpha", "name": "go"}}


@pytest.mark.parametrize("meta", [None, 7, "x", [], {"ui": 3}, {"ui": {"resourceUri": 5}}])
def test_a_senseless_meta_member_costs_nothing_but_itself(meta: object):
    catalog = merged(replace(lists("alpha"), tools=({"name": "go", "_meta": meta},)))
    assert shown(catalog.tools) == ["alpha__go"]


@pytest.mark.parametrize("name", [None, 7, "", [], {}])
def test_an_item_without_a_usable_name_is_hidden_and_the_others_stay(name: object):
    catalog = merged(replace(lists("alpha"), tools=({"name": name}, {}, {"name": "ok"})))
    assert shown(catalog.tools) == ["alpha__ok"]
    assert set(catalog.hidden) == {Hidden("alpha", "tool", "", "It has no name.")}


def test_an_endless_name_is_hidden_and_shown_short():
    (hidden,) = merged(lists("alpha", "x" * 1025)).hidden
    assert hidden.name == "x" * 128
    assert hidden.reason == "Its name is longer than 1024 characters."


def test_of_two_equal_items_of_one_server_the_first_is_kept():
    first, second = {"name": "p", "title": "1"}, {"name": "p", "title": "2"}
    catalog = merged(replace(lists("alpha"), prompts=(first, second)))
    assert [entry.item["title"] for entry in catalog.prompts] == ["1"]
    assert reasons(catalog) == [("alpha", "p", "The server lists it twice; the first is kept.")]


def test_rules_look_at_the_servers_own_names_and_deny_goes_last():
    rules = ToolRules(allow=("get_*", "Delete*"), deny=("*_all",))
    catalog = merged(lists("alpha", "get_one", "get_all", "delete", "Delete", rules=rules))
    assert shown(catalog.tools) == ["alpha__Delete", "alpha__get_one"]
    assert reasons(catalog) == [
        ("alpha", "get_all", "The configuration denies it."),
        ("alpha", "delete", "The configuration does not allow it."),
    ]


REGION = {"type": "string", "x-mcp-header": "Region"}


def annotated(name: str, **properties: object) -> dict[str, object]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


@pytest.mark.requirement("H05")
def test_over_modern_http_an_invalid_header_annotation_hides_its_tool_and_no_other():
    tools = (annotated("bad", a={"type": "number", "x-mcp-header": "A"}), annotated("good", where=REGION))
    catalog = merged(replace(lists("alpha"), tools=tools, is_strict=True))
    assert shown(catalog.tools) == ["alpha__good"]
    assert catalog.tools[0].item["inputSchema"] == tools[1]["inputSchema"]
    assert catalog.tools[0].header_params == (HeaderParam("Region", ("where",), "string"),)
    ((server, name, reason),) = reasons(catalog)
    assert (server, name) == ("alpha", "bad")
    assert "x-mcp-header" in reason


@pytest.mark.requirement("H06")
def test_from_any_other_server_the_annotation_alone_is_taken_out():
    tool = annotated("mixed", a={"type": "number", "x-mcp-header": "A"}, where=REGION)
    (entry,) = merged(replace(lists("alpha"), tools=(tool,))).tools
    assert entry.item["inputSchema"]["properties"] == {"a": {"type": "number"}, "where": REGION}
    assert entry.header_params == (HeaderParam("Region", ("where",), "string"),)


@pytest.mark.parametrize("schema", [None, [], "x-mcp-header", {"description": "no x-mcp-header here"}])
def test_a_schema_without_annotations_is_passed_on_as_it_is(schema: object):
    (entry,) = merged(replace(lists("alpha"), tools=({"name": "t", "inputSchema": schema},))).tools
    assert entry.item["inputSchema"] is schema
    assert entry.header_params == ()


@pytest.mark.requirement("N04")
def test_an_unprefixed_clash_hides_the_later_servers_tool():
    """Never an override: whoever comes first in the configuration keeps the name."""
    catalog = merged(lists("alpha", "search"), lists("beta", "search", "own"), prefix="none")
    assert [(entry.server, entry.exposed) for entry in catalog.tools] == [("alpha", "search"), ("beta", "own")]
    assert reasons(catalog) == [("beta", "search", "Alpha has the same name for clients and comes first.")]


@pytest.mark.requirement("N04")
def test_one_server_without_prefix_beside_others_takes_no_name_of_theirs():
    """Also where it comes first, and where the other has no such tool now."""
    bare = lists("alpha", "search", "beta__search", "beta__new", "gamma__x", prefix="none")
    catalog = merged(bare, lists("beta", "search"))
    assert [(entry.server, entry.exposed) for entry in catalog.tools] == [
        ("alpha", "gamma__x"),
        ("alpha", "search"),
        ("beta", "beta__search"),
    ]
    assert reasons(catalog) == [
        ("alpha", "beta__new", "It reads as a name of beta."),
        ("alpha", "beta__search", "It reads as a name of beta."),
    ]


def test_a_name_that_was_made_never_displaces_one_that_was_kept():
    (made,) = shown(merged(lists("alpha", "a.b")).tools)
    kept = made.removeprefix("alpha__")
    for tools in (("a.b", kept), (kept, "a.b")):
        catalog = merged(lists("alpha", *tools))
        assert [entry.origin for entry in catalog.tools] == [kept]
        assert [each.name for each in catalog.hidden] == ["a.b"]


@pytest.mark.requirement("N07")
def test_a_uri_of_two_servers_is_the_firsts_and_an_alias_of_the_second():
    catalog = merged(
        lists("alpha", uris=("file:///x",), templates=("db://{id}",)),
        lists("beta", uris=("file:///x", "file:///y"), templates=("db://{id}",)),
    )
    assert shown(catalog.resources) == ["file:///x", "beta+file:///x", "file:///y"]
    assert shown(catalog.templates) == ["db://{id}", "beta+db://{id}"]
    assert [entry.item["uri"] for entry in catalog.resources] == shown(catalog.resources)
    assert catalog.resources[1].item["_meta"]["dev.only1mcp/origin"] == {"backend": "beta", "name": "file:///x"}


def test_a_uri_that_reads_as_another_servers_alias_is_never_listed_verbatim():
    """Or a server could stand in another's place."""
    catalog = merged(lists("alpha"), lists("evil", uris=("alpha+file:///x", "ui://alpha.board/m", "evil+x:y")))
    assert shown(catalog.resources) == ["evil+alpha+file:///x", "evil+x:y", "ui://evil.alpha.board/m"]


def with_page(server: str, uri: str):
    tool = {"name": "board", "_meta": {"ui": {"resourceUri": uri, "visibility": ["app"]}}}
    return replace(lists(server), tools=(tool,))


def test_the_page_of_a_tool_is_renamed_only_where_an_alias_is_in_force():
    catalog = merged(with_page("alpha", "ui://board/m"), with_page("beta", "ui://board/m"))
    pages = [entry.item["_meta"]["ui"] for entry in catalog.tools]
    assert pages == [
        {"resourceUri": "ui://board/m", "visibility": ["app"]},
        {"resourceUri": "ui://beta.board/m", "visibility": ["app"]},
    ]
    assert [link.exposed for link in catalog.links] == ["ui://board/m", "ui://beta.board/m"]


def test_a_page_does_not_take_a_uri_that_a_later_server_lists():
    catalog = merged(with_page("alpha", "ui://board/m"), lists("beta", uris=("ui://board/m",)))
    assert shown(catalog.resources) == ["ui://board/m"]
    assert catalog.tools[0].item["_meta"]["ui"]["resourceUri"] == "ui://alpha.board/m"


own_names = st.lists(st.text(max_size=60), max_size=8, unique=True)


def exposed_of(catalog: Catalog) -> dict[tuple[str, str], str]:
    return {(entry.server, entry.origin): entry.exposed for entry in catalog.tools + catalog.prompts}


@pytest.mark.requirement("N02")
@given(own_names, own_names)
def test_exposed_names_are_unique(first: list[str], second: list[str]):
    catalog = merged(lists("alpha", *first, prompts=(*first,)), lists("beta", *second))
    for entries in (catalog.tools, catalog.prompts):
        assert len(set(shown(entries))) == len(entries)


@pytest.mark.requirement("N03")
@given(own_names, own_names, own_names)
def test_adding_tools_and_servers_renames_nothing(first: list[str], second: list[str], more: list[str]):
    before = exposed_of(merged(lists("alpha", *first), lists("beta", *second)))
    after = exposed_of(
        merged(lists("new", *second), lists("alpha", *more, *first), lists("beta", *second, *more))
    )
    assert all(after.get(tool, name) == name for tool, name in before.items())
