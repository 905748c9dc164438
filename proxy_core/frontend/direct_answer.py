"""The answer to a modern request that is served in no task: a reply in one step, unless it comes to be more.

Counts among the calls of its principal and the open streams as any other does: one that takes long becomes a
stream, and then ends as one.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from proxy_core.errors import Only1Error, Overloaded
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import Handler, Outcome, deliver, failure, outcome_of_work, reply
from proxy_core.frontend.wire import Begun, OpenStream, Served, WireAnswer
from proxy_core.gateway.exchange import Exchange
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era


class DirectAnswer:
    """`gateway.direct_exchange.DirectEnd` of its exchange, and `event_stream.Quiet` while it waits."""

    __slots__ = (
        "_call",
        "_calls",
        "_exchange",
        "_open_stream",
        "_raw_id",
        "_served",
        "_stream",
        "_streams",
        "quiet_since",
    )

    def __init__(
        self,
        calls: Quota,
        streams: EventStreams,
        exchange: Exchange,
        raw_id: bytes,
        served: Served,
        open_stream: OpenStream,
    ) -> None:
        self._calls = calls
        self._streams = streams
        self._exchange = exchange
        self._raw_id = raw_id
        self._served = served
        self._open_stream = open_stream
        self._call: Begun | None = None
        self._stream: EventStream | None = None
        self.quiet_since = 0.0

    def begin(self, handler: Handler) -> bool:
        """Whether it could be done like this; if not, nothing was. Raises: Overloaded."""
        exchange = self._exchange
        self._calls.enter(exchange.caller.principal)
        try:
            self._call = handler.begin(exchange, self)
        except Overloaded:
            self._calls.leave(exchange.caller.principal)
            raise
        if self._call is None:
            self._calls.leave(exchange.caller.principal)
            return False
        self._streams.watch(self)
        return True

    def cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._release()

    def keep_alive(self) -> None:
        self._streaming().keep_alive()

    def _streaming(self) -> EventStream:
        """From now on it has a stream, which may yet stay unused."""
        if self._stream is None:
            self._streams.unwatch(self)
            self._stream = self._exchange.outlet = self._streams.open(self._open_stream)
        return self._stream

    def _release(self) -> None:
        # Each knows the other: left so, they would be garbage that only the collector finds.
        self._call = None
        if self._stream is None:
            self._streams.unwatch(self)
        else:
            self._streams.release(self._stream)
        self._calls.leave(self._exchange.caller.principal)

    # --- what comes of it (DirectEnd) -------------------------------------------------------------------------

    def result(self, result: bytes) -> None:
        self._end(Outcome(200, jsonrpc.result(self._raw_id, result)))

    def failed(self, error: Only1Error) -> None:
        self._end(failure(error, self._raw_id, Era.MODERN))

    def go_on(self, work: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        self._in_task(self._go_on(work, self._streaming()))

    def _end(self, outcome: Outcome) -> None:
        if self._stream is not None:
            self._in_task(deliver(self._stream, outcome))
            return
        self._release()
        self._served.reply(reply(outcome))

    def _in_task(self, work: Coroutine[Any, Any, WireAnswer]) -> None:
        # Not a `finally` of the work: a task that is cancelled before its first step would skip it.
        self._served.go_on(work).add_done_callback(lambda _: self._release())

    async def _go_on(self, work: Callable[[], Coroutine[Any, Any, bytes]], stream: EventStream) -> WireAnswer:
        return await deliver(stream, await outcome_of_work(work(), self._exchange, self._raw_id))
