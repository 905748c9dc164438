"""Open `subscriptions/listen` requests: acknowledged first, tagged always, ended with a result.

A `Listen` is one of them whatever carries it; `Listens` owns those that are HTTP streams.
Spec: 2026-07-28 basic/patterns/subscriptions.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple, Protocol

from msgspec import Raw

from proxy_core.errors import InvalidParams, Overloaded, ParseError
from proxy_core.frontend.event_stream import SLICE, EventStream, EventStreams
from proxy_core.frontend.list_changes import tagged
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import Handler
from proxy_core.frontend.wire import STREAMED, WireAnswer, WireRequest
from proxy_core.gateway.answers import SERVER_INFO
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.subscriptions import ListKind
from proxy_core.gateway.tasks_extension import check_declared
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import (
    RESOURCE_UPDATED,
    SUBSCRIPTION_ID,
    SUBSCRIPTIONS_ACKNOWLEDGED,
    TASK_CHANGED,
)
from proxy_core.protocol.results import result_for_modern
from proxy_core.turns import in_turns

_KIND_OF_FLAG: Final[dict[str, ListKind]] = {
    "toolsListChanged": "tools",
    "promptsListChanged": "prompts",
    "resourcesListChanged": "resources",
}
_URIS: Final = "resourceSubscriptions"
_TASK_IDS: Final = "taskIds"
MAX_EARLY: Final = 256
"""What may happen before a listen is acknowledged; one that hears of more is refused."""


class Line(Protocol):
    """Where a listen's messages go. Neither call blocks or raises."""

    def notify(self, message: bytes) -> None: ...

    def notify_once(self, message: bytes) -> None:
        """The same, unless an equal message still waits to be written."""
        ...


class _Filter(NamedTuple):
    """What a listen asks for."""

    flags: list[str]
    uris: list[str]
    tasks: list[str] | None
    """None: not even none."""


class Listen:
    """One subscription, from `open` to `close`."""

    def __init__(self, handler: Handler, line: Line, raw_id: bytes) -> None:
        self._handler = handler
        self._line = line
        self._tag = {SUBSCRIPTION_ID: Raw(raw_id)}
        self._raw_id = raw_id
        self._ends: list[Callable[[], None]] = []
        self._early: dict[bytes, None] | None = {}
        """What happened before the acknowledgement, which must come first; None after it."""

    async def open(self, params: Raw, caller: Caller, peer: str = "") -> None:
        """Acknowledge what is honoured of the filter, and deliver what happened since it was asked for.

        Raises: InvalidParams, MissingCapability, Overloaded.
        """
        wanted = _filter(params)
        if wanted.tasks is not None:
            check_declared(caller)
        kinds = frozenset(_KIND_OF_FLAG[flag] for flag in wanted.flags)
        self._ends.append(self._handler.hub.add(kinds, self._list_changed, caller.profile))
        uris, task_ids = await asyncio.gather(
            self._with_uris(caller, wanted.uris), self._with_tasks(caller, wanted.tasks or [])
        )
        named: dict[str, object] = {_URIS: uris, _TASK_IDS: task_ids}
        flags: dict[str, object] = dict.fromkeys(wanted.flags, True)
        self._acknowledge(flags | {name: accepted for name, accepted in named.items() if accepted})
        self._handler.listened(caller, params, peer)

    async def _with_uris(self, caller: Caller, uris: list[str]) -> list[str]:
        if not uris:
            return []
        accepted, end = await self._handler.updates.listen(caller, uris, self._updated)
        self._ends.append(end)
        return accepted

    async def _with_tasks(self, caller: Caller, tokens: list[str]) -> list[str]:
        if not tokens:
            return []
        accepted, end = await self._handler.task_updates.listen(caller, tokens, self._task_changed)
        self._ends.append(end)
        return accepted

    def _acknowledge(self, honoured: dict[str, object]) -> None:
        early, self._early = self._early or {}, None
        if len(early) > MAX_EARLY:
            raise Overloaded("Too much changes at once to be listened to.")
        params = jsonrpc.encode({"_meta": self._tag, "notifications": honoured})
        self._line.notify(jsonrpc.notification(SUBSCRIPTIONS_ACKNOWLEDGED, params))
        for message in early:
            self._say(message)

    def _list_changed(self, kind: ListKind) -> None:
        self._say(tagged(kind, self._raw_id))

    def _updated(self, uri: str) -> None:
        self._say(jsonrpc.notification(RESOURCE_UPDATED, jsonrpc.encode({"_meta": self._tag, "uri": uri})))

    def _task_changed(self, params: dict[str, Any]) -> None:
        self._say(jsonrpc.notification(TASK_CHANGED, jsonrpc.encode(params | {"_meta": self._tag})))

    def _say(self, message: bytes) -> None:
        if self._early is None:
            self._line.notify_once(message)
        elif len(self._early) <= MAX_EARLY:
            self._early[message] = None

    def result(self) -> bytes:
        """The response that ends it gracefully."""
        ended = Raw(jsonrpc.encode({"_meta": self._tag}))
        return jsonrpc.result(self._raw_id, result_for_modern(ended, SERVER_INFO))

    def close(self) -> None:
        """Deliver nothing more. Safe to call twice."""
        while self._ends:
            self._ends.pop()()


class Listens:
    def __init__(
        self, handler: Handler, streams: EventStreams, quota: Quota, on_change: Callable[[], None]
    ) -> None:
        """`on_change` is told after each change of the number of listens."""
        self._handler = handler
        self._streams = streams
        self._quota = quota
        self._on_change = on_change
        self._open: dict[EventStream, Listen] = {}
        self._callers: dict[EventStream, Caller] = {}
        """Whose each stream is, from before its listen is open."""

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, wire: WireRequest, request: jsonrpc.Request, caller: Caller) -> WireAnswer:
        """Stream until the client hangs up or the listens are ended. Raises: InvalidParams, Overloaded."""
        self._quota.enter(caller.principal)
        stream = self._streams.open(wire.open_stream)
        self._callers[stream] = caller
        listen = Listen(self._handler, stream, request.raw_id)
        try:
            await listen.open(request.params, caller, wire.head.peer)
            self._open[stream] = listen
            self._on_change()
            with self._streams.lasting.while_good(wire.head.credential, lambda: self._end(stream)):
                await stream.finished()
        finally:
            listen.close()
            self._streams.release(stream)
            del self._callers[stream]
            self._quota.leave(caller.principal)
            if self._open.pop(stream, None) is not None:
                self._on_change()
        return STREAMED

    def end_of(self, principals: Collection[str]) -> None:
        """End every listen of these with its result; nothing more is delivered from now on."""
        self._end_where(lambda caller: caller.principal in principals)

    def end_under(self, profiles: Collection[str]) -> None:
        """The same for what was opened under one of these."""
        self._end_where(lambda caller: caller.profile in profiles)

    def _end_where(self, is_meant: Callable[[Caller], bool]) -> None:
        for stream, caller in self._callers.items():
            if is_meant(caller):
                self._end(stream)

    def _end(self, stream: EventStream) -> None:
        listen = self._open.get(stream)
        stream.end_soon(listen.result() if listen is not None else None)

    async def end_all(self) -> None:
        """End every listen with its result, and wait until the clients have it."""
        ended = list(self._open.items())
        await in_turns(ended, SLICE, lambda each: each[0].end_soon(each[1].result()))
        for stream, _ in ended:
            await stream.finished()


def _filter(params: Raw) -> _Filter:
    """Members that we do not know ask for nothing. Raises: InvalidParams."""
    try:
        wanted = jsonrpc.members(jsonrpc.members(params)["notifications"])
        flags = [flag for flag in _KIND_OF_FLAG if _is_true(wanted.get(flag, jsonrpc.NO_JSON), flag)]
        uris, task_ids = (_strings(wanted.get(name, jsonrpc.NO_JSON), name) for name in (_URIS, _TASK_IDS))
    except (KeyError, ParseError) as error:
        raise InvalidParams("params.notifications must be an object.") from error
    return _Filter(flags, uris or [], task_ids)


def _strings(raw: Raw, name: str) -> list[str] | None:
    value = jsonrpc.decode(raw)
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise InvalidParams(f"{name} must be an array of strings.")
    return value


def _is_true(raw: Raw, flag: str) -> bool:
    value = jsonrpc.decode(raw)
    if not isinstance(value, bool | None):
        raise InvalidParams(f"{flag} must be true or false.")
    return value is True
