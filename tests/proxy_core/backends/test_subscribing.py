"""Subscriptions at a legacy backend: one request at a time for a URI, restored with the session."""

import asyncio
from typing import Any

import pytest

from proxy_core.backends.wanted import WantedTopics
from proxy_core.errors import BackendSessionLost
from tests.support.scripted_channel import CRASHED, initialized, refuses, result, silence, until
from tests.support.scripted_line import Line

SUBSCRIBE, UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"
OFFERED = {"resources": {"subscribe": True}}


@pytest.fixture
def updates() -> list[str]:
    return []


@pytest.fixture
def wanted(updates: list[str]) -> WantedTopics:
    return WantedTopics(updates.append)


@pytest.fixture
async def open_line(dial: Any, wanted: WantedTopics) -> Any:
    async def new(capabilities: Any = OFFERED, **script: Any) -> Line:
        handshake = {
            "initialize": initialized(capabilities=capabilities),
            "notifications/initialized": silence,
        }
        line: Line = dial(handshake | script, era="legacy")
        await line.connection.open()
        assert line.connection.feed is not None
        line.connection.feed.attach(wanted)
        return line

    return new


YES = {SUBSCRIBE: result({}), UNSUBSCRIBE: result({})}


@pytest.mark.requirement("C11")
async def test_a_second_one_asks_nothing_and_the_last_one_unsubscribes(open_line: Any, wanted: Any):
    line = await open_line(**YES)
    assert [await wanted.add("a"), await wanted.add("a")] == [True, True]
    wanted.remove("a")
    await line.rest()
    assert (line.server.count(SUBSCRIBE), line.server.count(UNSUBSCRIBE)) == (1, 0)
    wanted.remove("a")
    await until(lambda: line.server.count(UNSUBSCRIBE))
    assert [each.params for each in line.server.asked[-2:]] == [{"uri": "a"}, {"uri": "a"}]


async def test_a_server_that_refuses_is_asked_again_by_the_next_one(open_line: Any, wanted: Any):
    line = await open_line(**{SUBSCRIBE: [refuses(-32002), result({})]})
    assert [await wanted.add("a"), await wanted.add("a")] == [False, True]
    assert line.server.count(UNSUBSCRIBE) == 0


async def test_a_server_that_does_not_offer_it_is_not_asked(open_line: Any, wanted: Any):
    line = await open_line({"resources": {}})
    assert not await wanted.add("a")
    assert line.server.count(SUBSCRIBE) == 0


async def test_requests_about_one_uri_never_overtake_each_other(open_line: Any, wanted: Any):
    line = await open_line(**{UNSUBSCRIBE: silence})
    first = line.begin(wanted.add("a"))
    asked = await line.server.next(SUBSCRIBE)
    first.cancel()
    await asyncio.wait([first])
    second = line.begin(wanted.add("a"))
    await line.rest()
    assert line.server.count(SUBSCRIBE) == 1, "it was wanted again before the answer: nothing else is to do"
    asked.answer({})
    assert await second
    assert line.server.count(UNSUBSCRIBE) == 0


async def test_one_that_left_before_the_answer_is_unsubscribed(open_line: Any, wanted: Any):
    line = await open_line(**{UNSUBSCRIBE: result({})})
    first = line.begin(wanted.add("a"))
    asked = await line.server.next(SUBSCRIBE)
    first.cancel()
    asked.answer({})
    await until(lambda: line.server.count(UNSUBSCRIBE))


async def test_what_it_tells_goes_up(open_line: Any, wanted: Any, updates: list[str]):
    line = await open_line(**YES)
    await wanted.add("a")
    line.server.line.notifies("notifications/resources/updated", uri="a/b")
    line.server.line.notifies("notifications/resources/updated", uri=3)
    line.server.line.notifies("notifications/resources/list_changed")
    assert (updates, line.owner.changes) == (["a/b"], ["resources"])


@pytest.mark.requirement("B05")
async def test_a_renewed_session_has_the_same_subscriptions(open_line: Any, wanted: Any, updates: list[str]):
    line = await open_line(**YES)
    await asyncio.gather(wanted.add("a"), wanted.add("b"))
    call = line.call()
    asked = await line.server.next("tools/call")
    line.server.script["tools/call"] = [result({"ok": True})]
    asked.fail(BackendSessionLost("box", "The server ended our session."))
    await call
    await until(lambda: len(updates) == 2)
    assert line.server.count("initialize") == 2
    assert line.server.count(SUBSCRIBE) == 4
    assert sorted(updates) == ["a", "b"], "what changed in between was told to nobody"


@pytest.mark.requirement("C16")
async def test_the_next_connection_subscribes_to_the_same(open_line: Any, wanted: Any, updates: list[str]):
    first = await open_line(**YES)
    await wanted.add("a")
    first.server.line.ends(CRASHED)
    second = await open_line(**YES)
    await until(lambda: updates)
    assert second.server.count(SUBSCRIBE) == 1
    assert updates == ["a"]


@pytest.mark.requirement("C16")
async def test_after_a_gap_in_what_it_tells_everything_counts_as_changed(
    open_line: Any, wanted: Any, updates: list[str]
):
    line = await open_line(**YES)
    await wanted.add("a")
    line.server.line.receiver.missed()
    assert updates == ["a"]
    assert line.owner.changes == ["tools", "resources", "prompts"]
    assert line.server.count(SUBSCRIBE) == 1


async def test_a_crash_is_no_refusal(open_line: Any, wanted: Any):
    first = await open_line()
    adding = first.begin(wanted.add("a"))
    await first.server.next(SUBSCRIBE)
    first.server.line.ends(CRASHED)
    await first.rest()
    assert not adding.done()
    await open_line(**YES)
    assert await adding
