"""Which replica of a server tells of the resources and tasks that clients want to hear of.

A resource is subscribed to at one replica; when that is out of service it moves to another, which is asked
first. A task is told of by the replica that runs it, and never moves. Knows no clients.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from proxy_core.backends.lifecycle import IN_SERVICE
from proxy_core.backends.member import Member
from proxy_core.backends.wanted import TaskTopic, Topic
from proxy_core.tasks import Tasks


class _Held(Struct, eq=False):
    member: Member
    count: int = 0
    is_moving: bool = False


class Topics:
    def __init__(self, updated: Callable[[str], None], tasks: Tasks) -> None:
        """`updated` is told of a resource that may have changed while it moved."""
        self._updated = updated
        self._tasks = tasks
        self._held: dict[tuple[Topic, str], _Held] = {}
        """By topic and, for a task, its replica."""

    async def add(self, topic: Topic, member: Member) -> bool:
        """One more wants to hear of it, from `member` if nobody tells of it yet; whether it is told."""
        key = _key(topic, member.id)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held(member)
        held.count += 1
        at = held.member
        try:
            is_accepted = await at.wanted.add(topic)
        except asyncio.CancelledError:
            if held.member is not at:
                held.member.wanted.remove(topic)
            self._less(key, held)
            raise
        if held.member is not at:
            # It moved meanwhile, and this one with it.
            return True
        if not is_accepted:
            self._less(key, held)
        return is_accepted

    def remove(self, topic: Topic, replica: str) -> None:
        key = _key(topic, replica)
        held = self._held.get(key)
        if held is not None:
            held.member.wanted.remove(topic)
            self._less(key, held)

    def _less(self, key: tuple[Topic, str], held: _Held) -> None:
        held.count -= 1
        if not held.count and self._held.get(key) is held:
            del self._held[key]

    def changed(self, best: Member | None) -> None:
        """Some replica's state has changed; `best` is one in service, if there is one."""
        if best is None:
            return
        for (topic, _), held in self._held.items():
            is_bound = isinstance(topic, TaskTopic)
            if not is_bound and not held.is_moving and held.member.state not in IN_SERVICE:
                held.is_moving = True
                self._tasks.start(self._move(topic, held, best), "move-topic")

    async def _move(self, topic: Topic, held: _Held, to: Member) -> None:
        """The new one is asked before the old one is let go: with a no, all stays as it is."""
        try:
            if not await to.wanted.add(topic):
                return
            if self._held.get(_key(topic, "")) is not held:
                to.wanted.remove(topic)
                return
            to.wanted.weigh(topic, held.count)
            held.member.wanted.forget(topic)
            held.member = to
            self._updated(str(topic))
        finally:
            held.is_moving = False


def _key(topic: Topic, replica: str) -> tuple[Topic, str]:
    return (topic, replica) if isinstance(topic, TaskTopic) else (topic, "")
