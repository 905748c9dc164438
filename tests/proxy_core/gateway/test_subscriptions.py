import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sized

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.gateway.subscriptions import ALL_KINDS, SLICE, ListKind, SubscriptionHub
from tests.support.other_work import beside
from tests.support.scripted_channel import until

KINDS: tuple[ListKind, ...] = ("prompts", "resources", "tools")


@pytest.fixture
async def hub() -> AsyncIterator[SubscriptionHub]:
    hub = SubscriptionHub()
    yield hub
    await hub.aclose()


@pytest.mark.requirement("C10")
async def test_changes_that_come_together_are_delivered_once_for_each_kind(hub: SubscriptionHub):
    told: list[str] = []
    hub.add(ALL_KINDS, told.append)
    for kind in ("tools", "prompts", "tools", "tools"):
        hub.changed(kind)
    assert told == []
    await until(lambda: len(told) == 2)
    hub.changed("tools")
    await until(lambda: len(told) == 3)
    assert told == ["tools", "prompts", "tools"]


@pytest.mark.requirement("C10")
async def test_changes_some_turns_of_the_loop_apart_are_delivered_once(hub: SubscriptionHub):
    """A server that restarts leaves the lists and comes back; one that connects brings several lists."""
    told: list[str] = []
    hub.add(ALL_KINDS, told.append)
    for _ in range(3):
        hub.changed("tools")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert told == []
    await until(lambda: told)
    await asyncio.sleep(0)
    assert told == ["tools"]


@pytest.mark.requirement("C09")
async def test_a_listener_hears_only_the_kinds_that_it_asked_for(hub: SubscriptionHub):
    some: list[str] = []
    every: list[str] = []
    hub.add(frozenset({"prompts"}), some.append)
    hub.add(ALL_KINDS, every.append)
    hub.changed("tools")
    await until(lambda: every)
    assert some == []


async def test_who_has_left_hears_nothing_and_may_leave_twice(hub: SubscriptionHub):
    gone: list[str] = []
    here: list[str] = []
    leave = hub.add(ALL_KINDS, gone.append)
    hub.add(ALL_KINDS, here.append)
    hub.changed("tools")
    leave()
    leave()
    await until(lambda: here)
    assert (gone, len(hub)) == ([], 1)


async def test_a_listener_may_leave_while_it_is_told(hub: SubscriptionHub):
    told: list[str] = []
    leave = hub.add(ALL_KINDS, lambda kind: leave())
    hub.add(ALL_KINDS, told.append)
    hub.changed("tools")
    await until(lambda: told)
    assert len(hub) == 1


async def test_after_closing_nothing_is_delivered(hub: SubscriptionHub):
    told: list[str] = []
    hub.add(ALL_KINDS, told.append)
    hub.changed("tools")
    await hub.aclose()
    due: list[str] = []
    other = SubscriptionHub()
    other.add(ALL_KINDS, due.append)
    other.changed("tools")
    await until(lambda: due)
    await asyncio.sleep(0)
    assert told == []


async def test_only_those_are_told_whose_profile_shows_the_change(hub: SubscriptionHub):
    told: list[tuple[str, str]] = []
    for profile in ("", "review", "ops"):
        hub.add(ALL_KINDS, lambda kind, profile=profile: told.append((profile, kind)), profile)
    hub.changed("tools", {"review"})
    hub.changed("tools", {"ops"})
    hub.changed("prompts", {""})
    await until(lambda: len(told) == 3)
    assert sorted(told) == [("", "prompts"), ("ops", "tools"), ("review", "tools")]
    assert hub.profiles == {"", "review", "ops"}


async def test_what_concerns_everyone_is_not_narrowed_by_what_concerns_some(hub: SubscriptionHub):
    told: list[str] = []
    hub.add(ALL_KINDS, told.append, "review")
    hub.changed("tools", {"ops"})
    hub.changed("tools")
    hub.changed("tools", {"ops"})
    await until(lambda: told)
    assert told == ["tools"]


async def test_a_change_for_some_is_forgotten_once_they_were_told(hub: SubscriptionHub):
    told: list[str] = []
    hub.add(ALL_KINDS, told.append, "ops")
    hub.changed("tools", {"ops"})
    await hub.settled()
    hub.changed("tools", {"review"})
    await hub.settled()
    assert told == ["tools"]


# --- many listeners -----------------------------------------------------------------------------------------


def crowd(hub: SubscriptionHub, count: int, told: list[int]) -> list[Callable[[], None]]:
    """So many listeners that note their number; what each of them leaves by."""
    return [hub.add(ALL_KINDS, lambda kind, number=number: told.append(number)) for number in range(count)]


async def first_slice(hub: SubscriptionHub, told: Sized) -> None:
    """Until the first of a crowd have been told of what is due."""
    settling = asyncio.ensure_future(hub.settled())
    while not told:
        await asyncio.sleep(0)
    settling.cancel()


async def test_other_work_goes_on_between_a_few_listeners_and_the_next(hub: SubscriptionHub):
    told: list[int] = []
    crowd(hub, 5 * SLICE + 1, told)
    hub.changed("tools")
    async with beside(told) as runs:
        await hub.settled()
    assert told == list(range(5 * SLICE + 1))
    assert runs() == [SLICE] * 5 + [1]


async def test_who_leaves_before_his_turn_hears_nothing_of_a_change_that_others_heard_of(hub: SubscriptionHub):
    told: list[int] = []
    leave = crowd(hub, 2 * SLICE, told)
    hub.changed("tools")
    await first_slice(hub, told)
    assert len(told) == SLICE
    leave[-1]()
    await hub.settled()
    assert told == list(range(2 * SLICE - 1))


async def test_a_change_while_another_is_being_told_reaches_everyone(hub: SubscriptionHub):
    """Who has not heard of the first yet may have read the list since, so both are told."""
    told: list[int] = []
    crowd(hub, 2 * SLICE, told)
    hub.changed("tools")
    await first_slice(hub, told)
    hub.changed("tools")
    await hub.settled()
    assert told == [*range(2 * SLICE), *range(2 * SLICE)]


async def test_each_hears_of_kinds_in_the_order_in_which_they_changed(hub: SubscriptionHub):
    heard: list[list[ListKind]] = [[] for _ in range(2 * SLICE)]
    for each in heard:
        hub.add(ALL_KINDS, each.append)
    hub.changed("prompts")
    hub.changed("tools")
    await first_slice(hub, heard[0])
    assert heard[-1] == []
    hub.changed("resources")
    await hub.settled()
    assert heard == [["prompts", "tools", "resources"]] * len(heard)


async def test_who_comes_while_others_are_told_knows_the_lists_as_they_are(hub: SubscriptionHub):
    told: list[int] = []
    late: list[str] = []
    crowd(hub, 2 * SLICE, told)
    hub.changed("tools")
    await first_slice(hub, told)
    hub.add(ALL_KINDS, late.append)
    await hub.settled()
    assert (len(told), late) == (2 * SLICE, [])


async def test_closing_ends_what_is_being_told(hub: SubscriptionHub):
    told: list[int] = []
    crowd(hub, 3 * SLICE, told)
    hub.changed("tools")
    await first_slice(hub, told)
    await hub.aclose()
    assert len(told) == SLICE


async def test_settling_waits_for_no_further_changes(hub: SubscriptionHub):
    told: list[str] = []
    hub.add(ALL_KINDS, told.append)
    await hub.settled()
    hub.changed("tools")
    hub.changed("prompts")
    await hub.settled()
    assert told == ["tools", "prompts"]


async def test_a_listener_that_fails_keeps_nobody_from_the_next_change(
    hub: SubscriptionHub, caplog: pytest.LogCaptureFixture
):
    """Not even of a kind whose turn would have been after the one that failed."""

    def fails(kind: ListKind) -> None:
        raise RuntimeError("broken")

    told: list[str] = []
    hub.add(ALL_KINDS, told.append)
    crowd(hub, SLICE, [])
    hub.add(frozenset({"tools"}), fails)
    hub.changed("tools")
    await first_slice(hub, told)
    hub.changed("prompts")
    with caplog.at_level(logging.ERROR):
        await hub.settled()
    assert "broken" in caplog.text
    hub.changed("prompts")
    await hub.settled()
    assert told == ["tools", "prompts"]


EVENTS = st.one_of(
    st.tuples(st.just("add"), st.sets(st.sampled_from(KINDS)), st.sampled_from(["", "ops"])),
    st.tuples(st.just("leave"), st.integers(0, 20), st.none()),
    st.tuples(st.just("change"), st.sampled_from(KINDS), st.sampled_from([None, "", "ops"])),
    st.tuples(st.just("turns"), st.integers(1, 4), st.none()),
    st.tuples(st.just("ripen"), st.none(), st.none()),
)


class Heard:
    """One listener of a history, and what it must have heard by its end."""

    def __init__(self, hub: SubscriptionHub, kinds: frozenset[ListKind], profile: str) -> None:
        self.kinds, self.profile = kinds, profile
        self.owed: set[ListKind] = set()
        self.is_here = True
        self._leave = hub.add(kinds, self._hear, profile)

    def changed(self, kind: ListKind, profile: str | None) -> None:
        if self.is_here and kind in self.kinds and profile in (None, self.profile):
            self.owed.add(kind)

    def leave(self) -> None:
        self._leave()
        self.is_here = False
        self.owed.clear()

    def _hear(self, kind: ListKind) -> None:
        assert self.is_here
        assert kind in self.kinds
        self.owed.discard(kind)


@given(st.lists(EVENTS, max_size=60))
async def test_whatever_happens_each_hears_of_every_change_and_of_none_that_is_not_his(history: list[tuple]):
    """The listeners of a history are few; a crowd before them makes each change take several turns."""
    hub = SubscriptionHub()
    crowd(hub, 2 * SLICE, [])
    heard: list[Heard] = []
    settling: list[asyncio.Future[None]] = []
    for what, first, second in history:
        if what == "add":
            heard.append(Heard(hub, frozenset(first), second))
        elif what == "leave" and first < len(heard):
            heard[first].leave()
        elif what == "change":
            for each in heard:
                each.changed(first, second)
            hub.changed(first, None if second is None else {second})
        elif what == "turns":
            for _ in range(first):
                await asyncio.sleep(0)
        elif what == "ripen":
            settling.append(asyncio.ensure_future(hub.settled()))
    await hub.settled()
    await asyncio.gather(*settling)
    assert all(not each.owed for each in heard)
    await hub.aclose()
