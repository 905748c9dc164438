"""What a modern backend tells one connection: one subscriptions/listen, which asks for what is wanted now.

Other URIs or tasks need another listen, since a filter is fixed. The new one is opened first and the old one
closed once the new one is acknowledged, so nothing is lost in between; while both are open, nothing is told
twice. Knows no clients.
Spec: 2026-07-28 basic/patterns/subscriptions; the extension io.modelcontextprotocol/tasks (SEP-2663).
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterable
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Raw, Struct, field

from proxy_core.backends.handshake import modern_params
from proxy_core.backends.peer import Peer
from proxy_core.backends.wanted import TaskTopic, Topic, WantedTopics
from proxy_core.catalog.uri_template import MAX_URI_CHARS
from proxy_core.clock import Clock
from proxy_core.errors import BackendError, BackendFault, ErrorCode, ParseError
from proxy_core.protocol import jsonrpc, tasks
from proxy_core.protocol.capabilities import NONE, TASKS, declaration
from proxy_core.protocol.jsonrpc import Notification
from proxy_core.protocol.methods import (
    LIST_CHANGED,
    RESOURCE_UPDATED,
    SUBSCRIPTION_ID,
    SUBSCRIPTIONS_ACKNOWLEDGED,
    TASK_CHANGED,
)
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.tasks import Task
from proxy_core.signals import Signal
from proxy_core.tasks import Tasks

PAUSE_S: Final = 30.0
"""Longest pause before a broken listen is opened again; one that lasted longer counts as good."""
DEBOUNCE_S: Final = 0.05
"""What is wanted within this time shares a listen."""
ACKNOWLEDGE_S: Final = 10.0
OVERLAP_S: Final = 0.1
"""How long the old listen is still heard: what it sent before the new one was open may be on its way."""
MAX_HELD: Final = 1000

_URIS: Final = "resourceSubscriptions"
_TASK_IDS: Final = "taskIds"
KIND_OF_CHANGE: Final = {method: kind for kind, method in LIST_CHANGED.items()}
_News: TypeAlias = tuple[str, str]
"""The kind of a list and nothing, or nothing and the URI of a resource."""


class Line(Protocol):
    """What a feed needs of its connection."""

    peer: Peer

    def begin_listen(self, params: bytes) -> tuple[int, Coroutine[Any, Any, Raw]]:
        """A subscriptions/listen: its id, and what waits for its end. Raises: BackendFault."""
        ...

    async def ask(self, method: str, params: dict[str, Any] | None = None, *, timeout_s: float) -> Raw:
        """Raises: BackendError, BackendFault."""
        ...


class Owner(Protocol):
    """Who hears what the backend says. Calls are synchronous and must not raise."""

    def list_changed(self, kind: str) -> None: ...

    def said(self, level: str, text: str) -> None: ...


class _Listen(Struct, eq=False):
    id: int
    asked: frozenset[Topic]
    begun_at: float
    end: "asyncio.Task[BackendError | BackendFault | None]"
    """Done when it has ended: with what ended it, or None for a proper end."""
    acknowledged: "asyncio.Future[frozenset[Topic]]"
    accepted: frozenset[Topic] = frozenset()

    @property
    def is_open(self) -> bool:
        return not self.end.done()


class _Overlap(Struct):
    """While two listens are open: what the old one told waits, and is dropped if the new one tells it too."""

    leaving: int
    held: set[_News] = field(default_factory=set)
    told: set[_News] = field(default_factory=set)
    tasks: set[bytes] = field(default_factory=set)
    """Digests of what was told of tasks, which does not wait: its order matters."""

    def takes(self, news: _News, listen: object) -> bool:
        """Whether the news wait."""
        if listen == self.leaving and len(self.held) < MAX_HELD:
            self.held.add(news)
            return True
        self.told.add(news)
        return False

    def repeats(self, task: Task) -> bool:
        """Whether the other listen has told this already."""
        told = jsonrpc.encode({name: value for name, value in task.members.items() if name != "_meta"})
        digest = hashlib.sha256(told).digest()
        if digest in self.tasks:
            return True
        if len(self.tasks) < MAX_HELD:
            self.tasks.add(digest)
        return False


class ListenFeed:
    def __init__(self, line: Line, owner: Owner, clock: Clock, tasks: Tasks) -> None:
        self._line = line
        self._owner = owner
        self._clock = clock
        self._tasks = tasks
        self._flags: dict[str, Any] = {
            f"{kind}ListChanged": True for kind in LIST_CHANGED if line.peer.announces(kind)
        }
        self._takes_uris = line.peer.offers_subscriptions
        self._takes_tasks = line.peer.extension(TASKS) is not None
        self._wanted: WantedTopics | None = None
        self._due: set[Topic] = set()
        """Wanted, and not asked for since then."""
        self._missed: set[Topic] = set()
        """Of these we may have missed something: they count as updated once they are accepted again."""
        self._present: _Listen | None = None
        self._fresh: _Listen | None = None
        """Opened, not yet acknowledged."""
        self._has_missed_lists = False
        self._overlap: _Overlap | None = None
        self._failures = 0
        self._wake = Signal()

    # --- what is wanted ---------------------------------------------------------------------------------------

    def opened(self) -> None:
        self._tasks.start(self._keep_listening(), "listen")

    def attach(self, wanted: WantedTopics) -> None:
        self._wanted = wanted
        wanted.serve(self)
        self._missed.update(wanted.topics)
        for topic in list(wanted.topics):
            self.added(topic)

    def added(self, topic: Topic) -> None:
        if not self._takes(topic):
            self._decide([topic], frozenset())
        elif self._present is not None and self._present.is_open and topic in self._present.accepted:
            self._decide([topic], self._present.accepted)
        else:
            self._due.add(topic)
            self._wake.set()

    def removed(self, topic: Topic) -> None:
        self._due.discard(topic)
        self._missed.discard(topic)
        self._wake.set()

    def _takes(self, topic: Topic) -> bool:
        return self._takes_tasks if isinstance(topic, TaskTopic) else self._takes_uris

    @property
    def _topics(self) -> frozenset[Topic]:
        return frozenset(filter(self._takes, self._wanted.topics if self._wanted is not None else ()))

    def _decide(self, topics: Iterable[Topic], accepted: frozenset[Topic]) -> None:
        if self._wanted is not None:
            for topic in topics:
                self._wanted.decided(topic, topic in accepted)

    # --- keeping it open --------------------------------------------------------------------------------------

    async def _keep_listening(self) -> None:
        while True:
            await self._until_due()
            present = self._present
            if present is not None and not present.is_open:
                if _is_unknown_method(present.end.result()):
                    self._give_up()
                    return
                await self._pause_after(present)
                continue
            if present is not None:
                await asyncio.sleep(DEBOUNCE_S)
            try:
                await self._listen_anew(present)
            except BackendFault:
                # The connection is lost, or closing: the next one listens.
                return

    async def _until_due(self) -> None:
        while not self._is_due():
            self._wake.clear()
            await self._wake.wait()

    def _is_due(self) -> bool:
        present = self._present
        if present is None:
            return bool(self._flags or self._due)
        return not present.is_open or bool(self._due) or not present.accepted <= self._topics

    async def _listen_anew(self, old: _Listen | None) -> None:
        """Ask for what is wanted now, and close `old` unless the backend refuses the new one."""
        asked = self._topics
        self._due.clear()
        if not (self._flags or asked):
            self._present = None
            if old is not None:
                old.end.cancel()
            return
        fresh = await self._open(asked)
        if old is not None and old.is_open:
            await self._replace(old, fresh)
            return
        self._lost(old)
        self._present = fresh
        if fresh.is_open:
            self._settle(asked, fresh.accepted)
        else:
            self._due |= asked & self._topics

    async def _open(self, asked: frozenset[Topic]) -> _Listen:
        """A listen that is acknowledged, has ended, or is left without a word for too long."""
        fresh = self._fresh = self._begin(asked)
        either: set[asyncio.Future[Any]] = {fresh.end, fresh.acknowledged}
        await asyncio.wait(either, timeout=ACKNOWLEDGE_S, return_when=asyncio.FIRST_COMPLETED)
        self._fresh = None
        if fresh.acknowledged.done():
            fresh.accepted = fresh.acknowledged.result() & asked
        return fresh

    def _begin(self, asked: frozenset[Topic]) -> _Listen:
        task_ids = sorted(topic.id for topic in asked if isinstance(topic, TaskTopic))
        uris = sorted(topic for topic in asked if not isinstance(topic, TaskTopic))
        named = {name: topics for name, topics in ((_URIS, uris), (_TASK_IDS, task_ids)) if topics}
        declared = declaration(NONE.with_tasks() if task_ids else NONE)
        params = jsonrpc.encode({"notifications": self._flags | named})
        listen_id, end = self._line.begin_listen(modern_params(params, declared))
        listen = _Listen(
            listen_id,
            asked,
            self._clock.monotonic(),
            self._tasks.start(_outcome(end), "listen-stream"),
            asyncio.get_running_loop().create_future(),
        )
        listen.end.add_done_callback(lambda _: self._wake.set())
        return listen

    async def _replace(self, old: _Listen, fresh: _Listen) -> None:
        if not (fresh.is_open and fresh.acknowledged.done()):
            # As it was: what the old one accepted goes on, what is new is refused.
            fresh.end.cancel()
            self._settle(fresh.asked, old.accepted)
            return
        self._present = fresh
        self._overlap = overlap = _Overlap(old.id)
        self._settle(fresh.asked, fresh.accepted)
        await asyncio.sleep(OVERLAP_S)
        old.end.cancel()
        self._overlap = None
        for news in overlap.held - overlap.told:
            self._tell(news)

    def _settle(self, asked: frozenset[Topic], accepted: frozenset[Topic]) -> None:
        """The backend has spoken: tell who waits for it, and what may have been missed."""
        self._decide(asked, accepted)
        if self._has_missed_lists:
            self._has_missed_lists = False
            for kind in LIST_CHANGED:
                self._owner.list_changed(kind)
        missed = self._missed & accepted
        self._missed -= missed
        for topic in missed:
            # Of a task there is nothing to tell but its state, which whoever wants it has to ask for.
            if not isinstance(topic, TaskTopic):
                self._tell(("", topic))

    def _lost(self, broken: _Listen | None) -> None:
        """Nothing is repeated after a break: everything counts as changed, once we listen again."""
        if broken is not None:
            self._missed |= broken.accepted & self._topics
            self._has_missed_lists = True

    async def _pause_after(self, broken: _Listen) -> None:
        self._present = None
        self._lost(broken)
        self._due |= self._topics
        lasted_s = self._clock.monotonic() - broken.begun_at
        self._failures = 1 if lasted_s > PAUSE_S else self._failures + 1
        await asyncio.sleep(min(PAUSE_S, 0.5 * 2 ** min(self._failures, 6)))

    def _give_up(self) -> None:
        self._owner.said("debug", "it announces changes but does not know subscriptions/listen")
        self._takes_uris = self._takes_tasks = False
        self._present = None
        if self._wanted is not None:
            self._decide(self._wanted.topics, frozenset())

    # --- what arrives -----------------------------------------------------------------------------------------

    def missed(self) -> None:
        """Nothing: modern backends tell on listens alone, and one that breaks is opened again."""

    def heard(self, notification: Notification, origin: int | None) -> None:
        try:
            members = jsonrpc.members(notification.params)
            listen = origin if origin is not None else _subscription_id(members)
            if notification.method == SUBSCRIPTIONS_ACKNOWLEDGED:
                self._acknowledged(members, listen)
            elif notification.method == RESOURCE_UPDATED:
                self._news(("", updated_uri(members)), listen)
            elif notification.method == TASK_CHANGED:
                self._task_changed(tasks.changed(notification.params))
            else:
                self._news((KIND_OF_CHANGE[notification.method], ""), listen)
        except (ParseError, UnusableResult) as error:
            self._owner.said("debug", f"sent a notification that cannot be read: {error.message}")

    def _acknowledged(self, members: dict[str, Raw], listen: object) -> None:
        fresh = self._fresh
        if fresh is None or fresh.id != listen or fresh.acknowledged.done():
            return
        notifications = jsonrpc.members(members.get("notifications", jsonrpc.NO_JSON))
        accepted: set[Topic] = set(_strings(notifications, _URIS))
        accepted.update(TaskTopic(task_id) for task_id in _strings(notifications, _TASK_IDS))
        fresh.acknowledged.set_result(frozenset(accepted))

    def _task_changed(self, task: Task) -> None:
        if self._wanted is not None and (self._overlap is None or not self._overlap.repeats(task)):
            self._wanted.task_changed(task)

    def _news(self, news: _News, listen: object) -> None:
        if self._overlap is None or not self._overlap.takes(news, listen):
            self._tell(news)

    def _tell(self, news: _News) -> None:
        kind, uri = news
        if kind:
            self._owner.list_changed(kind)
        elif self._wanted is not None:
            self._wanted.updated(uri)


async def _outcome(end: Coroutine[Any, Any, Raw]) -> BackendError | BackendFault | None:
    try:
        await end
    except (BackendError, BackendFault) as error:
        return error
    return None


def _strings(members: dict[str, Raw], name: str) -> list[str]:
    """Those in an array; nothing else has any. Raises: ParseError."""
    found = jsonrpc.decode(members.get(name, jsonrpc.NO_JSON))
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _is_unknown_method(error: BackendError | BackendFault | None) -> bool:
    return isinstance(error, BackendError) and error.code == ErrorCode.METHOD_NOT_FOUND


def _subscription_id(members: dict[str, Raw]) -> object:
    of_message = jsonrpc.members(members.get("_meta", jsonrpc.NO_JSON))
    return jsonrpc.decode(of_message.get(SUBSCRIPTION_ID, jsonrpc.NO_JSON))


def updated_uri(members: dict[str, Raw]) -> str:
    """Raises: ParseError if there is none that could be a resource's."""
    uri = jsonrpc.decode(members.get("uri", jsonrpc.NO_JSON))
    if not isinstance(uri, str) or len(uri) > MAX_URI_CHARS:
        raise ParseError("The URI of an update must be a string, and not too long.")
    return uri
