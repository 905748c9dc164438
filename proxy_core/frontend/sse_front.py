"""HTTP+SSE, the transport of 2024-11-05: one event stream a session, and POSTs that are answered on it.

The session begins with the stream and ends with it; what a request does is for `legacy_calls` to say.
Spec: 2024-11-05 basic/transports, "HTTP with SSE".
"""

import re
import secrets
from typing import Final

from msgspec import Raw

from proxy_core.errors import HttpRefusal, InvalidRequest, Only1Error, ParseError
from proxy_core.frontend import batch
from proxy_core.frontend.affinity import Affinity
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.guards import EVENT_STREAM, MESSAGES_PATH, accepts
from proxy_core.frontend.legacy_calls import LegacyCalls, caller_of, handshake
from proxy_core.frontend.list_changes import UNTAGGED
from proxy_core.frontend.responses import (
    ACCEPTED,
    Handler,
    Outcome,
    as_line,
    failure,
    http_refusal,
    refused,
)
from proxy_core.frontend.sessions import LegacySessions, Session
from proxy_core.frontend.wire import STREAMED, WireAnswer, WireHead, WireRequest
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.subscriptions import ALL_KINDS, ListKind
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.classify import Refused
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.sse import encode_event

REVISION: Final = "2024-11-05"
"""What is spoken until initialize has agreed on a revision."""
_ID_BYTES: Final = 16
_SESSION_ID: Final = re.compile(r"(?:^|&)session_id=([^&]*)")


class SseLine:
    """The one stream of a session, an Outlet for all of it."""

    def __init__(self, session: Session, stream: EventStream) -> None:
        self.session = session
        self.stream = stream
        self.is_open = False
        """Whether hands were shaken."""

    def notify(self, message: bytes) -> None:
        self.stream.notify(message)

    def let_go(self) -> None:
        """Its connection is its only one."""

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        return await self.session.requests.ask(self, method, params, timeout_s=timeout_s)

    def answer(self, outcome: Outcome | None) -> None:
        """Send a response; None: the request was cancelled and has none."""
        if outcome is not None:
            self.stream.notify(as_line(outcome.body))


class SseFront:
    """Sole owner of the ids in the URIs that clients POST to."""

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
        self._lines: dict[str, SseLine] = {}

    async def answer(self, wire: WireRequest) -> WireAnswer:
        """Serve one of the two paths; each has one HTTP method."""
        try:
            if wire.head.method == "GET":
                return await self._stream(wire)
            self._post(self._line(wire.head), wire)
        except HttpRefusal as refusal:
            return http_refusal(refusal)
        except (ParseError, InvalidRequest) as error:
            return refused(Refused(error, _echo(error), Era.LEGACY))
        return ACCEPTED

    def end_all(self) -> None:
        """End every session of this transport, and with it its stream."""
        for line in list(self._lines.values()):
            self._sessions.end(line.session)

    # --- GET /sse ---------------------------------------------------------------------------------------------

    async def _stream(self, wire: WireRequest) -> WireAnswer:
        if not accepts(",".join(wire.head.all("accept")), EVENT_STREAM):
            raise HttpRefusal(406, f"The client must accept {EVENT_STREAM}.")
        head = wire.head
        affinity = self._affinity.of(head)
        caller = Caller(Era.LEGACY, REVISION, head.principal, affinity=affinity, profile=head.profile)
        caller.peer = head.peer
        session = self._sessions.open(caller)
        session_id = secrets.token_hex(_ID_BYTES)
        uri = f"{MESSAGES_PATH}?session_id={session_id}"
        stream = self._streams.open(wire.open_stream, lambda: encode_event(uri.encode(), "endpoint"))
        self._lines[session_id] = self._attach(session, stream)
        self._sessions.at_end(session, lambda: self._forget(session_id))
        stream.commit()
        try:
            with self._streams.lasting.while_good(head.credential, lambda: self._sessions.end(session)):
                await stream.finished()
        finally:
            self._streams.release(stream)
            self._sessions.end(session)
        return STREAMED

    def _forget(self, session_id: str) -> None:
        del self._lines[session_id]

    def _attach(self, session: Session, stream: EventStream) -> SseLine:
        line = SseLine(session, stream)
        session.caller.stream = line
        self._sessions.attach(session, stream, carries_answers=True)

        def deliver(kind: ListKind) -> None:
            if line.is_open:
                stream.notify_once(UNTAGGED[kind])

        self._sessions.at_end(session, self._handler.hub.add(ALL_KINDS, deliver, session.caller.profile))
        return line

    # --- POST /messages ---------------------------------------------------------------------------------------

    def _line(self, head: WireHead) -> SseLine:
        given = _SESSION_ID.findall(head.query)
        if len(given) != 1 or not given[0]:
            raise HttpRefusal(400, "Missing session: POST to the URI that the event stream began with.")
        line = self._lines.get(given[0])
        if line is None or line.session.caller.viewer != (head.principal, head.profile):
            raise HttpRefusal(404, "Session not found; open a new event stream.")
        return line

    def _post(self, line: SseLine, wire: WireRequest) -> None:
        """Raises: ParseError, InvalidRequest for what is no message at all."""
        try:
            self._take(line, jsonrpc.parse(wire.body), wire.head)
        except jsonrpc.NotOneMessage as error:
            if not error.is_array or line.session.caller.revision not in batch.REVISIONS:
                raise
            for item in batch.read(wire.body):
                if isinstance(item, Only1Error):
                    line.answer(failure(item, _echo(item), Era.LEGACY))
                else:
                    self._take(line, item, wire.head, in_batch=True)

    def _take(self, line: SseLine, message: jsonrpc.Message, head: WireHead, *, in_batch: bool = False) -> None:
        if not isinstance(message, jsonrpc.Request):
            self._calls.take(line.session, message)
            return
        try:
            if message.method == "initialize":
                self._shake_hands(line, message, in_batch)
                return
            if not line.is_open and message.method != "ping":
                raise InvalidRequest("The first request must be initialize.")
            arrival = "in a batch" if in_batch else ""
            self._calls.begin(line.session, message, line, line.answer, head.headers, arrival, head.peer)
        except Only1Error as error:
            line.answer(failure(error, message.raw_id, Era.LEGACY))

    def _shake_hands(self, line: SseLine, request: jsonrpc.Request, in_batch: bool) -> None:
        """Raises: InvalidRequest, ParseError."""
        if line.is_open or in_batch:
            raise InvalidRequest("initialize comes once, and alone.")
        known, said = line.session.caller, caller_of(request, line.session.caller.principal)
        known.revision, known.client, known.capabilities = said.revision, said.client, said.capabilities
        line.is_open = True
        shaking = handshake(request, known)
        result = self._handler.initialize(known.revision, known.profile, shaking)
        line.answer(Outcome(200, jsonrpc.result(request.raw_id, result)))


def _echo(error: Only1Error) -> bytes:
    return (error.raw_id if isinstance(error, jsonrpc.NotOneMessage) else b"") or b"null"
