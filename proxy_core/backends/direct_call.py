"""A call without a task of its own: begun in one step, ended in another, by whoever brings the answer.

Only what is ordinary in every way goes like this: its server is connected and free. What fails is told as it
failed, and goes on as any other call would from there (`Call.met`).
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from msgspec import Raw

from proxy_core.backends.call import Answer, Call
from proxy_core.backends.connection import Connection, Waiter
from proxy_core.backends.correlation import Pending
from proxy_core.backends.peer import Peer
from proxy_core.backends.recording import heard_answer, heard_failure, sending
from proxy_core.backends.upward import CallSink
from proxy_core.errors import BackendError, BackendFault, BackendSessionLost, Only1Error
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.results import PlainResult
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import CALL
from proxy_core.telemetry.snapshot import ServerState
from proxy_core.telemetry.trace import Trace

if TYPE_CHECKING:
    from proxy_core.backends.backend import Backend
    from proxy_core.backends.breaker import Permit
    from proxy_core.backends.connections import Kept
    from proxy_core.backends.member import Member


class Ended(Protocol):
    """Whoever began the call. Called once, and not after `cancel`; must not raise."""

    def answered(self, answer: Answer) -> None: ...

    def plainly(self, plain: PlainResult) -> None:
        """In place of `answered`, by a server that had nothing out of the ordinary to say."""
        ...

    def failed(self, failure: BackendError | BackendFault) -> None: ...

    def sink(self) -> CallSink:
        """For what a legacy server says or asks in the middle of it; called once, if it has to be known."""
        ...


class DirectCall(Pending[Waiter]):
    """One call in flight, as its connection keeps it. Its own `waiter`, until it is over."""

    lane: "DirectLane | None" = None
    """None once it is over."""
    ended: Ended | None = None
    permit: "Permit | None" = None
    session: int = 0
    """As `Connection.sessions` was when it was sent."""
    is_recorded: bool = False

    @property
    def sink(self) -> CallSink | None:
        # Until a server has said something, which few do, all calls of a lane are one object.
        lane, ended, call = self.lane, self.ended, self.call
        if call is None or call.sink is not None or lane is None or ended is None or not lane.is_legacy:
            return None if call is None else call.sink
        self.call = call = msgspec.structs.replace(call, sink=ended.sink())
        return call.sink

    def record(self, arguments: Raw, trace: Trace) -> None:
        """Where it is told from now on, just after it has begun."""
        lane = self.lane
        assert lane is not None and self.call is not None
        self.is_recorded = True
        self.call = call = msgspec.structs.replace(self.call, trace=trace)
        trace.replica = lane.member.id
        sending(call, lane.backend.id, lane.connection.peer, lane.transport, lane.params(arguments), None)

    def cancel(self) -> None:
        """Nobody waits any more: the server is told, nobody here is. Safe at any time."""
        self.ended = None
        if (lane := self.lane) is not None:
            self._over(lane)
            lane.connection.give_up(self)
            lane.member.call_over(None, None)

    def _over(self, lane: "DirectLane") -> bool:
        """Whether its client is still being told that it need not answer what it was asked."""
        # It knows itself, and its client's end knows it: left so, only the collector would find them.
        self.waiter = OVER
        self.lane = None
        lane.slots.give()
        lane.room.give()
        if lane.kept is not None:
            lane.kept.within.left(lane.kept)
        if not self.questions:
            return False
        lane.connection.withdraw_questions(self)
        return True

    def _later(self, tell: Callable[[Ended], None]) -> None:
        """Once that has been said; unless it is given up before."""

        def told() -> None:
            if self.ended is not None:
                tell(self.ended)

        asyncio.get_running_loop().call_soon(told)

    # --- what its connection tells (Waiter) -------------------------------------------------------------------

    def done(self) -> bool:
        return self.lane is None

    def cancelled(self) -> bool:
        return False

    def exception(self) -> None:
        """There is nobody to read it."""

    def set_result(self, result: Raw, /) -> None:
        lane, ended = self.lane, self.ended
        assert lane is not None and ended is not None
        is_withdrawing = self._over(lane)
        lane.member.call_over(None, self.permit)
        if self.is_recorded and self.call is not None:
            heard_answer(self.call, result)
        answer = lane.answer(result)
        if is_withdrawing:
            self._later(lambda ended: ended.answered(answer))
        else:
            ended.answered(answer)

    def set_plain(self, plain: PlainResult) -> None:
        """As `set_result`."""
        lane, ended = self.lane, self.ended
        assert lane is not None and ended is not None
        is_withdrawing = self._over(lane)
        lane.member.call_over(None, self.permit)
        if is_withdrawing:
            self._later(lambda ended: ended.plainly(plain))
        else:
            ended.plainly(plain)

    def set_exception(self, failure: BackendError | BackendFault, /) -> None:
        lane, ended = self.lane, self.ended
        assert lane is not None and ended is not None
        self._over(lane)
        if lane.connection.waits_for(self.id):
            lane.connection.give_up(self)
        if isinstance(failure, BackendSessionLost):
            # Nothing was done there: it is sent again, and that says how the server fares.
            lane.connection.session_lost(self.session)
            lane.member.call_over(None, None)
        else:
            lane.member.call_over(failure, self.permit)
        if self.is_recorded and self.call is not None:
            heard_failure(self.call, failure)
        ended.failed(failure)


class _Over:
    """The waiter of a call that nobody waits for."""

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def exception(self) -> None:
        """There is nobody to read it."""

    def set_result(self, result: Raw, /) -> None:
        """It comes too late."""

    def set_exception(self, failure: BackendError | BackendFault, /) -> None:
        """It comes too late."""


OVER: Final[Waiter] = _Over()
_PARAMS: Final = b'"params":'
_HEALTHY: Final = ServerState.HEALTHY
"""To ask an enumeration for its member takes twenty times as long."""


class DirectLane:
    """What calls of one tool, by clients that say the same of themselves, have in common on one connection.

    Good for as long as settings and lists are what they were when it was made.
    """

    __slots__ = (
        "_call",
        "_cap_s",
        "_idle_s",
        "_is_counted",
        "_name",
        "_with_arguments",
        "_without_arguments",
        "backend",
        "connection",
        "era",
        "is_legacy",
        "kept",
        "member",
        "peer",
        "primary",
        "room",
        "slots",
        "transport",
    )

    def __init__(
        self,
        backend: "Backend",
        member: "Member",
        connection: Connection,
        kept: "Kept | None",
        call: Call,
        own_meta: bytes,
    ) -> None:
        """`call`: one of them, without params. `own_meta`: the `_meta` of each, as JSON. `kept`: what holds the
        connection, where it is none of all clients."""
        assert call.name is not None
        self.backend = backend
        self.member = member
        self.connection = connection
        self.slots = backend.slots
        self.room = connection.slots
        self.kept = kept
        self.primary = member.replica.connection
        self.peer: Peer = connection.peer
        self.era = connection.peer.era
        self.is_legacy = self.era is Era.LEGACY
        # A child of its own says nothing of how the others fare; an endpoint is the same for all.
        self._is_counted = kept is None or connection.transport != "stdio"
        self.transport = connection.transport
        self._call = call
        self._name = call.name
        self._idle_s, self._cap_s = connection.waits_for_call(call)
        # What `jsonrpc.request` makes of them, open where calls differ.
        meta = connection.meta_of_plain(call, own_meta).replace(b"%", b"%%")
        after = b',"_meta":' + meta + b"}}" if meta else b"}}"
        before = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":'
        before += jsonrpc.encode(call.name).replace(b"%", b"%%")
        self._without_arguments = before + after
        self._with_arguments = before + b',"arguments":%b' + after

    def is_good(self) -> bool:
        """Whether its connection is still the one that calls of this server take."""
        member, kept = self.member, self.kept
        if self.backend.choice.only is not member or member.replica.connection is not self.primary:
            return False
        # With another session, its server may speak another revision.
        return self.connection.peer is self.peer and (kept is None or kept.takes_calls)

    def answer(self, result: Raw) -> Answer:
        return Answer(result, self.era, self.peer.revision, self.member.id)

    def begin(self, arguments: Raw, now: float, ended: Ended) -> DirectCall | None:
        """Make a call. `arguments`: JSON, or empty. `now`: monotonic seconds. None: nothing was done.

        What fails is told as it failed and not tried again: with `Call.met` set, the ordinary way goes on from
        there.
        """
        member, connection, slots, room = self.member, self.connection, self.slots, self.room
        replica = member.replica
        permit = replica.breaker.free
        if (
            permit is None
            or replica.state is not _HEALTHY
            or slots.taken >= slots.limit
            or room.taken >= room.limit
        ):
            return None
        idle_s, cap_s = self._idle_s, self._cap_s
        call = DirectCall(connection.mint(), CALL, OVER, self._call, idle_s, now + idle_s, now + cap_s, cap_s)
        try:
            is_begun = connection.begin(call, self._message(call.id, arguments), self._name)
        except Only1Error:
            # The ordinary way meets it too, and has the words for it.
            is_begun = False
        if not is_begun:
            return None
        call.waiter, call.lane, call.ended = call, self, ended
        call.permit = permit if self._is_counted else None
        if self.is_legacy:
            call.session = connection.sessions
        if self.kept is not None:
            self.kept.users += 1
        slots.taken += 1
        room.taken += 1
        member.call_begun()
        self.backend.repeating.begun()
        return call

    def params(self, arguments: Raw) -> bytes:
        """As its server gets them. `arguments`: JSON, or empty."""
        message = self._message(0, arguments)
        return message[message.index(_PARAMS) + len(_PARAMS) : -1]

    def _message(self, request_id: int, arguments: Raw) -> bytes:
        """Raises: ParseError."""
        if arguments is jsonrpc.NO_JSON:
            return jsonrpc.one_line(self._without_arguments % request_id)
        return jsonrpc.one_line(self._with_arguments % (request_id, arguments))
