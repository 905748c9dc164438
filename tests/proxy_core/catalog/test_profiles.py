"""What a profile shows of a catalog, and that names mean under it what they mean without it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.access.policy import Policy
from proxy_core.catalog.merge import Catalog
from proxy_core.catalog.profiles import part_of
from proxy_core.catalog.routes import Route, Routes
from proxy_core.config.models import NameRules, ProfileConfig
from tests.proxy_core.catalog.lists import lists, merged

HOUSE = merged(
    lists("files", "read", "delete_all", uris=("file:///a",), templates=("file:///{path}",), prompts=("sum",)),
    lists("finder", "read", "find", uris=("file:///a", "find:///b")),
    lists("github", "star", uris=("gh:///r",), templates=("gh:///{repo}",), prompts=("pr",)),
)


def rules(*servers: str, allow: tuple[str, ...] = ("*",), deny: tuple[str, ...] = ()) -> Policy:
    return Policy("p", ProfileConfig(servers=servers or ("*",), tools=NameRules(allow=allow, deny=deny)))


def names(catalog: Catalog) -> list[str]:
    shelves = (catalog.tools, catalog.resources, catalog.templates, catalog.prompts)
    return [each.exposed for shelf in shelves for each in shelf]


def routes(policy: Policy) -> Routes:
    return Routes.of(HOUSE, part_of(HOUSE, policy), policy.resource)


def test_servers_are_chosen_by_glob_and_with_them_all_that_they_have():
    part = part_of(HOUSE, rules("g*"))
    assert part.servers == ("github",)
    assert names(part) == ["github__star", "gh:///r", "gh:///{repo}", "github__pr"]


def test_tools_are_chosen_by_the_names_that_clients_see_and_deny_goes_before_allow():
    shown = [each.exposed for each in part_of(HOUSE, rules(deny=("*__delete_*",))).tools]
    assert shown == ["files__read", "finder__find", "finder__read", "github__star"]
    both = part_of(HOUSE, rules("fi*", allow=("*__read", "*delete*"), deny=("files__read",)))
    assert [each.exposed for each in both.tools] == ["files__delete_all", "finder__read"]


def test_a_profile_of_no_server_shows_nothing():
    part = part_of(HOUSE, Policy("p", ProfileConfig(servers=())))
    assert (part.servers, names(part), part.links, part.hidden) == ((), [], (), ())


@given(st.frozensets(st.sampled_from(["files", "finder", "github", "g*", "*"])))
def test_nothing_is_renamed_or_reordered_by_a_profile(globs: frozenset[str]):
    part = part_of(HOUSE, Policy("p", ProfileConfig(servers=tuple(globs))))
    everything = names(HOUSE)
    assert [name for name in everything if name in set(names(part))] == names(part)


def test_what_is_outside_leads_nowhere_by_any_of_its_names():
    found = routes(rules("fi*", deny=("*__delete_*",)))
    assert found.tool("github__star") is found.tool("star") is None
    assert found.tool("files__delete_all") is found.tool("delete_all") is None
    assert found.prompt("github__pr") is None
    for uri in ("gh:///r", "gh:///other", "github+gh:///r", "github+anything", "ui://github.page/x"):
        assert found.resource(uri) is None
        assert found.resource(uri, seen_at="github") is None
    assert found.template("gh:///{repo}") is found.template("github+gh:///{repo}") is None
    assert found.owner_guess("github__new") is None


def test_what_is_inside_is_reached_as_without_the_profile():
    found, everything = routes(rules("fi*")), Routes.of(HOUSE)
    for uri in ("file:///a", "file:///else", "finder+file:///a", "find:///b", "files+file:///x"):
        assert found.resource(uri) == everything.resource(uri) is not None
    assert found.tool("files__read") == Route("files", "read")
    assert found.prompt("files__sum") == Route("files", "sum")
    assert found.owner_guess("files__new") == "files"


def test_a_uri_of_a_hidden_server_does_not_lead_to_another_that_has_it_too():
    """It would mean something else under each profile; the alias, which is what lists have, means the same."""
    found = routes(rules("finder"))
    assert found.resource("file:///a") is None
    assert found.resource("finder+file:///a") == Route("finder", "file:///a")


def test_a_bare_name_counts_the_servers_that_are_shown():
    assert Routes.of(HOUSE).tool("read") is None
    assert routes(rules("finder")).tool("read") == Route("finder", "read")


def test_a_bare_name_never_stands_in_for_a_hidden_tool_of_that_name():
    house = merged(lists("bare", "search", prefix="none"), lists("other", "search"))
    found = Routes.of(house, part_of(house, rules("other")))
    assert found.tool("search") is None
    assert found.tool("other__search") == Route("other", "search")


@pytest.mark.parametrize("glob", ["FILES", "[f]iles", "files"])
def test_globs_are_of_the_case_that_they_are_written_in(glob: str):
    assert part_of(HOUSE, rules(glob)).servers == (() if glob == "FILES" else ("files",))


SERVERS = st.lists(st.sampled_from(["aa", "bb", "cc"]), unique=True, min_size=1)
NAMES = st.lists(st.sampled_from(["x", "y", "aa__x", "x:///1", "bb+x:///1"]), unique=True, max_size=3).map(
    tuple
)
ASKED = [
    f"{prefix}{name}"
    for prefix in ("", "aa__", "bb__", "cc__", "aa+", "bb+", "cc+")
    for name in ("x", "y", "aa__x", "x:///1", "x:///2", "bb+x:///1")
]


@given(SERVERS, st.data())
def test_a_name_leads_under_a_profile_where_it_does_without_it_or_nowhere(
    servers: list[str], data: st.DataObject
):
    """But for bare names of tools, which count the servers that are shown."""
    house = merged(
        *(
            lists(
                each,
                *data.draw(NAMES),
                uris=data.draw(NAMES),
                prompts=data.draw(NAMES),
                templates=("x:///{n}",),
            )
            for each in servers
        )
    )
    profile = rules(*data.draw(SERVERS), deny=data.draw(st.sampled_from([(), ("*__x",), ("*",)])))
    everything, found = Routes.of(house), Routes.of(house, part_of(house, profile))
    tools = {each.exposed for each in part_of(house, profile).tools}
    for name in ASKED:
        for way in ("prompt", "resource", "template"):
            whole = getattr(everything, way)(name)
            is_shown = whole is not None and profile.server(whole.server)
            assert getattr(found, way)(name) == (whole if is_shown else None)
        if name in tools:
            assert found.tool(name) == everything.tool(name)
        elif (route := found.tool(name)) is not None:
            assert route.origin == name and profile.server(route.server)
            assert any(
                (each.server, each.origin) == (route.server, name) for each in part_of(house, profile).tools
            )
