"""What a legacy backend tells one connection: lists by themselves, resources once they are subscribed to.

One request at a time for each URI, so subscribe and unsubscribe never overtake each other; the last one leaves
the server with what is wanted then. Knows no clients. Spec: 2025-11-25 server/resources, "Subscriptions".
"""

import asyncio
from typing import Final

from proxy_core.backends.listening import KIND_OF_CHANGE, Line, Owner, updated_uri
from proxy_core.backends.wanted import DECIDE_S, TaskTopic, Topic, WantedTopics
from proxy_core.errors import (
    BackendError,
    BackendExited,
    BackendFault,
    BackendUnavailable,
    ParseError,
)
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.jsonrpc import Notification
from proxy_core.protocol.methods import LIST_CHANGED, RESOURCE_UPDATED
from proxy_core.tasks import Tasks

AT_ONCE: Final = 8
"""Requests of this kind that one server is given at a time: it may get hundreds after a restart."""


class SubscribeFeed:
    def __init__(self, line: Line, owner: Owner, tasks: Tasks) -> None:
        self._line = line
        self._owner = owner
        self._tasks = tasks
        self._wanted: WantedTopics | None = None
        self._subscribed: set[str] = set()
        self._moving: set[str] = set()
        """A request about these is under way."""
        self._missed: set[str] = set()
        """Of these we may have missed something: they count as updated once they are accepted again."""
        self._session = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    def opened(self) -> None:
        self._session += 1
        self._missed |= self._subscribed
        self._subscribed.clear()
        self._ask_for_all()

    def attach(self, wanted: WantedTopics) -> None:
        self._wanted = wanted
        wanted.serve(self)
        self._missed.update(topic for topic in wanted.topics if not isinstance(topic, TaskTopic))
        self._ask_for_all()

    def _ask_for_all(self) -> None:
        if self._wanted is not None:
            for topic in list(self._wanted.topics):
                self.added(topic)

    def added(self, topic: Topic) -> None:
        # There are no tasks of this kind in the legacy era.
        if isinstance(topic, TaskTopic) or not self._line.peer.offers_subscriptions:
            self._decide(topic, False)
        elif topic not in self._moving:
            self._move(topic)

    def removed(self, topic: Topic) -> None:
        if isinstance(topic, TaskTopic):
            return
        self._missed.discard(topic)
        if topic in self._subscribed and topic not in self._moving:
            self._move(topic)

    def _move(self, uri: str) -> None:
        self._moving.add(uri)
        self._tasks.start(self._settle(uri), "resource-subscription")

    def _decide(self, topic: Topic, is_accepted: bool) -> None:
        if self._wanted is not None:
            self._wanted.decided(topic, is_accepted)

    def _is_wanted(self, uri: str) -> bool:
        return self._wanted is not None and uri in self._wanted.topics

    async def _settle(self, uri: str) -> None:
        """Ask until the server has it as it is wanted, or will not."""
        try:
            async with self._turns:
                while self._is_wanted(uri) is not (uri in self._subscribed):
                    if not await (self._subscribe(uri) if self._is_wanted(uri) else self._unsubscribe(uri)):
                        return
        finally:
            self._moving.discard(uri)
        if uri in self._subscribed:
            self._decide(uri, True)
            if uri in self._missed:
                self._missed.discard(uri)
                self._tell(uri)

    async def _subscribe(self, uri: str) -> bool:
        """Whether it is worth going on."""
        session = self._session
        try:
            await self._line.ask("resources/subscribe", {"uri": uri}, timeout_s=DECIDE_S)
        except (BackendExited, BackendUnavailable):
            # No answer to the question: the next connection asks it again.
            return False
        except (BackendError, BackendFault) as error:
            self._owner.said("debug", f"did not take a subscription: {error.message}")
            self._decide(uri, False)
            return False
        if session == self._session:
            # Else it may have been said to a session that is no more.
            self._subscribed.add(uri)
        return True

    async def _unsubscribe(self, uri: str) -> bool:
        self._subscribed.discard(uri)
        try:
            await self._line.ask("resources/unsubscribe", {"uri": uri}, timeout_s=DECIDE_S)
        except (BackendError, BackendFault) as error:
            # What it tells nevertheless, nobody gets.
            self._owner.said("debug", f"did not end a subscription: {error.message}")
        return True

    def heard(self, notification: Notification, origin: int | None) -> None:
        if notification.method in KIND_OF_CHANGE:
            self._owner.list_changed(KIND_OF_CHANGE[notification.method])
        elif notification.method == RESOURCE_UPDATED:
            try:
                self._tell(updated_uri(jsonrpc.members(notification.params)))
            except ParseError as error:
                self._owner.said("debug", f"sent an update that cannot be read: {error.message}")

    def missed(self) -> None:
        for kind in LIST_CHANGED:
            self._owner.list_changed(kind)
        for uri in list(self._subscribed):
            self._tell(uri)

    def _tell(self, uri: str) -> None:
        if self._wanted is not None:
            self._wanted.updated(uri)
