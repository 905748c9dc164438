"""The answer to a legacy tools/call that is served in no task: a reply in one step, unless it comes to be more.

As any other of its session it outlives the connection that asked, ends with the session, and is cancelled by
the client's word alone. One that takes long, or needs its client in the middle, becomes a stream as others do.
Spec: 2025-11-25 basic/transports, "Sending Messages to the Server"; basic/utilities/cancellation.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct

from proxy_core.errors import Only1Error, Overloaded
from proxy_core.frontend.client_stream import ClientStream
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.legacy_calls import LegacyCalls
from proxy_core.frontend.responses import (
    NO_ANSWER,
    Outcome,
    as_line,
    deliver_legacy,
    failure,
    outcome_of_work,
    reply,
)
from proxy_core.frontend.sessions import Session
from proxy_core.frontend.underway import Running
from proxy_core.frontend.wire import Served, WireAnswer
from proxy_core.gateway.direct_exchange import DirectExchange
from proxy_core.gateway.exchange import Outlet
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.jsonrpc import RequestId
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import CALL


class LegacyAnswer(DirectExchange, kw_only=True):
    """Also `event_stream.Quiet` and `underway.Pending` while it waits, and what is asked itself."""

    own: LegacyCalls
    streams: EventStreams
    session: Session
    request_id: RequestId
    raw_id: bytes
    served: Served | None
    """The connection that asked; None: it has gone, or a task sees to it."""
    new_stream: Callable[[Session], ClientStream]
    stream: ClientStream | None = None
    """Once it is more than a reply in one step."""
    ended: "asyncio.Future[Outcome | None] | None" = None
    """Likewise: what the task waits for that answers the connection. None in it: there is no answer."""
    carrier: EventStream | None = None
    running: Running | None = None
    """From when it takes a task."""
    quiet_since: float = 0.0

    # --- from beginning to end --------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Whether it could be done like this; if not, nothing was. Raises: Overloaded."""
        own, caller = self.own, self.lane.caller
        try:
            own.quota.enter(caller.principal)
        except Overloaded as refusal:
            self.lane.gateway.refused(caller, CALL, refusal, self.peer)
            raise
        is_begun = False
        try:
            is_begun = self.begin_call()
        finally:
            if not is_begun:
                own.quota.leave(caller.principal)
        if not is_begun:
            return False
        own.sessions.begin_call(self.session, self.request_id, _ByItsClient(self))
        self.quiet_since = self.started_at
        self.streams.watch(self)
        return True

    def cancel(self) -> None:
        """The connection has gone, which cancels nothing; nobody can come back for what was never told of."""
        self.served = None

    def give_up(self) -> None:
        """Its client does not want it any more, or the session ends."""
        if self.call is not None:
            self.cancel_call()
            self._over(None)

    def end(self, why: Only1Error) -> None:
        if self.call is not None:
            self.cancel_call()
            self.refused(why)
        elif self.running is not None:
            self.running.end(why)

    def keep_alive(self) -> None:
        if self.stream is None and self.served is None:
            # Nobody is there any more to be kept waiting.
            return
        self._become_stream()
        if self.carrier is not None:
            self.carrier.keep_alive()

    def _become_stream(self) -> ClientStream:
        """From now on it has a stream, which may yet stay unused."""
        if self.stream is not None:
            return self.stream
        self.streams.unwatch(self)
        self.own.underway.add(self)
        self.stream = stream = self.new_stream(self.session)
        served, self.served = self.served, None
        if served is not None:
            self.ended = ended = asyncio.get_running_loop().create_future()
            self.carrier = carrier = self.streams.open(served.open_stream, stream.opening)
            stream.carry(carrier)
            stream.was_let_go = self._let_go
            # Not a `finally` of it: a task that is cancelled before its first step would skip that.
            served.go_on(_carried(carrier, ended)).add_done_callback(lambda _: self._left(stream, carrier))
        return stream

    def _let_go(self) -> None:
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)

    def _left(self, stream: ClientStream, carrier: EventStream) -> None:
        stream.leave(carrier)
        self.streams.release(carrier)

    def _over(self, outcome: Outcome | None) -> None:
        """None: it was cancelled."""
        stream, served, self.served = self.stream, self.served, None
        self.own.quota.leave(self.lane.caller.principal)
        self.own.sessions.end_call(self.session, self.request_id)
        if stream is None:
            self.streams.unwatch(self)
            if served is not None:
                served.reply(NO_ANSWER if outcome is None else reply(outcome))
            return
        self.own.underway.discard(self)
        if outcome is not None and stream.is_streaming:
            stream.finish(as_line(outcome.body), self.raw_id)
        else:
            stream.finish()
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(outcome)

    # --- what comes of it (DirectExchange) --------------------------------------------------------------------

    def result(self, result: bytes) -> None:
        served = self.served
        if self.stream is None and served is not None:
            # Nearly always.
            self.served = None
            self.streams.unwatch(self)
            self.own.quota.leave(self.lane.caller.principal)
            self.own.sessions.end_call(self.session, self.request_id)
            served.result(self.raw_id, result)
            return
        self._over(Outcome(200, jsonrpc.result(self.raw_id, result)))

    def refused(self, error: Only1Error) -> None:
        self._over(failure(error, self.raw_id, Era.LEGACY))

    def outlet(self) -> Outlet:
        return self._become_stream()

    def go_on(self, work: Callable[[Outlet], Coroutine[Any, Any, bytes]]) -> None:
        stream = self._become_stream()
        self.running = running = Running(self)
        task = self.own.tasks.start(self._in_task(stream, running, work), CALL)
        self.session.calls[self.request_id] = task
        task.add_done_callback(lambda task: self._over(None if task.cancelled() else task.result()))

    async def _in_task(
        self, stream: ClientStream, running: Running, work: Callable[[Outlet], Coroutine[Any, Any, bytes]]
    ) -> Outcome:
        # Begun here: a task that is cancelled before its first step would leave it unawaited.
        return await running.outcome(outcome_of_work(work(stream), CALL, Era.LEGACY, self.raw_id), self.raw_id)


class _ByItsClient(Struct, gc=False):
    """How a client, or the end of its session, cancels one (`sessions.Call`)."""

    answer: LegacyAnswer

    def cancel(self) -> None:
        self.answer.give_up()


async def _carried(carrier: EventStream, ended: "asyncio.Future[Outcome | None]") -> WireAnswer:
    # A client that hangs up has not cancelled, so this waits for the outcome alone.
    outcome = await ended
    return await deliver_legacy(carrier, None if outcome is None else reply(outcome))
