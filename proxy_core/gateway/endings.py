"""Where it is told that a request has ended, and how: to all who count, to the record, to the audit.

One place, whichever way the request went, so that nothing is told of one way and left out of another.
"""

from collections.abc import Callable

from msgspec import Raw

from proxy_core.access.audit.audit import Audit, AuditShut
from proxy_core.access.audit.refusals import Refusal
from proxy_core.clock import Clock
from proxy_core.errors import Only1Error, Overloaded
from proxy_core.facts import Fact, RequestFinished
from proxy_core.gateway import recording
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.telemetry.recorder import Recorder
from proxy_core.telemetry.trace import Headers, Trace


class Endings:
    """Of all requests of a gateway."""

    def __init__(self, clock: Clock, publish: Callable[[Fact], None], recorder: Recorder | None) -> None:
        """`recorder`: of exchanges, if any."""
        self.audit: Audit | None = None
        """Where every call is told of, if anywhere."""
        self.reserves: Callable[[float], bool] = recorder.reserves if recorder is not None else _never
        """As `Recorder.reserves`; asked on the way of every call, so nothing stands in between."""
        self._clock = clock
        self._publish = publish
        self._recorder = recorder

    # --- recorded in full, from its beginning -----------------------------------------------------------------

    def recorded(self, exchange: Exchange, at: float) -> Trace | None:
        """The trace of one that begins now; None: it is recorded in brief, or not at all."""
        recorder = self._recorder
        if recorder is None or not recorder.is_on or exchange.method in recording.UNRECORDED:
            return None
        if exchange.replay_of is None and not recorder.takes(at):
            return None
        return recording.begun(recorder, exchange, at)

    def traced(self, caller: Caller, method: str, params: Raw, headers: Headers, at: float) -> Trace | None:
        """As `recorded`, for one that is no exchange and for which there is a place in reserve."""
        recorder = self._recorder
        if recorder is None or not recorder.takes(at):
            return None
        return recorder.begin(method, params, caller, at, headers)

    # --- its end ----------------------------------------------------------------------------------------------

    def ended(
        self,
        finished: RequestFinished,
        caller: Caller,
        params: Raw,
        trace: Trace | None = None,
        result: bytes = b"",
        failure: Only1Error | None = None,
        peer: str = "",
    ) -> None:
        """`trace`: if it is recorded in full, with the `result`, or the `failure` of one that has none.
        `peer`: its address, if it may be another than the caller's."""
        self._publish(finished)
        recorder = self._recorder
        if recorder is not None:
            if trace is not None:
                recording.ended(recorder, trace, finished, result, failure)
            elif recorder.is_on and finished.method not in recording.UNRECORDED:
                recorder.brief(finished, memoryview(params).nbytes)
        audit = self.audit
        if audit is None:
            return
        if failure is None:
            audit.call(caller, peer or caller.peer, params, finished)
        else:
            self._write_down(audit, finished, caller, params, failure, peer or caller.peer)

    def _write_down(
        self,
        audit: Audit,
        finished: RequestFinished,
        caller: Caller,
        params: Raw,
        failure: Only1Error,
        peer: str,
    ) -> None:
        if not isinstance(failure, Overloaded):
            audit.call(caller, peer, params, finished)
        elif not isinstance(failure, AuditShut):
            # However many are too many, they are few lines.
            self.refused(caller, finished.method, failure, peer)

    def refused(self, caller: Caller, method: str, error: Only1Error, peer: str = "") -> None:
        """A request of this caller was not taken, as one too many is not."""
        if self.audit is not None:
            self.audit.refused(Refusal("mcp", error.code, error.message, caller.principal, peer, method))

    def said(self, exchange: Exchange, result: bytes = b"") -> None:
        """What is answered at once and counted nowhere, as a handshake or the beginning of a stream."""
        caller, now = exchange.caller, self._clock.monotonic()
        finished = finished_as(caller, exchange.method, None, None, now, now, None, len(result), False)
        if self.audit is not None:
            self.audit.call(caller, exchange.peer or caller.peer, exchange.params, finished)
        if self._recorder is not None and (trace := self.recorded(exchange, now)) is not None:
            recording.ended(self._recorder, trace, finished, result, None)

    def shuts_out(self, method: str) -> bool:
        """Whether a request for this is refused because no call may go unaudited; it then is counted."""
        return self.audit is not None and self.audit.is_shut and self.audit.shuts_out(method)


def _never(_at: float) -> bool:
    return False


def finished_as(
    caller: Caller,
    method: str,
    server: str | None,
    target: str | None,
    begun_at: float,
    now: float,
    code: int | None,
    bytes_out: int,
    is_tool_error: bool,
) -> RequestFinished:
    """Times in monotonic seconds; `code` of a failure."""
    return RequestFinished(
        now,
        caller.client,
        caller.principal,
        caller.era,
        caller.revision,
        method,
        server,
        target,
        (now - begun_at) * 1000,
        code,
        is_tool_error,
        bytes_out,
    )
