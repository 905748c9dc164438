"""Open `subscriptions/listen` streams: acknowledged first, tagged always, ended with a result.

Sole owner of the listens; what changed comes from the gateway's hub.
Spec: 2026-07-28 basic/patterns/subscriptions.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Raw

from proxy_core.errors import InvalidParams, ParseError
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.wire import STREAMED, WireAnswer, WireRequest
from proxy_core.gateway.answers import SERVER_INFO
from proxy_core.gateway.subscriptions import ListKind, SubscriptionHub
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import LIST_CHANGED, SUBSCRIPTION_ID
from proxy_core.protocol.results import result_for_modern

_KIND_OF_FLAG: Final[dict[str, ListKind]] = {
    "toolsListChanged": "tools",
    "promptsListChanged": "prompts",
    "resourcesListChanged": "resources",
}
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"


class Listens:
    def __init__(
        self, hub: SubscriptionHub, streams: EventStreams, quota: Quota, on_change: Callable[[], None]
    ) -> None:
        """`on_change` is told after each change of the number of listens."""
        self._hub = hub
        self._streams = streams
        self._quota = quota
        self._on_change = on_change
        self._open: dict[EventStream, bytes] = {}
        """Each stream with the JSON of its subscription id."""

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, wire: WireRequest, request: jsonrpc.Request, principal: str) -> WireAnswer:
        """Stream until the client hangs up or the listens are ended. Raises: InvalidParams, Overloaded."""
        flags = _honoured(request.params)
        self._quota.enter(principal)
        stream = self._streams.open(wire.open_stream)
        self._open[stream] = request.raw_id
        stream.notify(_acknowledgement(flags, request.raw_id))
        unsubscribe = self._subscribe(stream, flags, request.raw_id)
        self._on_change()
        try:
            await stream.finished()
        finally:
            unsubscribe()
            self._streams.release(stream)
            self._open.pop(stream, None)
            self._quota.leave(principal)
            self._on_change()
        return STREAMED

    async def end_all(self) -> None:
        """End every listen with its result, and wait until the clients have it."""
        await asyncio.gather(*(stream.end(_result(raw_id)) for stream, raw_id in list(self._open.items())))

    def _subscribe(self, stream: EventStream, flags: list[str], raw_id: bytes) -> Callable[[], None]:
        params = jsonrpc.encode({"_meta": _tag(raw_id)})

        def deliver(kind: ListKind) -> None:
            stream.notify_once(jsonrpc.notification(LIST_CHANGED[kind], params))

        return self._hub.add(frozenset(_KIND_OF_FLAG[flag] for flag in flags), deliver)


def _honoured(params: Raw) -> list[str]:
    """What of the filter we serve. Updates of single resources are not served, and so not acknowledged."""
    try:
        wanted = jsonrpc.members(jsonrpc.members(params)["notifications"])
    except (KeyError, ParseError) as error:
        raise InvalidParams("params.notifications must be an object.") from error
    return [flag for flag in _KIND_OF_FLAG if bytes(wanted.get(flag, jsonrpc.NO_JSON)) == b"true"]


def _tag(raw_id: bytes) -> dict[str, Raw]:
    return {SUBSCRIPTION_ID: Raw(raw_id)}


def _acknowledgement(flags: list[str], raw_id: bytes) -> bytes:
    params = {"_meta": _tag(raw_id), "notifications": dict.fromkeys(flags, True)}
    return jsonrpc.notification(_ACKNOWLEDGED, jsonrpc.encode(params))


def _result(raw_id: bytes) -> bytes:
    ended = Raw(jsonrpc.encode({"_meta": _tag(raw_id)}))
    return jsonrpc.result(raw_id, result_for_modern(ended, SERVER_INFO))
