"""Legacy sessions: sole owner of `Mcp-Session-Id`, of what a session has open, and of when it ends.

Knows no HTTP and no JSON. Time is injected; `sweep` is called by the listener's one sweeper.
Spec: 2025-11-25 basic/transports, "Session Management".
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Final, Protocol

from msgspec import Struct, field

from proxy_core.clock import Clock
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.client_requests import ClientRequests
from proxy_core.frontend.client_stream import ClientStream, OwnStream
from proxy_core.frontend.event_stream import EventStream
from proxy_core.frontend.resumption import WITHOUT_IDS, EventRing
from proxy_core.gateway.direct_exchange import CallLane
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol.jsonrpc import RequestId
from proxy_core.turns import in_turns

SLICE: Final = 64
"""Sessions that are swept in one turn of the loop; to end one takes some microseconds."""
_ID_BYTES: Final = 24
_NAME_BYTES: Final = 9


class Call(Protocol):
    """A request that is being served."""

    def cancel(self) -> object: ...


class Session(Struct, eq=False):
    """One legacy client. `LegacySessions` alone changes it."""

    id: str
    caller: Caller
    last_used_at: float
    """Monotonic seconds."""
    calls: dict[RequestId, Call] = field(default_factory=dict)
    """Requests that are being served, by the client's own ids."""
    stream: EventStream | None = None
    """The connection that carries the session's own stream, if one is open."""
    own: OwnStream = field(default_factory=OwnStream)
    requests: ClientRequests = field(default_factory=ClientRequests)
    ring: EventRing[ClientStream] | None = None
    """None: the client's revision knows no resumption."""
    lanes: dict[str, CallLane] = field(default_factory=dict)
    """What its calls of a tool that take no task have in common, by the tool's name."""
    ends: list[Callable[[], None]] = field(default_factory=list)
    """What is to be done when it ends."""
    has_one_stream: bool = False
    """HTTP+SSE: its stream carries the answers too, and so ends with the session alone."""

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for it. Neither what is kept for resumption nor an open question counts."""
        return bool(self.calls) or self.stream is not None


class LegacySessions:
    def __init__(
        self,
        limit: int,
        idle_s: float,
        clock: Clock,
        on_change: Callable[[], None],
        on_end: Callable[[Caller], None],
    ) -> None:
        """`on_change` is told after each change of the number of sessions or streams, `on_end` of each end."""
        self.limit = limit
        self.idle_s = idle_s
        self._clock = clock
        self._on_change = on_change
        self._on_end = on_end
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        """Least recently used first."""
        self._rings: set[EventRing[ClientStream]] = set()
        """Those with something to resume."""
        self.stream_count = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, caller: Caller) -> Session:
        """A new session, made known to `caller`; at the limit, the least recently used idle one makes room.

        Raises: HttpRefusal 503 if every session has a stream or a call.
        """
        if len(self._sessions) >= self.limit:
            self._evict()
        session = Session(secrets.token_urlsafe(_ID_BYTES), caller, self._clock.monotonic())
        if caller.revision not in WITHOUT_IDS:
            session.ring = EventRing(caller.revision, self._clock, self._rings)
        # Not the id: it is the client's key, and nobody else's business.
        caller.session = secrets.token_urlsafe(_NAME_BYTES)
        caller.stream = session.own
        self._sessions[session.id] = session
        self._on_change()
        return session

    def find(self, session_id: str, principal: str, profile: str = "") -> Session | None:
        """The session, marked as used; None if there is none, or it is another principal's or profile's."""
        session = self._sessions.get(session_id)
        if session is None or session.caller.viewer != (principal, profile):
            return None
        self._touch(session)
        return session

    def end(self, session: Session) -> None:
        """Forget the session, cancel its calls and drop its stream. Safe to call twice."""
        if self._sessions.pop(session.id, None) is None:
            return
        for call in list(session.calls.values()):
            call.cancel()
        session.requests.end()
        if session.ring is not None:
            session.ring.retire()
        for end in session.ends:
            end()
        if session.stream is not None:
            self._drop_stream(session)
        self._on_end(session.caller)
        self._on_change()

    def new_stream(self, session: Session) -> ClientStream:
        """For what one request of the client streams back."""
        return ClientStream(session.ring, session.requests, self._clock)

    def new_own_stream(self, session: Session) -> ClientStream:
        """For what belongs to no request; it takes the place of the one before."""
        stream = ClientStream(session.ring, session.requests, self._clock, is_of_request=False)
        if session.own.newest is not None:
            session.own.newest.finish()
        session.own.newest = stream
        return stream

    def at_end(self, session: Session, end: Callable[[], None]) -> None:
        """Call `end`, which must not raise, when the session ends."""
        session.ends.append(end)

    def begin_call(self, session: Session, request_id: RequestId, call: Call) -> None:
        session.calls[request_id] = call

    def end_call(self, session: Session, request_id: RequestId) -> None:
        del session.calls[request_id]
        self._touch(session)

    def attach(self, session: Session, stream: EventStream, *, carries_answers: bool = False) -> None:
        """Let `stream` carry the session's own. The newest wins: the older may be a half-dead socket."""
        if session.stream is not None:
            self._drop_stream(session)
        session.stream = stream
        session.has_one_stream = carries_answers
        session.own.has_reader.set()
        self.stream_count += 1
        self._on_change()

    def detach(self, session: Session, stream: EventStream) -> None:
        """`stream` has ended. Nothing happens if another has taken its place."""
        if session.stream is stream:
            self._drop_stream(session)
            self._touch(session)
            self._on_change()

    async def sweep(self) -> None:
        """End the sessions that were idle too long; forget of the others what nobody came back for."""
        await in_turns(list(self._rings), SLICE, _expire)
        await in_turns(self._unused(), SLICE, self._end_if_idle)

    def _unused(self) -> Iterator[Session]:
        """Those last used too long ago. Each must be ended or touched before the next is asked for."""
        due = self._clock.monotonic() - self.idle_s
        for _ in range(len(self._sessions)):
            session = next(iter(self._sessions.values()), None)
            if session is None or session.last_used_at > due:
                break
            yield session

    def _end_if_idle(self, session: Session) -> None:
        if session.is_busy:
            # To be waited for is to be used; so it is not looked at again each time.
            self._touch(session)
        else:
            self.end(session)

    def end_streams(self) -> None:
        """End every stream that carries no answers; the sessions stay."""
        for session in list(self._sessions.values()):
            if session.stream is not None and not session.has_one_stream:
                self.detach(session, session.stream)

    def end_of(self, principals: Collection[str]) -> None:
        """End every session of these."""
        for session in list(self._sessions.values()):
            if session.caller.principal in principals:
                self.end(session)

    def end_under(self, profiles: Collection[str]) -> None:
        """End every session that was opened under one of these."""
        for session in list(self._sessions.values()):
            if session.caller.profile in profiles:
                self.end(session)

    def end_all(self) -> None:
        for session in list(self._sessions.values()):
            self.end(session)

    def _evict(self) -> None:
        idle = next((session for session in self._sessions.values() if not session.is_busy), None)
        if idle is None:
            raise HttpRefusal(503, "Every session is busy; try again later.", {"Retry-After": "5"})
        self.end(idle)

    def _touch(self, session: Session) -> None:
        session.last_used_at = self._clock.monotonic()
        if session.id in self._sessions:
            self._sessions.move_to_end(session.id)

    def _drop_stream(self, session: Session) -> None:
        if session.stream is not None:
            session.stream.end_soon()
            session.stream = None
            session.own.has_reader.clear()
            self.stream_count -= 1


def _expire(ring: EventRing[ClientStream]) -> None:
    ring.expire()
    for stream in ring.streams:
        stream.give_up_late_readers()
