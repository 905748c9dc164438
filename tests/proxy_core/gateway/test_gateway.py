"""One request through the real gateway and the real backends, to servers in memory."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core import __version__
from proxy_core.errors import (
    BackendExited,
    BackendProtocolError,
    BackendUnavailable,
    InvalidParams,
    Kind,
    MethodNotFound,
    UnknownResource,
)
from proxy_core.protocol.revisions import MODERN, SUPPORTED
from proxy_core.telemetry.records import CANCELLED
from proxy_core.telemetry.snapshot import ServerState
from tests.support.clock import FakeClock
from tests.support.scripted_channel import CRASHED, result, until
from tests.support.stub_backends import (
    LEGACY,
    House,
    StubServer,
    client,
    dead,
    echo,
    prompt,
    raw_result,
    resource,
    searcher,
    template,
    text_of,
    tool,
)

P = "io.modelcontextprotocol/"
OURS = {"name": "only1mcp", "version": __version__}
CALL = {"tools/call": echo}


# --- whom to ask -----------------------------------------------------------------------------------------


@pytest.mark.requirement("N01")
async def test_each_call_reaches_its_own_server_under_its_own_name():
    async with House({"git": searcher(), "web": searcher(MODERN)}).open() as house:
        assert await house.names() == ["git__search", "web__search"]
        for server in ("git", "web"):
            answer = await house.call(f"{server}__search", q=server)
            assert text_of(answer) == {"name": "search", "arguments": {"q": server}}
            assert house.servers[server].count("tools/call") == 1


@pytest.mark.requirement("N05")
async def test_a_bare_name_is_accepted_where_one_server_alone_has_it():
    git = StubServer(tools=[tool("search"), tool("clone")], script=CALL)
    async with House({"git": git, "web": searcher()}).open() as house:
        assert text_of(await house.call("clone"))["name"] == "clone"
        assert isinstance(await house.refused("tools/call", {"name": "search"}), InvalidParams)


@pytest.mark.requirement("N06")
@pytest.mark.parametrize(
    ("method", "words"), [("tools/call", "Unknown tool: box__no"), ("prompts/get", "Unknown prompt: box__no")]
)
async def test_an_unknown_name_is_the_clients_fault(method: str, words: str):
    async with House({"box": searcher()}).open() as house:
        error = await house.refused(method, {"name": "box__no"})
        assert (error.code, error.message) == (-32602, words)


@pytest.mark.parametrize("params", [{}, {"name": 7}, {"name": None}, None])
async def test_a_name_that_is_no_string_is_refused(params: Any):
    async with House({"box": searcher()}).open() as house:
        assert (await house.refused("tools/call", params)).code == -32602


async def test_a_name_as_long_as_a_book_is_not_repeated_back():
    async with House({"box": searcher()}).open() as house:
        assert len((await house.refused("tools/call", {"name": "x" * 10_000})).message) < 300


async def test_a_tool_that_came_without_word_of_it_is_found_by_reading_its_servers_list_once(clock: FakeClock):
    git, web = searcher(announces=False), searcher()
    async with House({"git": git, "web": web}, clock).open() as house:
        git.items["tools/list"] = [tool("search"), tool("new")]
        clock.advance(2.5)
        assert text_of(await house.call("git__new"))["name"] == "new"
        assert (git.count("tools/list"), web.count("tools/list")) == (2, 1)


async def test_unknown_names_do_not_have_the_list_read_more_than_every_two_seconds(clock: FakeClock):
    box = searcher()
    async with House({"box": box}, clock).open() as house:
        for _ in range(5):
            await house.refused("tools/call", {"name": "box__no"})
        assert box.count("tools/list") == 1
        clock.advance(2.5)
        for _ in range(5):
            await house.refused("tools/call", {"name": "box__no"})
        assert box.count("tools/list") == 2


@pytest.mark.requirement("A09")
async def test_a_denied_tool_is_neither_listed_nor_callable(clock: FakeClock):
    box = StubServer(tools=[tool("read"), tool("drop")], script=CALL)
    async with House({"box": box}, clock, settings={"box": {"tools": {"deny": ("drop",)}}}).open() as house:
        assert await house.names() == ["box__read"]
        for name in ("box__drop", "drop"):
            clock.advance(3)
            error = await house.refused("tools/call", {"name": name})
            assert (error.code, error.message) == (-32602, f"Unknown tool: {name}")
        assert box.count("tools/call") == 0


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "off__any"}),
        ("prompts/get", {"name": "off__any"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "off__any"}}),
        ("resources/read", {"uri": "off+file:///a"}),
    ],
)
async def test_a_server_that_is_down_is_unavailable_not_unknown(method: str, params: Any):
    async with House({"off": dead(), "box": searcher()}).open() as house:
        await house.reached("off", ServerState.UNHEALTHY)
        error = await house.refused(method, params)
        assert isinstance(error, BackendUnavailable)
        assert error.code == -32603
        assert error.data() == {"dev.only1mcp": {"kind": Kind.UNAVAILABLE, "backend": "off", "retryable": True}}
        assert "handshake" not in error.message


async def test_a_drained_server_takes_no_calls_and_says_so():
    async with House({"box": searcher()}).open() as house:
        await house.backend("box").drain(0)
        error = await house.refused("tools/call", {"name": "box__search"})
        assert (type(error), error.message) == (BackendUnavailable, "The server is drained.")
        assert await house.names() == []


async def test_a_server_that_dies_under_a_call_fails_that_call_and_no_other():
    box = StubServer(tools=[tool("search")])
    async with House({"box": box, "web": searcher()}).open() as house:
        call = house.begin("tools/call", {"name": "box__search"})
        await box.next("tools/call")
        box.line.ends(CRASHED)
        with pytest.raises(BackendExited):
            await call
        assert text_of(await house.call("web__search"))["name"] == "search"
        # Its tools stay in sight while it comes back.
        assert await house.names() == ["box__search", "web__search"]


@pytest.mark.requirement("D04")
@pytest.mark.requirement("D05")
async def test_what_reaches_a_server_holds_nothing_of_the_clients_envelope():
    old, new = searcher(), searcher(MODERN)
    meta = {
        P + "protocolVersion": MODERN,
        P + "clientCapabilities": {"sampling": {}},
        P + "clientInfo": {"name": "Host", "version": "1"},
        "progressToken": 7,
        "traceparent": "00-1-2-01",
    }
    async with House({"old": old, "new": new}).open() as house:
        for server in ("old", "new"):
            await house.ask("tools/call", {"name": f"{server}__search", "_meta": meta, "task": {}})
        sent = [server.asked[-1].params for server in (old, new)]
        assert all("task" not in params for params in sent)
        assert set(sent[0]["_meta"]) == {"traceparent", "progressToken"}
        assert sent[0]["_meta"]["progressToken"] != 7
        envelopes = [asked.params["_meta"] for asked in new.asked]
        assert [envelope[P + "clientCapabilities"] for envelope in envelopes] == [{}] * 4
        assert sent[1]["_meta"][P + "clientInfo"]["name"] == "only1mcp"


async def test_sixty_four_calls_at_once_each_get_their_own_answer():
    async with House({"box": searcher()}).open() as house:
        answers = await asyncio.gather(*(house.call("box__search", n=n) for n in range(64)))
        assert [text_of(answer)["arguments"]["n"] for answer in answers] == list(range(64))


# --- prompts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["plain", "Größe, bitte.", "a\u200bb", "\x1b[31mred", "x" * 200])
async def test_every_listed_prompt_can_be_asked_for(own: str):
    box = StubServer(prompts=[prompt(own)], script={"prompts/get": result({"messages": []})})
    async with House({"box": box}).open() as house:
        [listed] = await house.names("prompts/list")
        await house.ask("prompts/get", {"name": listed})
        assert box.asked[-1].params["name"] == own


# --- resources -------------------------------------------------------------------------------------------


def reader(contents: list[Any], revision: str = LEGACY, **more: Any) -> StubServer:
    return StubServer(
        revision,
        resources=[resource("file:///a")],
        script={"resources/read": result({"contents": contents})},
        **more,
    )


@pytest.mark.requirement("N07")
async def test_both_owners_of_one_uri_can_be_read_and_answer_under_the_name_asked_for():
    contents = [{"uri": "file:///a", "text": "A"}, {"uri": "file:///a/b", "text": "B"}]
    async with House({"one": reader(contents), "two": reader(contents, MODERN)}).open() as house:
        assert await house.names("resources/list") == ["file:///a", "two+file:///a"]
        for uri, server in (("file:///a", "one"), ("two+file:///a", "two"), ("one+file:///a", "one")):
            answer = await house.ask("resources/read", {"uri": uri})
            assert [each["uri"] for each in answer["contents"]] == [uri, "file:///a/b"]
            assert house.servers[server].asked[-1].params["uri"] == "file:///a"


@pytest.mark.requirement("N08")
async def test_a_uri_that_fits_a_template_is_read_from_its_server():
    box = StubServer(
        templates=[template("file:///{path}")],
        script={"resources/read": result({"contents": [{"uri": "file:///x", "text": ""}]})},
    )
    async with House({"box": box}).open() as house:
        await house.ask("resources/read", {"uri": "file:///x"})
        assert box.count("resources/read") == 1


@pytest.mark.requirement("N10")
async def test_an_unknown_uri_is_not_found_and_nobody_is_asked():
    one, two = reader([]), reader([])
    async with House({"one": one, "two": two}).open() as house:
        error = await house.refused("resources/read", {"uri": "file:///no"})
        assert isinstance(error, UnknownResource)
        assert (error.code, error.data()) == (-32602, {"uri": "file:///no"})
        assert one.count("resources/read") == two.count("resources/read") == 0


@pytest.mark.requirement("N11")
@pytest.mark.parametrize("body", [b'{"contents":[]}', b'{"contents" : [ ],"_meta":{}}'])
async def test_empty_contents_mean_not_found(body: bytes):
    box = StubServer(resources=[resource("file:///a")], script={"resources/read": raw_result(body)})
    async with House({"box": box}).open() as house:
        error = await house.refused("resources/read", {"uri": "file:///a"})
        assert isinstance(error, UnknownResource)
        assert error.uri == "file:///a"


async def test_a_text_that_speaks_of_empty_contents_is_a_text():
    answer = [{"uri": "file:///a", "text": '{"contents":[]}'}, {"contents": []}]
    async with House({"box": reader(answer)}).open() as house:
        assert len((await house.ask("resources/read", {"uri": "file:///a"}))["contents"]) == 2


@pytest.mark.requirement("C01")
@pytest.mark.parametrize(
    ("revision", "own", "hints"),
    [
        (LEGACY, {}, (0, "private")),
        (MODERN, {}, (0, "private")),
        (MODERN, {"ttlMs": 5000, "cacheScope": "public"}, (5000, "public")),
        (MODERN, {"ttlMs": -1, "cacheScope": "all"}, (0, "private")),
    ],
)
async def test_a_read_carries_the_servers_own_cache_hints(revision: str, own: Any, hints: Any):
    reply = result({"resultType": "complete", "contents": [{"uri": "file:///a", "text": ""}]} | own)
    box = StubServer(revision, resources=[resource("file:///a")], script={"resources/read": reply})
    async with House({"box": box}).open() as house:
        answer = await house.ask("resources/read", {"uri": "file:///a"})
        assert (answer["ttlMs"], answer["cacheScope"]) == hints


@pytest.mark.parametrize("uri", ["file:///a", "box+file:///a"])
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_a_read_that_answers_with_no_object_is_the_servers_fault(uri: str, revision: str):
    box = StubServer(resources=[resource("file:///a")], script={"resources/read": raw_result(b"[1]")})
    async with House({"box": box}).open() as house:
        assert isinstance(await house.refused("resources/read", {"uri": uri}, revision), BackendProtocolError)


# --- from our own state ----------------------------------------------------------------------------------


NO_SERVERS: dict[str, StubServer] = {}


@pytest.mark.requirement("D01")
async def test_discover_tells_versions_capabilities_and_hints():
    async with House(NO_SERVERS).open() as house:
        answer = await house.ask("server/discover")
        assert answer["supportedVersions"] == list(SUPPORTED)
        assert (answer["ttlMs"], answer["cacheScope"], answer["resultType"]) == (60_000, "public", "complete")
        assert answer["_meta"] == {P + "serverInfo": OURS}
        assert "serverInfo" not in answer
        named = await house.ask("server/discover", {}, client(principal="token:ci"))
        assert named["cacheScope"] == "private"


@pytest.mark.requirement("D02")
async def test_what_is_advertised_works_without_any_server():
    async with House(NO_SERVERS).open() as house:
        capabilities = (await house.ask("server/discover"))["capabilities"]
        assert capabilities == json.loads(house.gateway.initialize("2025-11-25"))["capabilities"]
        assert set(capabilities) == {"tools", "prompts", "resources", "completions", "logging"}
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
            assert await house.names(method) == []
        assert await house.ask("logging/setLevel", {"level": "info"}, client(LEGACY)) == {}


async def test_the_oldest_clients_are_not_told_of_completions():
    async with House(NO_SERVERS).open() as house:
        assert "completions" not in json.loads(house.gateway.initialize("2024-11-05"))["capabilities"]


@pytest.mark.requirement("D03")
async def test_the_instructions_of_all_servers_are_merged_but_for_those_that_are_left_out():
    servers = {
        name: StubServer(tools=[], instructions=f"I am {name}\x1b[31m.") for name in ("one", "two", "tri")
    }
    settings = {"one": {"name": "First"}, "two": {"instructions": False}}
    async with House(servers, settings=settings).open() as house:
        told = (await house.ask("server/discover"))["instructions"]
        assert told.endswith("\n\n## First (tools: one__*)\nI am one.\n\n## tri (tools: tri__*)\nI am tri.")
        assert json.loads(house.gateway.initialize(LEGACY))["instructions"] == told
        await house.backend("one").drain(0)
        assert "First" not in (await house.ask("server/discover"))["instructions"]


@pytest.mark.requirement("L15")
async def test_a_ping_is_answered_with_every_server_down():
    async with House({"off": dead()}).open() as house:
        assert await house.ask("ping", None, client(LEGACY)) == {}


@pytest.mark.parametrize(
    "method", ["tasks/list", "tasks/result", "resources/watch", "sampling/createMessage", "x" * 999]
)
async def test_a_method_that_is_not_ours_is_not_found(method: str):
    async with House({"box": searcher()}).open() as house:
        error = await house.refused(method, {})
        assert isinstance(error, MethodNotFound)
        assert len(error.message) < 200


async def test_a_server_that_asks_something_of_a_client_is_refused():
    async with House({"box": searcher()}).open() as house:
        box = house.servers["box"]
        box.line.says({"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {}})
        answer = await box.next("")
        assert (answer.message["id"], answer.message["error"]["code"]) == ("s1", -32601)


# --- cancelling, and what is counted ---------------------------------------------------------------------


@pytest.mark.requirement("P04")
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_a_call_that_is_given_up_is_cancelled_at_the_server(revision: str):
    box = StubServer(revision, tools=[tool("run")])
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", {"name": "box__run"})
        asked = await box.next("tools/call")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: box.count("notifications/cancelled") == 1)
        assert box.asked[-1].params["requestId"] == asked.id
        assert house.finished[-1].error_code == CANCELLED
        assert house.backend("box").in_flight == 0


async def test_every_request_leaves_one_fact(clock: FakeClock):
    box = StubServer(tools=[tool("run")])
    async with House({"box": box}, clock).open() as house:
        call = house.begin("tools/call", {"name": "box__run"}, client(LEGACY, client="Host"))
        asked = await box.next("tools/call")
        clock.advance(0.25)
        asked.answer({"content": [], "isError": True})
        await call
        [fact] = house.finished
        assert (fact.client, fact.revision, fact.method) == ("Host", LEGACY, "tools/call")
        assert (fact.server, fact.target) == ("box", "box__run")
        assert (fact.duration_ms, fact.error_code, fact.is_tool_error) == (250, None, True)
        assert fact.bytes_out == len('{"content": [], "isError": true}')


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "box__no"}, -32602),
        ("tools/call", {"name": "off__x"}, -32603),
        ("tools/call", {"name": "box__search", "_meta": 7}, -32602),
        ("nothing", {}, -32601),
        ("tools/list", {}, None),
    ],
)
async def test_a_fact_tells_how_it_ended(method: str, params: Any, code: int | None):
    async with House({"box": searcher(), "off": dead()}).open() as house:
        if code is None:
            await house.ask(method, params)
        else:
            await house.refused(method, params)
        assert [fact.error_code for fact in house.finished] == [code]


async def test_only_a_call_of_a_tool_can_say_that_the_tool_failed():
    listed = tool("run", annotations={"isError": True})
    box = StubServer(tools=[listed], script={"tools/call": result({"content": [], "isError": True})})
    async with House({"box": box}).open() as house:
        await house.ask("tools/list", {})
        await house.call("box__run")
        assert [fact.is_tool_error for fact in house.finished] == [False, True]


async def test_a_text_that_speaks_of_errors_is_none():
    reply = result({"content": [{"type": "text", "text": '{"isError": true}'}]})
    box = StubServer(tools=[tool("run")], script={"tools/call": reply})
    async with House({"box": box}).open() as house:
        await house.call("box__run")
        assert not house.finished[-1].is_tool_error
