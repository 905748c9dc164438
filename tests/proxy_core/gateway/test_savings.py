"""The accounts as one picture, and what a reload does to what is kept."""

import asyncio

from proxy_core.config.models import Config
from proxy_core.telemetry.savings import CacheRow
from tests.support.clock import FakeClock
from tests.support.stub_backends import MODERN, House, StubServer, client, echo, tool

TOOLS = {"tools": {"*": {"ttl_seconds": 60}}}


def box() -> StubServer:
    return StubServer(MODERN, tools=[tool("add")], script={"tools/call": echo}, hints={"ttlMs": 60_000})


def row(house: House, method: str, server: str = "box") -> CacheRow:
    (found,) = (
        each for each in house.gateway.savings().caches if (each.method, each.server) == (method, server)
    )
    return found


async def test_lists_and_answers_are_on_one_account(clock: FakeClock):
    async with House({"box": box(), "web": box()}, clock, cache=TOOLS).open() as house:
        for _ in range(3):
            await house.names()
            await house.call("box__add", x=1)
            clock.advance(2)
        lists, calls = row(house, "tools/list"), row(house, "tools/call")
        assert (lists.hits, lists.misses, lists.entries, lists.mean_age_s) == (3, 0, 1, 2)
        assert lists.bytes > len('{"tools":[{"name":"add"}]}')
        assert (calls.hits, calls.misses, calls.entries, calls.mean_age_s, calls.max_age_s) == (2, 1, 1, 3, 4)
        assert house.gateway.savings().caches[0].server == "box"
        # Looking changes nothing.
        assert row(house, "tools/list") == lists


async def test_a_list_of_one_principal_alone_is_kept_beside_the_shared_one():
    private = StubServer(MODERN, tools=[tool("t")], hints={"ttlMs": 60_000, "cacheScope": "private"})
    async with House({"box": private}, batching={"window_ms": 0}).open() as house:
        await house.names()
        assert row(house, "tools/list").entries == 1
        await asyncio.gather(*(house.names(caller=client(MODERN, principal="token:ann")) for _ in range(5)))
        assert row(house, "tools/list").entries == 2
        (joined,) = (each for each in house.gateway.savings().joins if each.method == "tools/list")
        assert (joined.asked, joined.made, joined.saved) == (5, 1, 4)


def reload(house: House, **changes: object) -> None:
    before, house.config = house.config, Config.model_validate(house.config.model_dump() | changes)
    house.gateway.reloaded(before)


async def test_a_reload_drops_what_a_changed_server_answered_and_keeps_the_rest():
    async with House({"box": box(), "web": box()}, cache=TOOLS).open() as house:
        for server in ("box", "web"):
            await house.call(f"{server}__add", x=1)
        servers = house.config.model_dump()["servers"]
        reload(house, servers=[servers[0] | {"concurrency": 7}, servers[1]])
        assert (row(house, "tools/call").entries, row(house, "tools/call", "web").entries) == (0, 1)
        assert row(house, "tools/call").evictions == (("reload", 1),)


async def test_other_rules_for_the_cache_drop_everything():
    async with House({"box": box(), "web": box()}, cache=TOOLS).open() as house:
        for server in ("box", "web"):
            await house.call(f"{server}__add", x=1)
        reload(house, limits={"calls": 9})
        assert len(house.gateway.cache) == 2
        reload(house, cache={"tools": {}})
        assert len(house.gateway.cache) == 0
        await house.call("box__add", x=1)
        assert len(house.gateway.cache) == 0
