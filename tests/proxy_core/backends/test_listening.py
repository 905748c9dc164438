"""The one listen of a connection to a modern backend: its filter, its replacement, what a break means."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy_core.backends import listening
from proxy_core.backends.wanted import TaskTopic, Topic, WantedTopics
from proxy_core.errors import BackendTimeout
from proxy_core.protocol.capabilities import TASKS
from tests.support.scripted_channel import (
    Asked,
    acknowledge,
    acknowledges,
    discovered,
    news,
    refuses,
    silence,
    until,
)
from tests.support.scripted_line import REMOTE, Line

LISTEN = "subscriptions/listen"
UPDATED = "notifications/resources/updated"
BOTH = {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
BROKEN = BackendTimeout("box", "The stream broke.")


class Heard:
    """A connection that listens, the resources wanted of it, and which of them were said to have changed."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.server = line.server
        self.updates: list[str] = []
        self.tasks: list[tuple[str, str]] = []
        self.wanted = WantedTopics(
            self.updates.append, lambda task: self.tasks.append((task.id, str(task.status)))
        )

    async def open(self) -> None:
        await self.line.connection.open()
        self.attach()

    def attach(self) -> None:
        assert self.line.connection.feed is not None
        self.line.connection.feed.attach(self.wanted)

    def add(self, *uris: Topic) -> "asyncio.Future[list[bool]]":
        return self.line.begin(asyncio.wait_for(_all(self.wanted.add(uri) for uri in uris), 30))

    async def listen(self) -> Asked:
        return await self.server.next(LISTEN)


async def _all(awaitables: Any) -> list[bool]:
    return list(await asyncio.gather(*awaitables))


def uris_of(listen: Asked) -> list[str]:
    uris = listen.params["notifications"].get("resourceSubscriptions", [])
    assert isinstance(uris, list)
    return uris


@pytest.fixture
async def hear(dial: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[Heard]]:
    """A connection to a server with these capabilities; the test answers its listens, if no script does."""
    monkeypatch.setattr(listening, "ACKNOWLEDGE_S", 2.0)

    async def new(capabilities: Any = BOTH, listens: Any = None, **more: Any) -> Heard:
        script = {"server/discover": discovered(capabilities=capabilities), "notifications/cancelled": silence}
        heard = Heard(dial(script | ({LISTEN: listens} if listens else {}), **more))
        await heard.open()
        return heard

    return new


@pytest.fixture
async def heard(hear: Callable[..., Awaitable[Heard]]) -> Heard:
    """One URI, `a`, is subscribed to."""
    heard = await hear()
    acknowledges(await heard.listen())
    adding = heard.add("a")
    acknowledges(await heard.listen())
    assert await adding == [True]
    await until(lambda: heard.server.count("notifications/cancelled"))
    return heard


async def test_uris_wanted_together_share_a_listen(hear: Any):
    heard = await hear()
    acknowledges(await heard.listen())
    adding = heard.add("b", "a")
    second = await heard.listen()
    assert second.params["notifications"] == {"toolsListChanged": True, "resourceSubscriptions": ["a", "b"]}
    acknowledges(second)
    assert await adding == [True, True]


@pytest.mark.requirement("C12")
async def test_the_old_listen_is_closed_after_the_new_one_is_acknowledged(hear: Any):
    heard = await hear()
    first = await heard.listen()
    acknowledges(first)
    adding = heard.add("a")
    second = await heard.listen()
    assert not heard.server.count("notifications/cancelled")
    acknowledges(second)
    assert await adding == [True]
    await until(lambda: heard.server.count("notifications/cancelled"))
    assert [each.params for each in heard.server.asked if "cancelled" in each.message["method"]] == [
        {"requestId": first.id}
    ]


@pytest.mark.requirement("C12")
async def test_over_http_the_old_stream_is_closed_and_nothing_is_sent(hear: Any):
    heard = await hear(transport=REMOTE, era="modern")
    first = await heard.listen()
    acknowledges(first)
    heard.add("a")
    acknowledges(await heard.listen())
    await until(lambda: f"abort {first.id}" in heard.server.transcript)
    assert not heard.server.count("notifications/cancelled")


@pytest.mark.requirement("C12")
async def test_nothing_is_lost_or_told_twice_while_both_listens_are_open(heard: Heard):
    first = heard.server.asked[-2]
    assert first.message["method"] == LISTEN
    adding = heard.add("b")
    second = await heard.listen()
    news(first, UPDATED, uri="a")
    assert heard.updates == ["a"], "until the new one is acknowledged, the old one speaks"
    acknowledges(second)
    await adding
    news(first, UPDATED, uri="a")
    news(second, UPDATED, uri="a")
    news(second, UPDATED, uri="b")
    news(first, UPDATED, uri="b")
    news(first, UPDATED, uri="a/sent-before-the-new-one-was-open")
    assert heard.updates == ["a", "a", "b"]
    await until(lambda: len(heard.updates) > 3)
    assert heard.updates == ["a", "a", "b", "a/sent-before-the-new-one-was-open"]


async def test_only_what_was_acknowledged_is_accepted(hear: Any):
    heard = await hear()
    acknowledges(await heard.listen())
    adding = heard.add("a", "b")
    acknowledge(await heard.listen(), resourceSubscriptions=["a", "c", 7])
    assert await adding == [True, False]
    again = heard.add("b")
    listen = await heard.listen()
    assert uris_of(listen) == ["a", "b"], "a refusal is not for ever"
    acknowledges(listen)
    assert await again == [True]


async def test_a_refused_replacement_leaves_the_listen_as_it_was(heard: Heard):
    adding = heard.add("b")
    (await heard.listen()).refuse(-32602)
    assert await adding == [False]
    assert await heard.add("a") == [True]
    heard.server.line.notifies(UPDATED, uri="a")
    assert heard.updates == ["a"]
    assert heard.server.count(LISTEN) == 3


async def test_a_listen_that_is_not_acknowledged_accepts_nothing(hear: Any, monkeypatch: Any):
    monkeypatch.setattr(listening, "ACKNOWLEDGE_S", 0.05)
    heard = await hear(listens=silence)
    assert await heard.add("a") == [False]
    heard.server.line.notifies("notifications/tools/list_changed")
    assert heard.line.owner.changes == ["tools"], "it may tell of lists nevertheless"


async def test_the_last_one_who_leaves_takes_the_uri_out_of_the_listen(heard: Heard):
    heard.wanted.remove("a")
    listen = await heard.listen()
    assert listen.params["notifications"] == {"toolsListChanged": True}


async def test_without_lists_there_is_a_listen_only_while_something_is_wanted(hear: Any):
    heard = await hear({"resources": {"subscribe": True}})
    adding = heard.add("a")
    acknowledges(await heard.listen())
    assert await adding == [True]
    heard.wanted.remove("a")
    await until(lambda: heard.server.count("notifications/cancelled"))
    assert heard.server.count(LISTEN) == 1


@pytest.mark.parametrize("capabilities", [{"tools": {"listChanged": True}}, {"resources": {"subscribe": 1}}])
async def test_a_server_that_does_not_offer_it_is_not_asked_for_uris(hear: Any, capabilities: Any):
    heard = await hear(capabilities, acknowledges)
    assert await heard.add("a") == [False]
    assert all(uris_of(each) == [] for each in heard.server.asked if each.message["method"] == LISTEN)


async def test_a_server_that_knows_no_listen_refuses_every_uri(hear: Any):
    heard = await hear(listens=refuses(-32601))
    assert await heard.add("a") == [False]
    assert await heard.add("a") == [False]
    assert heard.server.count(LISTEN) <= 2


@pytest.mark.requirement("C16")
async def test_after_a_break_it_listens_again_and_everything_counts_as_changed(heard: Heard):
    heard.server.asked[-2].fail(BROKEN)
    listen = await heard.listen()
    assert uris_of(listen) == ["a"]
    assert (heard.updates, heard.line.owner.changes) == ([], []), "what changes from now on is not yet heard"
    acknowledges(listen)
    assert heard.updates == []
    await until(lambda: heard.updates)
    assert heard.updates == ["a"]
    assert heard.line.owner.changes == ["tools", "resources", "prompts"]


async def test_a_listen_that_the_server_ended_properly_is_opened_again(heard: Heard):
    heard.server.asked[-2].answer({"resultType": "complete"})
    acknowledges(await heard.listen())
    await until(lambda: heard.updates)


async def test_a_break_while_it_is_replaced_counts_as_one(heard: Heard):
    adding = heard.add("b")
    listen = await heard.listen()
    first = next(
        each for each in heard.server.asked[::-1] if each.message["method"] == LISTEN and each is not listen
    )
    first.fail(BROKEN)
    acknowledges(listen)
    assert await adding == [True]
    await until(lambda: heard.updates)
    assert heard.updates == ["a"]
    assert heard.line.owner.changes == ["tools", "resources", "prompts"]


@pytest.mark.requirement("B08")
async def test_another_connection_is_asked_for_the_same_and_then_everything_counts_as_changed(
    heard: Heard, hear: Any
):
    other = await hear()
    acknowledges(await other.listen())
    other.wanted, other.updates = heard.wanted, heard.updates
    other.attach()
    listen = await other.listen()
    assert uris_of(listen) == ["a"]
    acknowledges(listen)
    await until(lambda: heard.updates)
    assert heard.updates == ["a"]


@pytest.mark.parametrize("params", [{}, {"uri": 7}, {"uri": "x" * 9000}, {"_meta": 3, "uri": "a"}])
async def test_an_update_that_names_no_resource_is_dropped(heard: Heard, params: Any):
    heard.server.line.notifies(UPDATED, **params)
    assert heard.updates == []


async def test_nothing_is_asked_on_a_connection_that_was_lost(heard: Heard, caplog: pytest.LogCaptureFixture):
    before = heard.server.count(LISTEN)
    heard.server.line.ends()
    adding = heard.add("b")
    await until(lambda: not heard.line.connection._tasks)
    assert heard.server.count(LISTEN) == before
    assert caplog.records == []
    adding.cancel()


# --- tasks ---------------------------------------------------------------------------------------------------

WITH_TASKS = {"extensions": {TASKS: {}}, "resources": {"subscribe": True}}
TASK_CHANGED = "notifications/tasks"


async def test_tasks_are_asked_for_beside_resources_and_of_who_offers_them_alone(hear: Any):
    heard = await hear(WITH_TASKS)
    adding = heard.add("a", TaskTopic("t1"))
    listen = await heard.listen()
    assert listen.params["notifications"] == {"resourceSubscriptions": ["a"], "taskIds": ["t1"]}
    acknowledge(listen, taskIds=["t1", 7], resourceSubscriptions=["a"])
    assert await adding == [True, True]
    assert await (await hear()).add(TaskTopic("t1")) == [False]


async def test_what_both_listens_tell_of_a_task_is_told_once_and_at_once(hear: Any):
    heard = await hear(WITH_TASKS)
    first = heard.add(TaskTopic("t1"))
    old = await heard.listen()
    acknowledges(old)
    await first
    second = heard.add(TaskTopic("t2"))
    fresh = await heard.listen()
    acknowledges(fresh)
    assert await second == [True]
    for status in ("working", "completed"):
        for listen in (old, fresh):
            news(listen, TASK_CHANGED, taskId="t1", status=status)
    assert heard.tasks == [("t1", "working"), ("t1", "completed")]


async def test_of_a_task_that_nobody_wants_nothing_is_told(hear: Any):
    heard = await hear(WITH_TASKS)
    adding = heard.add(TaskTopic("t1"))
    listen = await heard.listen()
    acknowledges(listen)
    await adding
    news(listen, TASK_CHANGED, taskId="t2", status="working")
    news(listen, TASK_CHANGED, taskId="t1", status="lost")
    news(listen, TASK_CHANGED)
    assert heard.tasks == []
    assert [level for level, _ in heard.line.owner.sayings] == ["debug", "debug"]


async def test_after_a_break_a_task_is_asked_for_again_and_nothing_is_made_up(hear: Any):
    heard = await hear(WITH_TASKS)
    adding = heard.add(TaskTopic("t1"))
    listen = await heard.listen()
    acknowledges(listen)
    await adding
    listen.fail(BROKEN)
    again = await heard.listen()
    assert again.params["notifications"] == {"taskIds": ["t1"]}
    acknowledges(again)
    assert (heard.tasks, heard.updates) == ([], [])
