"""Search mode as a client meets it: three tools in the list, everything else found, described and called."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.config.models import ContextConfig, NameRules, ProfileConfig
from proxy_core.errors import InvalidParams, InvalidRequestState
from proxy_core.gateway import meta_tools
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.protocol.jsonrpc import encode
from proxy_core.protocol.revisions import MODERN
from tests.support.scripted_channel import Asked, until
from tests.support.stub_backends import (
    ALL,
    ANN,
    FORM,
    LEGACY,
    House,
    Outbox,
    StubServer,
    asker,
    asking_for,
    client,
    echo,
    entry,
    text_of,
    tool,
)

LONG = "Creates an issue in a repository of the product. " + "It takes a title and a body. " * 30
ISSUE = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "title": "Title", "description": "What it is called."},
        "region": {"type": "string", "x-mcp-header": "Region"},
    },
    "required": ["title"],
}
OUTPUT = {"type": "object", "properties": {"id": {"type": "integer"}}}


def github(revision: str = MODERN, **more: Any) -> StubServer:
    tools = [
        tool("create_issue", description=LONG, inputSchema=ISSUE, outputSchema=OUTPUT),
        tool("delete_issue", description="Deletes an issue."),
        tool("list_branches", description="Lists the branches of a repository."),
    ]
    return StubServer(revision, tools=tools, script={"tools/call": echo}, **more)


def files() -> StubServer:
    tools = [tool("read_file", description="Reads a text file from disk."), tool("move_file")]
    return StubServer(LEGACY, tools=tools, script={"tools/call": echo})


def house(mode: str = "search", always: tuple[str, ...] = (), **config: Any) -> House:
    servers = config.pop("servers", None) or {"github": github(), "files": files()}
    return House(servers, context={"mode": mode, "always": always}, **config)


async def use(home: House, tool: str, caller: Caller | None = None, /, **arguments: Any) -> Any:
    return await home.ask("tools/call", {"name": tool, "arguments": arguments}, caller)


async def ask(
    home: House, tool: str, caller: Caller | None = None, /, **arguments: Any
) -> tuple[list[str], bool]:
    """The lines of the answer, and whether it is an error."""
    result = await use(home, tool, caller, **arguments)
    (block,) = result["content"]
    return block["text"].split("\n"), result.get("isError", False)


async def found(home: House, *queries: str, caller: Caller | None = None, **more: Any) -> list[str]:
    lines, is_error = await ask(home, "search_tools", caller, queries=list(queries), **more)
    assert not is_error, lines
    return [json.loads(line)["name"] for line in lines if line.startswith("{")]


# --- the list -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["2024-11-05", LEGACY, MODERN])
async def test_three_tools_are_listed_and_those_that_always_are(revision: str):
    async with house(always=("files__*", "github__list_*")).open() as home:
        page = await home.ask("tools/list", {}, client(revision))
        names = [item["name"] for item in page["tools"]]
        assert names == [
            "search_tools",
            "describe_tools",
            "call_tool",
            "github__list_branches",
            "files__move_file",
            "files__read_file",
        ]
        assert "github, files" in page["tools"][0]["description"]
        assert "_meta" not in page["tools"][3]
        assert not page.get("nextCursor")


async def test_other_lists_are_what_they_are_in_every_mode():
    async with house(servers={"box": asker()}).open() as home:
        assert await home.names("prompts/list") == ["box__greet"]
        assert await home.names("resources/list") == ["file:///a"]


async def test_compact_lists_every_tool_shorter_and_without_our_remark():
    async with house("compact").open() as home:
        page = await home.ask("tools/list")
        item = next(item for item in page["tools"] if item["name"] == "github__create_issue")
        assert len(item["description"]) < 245
        assert "outputSchema" not in item and "_meta" not in item
        assert item["inputSchema"]["required"] == ["title"]
        assert "title" not in item["inputSchema"]["properties"]["title"]
        assert item["inputSchema"]["properties"]["region"]["x-mcp-header"] == "Region"
        assert len(page["tools"]) == 5
        assert text_of(await home.call("github__create_issue", title="x")) == {
            "name": "create_issue",
            "arguments": {"title": "x"},
        }


async def test_full_is_as_ever():
    async with house("full").open() as home:
        items = {item["name"]: item for item in (await home.ask("tools/list"))["tools"]}
        assert items["github__create_issue"]["outputSchema"] == OUTPUT
        assert items["github__create_issue"]["_meta"] == {
            "dev.only1mcp/origin": {"backend": "github", "name": "create_issue"}
        }
        for name in meta_tools.NAMES:
            with pytest.raises(InvalidParams, match="Unknown tool"):
                await home.call(name)


# --- search and describe ------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_search_answers_with_compact_schemas_one_tool_a_line_best_first(revision: str):
    async with house().open() as home:
        lines, is_error = await ask(home, "search_tools", client(revision), queries=["create issue github"])
        assert not is_error
        best = json.loads(lines[0])
        assert best["name"] == "github__create_issue"
        assert set(best) == {"name", "description", "inputSchema"}
        assert len(lines[0]) < 700
        assert await found(home, "read text file", limit=1) == ["files__read_file"]
        assert await found(home, "nonsense words", "branches list", limit=1) == ["github__list_branches"]
        assert set(await found(home, "issue", server="files")) == set()


async def test_what_a_search_answers_is_bounded_whatever_servers_list():
    endless = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1_500)}}
    servers = {"box": StubServer(MODERN, tools=[tool(f"assemble_{n}", inputSchema=endless) for n in range(9)])}
    async with house(servers=servers).open() as home:
        lines, _ = await ask(home, "search_tools", queries=["assemble"], limit=9)
        found = [json.loads(line) for line in lines]
        assert len(found) == 9
        assert 0 < sum("inputSchema" in item for item in found) < 9
        assert sum(map(len, lines)) < meta_tools.MAX_RESULT_CHARS + 9 * 300


async def test_a_search_that_finds_nothing_says_how_to_ask():
    async with house().open() as home:
        assert await ask(home, "search_tools", queries=["xyzzy"]) == ([meta_tools.NOTHING_FOUND], False)
        lines, is_error = await ask(home, "search_tools", queries=["x"], server="nope")
        assert (lines, is_error) == (["No server is called nope. The servers are: github, files."], True)
        lines, is_error = await ask(home, "search_tools")
        assert is_error and "queries" in lines[0]


async def test_an_index_that_is_not_there_in_time_is_said(monkeypatch: pytest.MonkeyPatch):
    async def never(*_: Any) -> None:
        return None

    async with house().open() as home:
        monkeypatch.setattr(home.gateway._index, "get", never)
        assert await ask(home, "search_tools", queries=["x"]) == ([meta_tools.NOT_READY], True)
        # A wrong name is still said to be one.
        lines, is_error = await ask(home, "call_tool", name="github__nope")
        assert is_error and lines == ["Unknown tool: github__nope. Find one with search_tools."]


async def test_what_is_found_follows_the_lists():
    async with house().open() as home:
        assert await found(home, "merge request") == []
        home.servers["github"].changes("tools", [tool("merge_request")])
        await until(lambda: len(home.gateway.listing.catalog.tools) == 3)
        assert await found(home, "merge request") == ["github__merge_request"]


async def test_a_definition_is_to_be_had_whole_as_the_full_list_has_it():
    async with house().open() as home:
        for revision in (LEGACY, MODERN):
            lines, is_error = await ask(
                home, "describe_tools", client(revision), names=["github__create_issue", "files__move_file"]
            )
            assert not is_error
            first = json.loads(lines[0])
            assert first["description"] == LONG.rstrip() or first["description"] == LONG
            assert first["outputSchema"] == OUTPUT
            assert json.loads(lines[1])["name"] == "files__move_file"


async def test_a_name_that_is_not_known_is_told_with_the_nearest():
    async with house().open() as home:
        lines, is_error = await ask(home, "describe_tools", names=["github__create_isue", "files__move_file"])
        assert not is_error
        assert json.loads(lines[0])["name"] == "files__move_file"
        assert lines[1].startswith("Unknown tool: github__create_isue. Did you mean github__create_issue")
        lines, is_error = await ask(home, "describe_tools", names=["qqq"])
        assert is_error


async def test_in_compact_mode_the_whole_definition_is_had_without_being_listed():
    async with house("compact").open() as home:
        assert "describe_tools" not in await home.names()
        lines, _ = await ask(home, "describe_tools", names=["github__create_issue"])
        assert json.loads(lines[0])["outputSchema"] == OUTPUT
        lines, is_error = await ask(home, "describe_tools", names=["github__nope"])
        assert (lines, is_error) == (["Unknown tool: github__nope."], True)
        for name in ("search_tools", "call_tool"):
            with pytest.raises(InvalidParams, match="Unknown tool"):
                await home.call(name)


# --- names that servers have too ----------------------------------------------------------------------------


def impostor() -> StubServer:
    return StubServer(
        MODERN, tools=[tool(name) for name in sorted(meta_tools.NAMES)], script={"tools/call": echo}
    )


async def test_our_tools_go_before_a_servers_of_the_same_name_in_search_mode_alone():
    bare = {"settings": {"box": {"prefix": "none"}}}
    async with House({"box": impostor()}, context={"mode": "search", "always": ["*"]}, **bare).open() as home:
        assert await home.names() == ["search_tools", "describe_tools", "call_tool"]
        assert "search_tools" in await found(home, "search tools")
        # The server's own is still reached, through ours.
        assert text_of(await use(home, "call_tool", name="search_tools"))["name"] == "search_tools"
    for mode in ("full", "compact"):
        async with House({"box": impostor()}, context={"mode": mode}, **bare).open() as home:
            assert text_of(await home.call("describe_tools"))["name"] == "describe_tools"


# --- calls --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_hidden_tool_is_called_through_ours_and_by_its_own_name(revision: str):
    async with house().open() as home:
        caller = client(revision)
        said = {"name": "create_issue", "arguments": {"title": "x"}}
        through = await use(home, "call_tool", caller, name="github__create_issue", arguments={"title": "x"})
        assert text_of(through) == said
        assert text_of(await home.call("github__create_issue", caller, title="x")) == said
        # And by its server's own name, as everywhere.
        assert (
            text_of(await use(home, "call_tool", caller, name="create_issue", arguments={"title": "x"})) == said
        )
        assert [fact.target for fact in home.finished][:2] == ["github__create_issue"] * 2
        assert {fact.server for fact in home.finished} == {"github"}


async def test_a_call_of_a_name_that_nobody_has_tells_the_nearest():
    async with house().open() as home:
        lines, is_error = await ask(home, "call_tool", name="github__create_isue")
        assert is_error
        assert lines[0].startswith("Unknown tool: github__create_isue. Did you mean github__create_issue")
        lines, is_error = await ask(home, "call_tool", name="call_tool", arguments={"name": "call_tool"})
        assert is_error and lines[0].startswith("Unknown tool: call_tool.")
        lines, is_error = await ask(home, "call_tool", name="github__create_issue", arguments="{}")
        assert is_error and '"arguments" must be an object' in lines[0]
        assert home.servers["github"].count("tools/call") == 0


async def test_a_call_that_is_kept_by_name_is_kept_however_it_was_made():
    cache = {"tools": {"github__create_issue": {"ttl_seconds": 60}}}
    async with house(cache=cache).open() as home:
        first = await use(home, "call_tool", name="github__create_issue", arguments={"title": "x"})
        assert await home.call("github__create_issue", title="x") == first
        assert home.servers["github"].count("tools/call") == 1


async def test_headers_are_demanded_only_of_who_was_told_of_them():
    async def status(home: House, name: str, arguments: Any) -> str:
        params = Raw(encode({"name": name, "arguments": arguments}))
        exchange = Exchange("tools/call", params, client(), Outbox(), param_headers=[])
        try:
            await home.gateway.handle(exchange)
        except Exception as error:
            return type(error).__name__
        return "called"

    issue = {"title": "x", "region": "eu"}
    through = {"name": "github__create_issue", "arguments": issue}
    async with house().open() as home:
        assert await status(home, "call_tool", through) == "called"
        assert await status(home, "github__create_issue", issue) == "called"
    for config in (house("compact"), house(always=("github__*",))):
        async with config.open() as home:
            assert await status(home, "github__create_issue", issue) == "HeaderMismatch"


async def test_progress_of_the_call_that_is_meant_reaches_the_client():
    def works(asked: Asked) -> None:
        token = asked.params["_meta"]["progressToken"]
        asked.channel.notifies("notifications/progress", progressToken=token, progress=1)
        echo(asked)

    async with house().open() as home:
        home.servers["files"].on("tools/call", works)
        outbox = Outbox()
        params = {
            "name": "call_tool",
            "arguments": {"name": "files__read_file", "arguments": {}},
            "_meta": {"progressToken": "mine"},
        }
        await home.ask("tools/call", params, client(LEGACY), outbox)
        assert outbox.of("notifications/progress") == [{"progressToken": "mine", "progress": 1}]


# --- calls that come back -----------------------------------------------------------------------------------


def meant(name: str, **more: Any) -> dict[str, Any]:
    return {"name": "call_tool", "arguments": {"name": name, "arguments": {"x": 1}}} | more


async def test_a_modern_server_that_asks_is_answered_through_the_same_call():
    def asks(asked: Asked) -> None:
        if "inputResponses" in asked.params:
            assert asked.params["requestState"] == "kept"
            echo(asked)
        else:
            asked.answer(asking_for({"r1": entry("elicitation/create", FORM)}, "kept"))

    async with house(servers={"box": asker(MODERN, script={"tools/call": asks})}).open() as home:
        caller = client(capabilities=ALL)
        first = await home.ask("tools/call", meant("box__run"), caller)
        assert first["resultType"] == "input_required"
        brought = {"requestState": first["requestState"], "inputResponses": {"r1": ANN}}
        done = await home.ask("tools/call", meant("box__run", **brought), client(capabilities=ALL))
        assert text_of(done) == {"name": "run", "arguments": {"x": 1}}
        # The very same call, by its own name, is the same; another tool's is not.
        plain = {"name": "box__run", "arguments": {"x": 1}} | brought
        assert text_of(await home.ask("tools/call", plain, client(capabilities=ALL)))["name"] == "run"
        with pytest.raises(InvalidRequestState):
            await home.ask("tools/call", meant("box__other", **brought), client(capabilities=ALL))


async def test_a_legacy_servers_call_waits_while_its_client_fetches_the_answer():
    async with house(servers={"box": asker(LEGACY)}).open() as home:
        box = home.servers["box"]
        held: list[Asked] = []
        box.on("tools/call", held.append)
        asking = home.begin("tools/call", meant("box__run"), client(capabilities=ALL))
        await until(lambda: held)
        box.asks("q1", "elicitation/create", held[0], **FORM)
        first = await asking
        assert first["resultType"] == "input_required"
        (key,) = first["inputRequests"]
        brought = {"requestState": first["requestState"], "inputResponses": {key: ANN}}
        again = home.begin("tools/call", meant("box__run", **brought), client(capabilities=ALL))
        assert (await box.next("")).message["result"] == ANN
        echo(held[0])
        assert text_of(await again) == {"name": "run", "arguments": {"x": 1}}
        assert len(held) == 1


# --- who sees what ------------------------------------------------------------------------------------------

REVIEW = ProfileConfig(servers=("github",), tools=NameRules(deny=("*__delete_*",)), context="search")


def under(profile: str, **more: Any) -> Caller:
    return client(profile=profile, **more)


async def test_a_profile_has_its_mode_and_finds_only_what_it_shows():
    async with house("full", profiles={"review": REVIEW}).open() as home:
        assert len(await home.names()) == 5
        review = under("review")
        page = await home.ask("tools/list", {}, review)
        assert [item["name"] for item in page["tools"]] == ["search_tools", "describe_tools", "call_tool"]
        assert "files" not in page["tools"][0]["description"]
        assert await found(home, "issue", "read file", "delete", caller=review) == ["github__create_issue"]
        lines, is_error = await ask(home, "search_tools", review, queries=["x"], server="files")
        assert is_error and "files." not in lines[0].partition("The servers are")[2]
        for name in ("github__delete_issue", "files__read_file", "delete_issue"):
            lines, is_error = await ask(home, "call_tool", review, name=name)
            assert is_error and lines[0].startswith(f"Unknown tool: {name}.")
            assert (
                "delete_issue" not in lines[0].partition(".")[2] and "files" not in lines[0].partition(".")[2]
            )
            lines, is_error = await ask(home, "describe_tools", review, names=[name])
            assert is_error and lines[0].startswith(f"Unknown tool: {name}.")
        assert home.servers["github"].count("tools/call") == 0
        assert home.servers["files"].count("tools/call") == 0


async def test_what_is_listed_for_one_principal_is_found_by_no_other():
    private = github(hints={"ttlMs": 60_000, "cacheScope": "private"})

    def own(asked: Asked) -> None:
        number = private.channels.index(asked.channel)
        asked.answer({"tools": [tool(f"open_vault_{number}")], **private.hints})

    private.on("tools/list", own)
    async with house(servers={"box": private, "files": files()}).open() as home:
        assert await found(home, "open vault") == ["box__open_vault_0"]
        ann, bob = client(principal="token:ann"), client(principal="token:bob")
        assert await found(home, "open vault", caller=ann) == ["box__open_vault_1"]
        assert await found(home, "open vault", caller=bob) == ["box__open_vault_2"]
        assert await found(home, "read file", caller=bob, limit=1) == ["files__read_file"]
        lines, is_error = await ask(home, "call_tool", bob, name="box__open_vault_1")
        assert is_error and "vault_1." in lines[0]


# --- auto ---------------------------------------------------------------------------------------------------


def big(count: int) -> StubServer:
    return StubServer(
        MODERN, tools=[tool(f"make_{n:03d}", description="Makes it. " * 60) for n in range(count)]
    )


async def test_auto_goes_with_the_size_of_the_lists_and_tells_of_it():
    box = big(3)
    async with house("auto", servers={"box": box}).open() as home:
        told: list[str] = []
        home.hub.add(frozenset({"tools"}), told.append)
        assert len(await home.names()) == 3
        box.changes("tools", big(40).items["tools/list"])
        await until(lambda: told)
        page = await home.ask("tools/list")
        assert len(page["tools"]) == 40
        assert len(page["tools"][0]["description"]) < 245
        box.changes("tools", big(150).items["tools/list"])
        await until(lambda: len(told) == 2)
        assert await home.names() == ["search_tools", "describe_tools", "call_tool"]
        modes = [(f.before, f.now) for f in home.facts if type(f).__name__ == "ContextModeChanged"]
        assert modes == [("full", "compact"), ("compact", "search")]


async def test_a_reload_to_another_mode_is_told_though_no_tool_is_another():
    async with house("full").open() as home:
        await home.names()
        told: list[str] = []
        home.hub.add(frozenset({"tools"}), told.append)
        home.config = home.config.model_copy(update={"context": ContextConfig(mode="compact")})
        home.gateway.servers_changed()
        await until(lambda: told)
        assert told == ["tools"]
        assert "dev.only1mcp/origin" not in str(await home.ask("tools/list"))


async def test_a_change_behind_the_search_is_no_change_of_the_list():
    box = big(150)
    async with house("search", servers={"box": box}).open() as home:
        told: list[str] = []
        home.hub.add(frozenset({"tools"}), told.append)
        await home.names()
        box.changes("tools", big(151).items["tools/list"])
        await until(lambda: len(home.gateway.listing.catalog.tools) == 151)
        home.hub.changed("prompts")
        await home.hub.settled()
        assert told == []
