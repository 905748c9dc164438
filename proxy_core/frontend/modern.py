"""The modern era over HTTP: one POST is one exchange, and a client that hangs up has cancelled it.

Knows no sessions: none is minted, read or echoed.
Spec: 2026-07-28 basic/transports/streamable-http, "Sending Messages to the Server" and "Cancellation".
"""

from typing import Final

from proxy_core.backends.call import Plain
from proxy_core.errors import Only1Error
from proxy_core.frontend.affinity import Affinity
from proxy_core.frontend.direct_answer import DirectAnswer
from proxy_core.frontend.event_stream import EventStreams
from proxy_core.frontend.listens import Listens
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import JSON_HEADERS, Handler, deliver, failure, outcome_of, reply
from proxy_core.frontend.wire import Begun, Served, WireAnswer, WireReply, WireRequest
from proxy_core.gateway.exchange import Caller, Exchange, Nobody
from proxy_core.protocol import capabilities, jsonrpc
from proxy_core.protocol.classify import ModernRequest
from proxy_core.protocol.direct_request import DirectRequest
from proxy_core.protocol.headers import param_headers
from proxy_core.protocol.revisions import MODERN, Era

_NOBODY: Final = Nobody()


class ModernEra:
    def __init__(
        self, handler: Handler, streams: EventStreams, calls: Quota, listens: Listens, affinity: Affinity
    ) -> None:
        self._handler = handler
        self._streams = streams
        self._calls = calls
        self._listens = listens
        self._affinity = affinity

    async def answer(self, wire: WireRequest, posted: ModernRequest) -> WireAnswer:
        """Serve one request. Cancelled with the connection, and everything below is cancelled with it."""
        caller = Caller(
            Era.MODERN,
            posted.version,
            wire.head.principal,
            posted.client_name,
            posted.log_level,
            capabilities.read(posted.capabilities, posted.version),
            affinity=self._affinity.of(wire.head),
            profile=wire.head.profile,
        )
        try:
            if posted.request.method == "subscriptions/listen":
                return await self._listens.serve(wire, posted.request, caller)
            return await self._exchange(wire, posted, caller)
        except Only1Error as error:
            self._handler.refused(caller, posted.request.method, error, wire.head.peer)
            return reply(failure(error, posted.request.raw_id, Era.MODERN))

    def begin(self, wire: WireRequest, request: DirectRequest, served: Served) -> Begun | WireReply | None:
        """The same in no task, where nothing about it needs one; else nothing is done."""
        head = wire.head
        caller = Caller(
            Era.MODERN,
            MODERN,
            head.principal,
            request.client,
            capabilities=request.capabilities,
            affinity=self._affinity.of(head),
            profile=head.profile,
        )
        exchange = Exchange(
            request.method,
            request.params,
            caller,
            _NOBODY,
            None,
            jsonrpc.NO_JSON,
            target=request.name or None,
            headers=head.headers,
            peer=head.peer,
        )
        if not request.name:
            ready = None if self._calls.is_full(head.principal) else self._handler.at_once(exchange)
            if ready is None:
                return None
            return WireReply(200, JSON_HEADERS, jsonrpc.result(request.raw_id, ready))
        exchange.plain = Plain(request.arguments, request.own_meta)
        open_stream = wire.open_stream
        direct = DirectAnswer(self._calls, self._streams, exchange, request.raw_id, served, open_stream)
        return direct if direct.begin(self._handler) else None

    async def _exchange(self, wire: WireRequest, posted: ModernRequest, caller: Caller) -> WireAnswer:
        request = posted.request
        self._calls.enter(caller.principal)
        stream = self._streams.open(wire.open_stream)
        try:
            # No other header goes on from here: one of them may hold the client's token.
            lines = param_headers(wire.head.headers) if request.method == "tools/call" else None
            exchange = Exchange(request.method, request.params, caller, stream, lines, posted.progress_token)
            exchange.headers, exchange.peer = wire.head.headers, wire.head.peer
            outcome = await outcome_of(self._handler, exchange, request.raw_id)
            return await deliver(stream, outcome)
        finally:
            self._streams.release(stream)
            self._calls.leave(caller.principal)
