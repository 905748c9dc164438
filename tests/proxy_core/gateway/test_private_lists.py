"""Lists that a server calls private: each principal has its own, and nobody else's is ever shown or routed."""

import asyncio
from typing import Any

import pytest

from proxy_core.errors import InvalidParams
from proxy_core.gateway import private_lists, subscriptions
from proxy_core.gateway.exchange import Viewer
from proxy_core.protocol.revisions import MODERN
from tests.support.clock import FakeClock
from tests.support.scripted_channel import Asked, refuses, silence, until
from tests.support.stub_backends import LEGACY, House, StubServer, client, echo, searcher, text_of, tool

PARTIAL = "dev.only1mcp/partial"
ANN, BOB = "token:ann", "token:bob"


class Discreet(StubServer):
    """Lists a tool named after the connection that asks, in the order in which they were opened."""

    def __init__(self, ttl_ms: int = 60_000) -> None:
        hints = {"ttlMs": ttl_ms, "cacheScope": "private"}
        super().__init__(MODERN, tools=[tool("unused")], hints=hints, script={"tools/call": echo})
        self.suffix = ""
        self.on("tools/list", self._own)

    def _own(self, asked: Asked) -> None:
        name = f"of{self.channels.index(asked.channel)}{self.suffix}"
        asked.answer({"tools": [tool(name)], **self.hints})


def of(principal: str, **more: Any) -> Any:
    return client(MODERN, principal=principal, **more)


@pytest.mark.requirement("C04")
async def test_what_a_server_lists_for_one_is_shown_to_nobody_else():
    box, open_one = Discreet(), searcher(MODERN, hints={"ttlMs": 60_000, "cacheScope": "public"})
    async with House({"box": box, "open": open_one}).open() as house:
        for _ in range(2):
            assert await house.names() == ["box__of0", "open__search"]
            assert await house.names(caller=of(ANN)) == ["box__of1", "open__search"]
            assert await house.names(caller=of(BOB)) == ["box__of2", "open__search"]
        # Each reading was kept for its own principal.
        assert (box.count("tools/list"), open_one.count("tools/list")) == (3, 1)
        page = await house.ask("tools/list", {}, of(ANN))
        assert page["cacheScope"] == "private"


@pytest.mark.requirement("C04")
async def test_the_same_connection_is_asked_anew_for_each_principal():
    box = Discreet()
    async with House({"box": box}, settings={"box": {"isolation": "shared"}}).open() as house:
        await house.names()
        box.suffix = "-ann"
        assert await house.names(caller=of(ANN)) == ["box__of0-ann"]
        box.suffix = "-bob"
        assert await house.names(caller=of(BOB)) == ["box__of0-bob"]
        assert await house.names(caller=of(ANN)) == ["box__of0-ann"]
        assert await house.names() == ["box__of0"]


@pytest.mark.requirement("C04")
async def test_a_name_from_anothers_private_list_leads_nowhere():
    box = Discreet()
    async with House({"box": box}).open() as house:
        assert await house.names(caller=of(ANN)) == ["box__of1"]
        assert text_of(await house.call("box__of1", of(ANN)))["name"] == "of1"
        with pytest.raises(InvalidParams, match="Unknown tool"):
            await house.call("box__of1", of(BOB))
        assert text_of(await house.call("box__of2", of(BOB)))["name"] == "of2"


async def test_a_private_tool_can_be_called_before_anything_was_listed():
    async with House({"box": Discreet()}).open() as house:
        assert text_of(await house.call("box__of1", of(ANN)))["name"] == "of1"


async def test_nothing_is_read_twice_where_nothing_is_private():
    box = searcher(MODERN, hints={"ttlMs": 60_000, "cacheScope": "public"})
    async with House({"box": box}).open() as house:
        listing = house.gateway.listing
        await house.names(caller=of(ANN))
        assert (box.count("tools/list"), box.starts) == (1, 1)
        first = listing.page("tools/list", MODERN, Viewer(ANN), None)
        assert listing.page("tools/list", MODERN, Viewer(BOB), None) is first


async def test_a_private_list_is_read_again_when_its_time_is_up(clock: FakeClock):
    box = Discreet(ttl_ms=20_000)
    async with House({"box": box}, clock).open() as house:
        await house.names(caller=of(ANN))
        clock.advance(15)
        assert (await house.ask("tools/list", {}, of(ANN)))["ttlMs"] == 5_000
        box.suffix = "-later"
        clock.advance(6)
        assert await house.names(caller=of(ANN)) == ["box__of1-later"]


@pytest.mark.requirement("C05")
async def test_a_change_that_a_server_tells_of_makes_every_private_list_of_its_stale(clock: FakeClock):
    box = Discreet()
    async with House({"box": box}, clock).open() as house:
        told: list[str] = []
        await house.names(caller=of(ANN))
        house.hub.add(subscriptions.ALL_KINDS, told.append)
        clock.advance(1)
        box.suffix = "-new"
        box.channels[0].notifies("notifications/tools/list_changed")
        await until(lambda: told)
        assert await house.names(caller=of(ANN)) == ["box__of1-new"]


async def test_clients_are_told_of_a_private_list_that_turned_out_to_be_another(clock: FakeClock):
    box = Discreet(ttl_ms=5_000)
    async with House({"box": box}, clock, settings={"box": {"isolation": "principal"}}).open() as house:
        told: list[str] = []
        await house.names(caller=of(ANN))
        # Long enough for what the start has changed to be told.
        await asyncio.sleep(2 * subscriptions.COALESCE_S)
        house.hub.add(subscriptions.ALL_KINDS, told.append)
        clock.advance(6)
        await house.names(caller=of(ANN))
        box.script["tools/list"] = [
            lambda asked: asked.answer(
                {"tools": [tool(f"of{min(box.channels.index(asked.channel), 1) * 7}")], **box.hints}
            )
        ]
        assert told == []
        clock.advance(6)
        assert await house.names(caller=of(ANN)) == ["box__of7"]
        await until(lambda: told)
        assert told == ["tools"]


async def test_only_so_many_principals_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(private_lists, "MAX_PRINCIPALS", 2)
    box = Discreet()
    async with House({"box": box}, settings={"box": {"isolation": "shared"}}).open() as house:
        for number in range(5):
            await house.names(caller=of(f"token:{number}"))
        assert box.count("tools/list") == 6
        await house.names(caller=of("token:4"))
        await house.names(caller=of("token:3"))
        assert box.count("tools/list") == 6
        await house.names(caller=of("token:0"))
        assert box.count("tools/list") == 7


@pytest.mark.requirement("C07")
async def test_a_server_that_cannot_be_read_for_one_is_missing_for_that_one_alone():
    box = Discreet()
    async with House({"box": box, "open": searcher()}).open() as house:
        await house.names(caller=of(ANN))
        box.on("tools/list", refuses(-32603))
        page = await house.ask("tools/list", {}, of(BOB))
        assert [each["name"] for each in page["tools"]] == ["open__search"]
        assert (page["_meta"][PARTIAL], page["cacheScope"]) == (["box"], "private")
        assert await house.names(caller=of(ANN)) == ["box__of1", "open__search"]


async def test_a_server_that_does_not_answer_for_one_keeps_a_list_waiting_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(private_lists, "READ_S", 0.05)
    box = Discreet()
    async with House({"box": box, "open": searcher()}, batching={"window_ms": 0}).open() as house:
        box.on("tools/list", silence)
        asked = [house.names(caller=of(ANN)) for _ in range(3)]
        assert await asyncio.gather(*asked) == [["open__search"]] * 3
        assert box.count("tools/list") == 2
        await house.gateway.aclose()


@pytest.mark.requirement("C02")
@pytest.mark.parametrize(("principal", "scope"), [("anon", "public"), (ANN, "private")])
async def test_what_a_legacy_server_lists_may_be_for_one_alone_where_there_are_several(
    principal: str, scope: str
):
    async with House({"box": searcher(LEGACY)}).open() as house:
        assert (await house.ask("tools/list", {}, of(principal)))["cacheScope"] == scope


@pytest.mark.requirement("C05")
async def test_a_private_list_that_was_asked_for_before_a_change_is_good_for_nobody_after_it():
    box = Discreet()
    async with House({"box": box}, batching={"window_ms": 0}).open() as house:
        box.script.pop("tools/list")
        early = asyncio.create_task(house.names(caller=of(ANN)))
        reading = await box.next("tools/list")
        house.gateway.listing.invalid("box", ["tools/list"])
        reading.answer({"tools": [tool("old")], **box.hints})
        assert await early == ["box__old"]
        late = asyncio.create_task(house.names(caller=of(ANN)))
        (await box.next("tools/list")).answer({"tools": [tool("new")], **box.hints})
        assert await late == ["box__new"]
