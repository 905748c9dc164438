"""One call made for several clients at once: who hears of its progress, and whose it is if it asks back."""

import re
from collections.abc import Hashable
from typing import Any, Final

from msgspec import Raw, Struct

from proxy_core.backends.call import Answer, Call
from proxy_core.gateway.coalescing import Flight, Subject
from proxy_core.gateway.sink import ExchangeSink
from proxy_core.protocol.jsonrpc import Request, RpcError

_NOT_FINAL: Final = re.compile(rb'"(?:input_required|task)"|\\u')
"""Of a result type that says: not yet. A key spelled with escapes is looked at no closer, and not shared."""


class Sharing(Struct, eq=False):
    """How one request may be answered together with others."""

    subject: Subject
    key: Hashable | None
    """Requests with equal keys are equal; None: nobody may join it."""
    answer: Answer | None = None
    """Set once the server has answered, unless what it says is for this one client alone."""
    is_void: bool = False
    """Set if what was asked about has changed before the answer came."""


class Crowd:
    """The `CallSink` of all who wait on one flight; whoever leaves it hears no more."""

    __slots__ = ("_flight", "client", "wants_progress")

    def __init__(self, flight: Flight[Any]) -> None:
        self._flight = flight
        sinks = self._sinks
        self.wants_progress = any(sink.wants_progress for sink in sinks)
        self.client: object = sinks[0].client if sinks else self

    @property
    def _sinks(self) -> list[ExchangeSink]:
        return [sink for sink in self._flight.waiting.values() if isinstance(sink, ExchangeSink)]

    def progress(self, params: dict[str, Raw]) -> None:
        for sink in self._sinks:
            sink.progress(params)

    def log(self, params: Raw) -> None:
        for sink in self._sinks:
            sink.log(params)

    def let_go(self) -> None:
        for sink in self._sinks:
            sink.let_go()

    def may_ask(self, method: str, params: Raw) -> bool:
        sinks = self._sinks
        return bool(sinks) and sinks[0].may_ask(method, params)

    async def server_request(self, request: Request) -> bytes | RpcError:
        # What one person answers is in the result, so it is no longer everybody's.
        self._flight.keep_personal()
        sinks = self._sinks
        if not sinks:
            return RpcError(-32603, "The client has gone.")
        return await sinks[0].server_request(request)


def is_personal(call: Call, answer: Answer) -> bool:
    """Whether an answer is good for the client alone for which it was given."""
    result = memoryview(answer.result)
    return call.has_asked or call.is_task or _NOT_FINAL.search(result) is not None
