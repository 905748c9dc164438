"""Which replica tells of what clients want to hear, and how that moves to another."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_core.backends.topics import Topics
from proxy_core.backends.wanted import TaskTopic, Topic, WantedTopics
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import ServerState as S

LOG = "file:///log"
JOB = TaskTopic("job-1")


class Telling:
    """A replica whose server takes subscriptions, as far as topics go."""

    def __init__(self, replica: str) -> None:
        self.id = replica
        self.state = S.HEALTHY
        self.answer: bool | None = True
        """None: it does not say."""
        self.asked: list[tuple[str, Topic]] = []
        self.updates: list[str] = []
        self.wanted = WantedTopics(self.updates.append)
        self.wanted.serve(self)  # type: ignore[arg-type]

    def added(self, topic: Topic) -> None:
        self.asked.append(("add", topic))
        if self.answer is not None:
            self.wanted.decided(topic, self.answer)

    def removed(self, topic: Topic) -> None:
        self.asked.append(("remove", topic))

    @property
    def tells(self) -> list[Topic]:
        return list(self.wanted.topics)


class Told:
    """Two replicas, and the topics of their server."""

    def __init__(self) -> None:
        self.tasks = Tasks("told")
        self.updates: list[str] = []
        self.topics: Any = Topics(self.updates.append, self.tasks)
        self.a, self.b = Telling("a"), Telling("b")

    async def rest(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def moves(self, away: Telling, to: Telling) -> None:
        away.state = S.RESTARTING
        self.topics.changed(to)
        await self.rest()


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = Told()
    yield made
    await made.tasks.aclose()


async def test_a_resource_is_subscribed_to_once_however_many_want_it(told: Told) -> None:
    assert [await told.topics.add(LOG, told.a), await told.topics.add(LOG, told.b)] == [True, True]
    assert (told.a.asked, told.b.asked) == ([("add", LOG)], []), "the one that tells of it tells all"
    told.topics.remove(LOG, "b")
    assert told.a.tells == [LOG]
    told.topics.remove(LOG, "a")
    assert told.a.asked == [("add", LOG), ("remove", LOG)]


async def test_after_the_last_one_has_gone_any_replica_may_tell(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.topics.remove(LOG, "a")
    await told.topics.add(LOG, told.b)
    assert (told.a.tells, told.b.tells) == ([], [LOG])


async def test_without_a_yes_nothing_is_kept(told: Told) -> None:
    told.a.answer = False
    assert not await told.topics.add(LOG, told.a)
    assert told.a.tells == []
    assert await told.topics.add(LOG, told.b)
    assert told.b.tells == [LOG]


async def test_whoever_goes_before_the_answer_leaves_nothing_behind(told: Told) -> None:
    told.a.answer = None
    waiting = asyncio.ensure_future(told.topics.add(LOG, told.a))
    await told.rest()
    assert told.a.tells == [LOG]
    waiting.cancel()
    await told.rest()
    assert told.a.tells == []
    assert await told.topics.add(LOG, told.b)
    assert told.b.tells == [LOG]


def test_what_nobody_wanted_can_be_let_go(told: Told) -> None:
    told.topics.remove(LOG, "a")


async def test_a_resource_moves_when_its_replica_leaves_service_and_may_have_changed(told: Told) -> None:
    for _ in range(3):
        await told.topics.add(LOG, told.a)
    await told.moves(told.a, told.b)
    assert (told.a.tells, told.b.tells) == ([], [LOG])
    assert told.updates == [LOG], "what happened in between nobody has seen"
    for _ in range(3):
        assert told.b.tells == [LOG]
        told.topics.remove(LOG, "a")
    assert told.b.tells == [], "all who wanted it are counted there"


async def test_the_new_one_is_asked_before_the_old_one_is_let_go(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.b.answer = None
    await told.moves(told.a, told.b)
    assert (told.a.tells, told.b.tells) == ([LOG], [LOG])
    told.b.wanted.decided(LOG, True)
    await told.rest()
    assert (told.a.tells, told.b.tells) == ([], [LOG])


async def test_with_a_no_of_the_new_one_all_stays_as_it_is(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.b.answer = False
    await told.moves(told.a, told.b)
    assert (told.a.tells, told.b.tells, told.updates) == ([LOG], [], [])
    told.b.answer = True
    await told.moves(told.a, told.b)
    assert (told.a.tells, told.b.tells) == ([], [LOG]), "the next change tries again"


@pytest.mark.parametrize("state", [S.HEALTHY, S.DEGRADED])
async def test_as_long_as_its_replica_serves_nothing_moves(told: Told, state: S) -> None:
    await told.topics.add(LOG, told.a)
    told.a.state = state
    told.topics.changed(told.b)
    await told.rest()
    assert (told.a.tells, told.b.asked) == ([LOG], [])


async def test_with_no_other_in_service_nothing_moves(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.a.state = S.RESTARTING
    told.topics.changed(None)
    await told.rest()
    assert told.a.tells == [LOG], "it is asked again when it is back"


async def test_a_move_under_way_is_not_begun_again(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.b.answer = None
    await told.moves(told.a, told.b)
    await told.moves(told.a, told.b)
    told.b.wanted.decided(LOG, True)
    await told.rest()
    assert told.updates == [LOG]
    told.topics.remove(LOG, "")
    assert told.b.tells == [], "it is counted once"


async def test_who_goes_while_it_moves_leaves_nothing_behind(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.b.answer = None
    await told.moves(told.a, told.b)
    told.topics.remove(LOG, "a")
    told.b.wanted.decided(LOG, True)
    await told.rest()
    assert (told.a.tells, told.b.tells, told.updates) == ([], [], [])


async def test_who_comes_while_it_moves_is_counted_where_it_goes(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.b.answer = None
    await told.moves(told.a, told.b)
    assert await told.topics.add(LOG, told.b)
    told.b.wanted.decided(LOG, True)
    await told.rest()
    told.topics.remove(LOG, "")
    assert told.b.tells == [LOG]
    told.topics.remove(LOG, "")
    assert (told.a.tells, told.b.tells) == ([], [])


# --- tasks --------------------------------------------------------------------------------------------------


async def test_a_task_is_told_of_by_its_own_replica(told: Told) -> None:
    await told.topics.add(JOB, told.a)
    await told.topics.add(JOB, told.b)
    assert (told.a.tells, told.b.tells) == ([JOB], [JOB]), "two replicas may have tasks of the same id"
    told.topics.remove(JOB, "b")
    assert (told.a.tells, told.b.tells) == ([JOB], [])


async def test_a_task_never_moves(told: Told) -> None:
    await told.topics.add(JOB, told.a)
    await told.moves(told.a, told.b)
    assert (told.a.tells, told.b.asked, told.updates) == ([JOB], [], [])


async def test_who_asks_while_it_moves_moves_with_it_and_is_counted_once(told: Told) -> None:
    await told.topics.add(LOG, told.a)
    told.a.answer = None
    late = asyncio.ensure_future(told.topics.add(LOG, told.a))
    await told.rest()
    # As a new connection does, whose server has not said anything yet.
    told.a.wanted._wanted[LOG].is_decided.clear()
    later = asyncio.ensure_future(told.topics.add(LOG, told.a))
    await told.rest()
    await told.moves(told.a, told.b)
    assert told.b.tells == [LOG]
    later.cancel()
    await asyncio.gather(later, return_exceptions=True)
    assert await late
    told.topics.remove(LOG, "b")
    assert told.b.tells == [LOG], "one still wants it"
    told.topics.remove(LOG, "b")
    assert told.b.tells == []
