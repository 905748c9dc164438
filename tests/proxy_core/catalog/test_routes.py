import pytest
from msgspec.structs import replace

from proxy_core.catalog.merge import Catalog, ServerLists
from proxy_core.catalog.routes import Route, Routes
from proxy_core.catalog.uri_template import MAX_URI_CHARS
from proxy_core.config.models import ToolRules
from proxy_core.protocol.header_params import HeaderParam
from tests.proxy_core.catalog.lists import lists, merged


def routes(*servers: ServerLists, **routing: object) -> Routes:
    return Routes.of(merged(*servers, **routing))


@pytest.mark.requirement("N01")
def test_each_exposed_name_leads_to_its_server_under_its_own_name():
    found = routes(lists("alpha", "search", prompts=("ask",)), lists("beta", "search", prompts=("ask",)))
    assert found.tool("alpha__search") == Route("alpha", "search")
    assert found.tool("beta__search") == Route("beta", "search")
    assert found.prompt("beta__ask") == Route("beta", "ask")


@pytest.mark.requirement("N02")
@pytest.mark.parametrize("tool", ["two words", "dotted.name", "größe", "x" * 200, "a__b", "_x", "\u202e"])
def test_a_made_name_leads_back_to_the_servers_own(tool: str):
    catalog = merged(lists("alpha", tool, prompts=(tool,)))
    found = Routes.of(catalog)
    assert found.tool(catalog.tools[0].exposed) == Route("alpha", tool)
    assert found.prompt(catalog.prompts[0].exposed) == Route("alpha", tool)


@pytest.mark.requirement("N05")
def test_a_bare_name_is_accepted_while_one_server_alone_has_it():
    assert routes(lists("alpha", "search")).tool("search") == Route("alpha", "search")
    assert routes(lists("alpha", "search"), lists("beta", "search")).tool("search") is None


@pytest.mark.requirement("N05")
def test_an_exposed_name_goes_before_an_equal_bare_one():
    found = routes(lists("alpha", "search"), lists("beta", "x", "search"), prefix="none")
    assert found.tool("search") == Route("alpha", "search")


def test_a_bare_name_never_stands_in_for_another_servers_tool():
    """Or a server could take a call meant for one that is away just now."""
    found = routes(lists("alpha"), lists("evil", "alpha__pay"))
    assert found.tool("alpha__pay") is None
    assert found.tool("evil__alpha__pay") == Route("evil", "alpha__pay")


def test_a_denied_tool_cannot_be_called_by_any_name():
    found = routes(lists("alpha", "rm", "ls", rules=ToolRules(deny=("rm",))), lists("beta", "rm"))
    assert found.tool("alpha__rm") is None
    assert found.tool("rm") == Route("beta", "rm")


def test_a_tools_route_knows_which_arguments_travel_as_headers_by_either_name():
    region = {"type": "string", "x-mcp-header": "Region"}
    tool = {"name": "go", "inputSchema": {"type": "object", "properties": {"where": region}}}
    found = routes(replace(lists("alpha"), tools=(tool,)))
    for name in ("alpha__go", "go"):
        assert found.tool(name) == Route("alpha", "go", (HeaderParam("Region", ("where",), "string"),))


def test_prompts_have_no_bare_names():
    assert routes(lists("alpha", prompts=("ask",))).prompt("ask") is None


def test_an_unlisted_name_tells_whose_list_to_ask_for_again():
    found = routes(lists("alpha"))
    assert found.owner_guess("alpha__new") == "alpha"
    assert found.owner_guess("beta__new") is None
    assert found.owner_guess("new") is None


@pytest.mark.requirement("N07")
def test_a_uri_of_two_servers_can_be_read_from_both():
    found = routes(lists("alpha", uris=("file:///x",)), lists("beta", uris=("file:///x",)))
    assert found.resource("file:///x") == Route("alpha", "file:///x")
    assert found.resource("beta+file:///x") == Route("beta", "file:///x")


@pytest.mark.requirement("N07")
def test_the_alias_form_works_for_every_server_listed_or_not():
    found = routes(lists("alpha", uris=("file:///x", "ui://board/m")))
    assert found.resource("alpha+file:///x") == Route("alpha", "file:///x")
    assert found.resource("alpha+file:///unlisted") == Route("alpha", "file:///unlisted")
    assert found.resource("ui://alpha.board/m") == Route("alpha", "ui://board/m")
    assert found.resource("beta+file:///x") is None


def test_no_template_takes_what_names_another_server():
    found = routes(lists("alpha"), lists("evil", templates=("{+anything}",)))
    assert found.resource("alpha+file:///x") == Route("alpha", "file:///x")
    assert found.resource("file:///x") == Route("evil", "file:///x")


def test_a_servers_own_uri_may_begin_like_its_alias():
    found = routes(lists("git", uris=("git+ssh://a",), templates=("git+https://{host}",)))
    assert found.resource("git+ssh://a") == Route("git", "git+ssh://a")
    assert found.resource("git+https://b") == Route("git", "git+https://b")


@pytest.mark.requirement("N08")
def test_an_unlisted_uri_goes_to_the_template_with_the_longest_literal_prefix():
    found = routes(
        lists("alpha", templates=("{+any}", "db://{table}/{row}")),
        lists("beta", templates=("db://users/{row}",)),
    )
    assert found.resource("db://users/7") == Route("beta", "db://users/7")
    assert found.resource("db://orders/7") == Route("alpha", "db://orders/7")
    assert found.resource("mail:x") == Route("alpha", "mail:x")


@pytest.mark.requirement("N08")
def test_of_equally_long_prefixes_the_first_server_wins():
    found = routes(lists("zeta", templates=("db://{a}",)), lists("alpha", templates=("db://{b}",)))
    assert found.resource("db://1") == Route("zeta", "db://1")


def test_a_listed_uri_goes_before_any_template():
    found = routes(lists("alpha", templates=("db://users/{row}",)), lists("beta", uris=("db://users/7",)))
    assert found.resource("db://users/7") == Route("beta", "db://users/7")


def test_an_endless_uri_is_not_looked_for_in_templates():
    found = routes(lists("alpha", templates=("{+any}",)))
    assert found.resource("x" * MAX_URI_CHARS) is not None
    assert found.resource("x" * (MAX_URI_CHARS + 1)) is None


def test_the_page_of_a_tool_can_be_read_though_it_is_not_listed():
    tool = {"name": "board", "_meta": {"ui": {"resourceUri": "ui://board/m"}}}
    found = routes(*(replace(lists(server), tools=(tool,)) for server in ("alpha", "beta")))
    assert found.resource("ui://board/m") == Route("alpha", "ui://board/m")
    assert found.resource("ui://beta.board/m") == Route("beta", "ui://board/m")


def test_a_completion_is_for_a_template_by_its_text_or_for_a_uri():
    found = routes(lists("alpha", templates=("db://{id}",)), lists("beta", templates=("db://{id}",)))
    assert found.template("db://{id}") == Route("alpha", "db://{id}")
    assert found.template("beta+db://{id}") == Route("beta", "db://{id}")
    assert found.template("db://7") == Route("alpha", "db://7")
    assert found.template("mail:{id}") is None


def test_without_servers_nothing_leads_anywhere():
    found = Routes.of(Catalog())
    assert (
        found.tool("a__b") is found.prompt("a__b") is found.resource("x:y") is found.template("x:{y}") is None
    )
