"""The modern era over HTTP: one POST is one exchange, and a client that hangs up has cancelled it.

Knows no sessions: none is minted, read or echoed.
Spec: 2026-07-28 basic/transports/streamable-http, "Sending Messages to the Server" and "Cancellation".
"""

from typing import Final

from proxy_core.errors import Only1Error, Overloaded
from proxy_core.frontend.affinity import Affinity
from proxy_core.frontend.direct_answer import DirectAnswer
from proxy_core.frontend.event_stream import EventStreams
from proxy_core.frontend.listens import Listens
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import Handler, deliver, failure, reply
from proxy_core.frontend.underway import Underway
from proxy_core.frontend.wire import Begun, Ready, Served, WireAnswer, WireHead, WireReply, WireRequest
from proxy_core.gateway.direct_exchange import CallLane
from proxy_core.gateway.direct_list import ListLane
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.protocol import capabilities, direct_request
from proxy_core.protocol.classify import ModernRequest
from proxy_core.protocol.direct_request import DirectRequest, Routed
from proxy_core.protocol.headers import param_headers
from proxy_core.protocol.revisions import MODERN, Era

MAX_LANES: Final = 16
"""Of requests with one head."""


class ModernEra:
    def __init__(
        self,
        handler: Handler,
        streams: EventStreams,
        calls: Quota,
        listens: Listens,
        affinity: Affinity,
        underway: Underway,
    ) -> None:
        self._handler = handler
        self._streams = streams
        self._calls = calls
        self._listens = listens
        self._affinity = affinity
        self._underway = underway

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
            peer=wire.head.peer,
        )
        try:
            if posted.request.method == "subscriptions/listen":
                return await self._listens.serve(wire, posted.request, caller)
            return await self._exchange(wire, posted, caller)
        except Only1Error as error:
            self._handler.refused(caller, posted.request.method, error, caller.peer)
            return reply(failure(error, posted.request.raw_id, Era.MODERN))

    def begin(
        self, head: WireHead, routed: Routed, request: DirectRequest, served: Served
    ) -> Begun | Ready | WireReply | None:
        """The same in no task, where nothing about it needs one; else nothing is done."""
        try:
            if not routed.name:
                return self._list_at_once(head, routed, request)
            return self._call(head, routed, request, served)
        except Overloaded as refusal:
            return reply(failure(refusal, request.raw_id, Era.MODERN))

    def _call(
        self, head: WireHead, routed: Routed, request: DirectRequest, served: Served
    ) -> DirectAnswer | None:
        """Raises: Overloaded."""
        lane = head.lanes.get(request.own_meta)
        if not isinstance(lane, CallLane) or not lane.is_good():
            caller = self._caller(head, request.own_meta)
            lane = None if caller is None else self._handler.direct.lane(caller, routed.name, request.own_meta)
            if lane is None:
                return None
            _keep(head, request.own_meta, lane)
        answer = DirectAnswer(
            lane,
            request.params,
            request.arguments,
            head.headers,
            calls=self._calls,
            streams=self._streams,
            underway=self._underway,
            raw_id=request.raw_id,
            served=served,
        )
        return answer if answer.begin() else None

    def _list_at_once(self, head: WireHead, routed: Routed, request: DirectRequest) -> Ready | None:
        if self._calls.is_full(head.principal):
            return None
        lane = head.lanes.get(request.own_meta)
        if not isinstance(lane, ListLane) or lane.is_over or not self._handler.direct.keeps(lane):
            caller = self._caller(head, request.own_meta)
            lane = None if caller is None else self._handler.direct.list_lane(caller, routed.method)
            if lane is None:
                return None
            _keep(head, request.own_meta, lane)
        result = self._handler.direct.at_once(lane, request.params, head.headers)
        return None if result is None else Ready(request.raw_id, result)

    def _caller(self, head: WireHead, own_meta: bytes) -> Caller | None:
        """None if its `_meta` says something that takes a task to heed."""
        known = direct_request.known_meta(own_meta)
        if known is None:
            return None
        return Caller(
            Era.MODERN,
            MODERN,
            head.principal,
            known.client,
            capabilities=known.capabilities,
            affinity=self._affinity.of(head),
            profile=head.profile,
            peer=head.peer,
        )

    async def _exchange(self, wire: WireRequest, posted: ModernRequest, caller: Caller) -> WireAnswer:
        request = posted.request
        self._calls.enter(caller.principal)
        stream = self._streams.open(wire.open_stream)
        try:
            # No other header goes on from here: one of them may hold the client's token.
            lines = param_headers(wire.head.headers) if request.method == "tools/call" else None
            exchange = Exchange(request.method, request.params, caller, stream, lines, posted.progress_token)
            exchange.headers = wire.head.headers
            outcome = await self._underway.outcome_of(self._handler, exchange, request.raw_id)
            return await deliver(stream, outcome)
        finally:
            self._streams.release(stream)
            self._calls.leave(caller.principal)


def _keep(head: WireHead, own_meta: bytes, lane: CallLane | ListLane) -> None:
    # Clients that send the same head say few different things of themselves; what is new in each call, as a
    # trace's id, is not to grow.
    if len(head.lanes) >= MAX_LANES:
        head.lanes.clear()
    head.lanes[own_meta] = lane
