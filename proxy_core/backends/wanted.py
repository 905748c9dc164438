"""Which resources and tasks of one backend somebody wants to hear of, and what the backend said to each.

Outlives the connections: the next one is asked for the same. Knows no eras and no clients.
Spec: 2025-11-25 server/resources, "Subscriptions"; 2026-07-28 basic/patterns/subscriptions; the extension
io.modelcontextprotocol/tasks (SEP-2663).
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, NamedTuple, Protocol, TypeAlias

from msgspec import Struct, field

from proxy_core.protocol.jsonrpc import Notification
from proxy_core.protocol.methods import (
    LIST_CHANGED,
    RESOURCE_UPDATED,
    SUBSCRIPTIONS_ACKNOWLEDGED,
    TASK_CHANGED,
)
from proxy_core.protocol.tasks import Task

FEED_METHODS: Final = frozenset(
    {*LIST_CHANGED.values(), RESOURCE_UPDATED, TASK_CHANGED, SUBSCRIPTIONS_ACKNOWLEDGED}
)
MAX_TOPICS: Final = 1000
"""Of one backend."""
DECIDE_S: Final = 10.0
"""How long a backend may take to accept a URI."""


class TaskTopic(NamedTuple):
    """A task, by the backend's own id."""

    id: str


Topic: TypeAlias = str | TaskTopic
"""A resource by its URI, or a task."""


class Feed(Protocol):
    """What one connection is told by its backend."""

    def opened(self) -> None:
        """The handshake is done; said again when a session that the backend ended has been replaced."""
        ...

    def attach(self, wanted: "WantedTopics") -> None:
        """Subscribe to these from now on; each is asked for afresh, and counts as updated once accepted."""
        ...

    def added(self, topic: Topic) -> None: ...

    def removed(self, topic: Topic) -> None: ...

    def missed(self) -> None:
        """As `Receiver.missed`."""
        ...

    def heard(self, notification: Notification, origin: int | None) -> None:
        """One of `FEED_METHODS`. `origin`: as in `Receiver.message`."""
        ...


class _Wanted(Struct):
    count: int = 0
    is_accepted: bool = False
    is_decided: asyncio.Event = field(default_factory=asyncio.Event)


class WantedTopics:
    def __init__(
        self, updated: Callable[[str], None], task_changed: Callable[[Task], None] = lambda task: None
    ) -> None:
        """Told of each resource that is not what it was, and of each task, as the backend calls them."""
        self._updated = updated
        self._task_changed = task_changed
        self._wanted: dict[Topic, _Wanted] = {}
        self._feed: Feed | None = None

    @property
    def topics(self) -> Collection[Topic]:
        return self._wanted.keys()

    # --- for those above --------------------------------------------------------------------------------------

    async def add(self, topic: Topic) -> bool:
        """Count one more; whether the backend tells of it. Without a yes in `DECIDE_S`, nothing is counted."""
        wanted = self._wanted.get(topic)
        if wanted is None and len(self._wanted) >= MAX_TOPICS:
            return False
        if wanted is None:
            wanted = self._wanted[topic] = _Wanted()
        wanted.count += 1
        if wanted.count == 1 and self._feed is not None:
            self._feed.added(topic)
        is_accepted = False
        try:
            async with asyncio.timeout(DECIDE_S):
                await wanted.is_decided.wait()
            is_accepted = wanted.is_accepted
        except TimeoutError:
            return False
        finally:
            if not is_accepted:
                self.remove(topic)
        return is_accepted

    def remove(self, topic: Topic) -> None:
        """Count one less."""
        wanted = self._wanted.get(topic)
        if wanted is None:
            return
        wanted.count -= 1
        if not wanted.count:
            del self._wanted[topic]
            if self._feed is not None:
                self._feed.removed(topic)

    def weigh(self, topic: Topic, count: int) -> None:
        """So many want it now."""
        self._wanted[topic].count = count

    def forget(self, topic: Topic) -> None:
        """All who wanted it have gone elsewhere."""
        if self._wanted.pop(topic, None) is not None and self._feed is not None:
            self._feed.removed(topic)

    # --- for the connection -----------------------------------------------------------------------------------

    def serve(self, feed: Feed) -> None:
        """Another connection has taken over: it is told what is added and removed from now on."""
        self._feed = feed

    def decided(self, topic: Topic, is_accepted: bool) -> None:
        """The backend will, or will not, tell of this. Its latest word counts."""
        wanted = self._wanted.get(topic)
        if wanted is not None:
            wanted.is_accepted = is_accepted
            wanted.is_decided.set()

    def updated(self, uri: str) -> None:
        """A resource that is wanted, or one below it, is not what it was."""
        if self._wanted:
            self._updated(uri)

    def task_changed(self, task: Task) -> None:
        if TaskTopic(task.id) in self._wanted:
            self._task_changed(task)
