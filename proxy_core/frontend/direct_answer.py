"""The answer to a modern request that is served in no task: a reply in one step, unless it comes to be more.

Counts among the calls of its principal and the open streams as any other does: one that takes long becomes a
stream, and then ends as one.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from proxy_core.errors import Only1Error, Overloaded
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import Outcome, deliver, failure, outcome_of_work, reply
from proxy_core.frontend.underway import Running, Underway
from proxy_core.frontend.wire import Served, WireAnswer
from proxy_core.gateway.direct_exchange import DirectExchange
from proxy_core.gateway.exchange import Outlet
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import CALL


class DirectAnswer(DirectExchange, kw_only=True):
    """Also `event_stream.Quiet` and `underway.Pending` while it waits, and what is asked itself."""

    calls: Quota
    streams: EventStreams
    underway: Underway
    raw_id: bytes
    served: Served
    stream: EventStream | None = None
    quiet_since: float = 0.0
    running: Running | None = None
    """From when it takes a task."""

    # --- from beginning to end ------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Whether it could be done like this; if not, nothing was. Raises: Overloaded."""
        caller = self.lane.caller
        principal = caller.principal
        try:
            self.calls.enter(principal)
        except Overloaded as refusal:
            self.lane.gateway.refused(caller, CALL, refusal, caller.peer)
            raise
        is_begun = False
        try:
            is_begun = self.begin_call()
        finally:
            if not is_begun:
                self.calls.leave(principal)
        if not is_begun:
            return False
        self.quiet_since = self.started_at
        self.streams.watch(self)
        return True

    def cancel(self) -> None:
        if self.call is not None:
            self.cancel_call()
            self._release()

    def end(self, why: Only1Error) -> None:
        if self.call is not None:
            self.cancel_call()
            # Not told at once: its connection would go on with its next request before the new rules are all
            # in force.
            self._in_task(deliver(self._streaming(), failure(why, self.raw_id, Era.MODERN)))
        elif self.running is not None:
            self.running.end(why)

    def keep_alive(self) -> None:
        self._streaming().keep_alive()

    def _streaming(self) -> EventStream:
        """From now on it has a stream, which may yet stay unused."""
        if self.stream is None:
            self.streams.unwatch(self)
            self.stream = self.streams.open(self.served.open_stream)
            self.underway.add(self)
        return self.stream

    def _release(self) -> None:
        if self.stream is None:
            self.streams.unwatch(self)
        else:
            self.streams.release(self.stream)
            self.underway.discard(self)
        self.calls.leave(self.lane.caller.principal)

    # --- what comes of it (DirectExchange) --------------------------------------------------------------------

    def result(self, result: bytes) -> None:
        if self.stream is not None:
            self._in_task(deliver(self.stream, Outcome(200, jsonrpc.result(self.raw_id, result))))
            return
        self._release()
        self.served.result(self.raw_id, result)

    def refused(self, error: Only1Error) -> None:
        outcome = failure(error, self.raw_id, Era.MODERN)
        if self.stream is not None:
            self._in_task(deliver(self.stream, outcome))
            return
        self._release()
        self.served.reply(reply(outcome))

    def outlet(self) -> Outlet:
        return self._streaming()

    def go_on(self, work: Callable[[Outlet], Coroutine[Any, Any, bytes]]) -> None:
        stream = self._streaming()
        self.running = running = Running(self)
        self._in_task(self._at_length_on(stream, running, work))

    def _in_task(self, work: Coroutine[Any, Any, WireAnswer]) -> None:
        # Not a `finally` of the work: a task that is cancelled before its first step would skip it.
        self.served.go_on(work).add_done_callback(lambda _: self._release())

    async def _at_length_on(
        self, stream: EventStream, running: Running, work: Callable[[Outlet], Coroutine[Any, Any, bytes]]
    ) -> WireAnswer:
        outcome = running.refusal(self.raw_id)
        if outcome is None:
            # Begun here: a task that is cancelled before its first step would leave it unawaited.
            work_begun = outcome_of_work(work(stream), CALL, Era.MODERN, self.raw_id)
            outcome = await running.outcome(work_begun, self.raw_id)
        return await deliver(stream, outcome)
