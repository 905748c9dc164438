"""Merged lists, as clients page through them, and what becomes of them as servers come and go."""

import asyncio
from typing import Any

import pytest

from proxy_core.errors import BackendUnavailable
from proxy_core.facts import CatalogChanged, NameHidden
from proxy_core.gateway import listing, subscriptions
from proxy_core.gateway.exchange import Viewer
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import MODERN, SUPPORTED
from proxy_core.telemetry.snapshot import ServerState
from tests.support.clock import FakeClock
from tests.support.scripted_channel import CRASHED, refuses, result, silence, until
from tests.support.stub_backends import (
    LEGACY,
    House,
    StubServer,
    client,
    dead,
    many_tools,
    prompt,
    resource,
    searcher,
    template,
    tool,
)

PARTIAL = "dev.only1mcp/partial"
NAME_OF = {"resources/list": "uri", "resources/templates/list": "uriTemplate"}


async def pages(house: House, method: str = "tools/list", **caller: Any) -> list[list[str]]:
    """The names of every page, by the cursors that the pages give."""
    found: list[list[str]] = []
    params: dict[str, Any] = {}
    while True:
        page = await house.ask(method, params, client(**caller))
        found.append([item["name"] for item in page[LIST_METHODS[method]]])
        if "nextCursor" not in page:
            return found
        params = {"cursor": page["nextCursor"]}


async def first_cursor(house: House, **caller: Any) -> str:
    return str((await house.ask("tools/list", {}, client(**caller)))["nextCursor"])


# --- order and pages ----------------------------------------------------------------------------------------


@pytest.mark.requirement("N13")
async def test_lists_are_in_configuration_order_then_by_name_however_servers_shuffle():
    one = StubServer(tools=[tool("b"), tool("B"), tool("a")])
    two = StubServer(MODERN, tools=[tool("a")])
    async with House({"zz": one, "aa": two}).open() as house:
        expected = ["zz__B", "zz__a", "zz__b", "aa__a"]
        assert await house.names() == expected
        one.changes("tools", [tool("a"), tool("b"), tool("B")])
        await until(lambda: one.count("tools/list") == 2)
        assert await house.names() == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("tools/list", ["box__t"]),
        ("prompts/list", ["box__p"]),
        ("resources/list", ["file:///r"]),
        ("resources/templates/list", ["file:///{x}"]),
    ],
)
@pytest.mark.parametrize("revision", SUPPORTED)
async def test_every_list_has_what_the_servers_have(method: str, expected: list[str], revision: str):
    box = StubServer(
        tools=[tool("t")],
        prompts=[prompt("p")],
        resources=[resource("file:///r")],
        templates=[template("file:///{x}")],
    )
    async with House({"box": box}).open() as house:
        assert await house.names(method, client(revision)) == expected


@pytest.mark.requirement("N18")
async def test_one_bad_tool_costs_no_other_its_place():
    box = StubServer(tools=[tool("ok"), {"name": "bare"}, tool("odd", title=7, icons="x"), {"inputSchema": {}}])
    async with House({"box": box}).open() as house:
        assert await house.names() == ["box__odd", "box__ok"]


@pytest.mark.requirement("N14")
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_2500_tools_come_in_three_pages_without_gap_or_repeat(revision: str):
    async with House({"one": StubServer(tools=many_tools(2500))}).open() as house:
        found = await pages(house, revision=revision)
        assert [len(page) for page in found] == [1000, 1000, 500]
        assert [name for page in found for name in page] == [f"one__t{number:05d}" for number in range(2500)]


@pytest.mark.requirement("N14")
async def test_a_tool_added_between_two_pages_moves_no_other():
    one, two = StubServer(tools=many_tools(1500)), StubServer(tools=many_tools(600))
    async with House({"one": one, "two": two}).open() as house:
        first = await house.ask("tools/list", {})
        one.changes("tools", [tool("a-new"), tool("z-new"), *many_tools(1500)])
        await until(lambda: one.count("tools/list") == 2)
        second = await house.ask("tools/list", {"cursor": first["nextCursor"]})
        third = await house.ask("tools/list", {"cursor": second["nextCursor"]})
        found = [item["name"] for page in (first, second, third) for item in page["tools"]]
        assert len(found) == len(set(found)) == 2101
        assert set(found) >= {f"one__t{number:05d}" for number in range(1500)} | {"one__z-new"}


@pytest.mark.requirement("N15")
@pytest.mark.parametrize("spoilt", ["", "{}x", "x{}", "o1.a.b.c", "next", 7, []])
async def test_a_cursor_that_is_not_ours_is_refused(spoilt: Any):
    async with House({"one": StubServer(tools=many_tools(1001))}).open() as house:
        cursor = spoilt.format(await first_cursor(house)) if isinstance(spoilt, str) else spoilt
        assert (await house.refused("tools/list", {"cursor": cursor})).code == -32602


@pytest.mark.requirement("N15")
async def test_a_cursor_is_good_for_its_own_list_and_its_own_principal_only():
    one = StubServer(tools=many_tools(1001), prompts=[prompt(f"p{number}") for number in range(1001)])
    async with House({"one": one}).open() as house:
        cursor = await first_cursor(house)
        assert (await house.refused("prompts/list", {"cursor": cursor})).code == -32602
        foreign = await first_cursor(house, revision=MODERN, principal="eve")
        assert (await house.refused("tools/list", {"cursor": foreign})).code == -32602
        # One reader may change eras between pages: what a page begins with does not depend on them.
        assert len((await house.ask("tools/list", {"cursor": cursor}, client(LEGACY)))["tools"]) == 1


async def test_a_cursor_of_a_server_that_left_the_configuration_is_refused():
    async with House({"one": StubServer(tools=many_tools(1001)), "two": searcher()}).open() as house:
        cursor = await first_cursor(house)
        house.registry.apply(house.configs[1:], {}, 0)
        house.gateway.listing.changed()
        assert (await house.refused("tools/list", {"cursor": cursor})).code == -32602


async def test_a_page_is_made_once_and_then_only_handed_out():
    async with House({"box": searcher()}).open() as house:
        first = house.gateway.listing.page("tools/list", MODERN, Viewer("anon"), None)
        assert house.gateway.listing.page("tools/list", MODERN, Viewer("anon"), None) is first


# --- hints --------------------------------------------------------------------------------------------------


async def hints(house: House, method: str = "tools/list") -> tuple[int, str]:
    page = await house.ask(method, {})
    return page["ttlMs"], page["cacheScope"]


@pytest.mark.requirement("C02")
async def test_the_time_to_live_is_the_least_that_is_left_anywhere(clock: FakeClock):
    slow = searcher(MODERN, hints={"ttlMs": 50_000, "cacheScope": "public"})
    quick = searcher(MODERN, hints={"ttlMs": 20_000, "cacheScope": "public"})
    async with House({"slow": slow, "quick": quick}, clock).open() as house:
        assert await hints(house) == (20_000, "public")
        clock.advance(15)
        assert await hints(house) == (5_000, "public")


@pytest.mark.requirement("C02")
async def test_one_private_list_makes_the_whole_private_on_every_page():
    mine = StubServer(MODERN, tools=many_tools(1001), hints={"ttlMs": 9000, "cacheScope": "public"})
    yours = searcher(MODERN, hints={"ttlMs": 9000, "cacheScope": "private"})
    async with House({"mine": mine, "yours": yours}).open() as house:
        first = await house.ask("tools/list", {})
        second = await house.ask("tools/list", {"cursor": first["nextCursor"]})
        assert first["cacheScope"] == second["cacheScope"] == "private"


@pytest.mark.requirement("C03")
@pytest.mark.parametrize("ttl", [-5, 1.5, "60", True])
async def test_a_time_to_live_that_is_none_is_zero(ttl: Any):
    async with House({"box": searcher(MODERN, hints={"ttlMs": ttl})}).open() as house:
        assert (await hints(house))[0] == 0


@pytest.mark.parametrize(("announces", "ttl_ms"), [(True, 60_000), (False, 5_000)])
async def test_a_legacy_list_lives_by_whether_its_server_tells_of_changes(announces: bool, ttl_ms: int):
    async with House({"box": searcher(announces=announces)}).open() as house:
        assert await hints(house) == (ttl_ms, "public")


async def test_a_list_that_a_server_does_not_offer_never_grows_old(clock: FakeClock):
    asking = StubServer(prompts=[prompt("p")])
    async with House({"box": searcher(), "asking": asking}, clock).open() as house:
        clock.advance(3600)
        await house.ask("prompts/list", {})
        await until(lambda: asking.count("prompts/list") == 2)
        assert (await hints(house, "prompts/list"))[0] == 60_000


FIVE_SECONDS = {"methods": {"tools/list": {"ttl_seconds": 5}}}

# --- freshness ----------------------------------------------------------------------------------------------


async def test_a_stale_list_of_a_server_that_tells_nothing_is_read_before_answering(clock: FakeClock):
    box = searcher(announces=False)
    async with House({"box": box}, clock, cache=FIVE_SECONDS).open() as house:
        box.items["tools/list"] = [tool("new")]
        clock.advance(4.9)
        assert await house.names() == ["box__search"]
        clock.advance(0.2)
        assert await house.names() == ["box__new"]


async def test_a_stale_list_of_a_server_that_announces_changes_is_read_after_answering(
    clock: FakeClock,
):
    box = searcher()
    async with House({"box": box}, clock).open() as house:
        box.items["tools/list"] = [tool("new")]
        clock.advance(599)
        assert await house.names() == ["box__search"]
        assert box.count("tools/list") == 1
        clock.advance(2)
        assert await house.names() == ["box__search"]
        await until(lambda: box.count("tools/list") == 2)
        assert await house.names() == ["box__new"]


async def test_without_a_cache_a_list_is_asked_of_its_server_each_time():
    """Also of one that would say if it had another."""
    box = searcher()
    async with House({"box": box}, cache={"enabled": False}, batching={"window_ms": 0}).open() as house:
        for number in range(3):
            box.items["tools/list"] = [tool(f"t{number}")]
            assert await house.names() == [f"box__t{number}"]


async def test_a_server_that_does_not_answer_keeps_a_list_waiting_for_a_bounded_time(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing, "FRESHEN_S", 0.05)
    box, web = searcher(announces=False), searcher()
    quick = {"cache": FIVE_SECONDS, "batching": {"window_ms": 0}}
    async with House({"box": box, "web": web}, clock, **quick).open() as house:
        box.on("tools/list", silence)
        clock.advance(10)
        assert await house.names() == ["box__search", "web__search"]
        assert await house.names() == ["box__search", "web__search"]
        assert box.count("tools/list") == 2


async def test_readers_of_a_stale_list_share_one_reading(clock: FakeClock):
    box = searcher(announces=False)
    async with House({"box": box}, clock, cache=FIVE_SECONDS).open() as house:
        clock.advance(10)
        await asyncio.gather(*(house.names() for _ in range(20)))
        assert box.count("tools/list") == 2


@pytest.mark.requirement("L19")
async def test_a_list_waits_for_first_connects_but_not_forever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "FIRST_CONNECT_S", 0.05)
    slow = searcher()
    slow.on("server/discover", silence)
    async with House({"slow": slow, "web": searcher()}).open(settled=False) as house:
        await house.reached("web", ServerState.HEALTHY)
        page = await house.ask("tools/list", {})
        assert [item["name"] for item in page["tools"]] == ["web__search"]
        assert page["_meta"][PARTIAL] == ["slow"]


@pytest.mark.requirement("L19")
async def test_a_list_asked_for_while_servers_start_has_them_all():
    async with House({"one": searcher(), "two": searcher(MODERN), "off": dead()}).open(settled=False) as house:
        assert await house.names() == ["one__search", "two__search"]


# --- servers that are down ----------------------------------------------------------------------------------


@pytest.mark.requirement("C07")
async def test_a_list_without_a_server_that_is_down_says_so_and_is_soon_asked_for_again():
    async with House({"off": dead(), "box": searcher()}).open() as house:
        await house.reached("off", ServerState.UNHEALTHY)
        page = await house.ask("tools/list", {})
        assert page["_meta"][PARTIAL] == ["off"]
        assert page["ttlMs"] == 5_000
        legacy = await house.ask("tools/list", {}, client(LEGACY))
        assert legacy["_meta"] == {PARTIAL: ["off"]}


@pytest.mark.requirement("C07")
async def test_the_last_lists_of_a_server_that_went_down_are_served_for_ten_minutes(clock: FakeClock):
    box = searcher()
    async with House({"box": box, "web": searcher()}, clock).open() as house:
        box.on("server/discover", refuses(-32601))
        box.on("initialize", refuses(-32603))
        box.line.ends(CRASHED)
        await house.reached("box", ServerState.RESTARTING)
        page = await house.ask("tools/list", {})
        assert [item["name"] for item in page["tools"]] == ["box__search", "web__search"]
        assert (page["_meta"][PARTIAL], page["ttlMs"] <= 5_000) == (["box"], True)
        for seconds in (599, 2):
            clock.advance(seconds)
            house.backend("box").sweep(clock.monotonic())
        assert await house.names() == ["web__search"]


@pytest.mark.requirement("C07")
async def test_a_server_that_comes_back_has_its_clients_told():
    box = dead()
    async with House({"box": box}).open() as house:
        told: list[str] = []
        house.hub.add(subscriptions.ALL_KINDS, told.append)
        box.items["tools/list"] = [tool("back")]
        revived = searcher()
        box.on("initialize", *revived.script["initialize"])
        await house.backend("box").probe()
        await until(lambda: told)
        assert told == ["tools"]


async def test_a_drained_server_is_no_gap_in_the_list():
    async with House({"box": searcher(), "web": searcher()}).open() as house:
        await house.backend("box").drain(0)
        page = await house.ask("tools/list", {})
        assert [item["name"] for item in page["tools"]] == ["web__search"]
        assert PARTIAL not in page["_meta"]


@pytest.mark.parametrize("method", ["tools/list", "prompts/list"])
async def test_with_every_server_down_a_list_is_an_error_not_empty(method: str):
    async with House({"one": dead(), "two": dead()}).open() as house:
        error = await house.refused(method, {})
        assert isinstance(error, BackendUnavailable)


async def test_with_every_server_switched_off_a_list_is_empty():
    async with House({"box": searcher()}).open() as house:
        await house.backend("box").drain(0)
        assert await house.names() == []


# --- what is told -------------------------------------------------------------------------------------------


@pytest.mark.requirement("C10")
async def test_many_changes_at_once_are_told_once(monkeypatch: pytest.MonkeyPatch):
    servers = {f"s{number}": searcher() for number in range(5)}
    async with House(servers).open() as house:
        told: list[str] = []
        house.hub.add(subscriptions.ALL_KINDS, told.append)
        await house.ask("tools/list", {})
        assert told == [], "nobody has seen other lists than the first"
        # Long enough for a busy machine.
        monkeypatch.setattr(subscriptions, "COALESCE_S", 0.5)
        for server in servers.values():
            server.changes("tools", [tool("other")])
        await until(lambda: told)
        assert len(await house.names()) == 5
        assert told == ["tools"]


@pytest.mark.requirement("C10")
async def test_a_change_that_changes_nothing_for_clients_is_not_told():
    box = searcher()
    async with House({"box": box}).open() as house:
        await house.ask("tools/list", {})
        before = [fact for fact in house.facts if isinstance(fact, CatalogChanged)]
        box.changes("tools", [tool("search")])
        await until(lambda: box.count("tools/list") == 2)
        await house.ask("tools/list", {})
        assert [fact for fact in house.facts if isinstance(fact, CatalogChanged)] == before
        assert [(fact.kind, fact.count) for fact in before] == [("tools", 1)]


async def test_a_template_that_came_is_a_change_of_the_resources():
    box = StubServer(resources=[resource("file:///r")], templates=[])
    async with House({"box": box}).open() as house:
        await house.ask("tools/list", {})
        box.changes("templates", [template("file:///{x}")])
        await until(lambda: box.count("resources/templates/list") == 2)
        await house.ask("resources/list", {})
        last = [fact for fact in house.facts if isinstance(fact, CatalogChanged)][-1]
        assert (last.kind, last.count) == ("resources", 2)


@pytest.mark.requirement("N04")
async def test_a_hidden_name_is_told_once():
    one, two = StubServer(tools=[tool("same")]), StubServer(tools=[tool("same")])
    async with House({"one": one, "two": two}, routing={"prefix": "none"}).open() as house:
        assert await house.names() == ["same"]
        two.changes("tools", [tool("same", title="still")])
        await until(lambda: two.count("tools/list") == 2)
        assert await house.names() == ["same"]
        hidden = [fact for fact in house.facts if isinstance(fact, NameHidden)]
        assert [(fact.server, fact.name) for fact in hidden] == [("two", "same")]


@pytest.mark.requirement("N03")
async def test_a_server_that_is_added_changes_no_name_of_another():
    async with House({"one": searcher(), "two": searcher()}).open() as house:
        house.registry.apply(house.configs[:1], {}, 0)
        house.gateway.listing.changed()
        before = await house.names()
        house.registry.apply(house.configs, {}, 0)
        house.gateway.listing.changed()
        assert [name for name in await house.names() if name.startswith("one")] == before == ["one__search"]


@pytest.mark.requirement("C05")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_change_is_listed_before_the_old_list_has_expired(revision: str):
    box = StubServer(revision, tools=[tool("old")], hints={"ttlMs": 3_600_000, "cacheScope": "public"})
    async with House({"box": box}).open() as house:
        before = await house.ask("tools/list", {})
        assert ([each["name"] for each in before["tools"]], before["ttlMs"]) == (["box__old"], 60_000)
        box.changes("tools", [tool("new")])
        await until(lambda: box.count("tools/list") == 2)
        assert await house.names() == ["box__new"]


@pytest.mark.requirement("N21")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_schema_elsewhere_is_passed_on_and_never_fetched(revision: str):
    visits: list[str] = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append("visited")
        writer.close()

    canary = await asyncio.start_server(visited, "127.0.0.1", 0)
    port = canary.sockets[0].getsockname()[1]
    schema = {"type": "object", "properties": {"a": {"$ref": f"http://127.0.0.1:{port}/schema.json"}}}
    box = StubServer(revision, tools=[tool("run", inputSchema=schema, outputSchema=schema)])
    box.on("tools/call", result({"content": [], "structuredContent": {"a": 1}}))
    async with canary, House({"box": box}).open() as house:
        listed = (await house.ask("tools/list", {}))["tools"][0]
        assert (listed["inputSchema"], listed["outputSchema"]) == (schema, schema)
        assert (await house.call("box__run", a=1))["structuredContent"] == {"a": 1}
        assert visits == []


async def test_merges_that_nobody_waits_for_leave_time_between_them(monkeypatch: pytest.MonkeyPatch):
    """As hundreds of servers start, each has news, and a merge looks at all of them."""
    async with House({"aa": StubServer(tools=[tool("a")])}).open() as house:
        assert await house.names() == ["aa__a"]
        lists = house.gateway.listing
        lists.changed()
        await until(lambda: not lists._is_stale)
        monkeypatch.setattr(listing, "REST_PER_SERVER_S", 3600.0)
        lists.changed()
        for _ in range(5):
            await asyncio.sleep(0)
        assert lists._is_stale
        assert await house.names() == ["aa__a"]
        assert not lists._is_stale
