"""The resources that somebody wants to hear of, counted, whatever connection serves them."""

import asyncio
from collections.abc import Iterator

import pytest

from proxy_core.backends import wanted as wanted_module
from proxy_core.backends.wanted import MAX_TOPICS, WantedTopics
from proxy_core.protocol.jsonrpc import Notification


class Feed:
    """Says yes or no to each URI at once, or leaves it to the test."""

    def __init__(self, wanted: WantedTopics, says: bool | None = True) -> None:
        self.wanted = wanted
        self.says = says
        self.talk: list[str] = []
        wanted.serve(self)

    def opened(self) -> None: ...

    def attach(self, wanted: WantedTopics) -> None: ...

    def missed(self) -> None: ...

    def heard(self, notification: Notification, origin: int | None) -> None: ...

    def added(self, uri: str) -> None:
        self.talk.append(f"+{uri}")
        if self.says is not None:
            self.wanted.decided(uri, self.says)

    def removed(self, uri: str) -> None:
        self.talk.append(f"-{uri}")


@pytest.fixture
def updates() -> list[str]:
    return []


@pytest.fixture
def wanted(updates: list[str]) -> Iterator[WantedTopics]:
    yield WantedTopics(updates.append)


@pytest.mark.requirement("C11")
async def test_the_first_one_subscribes_and_the_last_one_ends_it(wanted: WantedTopics):
    feed = Feed(wanted)
    assert [await wanted.add("a"), await wanted.add("a")] == [True, True]
    wanted.remove("a")
    assert feed.talk == ["+a"]
    wanted.remove("a")
    assert feed.talk == ["+a", "-a"]
    wanted.remove("a")
    assert feed.talk == ["+a", "-a"], "what nobody wanted cannot be left"


async def test_those_who_ask_together_wait_for_one_answer(wanted: WantedTopics):
    feed = Feed(wanted, says=None)
    asked = [asyncio.ensure_future(wanted.add("a")) for _ in range(3)]
    await asyncio.sleep(0)
    assert feed.talk == ["+a"]
    wanted.decided("a", True)
    assert await asyncio.gather(*asked) == [True, True, True]


async def test_a_refusal_counts_nothing(wanted: WantedTopics):
    feed = Feed(wanted, says=False)
    assert not await wanted.add("a")
    assert (feed.talk, list(wanted.topics)) == (["+a", "-a"], [])


async def test_one_who_leaves_while_waiting_counts_nothing(wanted: WantedTopics):
    feed = Feed(wanted, says=None)
    asked = asyncio.ensure_future(wanted.add("a"))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    assert (feed.talk, list(wanted.topics)) == (["+a", "-a"], [])


async def test_a_backend_that_does_not_decide_has_refused(
    wanted: WantedTopics, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wanted_module, "DECIDE_S", 0.01)
    Feed(wanted, says=None)
    assert not await wanted.add("a")
    assert list(wanted.topics) == []


async def test_the_next_connection_may_decide_otherwise(wanted: WantedTopics):
    Feed(wanted)
    assert await wanted.add("a")
    Feed(wanted)
    wanted.decided("a", False)
    assert not await wanted.add("a")
    assert list(wanted.topics) == ["a"], "whoever subscribed before still wants it"


async def test_one_backend_is_asked_for_a_bounded_number(wanted: WantedTopics):
    Feed(wanted)
    assert all([await wanted.add(str(number)) for number in range(MAX_TOPICS)])
    assert not await wanted.add("one more")
    assert await wanted.add("0"), "what is subscribed already costs nothing"


async def test_updates_go_up_while_anything_is_wanted(wanted: WantedTopics, updates: list[str]):
    wanted.updated("early")
    Feed(wanted)
    await wanted.add("a")
    wanted.updated("a/below")
    assert updates == ["a/below"]
