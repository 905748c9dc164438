"""The legacy era over Streamable HTTP: sessions, streams that can be resumed, and batches where they exist.

What a request does is for `legacy_calls` to say, whether a session exists for `sessions`.
Spec: 2025-11-25 basic/transports, "Streamable HTTP"; 2025-03-26 basic, "Batching".
"""

import asyncio
from typing import Final

from proxy_core.errors import HttpRefusal, InvalidRequest, Only1Error, Overloaded, ParseError
from proxy_core.frontend import batch
from proxy_core.frontend.affinity import Affinity
from proxy_core.frontend.batch import BatchAnswer
from proxy_core.frontend.client_stream import ClientStream
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.guards import EVENT_STREAM, accepts
from proxy_core.frontend.legacy_answer import LegacyAnswer
from proxy_core.frontend.legacy_calls import LegacyCalls, caller_of, handshake
from proxy_core.frontend.list_changes import UNTAGGED
from proxy_core.frontend.responses import (
    ACCEPTED,
    JSON_HEADERS,
    Handler,
    Outcome,
    as_line,
    deliver_legacy,
    failure,
    http_refusal,
    refused,
    reply,
)
from proxy_core.frontend.resumption import Position
from proxy_core.frontend.sessions import LegacySessions, Session
from proxy_core.frontend.wire import STREAMED, Begun, Served, WireAnswer, WireHead, WireReply, WireRequest
from proxy_core.gateway.direct_exchange import CallLane
from proxy_core.gateway.subscriptions import ALL_KINDS, ListKind
from proxy_core.protocol import direct_request, jsonrpc
from proxy_core.protocol.classify import LegacyPost, Refused
from proxy_core.protocol.headers import LAST_EVENT_ID, MCP_SESSION_ID
from proxy_core.protocol.revisions import Era

_SESSION_HEADER: Final = "Mcp-Session-Id"
MAX_LANES: Final = 64
"""Of one session: tools that it calls."""
NO_META: Final = b"{}"


class LegacyEra:
    def __init__(
        self,
        handler: Handler,
        streams: EventStreams,
        calls: LegacyCalls,
        sessions: LegacySessions,
        affinity: Affinity,
    ) -> None:
        self._handler = handler
        self._affinity = affinity
        self._streams = streams
        self._calls = calls
        self._sessions = sessions

    async def answer_post(self, wire: WireRequest, posted: LegacyPost) -> WireAnswer:
        message = posted.message
        raw_id = message.raw_id if isinstance(message, jsonrpc.Request) else None
        try:
            if isinstance(message, jsonrpc.Request) and message.method == "initialize":
                return self._initialize(message, wire.head)
            session = self._session(posted.session_id, wire.head)
        except HttpRefusal as refusal:
            return http_refusal(refusal, raw_id)
        if isinstance(message, jsonrpc.Request):
            return await self._call(wire, session, message)
        self._calls.take(session, message)
        return ACCEPTED

    def begin(self, head: WireHead, session_id: str, body: bytes, served: Served) -> Begun | WireReply | None:
        """A call of a tool that is served in no task, where nothing needs one; else nothing is done."""
        request = direct_request.read_legacy(body)
        if request is None:
            return None
        session = self._sessions.find(session_id, head.principal, head.profile)
        if session is None or request.id in session.calls or session.caller.log_level is not None:
            return None
        lane = self._lane(session, request.name)
        if lane is None:
            return None
        answer = LegacyAnswer(
            lane,
            request.params,
            request.arguments,
            head.headers,
            peer=head.peer,
            own=self._calls,
            streams=self._streams,
            session=session,
            request_id=request.id,
            raw_id=request.raw_id,
            served=served,
            new_stream=self._sessions.new_stream,
        )
        try:
            return answer if answer.begin() else None
        except Overloaded as refusal:
            return reply(failure(refusal, request.raw_id, Era.LEGACY))

    def _lane(self, session: Session, name: str) -> CallLane | None:
        lane = session.lanes.get(name)
        if lane is None or not lane.is_good():
            lane = self._handler.direct.lane(session.caller, name, NO_META)
            if len(session.lanes) >= MAX_LANES:
                session.lanes.clear()
            if lane is not None:
                session.lanes[name] = lane
        return lane

    async def answer_array(self, wire: WireRequest, refusal: Refused) -> WireAnswer:
        """An array is a batch to a session whose revision has them, and refused everywhere else."""
        session_id = wire.head.values.get(MCP_SESSION_ID)
        if not session_id:
            return refused(refusal)
        try:
            session = self._session(session_id, wire.head)
        except HttpRefusal as error:
            return http_refusal(error)
        if session.caller.revision not in batch.REVISIONS:
            return refused(refusal)
        try:
            items = batch.read(wire.body)
        except (InvalidRequest, ParseError) as error:
            return refused(Refused(error, b"null", Era.LEGACY))
        return await self._batch(wire, session, items)

    async def answer_get(self, wire: WireRequest) -> WireAnswer:
        """Open the session's stream for what belongs to no request, or resume any stream of it."""
        if not accepts(",".join(wire.head.all("accept")), EVENT_STREAM):
            return http_refusal(HttpRefusal(406, f"The client must accept {EVENT_STREAM}."))
        try:
            session = self._session(wire.head.values.get(MCP_SESSION_ID), wire.head)
            last_event_id = wire.head.values.get(LAST_EVENT_ID)
            if last_event_id:
                return await self._resume(wire, session, _position(session, last_event_id))
        except HttpRefusal as refusal:
            return http_refusal(refusal)
        return await self._listen(wire, session)

    def answer_delete(self, head: WireHead) -> WireAnswer:
        try:
            session = self._session(head.values.get(MCP_SESSION_ID), head)
        except HttpRefusal as refusal:
            return http_refusal(refusal)
        self._sessions.end(session)
        return WireReply(200, [])

    def _session(self, session_id: str | None, head: WireHead) -> Session:
        if not session_id:
            raise HttpRefusal(400, "Missing session: send the Mcp-Session-Id that initialize answered with.")
        session = self._sessions.find(session_id, head.principal, head.profile)
        if session is None:
            raise HttpRefusal(404, "Session not found; open a new one with initialize.")
        return session

    def _initialize(self, request: jsonrpc.Request, head: WireHead) -> WireReply:
        try:
            caller = caller_of(request, head.principal)
            caller.profile, caller.peer = head.profile, head.peer
            # For good: what a session keeps at one replica must not move with the headers of single requests.
            caller.affinity = self._affinity.of(head)
        except ParseError as error:
            return reply(failure(error, request.raw_id, Era.LEGACY))
        session = self._sessions.open(caller)
        shaking = handshake(request, caller, head.headers)
        result = self._handler.initialize(caller.revision, caller.profile, shaking)
        body = jsonrpc.result(request.raw_id, result)
        return WireReply(200, [*JSON_HEADERS, (_SESSION_HEADER, session.id)], body)

    # --- requests ---------------------------------------------------------------------------------------------

    async def _call(self, wire: WireRequest, session: Session, request: jsonrpc.Request) -> WireAnswer:
        try:
            ready = self._calls.at_once(session, request, wire.head.headers)
        except Overloaded as error:
            return reply(failure(error, request.raw_id, Era.LEGACY))
        if ready is not None:
            return reply(Outcome(200, jsonrpc.result(request.raw_id, ready)))
        stream = self._sessions.new_stream(session)
        carrier = self._carrier(wire, stream)
        ended: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

        def end(outcome: Outcome | None) -> None:
            if outcome is not None and stream.is_streaming:
                stream.finish(as_line(outcome.body), request.raw_id)
            else:
                stream.finish()
            if not ended.done():
                ended.set_result(outcome)

        def let_go() -> None:
            if not ended.done():
                ended.set_result(None)

        stream.was_let_go = let_go
        try:
            self._calls.begin(session, request, stream, end, wire.head.headers, peer=wire.head.peer)
            # A client that hangs up has not cancelled, so this waits for the outcome, not for the task
            # (2025-11-25 basic/transports, "Sending Messages to the Server").
            outcome = await ended
            return await deliver_legacy(carrier, None if outcome is None else reply(outcome))
        except InvalidRequest as error:
            return refused(Refused(error, request.raw_id, Era.LEGACY))
        except Overloaded as error:
            return reply(failure(error, request.raw_id, Era.LEGACY))
        finally:
            self._leave(stream, carrier)

    async def _batch(self, wire: WireRequest, session: Session, items: list[batch.Item]) -> WireAnswer:
        stream = self._sessions.new_stream(session)
        carrier = self._carrier(wire, stream)
        answer = BatchAnswer(stream)
        try:
            for item in items:
                self._take(session, item, stream, answer, wire.head)
            answer.seal()
            body = await answer.ended
            if answer.is_empty:
                return ACCEPTED
            return await deliver_legacy(carrier, WireReply(200, JSON_HEADERS, body) if body else None)
        finally:
            self._leave(stream, carrier)

    def _take(
        self,
        session: Session,
        item: batch.Item,
        stream: ClientStream,
        answer: BatchAnswer,
        head: WireHead,
    ) -> None:
        if isinstance(item, jsonrpc.Notification | jsonrpc.Response):
            self._calls.take(session, item)
            return
        answer.expect()
        try:
            if isinstance(item, Only1Error):
                raise item
            if item.method == "initialize":
                raise InvalidRequest("initialize cannot be part of a batch.")
            self._calls.begin(
                session,
                item,
                stream,
                lambda outcome: answer.add(b"" if outcome is None else outcome.body),
                head.headers,
                "in a batch",
                head.peer,
            )
        except Only1Error as error:
            answer.add(failure(error, _raw_id(item), Era.LEGACY).body)

    # --- streams ----------------------------------------------------------------------------------------------

    async def _listen(self, wire: WireRequest, session: Session) -> WireAnswer:
        own = session.own
        if own.newest is None:

            def deliver(kind: ListKind) -> None:
                own.notify_once(UNTAGGED[kind])

            self._sessions.at_end(session, self._handler.hub.add(ALL_KINDS, deliver, session.caller.profile))
        stream = self._sessions.new_own_stream(session)
        return await self._serve(wire.head, session, stream, self._carrier(wire, stream))

    async def _resume(
        self, wire: WireRequest, session: Session, position: Position[ClientStream]
    ) -> WireAnswer:
        stream = position.stream
        carrier = self._streams.open(wire.open_stream, lambda: stream.missed(position.number))
        stream.carry(carrier)
        return await self._serve(wire.head, session, stream, carrier)

    async def _serve(
        self, head: WireHead, session: Session, stream: ClientStream, carrier: EventStream
    ) -> WireAnswer:
        """Let `carrier` carry the stream until one of them ends."""
        is_own = stream is session.own.newest
        if is_own:
            self._sessions.attach(session, carrier)
        carrier.commit()
        if stream.is_ended:
            carrier.close_soon()
        try:
            with self._streams.lasting.while_good(head.credential, carrier.close_soon):
                await carrier.finished()
        finally:
            self._leave(stream, carrier)
            if is_own:
                self._sessions.detach(session, carrier)
        return STREAMED

    def _carrier(self, wire: WireRequest, stream: ClientStream) -> EventStream:
        carrier = self._streams.open(wire.open_stream, stream.opening)
        stream.carry(carrier)
        return carrier

    def _leave(self, stream: ClientStream, carrier: EventStream) -> None:
        stream.leave(carrier)
        self._streams.release(carrier)


def _position(session: Session, last_event_id: str) -> Position[ClientStream]:
    position = None if session.ring is None else session.ring.find(last_event_id)
    if position is None:
        # Not an empty stream: the client would wait on it for an answer that will never come. Not 404 either,
        # which would tell it that its session is gone.
        raise HttpRefusal(400, "There is nothing to resume after this Last-Event-ID.")
    return position


def _raw_id(item: jsonrpc.Request | Only1Error) -> bytes:
    if isinstance(item, jsonrpc.Request):
        return item.raw_id
    return (item.raw_id if isinstance(item, jsonrpc.NotOneMessage) else b"") or b"null"
