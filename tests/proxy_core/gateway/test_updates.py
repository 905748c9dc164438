"""Subscriptions to single resources, of both eras, at servers of both eras."""

import asyncio
from typing import Any

import pytest

from proxy_core.errors import (
    BackendUnavailable,
    InvalidParams,
    NotSubscribable,
    Overloaded,
    UnknownResource,
)
from proxy_core.gateway import updates as updates_module
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.updates import MAX_URIS
from proxy_core.protocol.revisions import MODERN
from tests.support.scripted_channel import acknowledges, result, silence, until
from tests.support.stub_backends import LEGACY, House, Outbox, StubServer, client, resource, template

UPDATED = "notifications/resources/updated"
SUBSCRIBE, UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"
DIR = "file:///dir"


def teller(revision: str = LEGACY, *uris: str, **more: Any) -> StubServer:
    """Tells of each resource that it is asked about."""
    script = {
        SUBSCRIBE: result({}),
        UNSUBSCRIBE: result({}),
        "subscriptions/listen": acknowledges,
    }
    shelves = {"resources": [resource(uri) for uri in uris or (DIR,)]} | more
    offers = {"resources": {"subscribe": True, "listChanged": True}}
    return StubServer(revision, offers=offers, script=script, **shelves)


def session(**more: Any) -> tuple[Caller, Outbox]:
    stream = Outbox()
    return client(LEGACY, session="s", stream=stream, **more), stream


class Listener:
    """A modern listen."""

    def __init__(self, house: House, principal: str = "anon") -> None:
        self.house = house
        self.caller = client(principal=principal)
        self.told: list[str] = []
        self.accepted: list[str] = []

    async def open(self, *uris: str) -> "Listener":
        self.accepted, self.close = await self.house.gateway.updates.listen(self.caller, uris, self.told.append)
        return self


def listens(server: StubServer) -> list[list[str]]:
    """The URIs of each listen that reached it."""
    filters = [
        each.params["notifications"] for each in server.asked if each.message["method"].endswith("listen")
    ]
    return [each.get("resourceSubscriptions", []) for each in filters]


async def subscribe(house: House, caller: Caller, uri: str = DIR) -> Any:
    return await house.ask(SUBSCRIBE, {"uri": uri}, caller)


# --- legacy clients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_legacy_client_subscribes_and_hears_of_it_on_its_own_stream(revision: str):
    async with House({"box": teller(revision)}).open() as house:
        caller, stream = session()
        assert await subscribe(house, caller) == {}
        house.servers["box"].tells(UPDATED, uri=DIR)
        assert stream.of(UPDATED) == [{"uri": DIR}]
        assert await house.ask(UNSUBSCRIBE, {"uri": DIR}, caller) == {}
        house.servers["box"].tells(UPDATED, uri=DIR)
        assert len(stream.messages) == 1


@pytest.mark.requirement("C12")
async def test_a_legacy_client_makes_a_modern_servers_listen_grow():
    box = teller(MODERN, "x:1", "x:2")
    async with House({"box": box}).open() as house:
        caller, stream = session()
        await subscribe(house, caller, "x:1")
        await subscribe(house, caller, "x:2")
        assert listens(box) == [[], ["x:1"], ["x:1", "x:2"]]
        box.tells(UPDATED, uri="x:1")
        box.tells(UPDATED, uri="x:2")
        assert stream.of(UPDATED) == [{"uri": "x:1"}, {"uri": "x:2"}]


async def test_an_unknown_uri_is_refused_as_when_it_is_read():
    async with House({"box": teller()}).open() as house:
        error = await house.refused(SUBSCRIBE, {"uri": "file:///nowhere"}, LEGACY)
        assert isinstance(error, UnknownResource)
        assert error.data() == {"uri": "file:///nowhere"}
        assert house.servers["box"].count(SUBSCRIBE) == 0


async def test_a_server_that_does_not_tell_is_named_by_the_uri():
    async with House({"box": StubServer(resources=[resource(DIR)])}).open() as house:
        error = await house.refused(SUBSCRIBE, {"uri": DIR}, LEGACY)
        assert isinstance(error, NotSubscribable)
        assert (error.code, error.data()) == (-32602, {"uri": DIR})


async def test_a_server_that_is_down_is_no_reason_to_give_up_the_uri():
    async with House({"box": teller()}).open() as house:
        await house.backend("box").drain(0)
        error = await house.refused(SUBSCRIBE, {"uri": "box+" + DIR}, LEGACY)
        assert isinstance(error, BackendUnavailable)


@pytest.mark.parametrize("params", [{}, {"uri": None}, {"uri": 3}])
@pytest.mark.parametrize("method", [SUBSCRIBE, UNSUBSCRIBE])
async def test_a_uri_must_be_a_string(method: str, params: Any):
    async with House({"box": teller()}).open() as house:
        assert isinstance(await house.refused(method, params, LEGACY), InvalidParams)


async def test_subscribing_twice_counts_once_and_unsubscribing_needs_no_subscription():
    async with House({"box": teller()}).open() as house:
        caller, _ = session()
        await asyncio.gather(*(subscribe(house, caller) for _ in range(3)))
        for _ in range(2):
            await house.ask(UNSUBSCRIBE, {"uri": DIR}, caller)
        await until(lambda: house.servers["box"].count(UNSUBSCRIBE))
        assert len(house.gateway.updates) == 0


async def test_a_session_that_ends_lets_go_of_everything():
    box = teller(LEGACY, "x:1", "x:2")
    async with House({"box": box}).open() as house:
        caller, _ = session()
        await subscribe(house, caller, "x:1")
        await subscribe(house, caller, "x:2")
        house.gateway.session_ended(caller)
        await until(lambda: box.count(UNSUBSCRIBE) == 2)
        assert len(house.gateway.updates) == 0


async def test_a_session_that_ends_while_the_server_thinks_leaves_nothing_behind():
    box = teller()
    box.on(SUBSCRIBE, silence)
    async with House({"box": box}).open() as house:
        caller, _ = session()
        asking = house.begin(SUBSCRIBE, {"uri": DIR}, caller)
        await until(lambda: box.count(SUBSCRIBE))
        house.gateway.session_ended(caller)
        box.asked[-1].answer({})
        await asking
        await until(lambda: box.count(UNSUBSCRIBE))
        assert len(house.gateway.updates) == 0


async def test_a_session_subscribes_to_a_bounded_number():
    box = teller(templates=[template("x:{n}")])
    async with House({"box": box}).open() as house:
        caller, _ = session()
        await asyncio.gather(*(subscribe(house, caller, f"x:{number}") for number in range(MAX_URIS)))
        with pytest.raises(Overloaded):
            await subscribe(house, caller, "x:more")
        await subscribe(house, caller, "x:0")


# --- modern listens -------------------------------------------------------------------------------------------


@pytest.mark.requirement("C11")
async def test_listens_share_one_subscription_at_a_legacy_server():
    box = teller()
    async with House({"box": box}).open() as house:
        one, two = await Listener(house).open(DIR), await Listener(house).open(DIR)
        assert (one.accepted, two.accepted) == ([DIR], [DIR])
        assert box.count(SUBSCRIBE) == 1
        box.tells(UPDATED, uri=DIR)
        assert (one.told, two.told) == ([DIR], [DIR])
        one.close()
        one.close()
        box.tells(UPDATED, uri=DIR)
        assert (one.told, two.told) == ([DIR], [DIR, DIR])
        assert box.count(UNSUBSCRIBE) == 0
        two.close()
        await until(lambda: box.count(UNSUBSCRIBE))


async def test_only_what_a_server_accepts_is_accepted():
    mute = StubServer(resources=[resource("y:1")])
    async with House({"box": teller(), "mute": mute}).open() as house:
        listener = await Listener(house).open("y:1", DIR, "z:unknown", DIR, "x" * 9000)
        assert listener.accepted == [DIR]


async def test_a_server_that_takes_too_long_is_left_out_and_let_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(updates_module, "ACK_S", 0.05)
    slow = teller(LEGACY, "y:1")
    slow.on(SUBSCRIBE, silence)
    async with House({"box": teller(), "slow": slow}).open() as house:
        listener = await Listener(house).open("y:1", DIR)
        assert listener.accepted == [DIR]
        slow.asked[-1].answer({})
        await until(lambda: slow.count(UNSUBSCRIBE))


async def test_a_listen_that_is_given_up_while_it_opens_leaves_nothing_behind():
    slow = teller(LEGACY, "y:1")
    slow.on(SUBSCRIBE, silence)
    async with House({"box": teller(), "slow": slow}).open() as house:
        opening = asyncio.ensure_future(Listener(house).open("y:1", DIR))
        await until(lambda: slow.count(SUBSCRIBE) and len(house.gateway.updates))
        opening.cancel()
        await asyncio.wait([opening])
        slow.asked[-1].answer({})
        await until(lambda: slow.count(UNSUBSCRIBE) and house.servers["box"].count(UNSUBSCRIBE))
        assert len(house.gateway.updates) == 0


# --- what is told to whom -------------------------------------------------------------------------------------


@pytest.mark.requirement("C13")
async def test_a_resource_below_the_one_subscribed_to_reaches_its_subscriber():
    async with House({"box": teller()}).open() as house:
        listener = await Listener(house).open(DIR)
        for uri in (DIR + "/a/b", DIR + "ectory", "file:///other", DIR + "?x"):
            house.servers["box"].tells(UPDATED, uri=uri)
        assert listener.told == [DIR + "/a/b"]


@pytest.mark.requirement("C13")
async def test_who_subscribed_to_both_is_told_once():
    async with House({"box": teller(LEGACY, DIR, DIR + "/a")}).open() as house:
        listener = await Listener(house).open(DIR, DIR + "/a")
        house.servers["box"].tells(UPDATED, uri=DIR + "/a")
        assert listener.told == [DIR + "/a"]


@pytest.mark.requirement("C13")
async def test_uris_are_those_of_the_client_and_servers_are_told_apart():
    one, two = teller(), teller(MODERN)
    async with House({"one": one, "two": two}).open() as house:
        plain, alias = await Listener(house).open(DIR), await Listener(house).open("two+" + DIR)
        assert two.count(SUBSCRIBE) == 0
        two.tells(UPDATED, uri=DIR)
        two.tells(UPDATED, uri=DIR + "/a")
        assert (plain.told, alias.told) == ([], ["two+" + DIR, "two+" + DIR + "/a"])
        one.tells(UPDATED, uri=DIR + "/a")
        assert plain.told == [DIR + "/a"]


async def test_what_was_updated_can_be_read():
    box = teller()
    box.on(
        "resources/read", lambda asked: asked.answer({"contents": [{"uri": asked.params["uri"], "text": ""}]})
    )
    async with House({"box": box}).open() as house:
        await Listener(house, "ann").open(DIR)
        box.tells(UPDATED, uri=DIR + "/new")
        assert await house.ask("resources/read", {"uri": DIR + "/new"}, client(principal="ann"))
        with pytest.raises(UnknownResource):
            await house.ask("resources/read", {"uri": DIR + "/new"}, client(principal="bob"))


@pytest.mark.requirement("N09")
async def test_what_a_result_pointed_to_can_be_subscribed_to():
    link = {"type": "resource_link", "name": "r", "uri": "file:///report"}
    box = teller(tools=[{"name": "run", "inputSchema": {"type": "object"}}])
    box.on("tools/call", result({"content": [link]}))
    async with House({"box": box}).open() as house:
        await house.call("box__run", client(principal="ann"))
        assert (await Listener(house, "bob").open(link["uri"])).accepted == []
        assert (await Listener(house, "ann").open(link["uri"])).accepted == [link["uri"]]


# --- breaks and reloads ---------------------------------------------------------------------------------------


@pytest.mark.requirement("C16")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_after_a_server_came_back_every_uri_counts_as_updated(revision: str):
    box = teller(revision)
    async with House({"box": box}).open() as house:
        listener = await Listener(house).open(DIR)
        box.items["resources/list"].append(resource("file:///new"))
        box.line.ends()
        await until(lambda: listener.told)
        assert listener.told == [DIR]
        assert await house.names("resources/list") == [DIR, "file:///new"]
        box.tells(UPDATED, uri=DIR + "/a")
        assert listener.told == [DIR, DIR + "/a"]


async def test_a_uri_that_another_server_comes_to_own_is_asked_of_that_one():
    one, two = teller(LEGACY, "x:1"), teller(MODERN)
    async with House({"one": one, "two": two}).open() as house:
        listener = await Listener(house).open(DIR)
        assert listens(two)[-1] == [DIR]
        one.changes("resources", [resource(DIR)])
        await until(lambda: listener.told)
        assert listener.told == [DIR], "it is another resource now"
        await until(lambda: listens(two)[-1] == [])
        two.tells(UPDATED, uri=DIR)
        one.tells(UPDATED, uri=DIR)
        assert listener.told == [DIR, DIR]
        assert len(house.gateway.updates) == 1


async def test_a_uri_that_no_list_has_any_more_stays_with_its_server():
    box = teller()
    async with House({"box": box}).open() as house:
        listener = await Listener(house).open(DIR)
        box.changes("resources", [])
        await until(lambda: not house.gateway.listing.catalog.resources)
        box.tells(UPDATED, uri=DIR)
        assert listener.told == [DIR]
        assert box.count(UNSUBSCRIBE) == 0


async def test_a_subscription_survives_its_server_being_taken_out_and_put_back():
    box = teller()
    async with House({"box": box}).open() as house:
        listener = await Listener(house).open(DIR)
        house.registry.apply((), {}, 0)
        await until(lambda: not house.gateway.listing.catalog.resources)
        house.registry.apply(house.configs, {}, 0)
        await until(lambda: listener.told)
        assert listener.told == [DIR]
        box.tells(UPDATED, uri=DIR)
        assert listener.told == [DIR, DIR]
        listener.close()
        await until(lambda: box.count(UNSUBSCRIBE))
        assert len(house.gateway.updates) == 0
