"""The legacy era over HTTP: sessions, and calls that outlive the connection that asked for them.

Each call is a task of its session. Whether a session exists is for `sessions` to say.
Spec: 2025-11-25 basic/transports, "Streamable HTTP"; basic/lifecycle; basic/utilities/cancellation.
"""

import asyncio
from typing import Final

from msgspec import Raw

from proxy_core.errors import HttpRefusal, InvalidRequest, Overloaded, ParseError
from proxy_core.frontend.event_stream import STREAM_HEADERS, EventStream, EventStreams
from proxy_core.frontend.guards import EVENT_STREAM, accepts
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import (
    ACCEPTED,
    JSON_HEADERS,
    Handler,
    Outcome,
    deliver,
    failure,
    http_refusal,
    outcome_of,
    refused,
    reply,
)
from proxy_core.frontend.sessions import LegacySessions, Session
from proxy_core.frontend.wire import STREAMED, WireAnswer, WireHead, WireReply, WireRequest
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.subscriptions import ALL_KINDS, ListKind
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.classify import LegacyPost, Refused, client_name
from proxy_core.protocol.headers import MCP_SESSION_ID
from proxy_core.protocol.methods import LIST_CHANGED
from proxy_core.protocol.revisions import Era, negotiate_legacy
from proxy_core.tasks import Tasks

_SESSION_HEADER: Final = "Mcp-Session-Id"
_MAX_TASK_NAME: Final = 40
# A cancelled request has no answer, yet HTTP wants one: of the two content types the transport allows for
# a request, only an event stream can be complete with no message in it.
_NO_ANSWER: Final = WireReply(200, STREAM_HEADERS)


class LegacyEra:
    def __init__(self, handler: Handler, streams: EventStreams, calls: Quota, sessions: LegacySessions) -> None:
        self._handler = handler
        self._streams = streams
        self._calls = calls
        self._sessions = sessions
        self._tasks = Tasks("legacy calls")

    async def answer_post(self, wire: WireRequest, posted: LegacyPost, principal: str) -> WireAnswer:
        message = posted.message
        raw_id = message.raw_id if isinstance(message, jsonrpc.Request) else None
        try:
            if isinstance(message, jsonrpc.Request) and message.method == "initialize":
                return self._initialize(message, principal)
            session = self._session(posted.session_id, principal)
        except HttpRefusal as refusal:
            return http_refusal(refusal, raw_id)
        if isinstance(message, jsonrpc.Request):
            return await self._call(wire, session, message)
        if isinstance(message, jsonrpc.Notification):
            _act_on(session, message)
        return ACCEPTED

    async def answer_get(self, wire: WireRequest, principal: str) -> WireAnswer:
        """Open the session's stream for what belongs to no request; it ends with the connection."""
        if not accepts(",".join(wire.head.all("accept")), EVENT_STREAM):
            return http_refusal(HttpRefusal(406, f"The client must accept {EVENT_STREAM}."))
        try:
            session = self._session(wire.head.values.get(MCP_SESSION_ID), principal)
        except HttpRefusal as refusal:
            return http_refusal(refusal)
        await self._push(session, self._streams.open(wire.open_stream))
        return STREAMED

    def answer_delete(self, head: WireHead, principal: str) -> WireAnswer:
        try:
            session = self._session(head.values.get(MCP_SESSION_ID), principal)
        except HttpRefusal as refusal:
            return http_refusal(refusal)
        self._sessions.end(session)
        return WireReply(200, [])

    async def aclose(self) -> None:
        """End every session; the calls in flight are cancelled and awaited."""
        self._sessions.end_all()
        await self._tasks.aclose()

    def _session(self, session_id: str | None, principal: str) -> Session:
        if not session_id:
            raise HttpRefusal(400, "Missing session: send the Mcp-Session-Id that initialize answered with.")
        session = self._sessions.find(session_id, principal)
        if session is None:
            raise HttpRefusal(404, "Session not found; open a new one with initialize.")
        return session

    def _initialize(self, request: jsonrpc.Request, principal: str) -> WireReply:
        try:
            params = jsonrpc.members(request.params)
            requested = jsonrpc.decode(params.get("protocolVersion", jsonrpc.NO_JSON))
        except ParseError as error:
            return reply(failure(error, request.raw_id, Era.LEGACY))
        revision = negotiate_legacy(requested)
        name = client_name(params.get("clientInfo", jsonrpc.NO_JSON))
        session = self._sessions.open(Caller(Era.LEGACY, revision, principal, name))
        body = jsonrpc.result(request.raw_id, self._handler.initialize(revision))
        return WireReply(200, [*JSON_HEADERS, (_SESSION_HEADER, session.id)], body)

    # --- calls ------------------------------------------------------------------------------------------------

    async def _call(self, wire: WireRequest, session: Session, request: jsonrpc.Request) -> WireAnswer:
        if request.id in session.calls:
            error = InvalidRequest("A request with this id is still in flight.")
            return refused(Refused(error, request.raw_id, Era.LEGACY))
        try:
            self._calls.enter(session.caller.principal)
        except Overloaded as error:
            return reply(failure(error, request.raw_id, Era.LEGACY))
        stream = self._streams.open(wire.open_stream)
        try:
            # A client that hangs up has not cancelled, so this waits for the outcome, not for the task
            # (2025-11-25 basic/transports, "Sending Messages to the Server").
            return await _deliver_or_end(stream, await self._begin(session, request, stream))
        finally:
            self._streams.release(stream)

    def _begin(
        self, session: Session, request: jsonrpc.Request, stream: EventStream
    ) -> asyncio.Future[Outcome | None]:
        """Start the call; the future gets its outcome, or None if the call was cancelled."""
        ended: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        exchange = Exchange(request.method, request.params, session.caller, stream)
        work = outcome_of(self._handler, exchange, request.raw_id)
        call = self._tasks.start(work, request.method[:_MAX_TASK_NAME])
        self._sessions.begin_call(session, request.id, call)

        # Not a `finally` of the task: one that is cancelled before its first step would skip it.
        def end(call: asyncio.Task[Outcome]) -> None:
            self._calls.leave(session.caller.principal)
            self._sessions.end_call(session, request.id)
            if not ended.done():
                ended.set_result(None if call.cancelled() else call.result())

        call.add_done_callback(end)
        return ended

    # --- the session's own stream -----------------------------------------------------------------------------

    async def _push(self, session: Session, stream: EventStream) -> None:
        self._sessions.attach(session, stream)
        stream.commit()

        def deliver(kind: ListKind) -> None:
            stream.notify_once(jsonrpc.notification(LIST_CHANGED[kind]))

        unsubscribe = self._handler.hub.add(ALL_KINDS, deliver)
        try:
            await stream.finished()
        finally:
            unsubscribe()
            self._streams.release(stream)
            self._sessions.detach(session, stream)


async def _deliver_or_end(stream: EventStream, outcome: Outcome | None) -> WireAnswer:
    """`outcome` None: the call was cancelled, and no response may follow."""
    if outcome is not None:
        return await deliver(stream, outcome)
    if not stream.is_committed:
        stream.withhold()
        return _NO_ANSWER
    await stream.end()
    return STREAMED


def _act_on(session: Session, message: jsonrpc.Notification) -> None:
    """The only notification that asks something of us is a cancellation; what it cannot name is ignored."""
    if message.method != "notifications/cancelled":
        return
    request_id = _request_id(message.params)
    call = None if request_id is None else session.calls.get(request_id)
    if call is not None:
        call.cancel()


def _request_id(params: Raw) -> jsonrpc.RequestId | None:
    try:
        request_id = jsonrpc.decode(jsonrpc.members(params).get("requestId", jsonrpc.NO_JSON))
    except ParseError:
        return None
    is_id = isinstance(request_id, str | int) and not isinstance(request_id, bool)
    return request_id if is_id else None
