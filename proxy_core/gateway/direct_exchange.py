"""A tools/call that is answered without a task: from its server's answer to its client's, in one step.

What such calls of one client have in common is worked out once, and each of them only looks whether it still
holds. What turns out to be more than ordinary goes on in a task of whoever serves the client.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from msgspec import Raw, Struct

from proxy_core.access.limits import Permit
from proxy_core.access.meters import Meter
from proxy_core.backends.call import Answer, Met
from proxy_core.backends.direct_call import DirectCall, DirectLane
from proxy_core.backends.upward import CallSink
from proxy_core.catalog.routes import Route
from proxy_core.errors import BackendError, BackendFault, Only1Error
from proxy_core.gateway import answers
from proxy_core.gateway.asking import Asking
from proxy_core.gateway.exchange import Caller, Exchange, Nobody, Outlet
from proxy_core.gateway.recording import RecordedOutlet
from proxy_core.gateway.sink import ExchangeSink
from proxy_core.protocol import jsonrpc, results
from proxy_core.protocol.results import PlainResult
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import CALL
from proxy_core.telemetry.records import CANCELLED
from proxy_core.telemetry.trace import Headers, Trace


class Keeper(Protocol):
    """The gateway."""

    asking: Asking

    def keeps(self, lane: "CallLane") -> bool:
        """Whether the catalog is what it was when it was made; each reload makes it another."""
        ...

    def begins(self) -> float | None:
        """Now, in monotonic seconds, if a call may begin without a task; None if it may not."""
        ...

    def enter(self, lane: "CallLane", begun_at: float, params: Raw, peer: str) -> Permit:
        """What a call takes of limits. Raises: Overloaded, and has told that it ended so."""
        ...

    @property
    def reserves(self) -> Callable[[float], bool]:
        """Whether one that begins at this time, which is now, can be recorded in full; `traced` then is to do
        it."""
        ...

    def traced(self, lane: "CallLane", params: Raw, headers: Headers, begun_at: float) -> Trace | None:
        """Record a call from now on; None if it is too late for that."""
        ...

    def refused(self, caller: Caller, method: str, error: Only1Error, peer: str = "") -> None:
        """A request was not handed on, as one too many is not."""
        ...

    def call_ended(
        self,
        lane: "CallLane",
        begun_at: float,
        code: int | None,
        result: bytes,
        params: Raw,
        is_tool_error: bool,
        trace: Trace | None,
        failure: Only1Error | None,
        peer: str,
    ) -> None: ...

    @property
    def go_on(self) -> Callable[[Exchange, float, Callable[[], Awaitable[bytes]]], Awaitable[bytes]]:
        """Of an exchange that was begun without a task, and when: what is left of it, to its end."""
        ...


class CallLane:
    """What calls of one tool, by a client that says the same of itself, have in common."""

    __slots__ = (
        "asking",
        "caller",
        "gateway",
        "is_limited",
        "limits_version",
        "meters",
        "name",
        "replace",
        "route",
        "version",
        "way",
    )

    def __init__(
        self,
        gateway: Keeper,
        version: int,
        caller: Caller,
        name: str,
        route: Route,
        way: DirectLane,
        *,
        is_limited: bool,
    ) -> None:
        """`version`: of the catalog; it is good as long as that is in force. `name`: as exposed.
        `is_limited`: whether anything is."""
        self.gateway = gateway
        self.asking = gateway.asking
        self.version = version
        self.caller = caller
        self.name = name
        self.route = route
        self.way = way
        self.is_limited = is_limited
        self.meters: tuple[Meter, ...] = ()
        self.limits_version = -1
        """In which `meters` are those of its calls."""
        self.replace = {"name": jsonrpc.encode(route.origin)}

    def is_good(self) -> bool:
        """Whether calls may still go by it; another that is made now may go elsewhere, or not at all."""
        return self.gateway.keeps(self) and self.way.is_good()


class DirectExchange(Struct, eq=False):
    """One such call (`backends.direct_call.Ended`). Whoever serves its client adds what it is told.

    One of `result`, `refused` and `go_on` is called, once, but for a call that was cancelled.
    """

    lane: CallLane
    params: Raw
    arguments: Raw
    headers: Headers
    """For its record."""
    started_at: float = 0.0
    call: DirectCall | None = None
    """Until something was told."""
    permit: Permit | None = None
    """What it holds of limits, where there are any."""
    trace: Trace | None = None
    """Where it is recorded, if it is in full."""
    peer: str = ""
    """Address of the other end of the connection that brought it, where it may be another than the caller's."""
    heard: ExchangeSink | None = None
    """Where that goes which a legacy server says meanwhile, once it has to be known."""

    # --- what is asked, for whoever asks that of any request --------------------------------------------------

    @property
    def asked(self) -> "DirectExchange":
        return self

    @property
    def caller(self) -> Caller:
        return self.lane.caller

    @property
    def method(self) -> str:
        return CALL

    @property
    def target(self) -> str:
        return self.lane.name

    @property
    def backend(self) -> str:
        return self.lane.route.server

    # --- for whoever serves the client: none may raise -------------------------------------------------------

    def result(self, result: bytes) -> None:
        """As JSON, already shaped for the caller's revision."""
        raise NotImplementedError

    def refused(self, error: Only1Error) -> None:
        raise NotImplementedError

    def outlet(self) -> Outlet:
        """Its client is told something before the result: where that goes from now on."""
        raise NotImplementedError

    def go_on(self, work: Callable[[Outlet], Coroutine[Any, Any, bytes]]) -> None:
        """It takes a task: run this there, which comes to a result or raises Only1Error."""
        raise NotImplementedError

    # --- its way ----------------------------------------------------------------------------------------------

    def begin_call(self) -> bool:
        """Whether it could be done like this; if not, nothing was. Raises: Overloaded."""
        lane = self.lane
        started_at = lane.gateway.begins()
        if started_at is None:
            return False
        self.started_at = started_at
        if lane.is_limited:
            self.permit = lane.gateway.enter(lane, started_at, self.params, self.peer)
        is_recorded = lane.gateway.reserves(started_at)
        self.call = lane.way.begin(self.arguments, started_at, self)
        if self.call is None:
            if self.permit is not None:
                # Whoever asks the ordinary way is counted there.
                self.permit.undo()
            return False
        if is_recorded:
            self._record(self.call)
        return True

    def _record(self, call: DirectCall) -> None:
        self.trace = self.lane.gateway.traced(self.lane, self.params, self.headers, self.started_at)
        if self.trace is not None:
            call.record(self.arguments, self.trace)

    def _ended(
        self,
        code: int | None,
        result: bytes,
        is_tool_error: bool = False,
        failure: Only1Error | None = None,
    ) -> None:
        if self.permit is not None:
            self.permit.leave()
        lane = self.lane
        lane.gateway.call_ended(
            lane, self.started_at, code, result, self.params, is_tool_error, self.trace, failure, self.peer
        )

    def cancel_call(self) -> None:
        """Its client has gone. Not to be called once anything was told."""
        call, self.call = self.call, None
        if call is not None:
            call.cancel()
            self._ended(CANCELLED, b"")

    def answered(self, answer: Answer) -> None:
        plain = results.plain_result(answer.result)
        if plain is None:
            self.call = None
            self._look_closer(answer)
        else:
            self.plainly(plain, answer.result)

    def plainly(self, plain: PlainResult, whole: Raw | None = None) -> None:
        """`whole`: as it came, if that is at hand."""
        self.call = None
        lane, as_is = self.lane, None
        if lane.way.is_legacy and lane.caller.era is Era.LEGACY:
            as_is = results.plain_whole(plain) if whole is None else whole
        result = answers.plain_for(lane.caller, plain, as_is)
        if result is None:
            self._look_closer(lane.way.answer(results.plain_whole(plain) if whole is None else whole))
            return
        self._ended(None, result, plain.is_error)
        self.result(result)

    def _look_closer(self, answer: Answer) -> None:
        try:
            self._told_after_a_look(answer)
        except Exception as error:
            # Not to be let out into the connection that brought the answer, which has done nothing wrong.
            self._go_on(partial(_raising, error))

    def _told_after_a_look(self, answer: Answer) -> None:
        lane, exchange = self.lane, self._exchange()
        try:
            result = lane.asking.result_of(exchange, lane.way.backend, lane.route, answer)
        except Only1Error as error:
            self._ended(error.code, b"", failure=error)
            self.refused(error)
            return
        if result is None:
            self._go_on(lambda exchange: lane.asking.go_on_with(exchange, lane.route, lane.replace, answer))
            return
        self._ended(None, result, answers.says_is_error(result))
        self.result(result)

    def failed(self, failure: BackendError | BackendFault) -> None:
        call = self.call.call if self.call is not None else None
        self.call = None
        met = Met(failure, self.started_at, call is not None and call.has_asked)
        self._go_on(partial(_repeated, self.lane, met))

    def sink(self) -> CallSink:
        exchange = self._exchange()
        exchange.outlet = self._recorded(_LateOutlet(self))
        self.heard = self.lane.asking.sink(exchange, self.lane.route.server)
        return self.heard

    def _go_on(self, work: Callable[[Exchange], Awaitable[bytes]]) -> None:
        if self.permit is not None:
            # `Gateway.go_on` takes it again: a task that is cancelled before its first step never gets there.
            self.permit.leave()
        self.go_on(partial(self._at_length, work))

    async def _at_length(self, work: Callable[[Exchange], Awaitable[bytes]], outlet: Outlet) -> bytes:
        exchange = self._exchange()
        exchange.outlet = self._recorded(outlet)
        return await self.lane.gateway.go_on(exchange, self.started_at, lambda: work(exchange))

    def _recorded(self, outlet: Outlet) -> Outlet:
        return outlet if self.trace is None else RecordedOutlet(outlet, self.trace)

    def _exchange(self) -> Exchange:
        lane = self.lane
        return Exchange(
            CALL,
            self.params,
            lane.caller,
            NOBODY,
            None,
            jsonrpc.NO_JSON,
            backend=lane.route.server,
            target=lane.name,
            sink=self.heard,
            headers=self.headers,
            permit=self.permit,
            trace=self.trace,
            peer=self.peer,
        )


class _LateOutlet(Struct, eq=False):
    """Opened by what is first sent through it: of most calls that is nothing."""

    exchange: DirectExchange

    def notify(self, message: bytes) -> None:
        self.exchange.outlet().notify(message)

    def let_go(self) -> None:
        self.exchange.outlet().let_go()

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        return await self.exchange.outlet().request(method, params, timeout_s=timeout_s)


NOBODY: Outlet = Nobody()


def _repeated(lane: CallLane, met: Met, exchange: Exchange) -> Awaitable[bytes]:
    exchange.met = met
    return lane.asking.ask(exchange, lane.route, lane.replace)


async def _raising(error: Exception, exchange: Exchange) -> bytes:
    raise error
