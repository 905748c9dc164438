"""One exchange asked of the one backend that owns it, and every question that comes back on the way.

Most calls are one await; only a modern client that can be asked something, with a backend that asks in the
middle of a call, makes the call a task of its own that outlives the request.
Spec: 2026-07-28 basic/patterns/mrtr; 2025-11-25 client/elicitation, client/sampling, client/roots.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from msgspec import Raw, structs

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import ANYONE, Answer, Call
from proxy_core.backends.direct_call import DirectLane
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.routes import Route
from proxy_core.clock import Clock
from proxy_core.config.models import Config, is_loopback
from proxy_core.errors import (
    BackendError,
    ErrorCode,
    InvalidParams,
    InvalidRequestState,
    MissingCapability,
    Overloaded,
    ParseError,
    UnknownResource,
)
from proxy_core.gateway import answers, completion
from proxy_core.gateway.coalescing import Flight, Flights
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.input_requests import InputRequests
from proxy_core.gateway.operator_desk import OperatorDesk
from proxy_core.gateway.owners import ResourceOwners
from proxy_core.gateway.parking import ParkingTable, WaitingCall
from proxy_core.gateway.questions import Questions
from proxy_core.gateway.rounds import Rounds, needed_by, unusable
from proxy_core.gateway.sharing import Crowd, Sharing, is_personal
from proxy_core.gateway.sink import ExchangeSink
from proxy_core.gateway.states import StateKind, States
from proxy_core.gateway.tasks_extension import TasksExtension
from proxy_core.protocol import input_requests, jsonrpc, meta, tasks
from proxy_core.protocol.capabilities import TASKS, as_object
from proxy_core.protocol.input_answers import action
from proxy_core.protocol.input_requests import MAY_ASK, Unaskable
from proxy_core.protocol.revisions import LATEST_LEGACY, Era
from proxy_core.protocol.sealed import Sealer

_BROUGHT_BACK: Final = re.compile(rb'"(?:requestState|inputResponses)"')


class _Retry(NamedTuple):
    """What a modern client brought back. `kind` None: answers and no state, for a server that gave none."""

    kind: StateKind | None
    kept: str
    replica: str
    """The one that gave the state; empty: any."""
    responses: dict[str, Raw]

    def for_backend(self) -> dict[str, bytes]:
        """The members that a modern server gets back."""
        members = {"inputResponses": jsonrpc.encode(self.responses)} if self.responses else {}
        if self.kind is StateKind.WRAP:
            members["requestState"] = jsonrpc.encode(self.kept)
        return members


@dataclass(slots=True, eq=False)
class _Turn:
    """One request and the call that it makes, or comes back to."""

    exchange: Exchange
    route: Route
    uri: str | None
    backend: Backend
    call: Call
    sink: ExchangeSink
    waiting: WaitingCall | None = None
    sharing: Sharing | None = None
    """How it may be answered with others'; None: it may not."""
    is_after_input: bool = False
    """Whether what somebody was asked is in its answer."""


class Asking:
    def __init__(
        self,
        config: Callable[[], Config],
        registry: Callable[[], BackendRegistry],
        clock: Clock,
        sealer: Callable[[], Sealer],
        owners: ResourceOwners,
        flights: Flights,
        desk: OperatorDesk,
    ) -> None:
        self._config = config
        self._clock = clock
        self._flights = flights
        self._registry = registry
        self._owners = owners
        self._desk = desk
        self._questions = Questions(config, desk)
        self._states = States(sealer, clock)
        self._input = InputRequests(self._questions, self._states)
        self._rounds = Rounds(self._questions)
        self._parking = ParkingTable(clock, self._parked_limit)
        self._callers: dict[str, Caller] = {}
        """Legacy clients by session."""
        self.tasks = TasksExtension(registry, sealer, self._questions, owners)

    async def ask(
        self,
        exchange: Exchange,
        route: Route,
        replace: dict[str, bytes],
        uri: str | None = None,
        sharing: Sharing | None = None,
    ) -> bytes:
        """The backend's answer for this caller; `uri` is set for resources/read, as the client wrote it.

        `sharing`: the request may be answered together with others; what came of it is noted there.
        Raises: Only1Error.
        """
        if exchange.aim is not None:
            aim = exchange.aim
            route = structs.replace(route, server=aim.server, header_params=aim.header_params)
        if exchange.permit is not None:
            tool = route.origin if exchange.method == tasks.CALL else ""
            exchange.permit.to_server(route.server, tool, self._clock.monotonic())
        exchange.backend = route.server
        if exchange.trace is not None:
            exchange.trace.server = route.server
            if exchange.met is None:
                exchange.trace.step("routed", route.origin)
        if exchange.caller.session is not None:
            self.seen(exchange.caller)
        token = exchange.progress_token
        if token is None:
            token = meta.progress_token(meta.read_meta(exchange.params))
        retry = self._retry(exchange) if _may_be_retry(exchange) else None
        if retry is not None and retry.kind is StateKind.RETRY:
            if self._input.was_declined(retry.kept, retry.responses):
                return self._input.declined(route.server, exchange)
        turn = self._turn(exchange, route, replace, uri, token, retry, sharing)
        turn.is_after_input = retry is not None
        try:
            answer = await self._answered(turn)
        except BackendError as error:
            return self._refused(turn, error)
        return answer if isinstance(answer, bytes) else self._turned(turn, answer)

    # --- without a task ---------------------------------------------------------------------------------------

    def lane(self, caller: Caller, route: Route, own_meta: bytes) -> DirectLane | None:
        """For calls of this tool by clients like this one that are made in no task; None if none are.

        They have but arguments and a `_meta` that is `own_meta`, and hear of no progress. If their client has
        to be asked something before there is an answer, that takes a task; but for what a legacy server asks
        in the middle, which goes to the `sink`.
        """
        backend = self._registry().find(route.server)
        if backend is None or self._desk.is_open or _may_have_to_wait(tasks.CALL, caller, backend):
            return None
        call = Call(
            tasks.CALL,
            jsonrpc.NO_JSON,
            name=route.origin,
            principal=caller.principal,
            session=caller.session,
            client=caller.client,
            affinity=caller.affinity,
            capabilities=caller.capabilities,
        )
        self.seen(caller)
        return backend.lane(call, own_meta)

    def sink(self, exchange: Exchange, server: str) -> ExchangeSink:
        """For what a legacy server says in the middle of such a call."""
        return ExchangeSink(exchange, jsonrpc.NO_JSON, server, self._questions)

    def result_of(self, exchange: Exchange, backend: Backend, route: Route, answer: Answer) -> bytes | None:
        """What an answer comes to; None if it is no result yet. `backend`: it may have left since.

        Raises: Only1Error.
        """
        if exchange.method in MAY_ASK and needed_by(route.server, answer) is not None:
            return None
        created = self.tasks.created(exchange, backend, route.origin, answer)
        return created or self._result(exchange, route, answer)

    async def go_on_with(
        self, exchange: Exchange, route: Route, replace: dict[str, bytes], answer: Answer
    ) -> bytes:
        """The same for an answer that is no result yet. Raises: Only1Error."""
        turn = self._turn(exchange, route, replace, None, jsonrpc.NO_JSON, None, None)
        try:
            judged = await self._judged(turn, answer)
        except BackendError as error:
            return self._refused(turn, error)
        return judged if isinstance(judged, bytes) else self._turned(turn, judged)

    def _retry(self, exchange: Exchange) -> _Retry | None:
        members = jsonrpc.members(exchange.params)
        raw_state = members.get("requestState", jsonrpc.NO_JSON)
        raw_responses = members.get("inputResponses", jsonrpc.NO_JSON)
        if jsonrpc.is_empty(raw_state) and jsonrpc.is_empty(raw_responses):
            return None
        responses, state = _responses(raw_responses), jsonrpc.decode(raw_state)
        if state is not None:
            return _Retry(*self._states.open(exchange, state), responses)
        return _Retry(None, "", "", responses) if responses else None

    # --- the call ---------------------------------------------------------------------------------------------

    def _turn(
        self,
        exchange: Exchange,
        route: Route,
        replace: dict[str, bytes],
        uri: str | None,
        token: Raw,
        retry: _Retry | None,
        sharing: Sharing | None,
    ) -> _Turn:
        caller, backend = exchange.caller, self._registry().get(route.server)
        if caller.log_level is not None:
            # Legacy too: the server may have been added since the client set its level.
            backend.want_log_level(caller.log_level)
        if retry is not None:
            if retry.kind is StateKind.PARK:
                return self._claimed(exchange, route, uri, token, retry, backend)
            replace = replace | self._brought_back(backend, retry)
        sink = exchange.sink or ExchangeSink(exchange, token, route.server, self._questions)
        call = Call(
            exchange.method,
            exchange.params,
            replace,
            name=None if exchange.method == completion.METHOD else route.origin,
            sink=sink,
            log_level=caller.log_level,
            header_params=route.header_params,
            principal=caller.principal,
            session=caller.session,
            client=caller.client,
            affinity=caller.affinity,
            # Replicas need not know each other's states.
            replica=(retry.replica or None) if retry is not None else exchange.aim and exchange.aim.replica,
            capabilities=self._desk.declared(caller.capabilities),
            may_be_task=_may_be_task(exchange.method, exchange.caller),
            has_asked=exchange.met is not None and exchange.met.has_asked,
            met=exchange.met,
            trace=exchange.trace,
        )
        turn = _Turn(exchange, route, uri, backend, call, sink, sharing=sharing)
        if _may_have_to_wait(exchange.method, exchange.caller, backend):
            make = backend.call if sharing is None else partial(self._shared, turn, sharing)
            turn.waiting = self._parking.begin(call, sink, make)
        return turn

    def _claimed(
        self, exchange: Exchange, route: Route, uri: str | None, token: Raw, retry: _Retry, backend: Backend
    ) -> _Turn:
        waiting = self._parking.claim(retry.kept)
        if waiting is None:
            # Claimed already, expired, or of an earlier life of this process. Its call is never made again.
            raise InvalidRequestState
        if exchange.trace is not None:
            exchange.trace.step("resumed")
        waiting.resume(exchange, token, retry.responses)
        return _Turn(exchange, route, uri, backend, waiting.call, waiting.sink, waiting)

    def _brought_back(self, backend: Backend, retry: _Retry) -> dict[str, bytes]:
        if backend.peer is None or backend.peer.era is Era.MODERN:
            return retry.for_backend()
        if retry.kind is StateKind.WRAP:
            # The server has changed its era since; it would not know its own state.
            raise InvalidRequestState
        return {}

    async def _answered(self, turn: _Turn) -> Answer | bytes:
        """As `_answer`; pages to be visited first are an operator's, if the client cannot be sent there."""
        try:
            return await self._answer(turn)
        except BackendError as error:
            if not self._has_pages_for_desk(turn, error):
                raise
            if not await self._are_visited(turn, error):
                return self._input.declined(turn.route.server, turn.exchange)
        turn.is_after_input, turn.sharing = True, None
        if turn.waiting is not None:
            turn.waiting = self._parking.begin(turn.call, turn.sink, turn.backend.call)
        return await self._answer(turn)

    def _has_pages_for_desk(self, turn: _Turn, error: BackendError) -> bool:
        is_asking = error.code == ErrorCode.LEGACY_URL_ELICITATION_REQUIRED and self._desk.is_open
        can_visit = "elicitation.url" in turn.exchange.caller.capabilities.features
        return is_asking and not can_visit and turn.exchange.method in MAY_ASK

    async def _are_visited(self, turn: _Turn, error: BackendError) -> bool:
        exchange, server = turn.exchange, turn.route.server
        try:
            for page in self._input.pages(server, error):
                target = exchange.target or ""
                said = await self._desk.ask(server, exchange.caller, target, page, exchange.trace)
                if action(Raw(said)) != "accept":
                    return False
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal
        return True

    async def _answer(self, turn: _Turn) -> Answer | bytes:
        """The backend's answer, or the result that asks a modern client for input. Raises: Only1Error."""
        sharing = turn.sharing
        if turn.waiting is None:
            if sharing is None:
                answer = await turn.backend.call(turn.call)
            else:
                answer = await self._shared(turn, sharing, turn.call)
        elif await self._parking.settled(turn.waiting):
            answer = turn.waiting.answer()
        else:
            return self._parked(turn.exchange, turn.waiting)
        return await self._judged(turn, answer)

    async def _judged(self, turn: _Turn, answer: Answer) -> Answer | bytes:
        """The answer, once its server needs nothing more for it."""
        exchange, server = turn.exchange, turn.route.server
        needed = needed_by(server, answer) if exchange.method in MAY_ASK else None
        if needed is None:
            return self.tasks.created(exchange, turn.backend, turn.route.origin, answer) or answer
        turn.call.replica = answer.replica
        if exchange.caller.era is Era.MODERN:
            if self._desk.is_open:
                outcome = await self._rounds.at_desk(turn.backend, turn.call, exchange, needed)
                turn.is_after_input |= outcome is not needed
                if isinstance(outcome, Answer):
                    return self.tasks.created(exchange, turn.backend, turn.route.origin, outcome) or outcome
                needed = outcome
            if exchange.trace is not None:
                exchange.trace.step("asked", "in the answer: its client is to come back with input")
                exchange.trace.begin_round()
            return self._input.passed_on(server, answer.replica, exchange, needed)
        return await self._rounds.play(turn.backend, turn.call, exchange, needed)

    async def _shared(self, turn: _Turn, sharing: Sharing, call: Call) -> Answer:
        """One call for all who ask the same at the same time."""

        async def make(flight: Flight[Answer]) -> Answer:
            if flight.waiting:
                call.sink = Crowd(flight)
            try:
                answer = await turn.backend.call(call)
            finally:
                call.sink = turn.sink
            if is_personal(call, answer):
                flight.keep_personal()
            return answer

        trace = turn.exchange.trace
        if sharing.key is None:
            answer, flight = await self._flights.alone(sharing.subject, make)
        elif trace is None:
            answer, flight = await self._flights.join(sharing.key, sharing.subject, make, turn.sink)
        else:
            may_join = self._flights.is_under_way(sharing.key)
            if may_join:
                trace.step("joined", "an equal request is under way")
            answer, flight = await self._flights.join(sharing.key, sharing.subject, make, turn.sink)
            if may_join and not trace.attempts:
                trace.saved = "joined"
        sharing.is_void = flight.is_void
        sharing.answer = None if flight.is_personal else answer
        return answer

    def _parked(self, exchange: Exchange, waiting: WaitingCall) -> bytes:
        try:
            park_id = self._parking.park(waiting)
        except Overloaded:
            self._parking.give_up(waiting)
            raise
        if exchange.trace is not None:
            exchange.trace.step("parked", f"until its client brings {len(waiting.requests())} answers")
        return self._input.parked(exchange, park_id, waiting.requests())

    def _parked_limit(self, principal: str) -> int:
        config = self._config()
        # On loopback everyone is the one user of this machine.
        is_exempt = principal == ANYONE and is_loopback(config.proxy.host)
        return 0 if is_exempt else config.limits.parked

    # --- what came of it --------------------------------------------------------------------------------------

    def _turned(self, turn: _Turn, answer: Answer) -> bytes:
        return self._result(turn.exchange, turn.route, answer, turn.uri, turn.is_after_input)

    def _result(
        self,
        exchange: Exchange,
        route: Route,
        answer: Answer,
        uri: str | None = None,
        is_after_input: bool = False,
    ) -> bytes:
        result = answer.result
        if answer.plain is not None:
            exchange.is_tool_error = answer.plain.is_error
            as_is = result if answer.era is Era.LEGACY else None
            ready = answers.plain_for(exchange.caller, answer.plain, as_is)
            if ready is not None:
                return ready
        if uri is not None:
            if answers.has_no_contents(result):
                raise UnknownResource(uri)
            result = answers.with_uri(result, route.origin, uri)
        era, server = answer.era, route.server
        result = self._owners.with_links(exchange.method, result, server, exchange.caller.viewer)
        return answers.result_for(exchange.caller, exchange.method, result, era, server, is_after_input)

    def _refused(self, turn: _Turn, error: BackendError) -> bytes:
        """An error that asks for something is put as a question; any other is raised."""
        exchange, server = turn.exchange, turn.route.server
        caller = exchange.caller
        if error.code == ErrorCode.LEGACY_URL_ELICITATION_REQUIRED and exchange.method in MAY_ASK:
            if caller.era is Era.MODERN:
                return self._input.pages_first(server, exchange, error)
            if caller.revision == LATEST_LEGACY:
                raise self._input.pages_error(server, exchange, error) from error
        if turn.sink.refused and caller.era is Era.MODERN:
            raise MissingCapability(as_object(turn.sink.refused)) from error
        raise answers.error_for(caller, exchange.method, error, turn.uri) from error

    # --- outside of calls -------------------------------------------------------------------------------------

    def seen(self, caller: Caller) -> None:
        """Remember a legacy client, so that its session can be asked."""
        if caller.session is not None:
            self._callers[caller.session] = caller

    def session_ended(self, caller: Caller) -> None:
        if caller.session is not None:
            self._callers.pop(caller.session, None)
        self._questions.forget(caller)

    def elicitation_complete(self, backend: str, elicitation_id: str) -> None:
        """Tell the session that was given this id."""
        self._questions.page_done(backend, elicitation_id)

    async def session_request(
        self, backend: str, session: str, request: jsonrpc.Request
    ) -> bytes | jsonrpc.RpcError:
        """A question of a backend that serves this legacy session alone, asked on the session's own stream."""
        caller = self._callers.get(session)
        if caller is None or caller.stream is None or not self._owners.reaches(backend, caller.viewer):
            return jsonrpc.RpcError(ErrorCode.METHOD_NOT_FOUND, "The client cannot be asked.")
        try:
            question = input_requests.read(request.method, request.params)
            question = self._questions.checked(backend, question, caller.capabilities)
        except Unaskable as refusal:
            return jsonrpc.RpcError(refusal.code, refusal.message)
        return await self._questions.answer(backend, caller, caller.stream, question)

    async def aclose(self) -> None:
        """Answer what is still open with a cancellation; nothing is asked any more."""
        self._questions.close()
        await self._parking.aclose()


def _may_be_retry(exchange: Exchange) -> bool:
    """Whether it is worth a look. Members that are spelled with escapes are not ours, and go nowhere."""
    if exchange.caller.era is Era.LEGACY or exchange.method not in MAY_ASK:
        return False
    return _BROUGHT_BACK.search(memoryview(exchange.params)) is not None


def _may_have_to_wait(method: str, caller: Caller, backend: Backend) -> bool:
    """Whether this call may come to need its client in the middle, when a modern one cannot be asked."""
    if caller.era is Era.LEGACY or not caller.capabilities.features or method not in MAY_ASK:
        return False
    peer = backend.peer
    if peer is None or peer.era is Era.LEGACY:
        return True
    return _may_be_task(method, caller) and peer.extension(TASKS) is not None


def _may_be_task(method: str, caller: Caller) -> bool:
    """Whether a server that insists on a task gets its way though the client knows none: we see it through.

    A task may come to need input at any time, and is then lost if there is none to be had. So a modern client
    that cannot be asked anything is told what the server says: it may declare tasks, which a legacy one cannot.
    """
    if method != tasks.CALL or caller.capabilities.declares(TASKS):
        return False
    return caller.era is Era.LEGACY or bool(caller.capabilities.features)


def _responses(raw: Raw) -> dict[str, Raw]:
    if bytes(raw) == b"null":
        return {}
    try:
        return jsonrpc.members(raw)
    except ParseError as error:
        raise InvalidParams("params.inputResponses must be an object.") from error
