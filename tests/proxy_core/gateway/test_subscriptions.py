import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy_core.gateway.subscriptions import ALL_KINDS, SubscriptionHub
from tests.support.scripted_channel import until


@pytest.fixture
async def hub() -> AsyncIterator[SubscriptionHub]:
    hub = SubscriptionHub()
    yield hub
    hub.close()


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
    hub.close()
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
