"""One open line to a backend: the handshake, requests and their answers, what the backend starts by itself.

Sole writer of its correlation, its revision and its capabilities. Knows no clients: a call's notifications go
to the sink that came with it, everything else goes up by `ConnectionOwner`.
Spec: 2026-07-28 basic (modern); 2025-11-25 basic/lifecycle (legacy).
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from msgspec import Raw

from proxy_core.backends.batch_support import BatchSupport
from proxy_core.backends.call import Call
from proxy_core.backends.channel import Channel, Outgoing, Receiver
from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.drill import DETAIL, Drilling
from proxy_core.backends.handshake import (
    CLIENT_INFO,
    NO_CAPABILITIES,
    Handshake,
    NoVerdicts,
    Verdicts,
    modern_params,
)
from proxy_core.backends.isolation import declared_with_call
from proxy_core.backends.listening import ListenFeed
from proxy_core.backends.notices import Notices
from proxy_core.backends.opening import Initialized, TransportKind
from proxy_core.backends.owner import ConnectionOwner
from proxy_core.backends.pace import Paced, at_once
from proxy_core.backends.peer import nobody, plain_object
from proxy_core.backends.questions import Questions
from proxy_core.backends.recording import heard_answer, heard_failure, sending
from proxy_core.backends.renewal import Renewal
from proxy_core.backends.slots import Slots, waited
from proxy_core.backends.subscribing import SubscribeFeed
from proxy_core.backends.task_runs import TaskRuns
from proxy_core.backends.wanted import FEED_METHODS, Feed
from proxy_core.backends.wire_batches import REVISION as BATCHING_REVISION
from proxy_core.backends.wire_batches import WireBatches
from proxy_core.clock import Clock
from proxy_core.config.models import (
    CircuitBreakerConfig,
    EndpointConfig,
    HealthConfig,
    RetryConfig,
    RoutingConfig,
)
from proxy_core.control import AbandonedCall
from proxy_core.errors import (
    BackendError,
    BackendFailing,
    BackendFault,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
    NotServable,
    Only1Error,
    ParseError,
)
from proxy_core.facts import Fact
from proxy_core.protocol import header_params, jsonrpc, meta, results, tasks
from proxy_core.protocol.capabilities import NONE, ClientCapabilities, declaration
from proxy_core.protocol.headers import Headers
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN, Era
from proxy_core.tasks import Tasks

if TYPE_CHECKING:
    from proxy_core.backends.direct_call import DirectCall

LISTEN_S: Final = 10 * 365 * 86_400.0
"""A listen has no deadline; its end is the backend's or ours."""


class Waiter(Protocol):
    """Whoever hears what comes of a request: a future, or a call that has no task. Nothing here may raise."""

    def done(self) -> bool: ...

    def cancelled(self) -> bool: ...

    def set_result(self, result: Raw, /) -> None: ...

    def set_exception(self, failure: BackendError | BackendFault, /) -> None: ...

    def exception(self) -> BaseException | None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every connection to any server."""

    verdicts: Verdicts = field(default_factory=NoVerdicts)
    server_queue: Callable[[], int] = lambda: 256
    """How many calls may wait for a free place, as the configuration in force says."""
    breaker: Callable[[], CircuitBreakerConfig] = CircuitBreakerConfig
    """Likewise, when a server is not asked."""
    health: Callable[[], HealthConfig] = HealthConfig
    retry: Callable[[], RetryConfig] = RetryConfig
    routing: Callable[[], RoutingConfig] = RoutingConfig
    publish: Callable[[Fact], None] = lambda fact: None
    wire_batch: Callable[[], int] = lambda: 0
    """How many requests go in one JSON-RPC batch at most, where there are batches; below two, none do."""
    paced: Paced = at_once
    """Makes each attempt to connect, when its turn has come."""


class Connection(Receiver):
    def __init__(
        self,
        settings: EndpointConfig,
        make_channel: Callable[[TransportKind, Receiver], Channel],
        owner: ConnectionOwner,
        clock: Clock,
        *,
        declared: ClientCapabilities = NONE,
        terms: Terms | None = None,
        batch_support: BatchSupport | None = None,
        drilling: Drilling | None = None,
    ) -> None:
        """`declared`: what a legacy server is told in `initialize`. `batch_support`, `drilling`: the server's
        own."""
        terms = terms or Terms()
        self._settings = settings
        self._make_channel = make_channel
        self._owner = owner
        self._clock = clock
        self._tasks = Tasks(f"connection:{settings.id}")
        self._correlation: Correlation[Waiter] = Correlation(f"g{secrets.token_hex(8)}-")
        self._channel: Channel | None = None
        self._fault: BackendFault | None = None
        self._is_closing = False
        self._closing: asyncio.Task[None] | None = None
        self._is_open = False
        self.slots = Slots(settings.concurrency, terms.server_queue)
        self._renewal = Renewal(self._tasks, self._renew_session)
        self._notices = Notices(self._correlation, owner, clock)
        self._questions = Questions(
            self._correlation,
            owner,
            clock,
            self._answer_backend,
            on_uncorrelated=self.slots.narrow,
            come_back=self.slots.come_back,
        )
        self._batch_support = batch_support or BatchSupport()
        self._drilling = drilling or Drilling()
        self._max_batch = terms.wire_batch
        self._batches: WireBatches | None = None
        """Only where the revision in force has them."""
        self._task_runs = TaskRuns(self, self._correlation, clock, self._tasks)
        said = declaration(declared, declared.announces_roots)
        self._handshake = Handshake(self, settings, said, terms.verdicts)
        self.declared = declared
        self.started_at = clock.monotonic()
        """When the channel was opened last, in monotonic seconds."""
        self.id = settings.id
        self.feed: Feed | None = None
        """What the backend tells unasked; set once `open` has returned."""
        self.peer = nobody(MODERN)
        """Meaningful once `open` has returned."""
        self.transport: TransportKind = settings.transport.type
        """What it turned out to be: an http backend may answer on HTTP+SSE only."""

    def use(self, settings: EndpointConfig) -> None:
        """Other settings from now on, but for the transport and the era, which take another connection."""
        self._settings = settings
        self.slots.widen(settings.concurrency)

    # --- opening --------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and agree on a revision.

        Raises: BackendFault, its `detail` saying in a person's words what went wrong.
        """
        try:
            await self._handshake.open()
        except NotServable as refusal:
            # What ended the channel says more than that the handshake came to nothing.
            raise (self._fault or refusal) from None
        if self._fault is not None:
            # It answered and went.
            raise self._fault
        self._is_open = True
        await self._opened()

    async def reopen(self, kind: TransportKind) -> None:
        """A fresh channel in place of the present one, for the handshake. Raises: BackendFault."""
        if self._channel is not None:
            await self._channel.aclose()
        self._fault = None
        self.transport = kind
        self._channel = self._make_channel(kind, self)
        self.started_at = self._clock.monotonic()
        await self._channel.open()

    async def _opened(self) -> None:
        self._look_for_batches()
        if self.peer.era is Era.LEGACY:
            await self.notify("notifications/initialized")
            if self._channel is not None:
                self._channel.start_stream(self.peer.revision)
        if self.feed is None:
            is_modern = self.peer.era is Era.MODERN
            self.feed = (
                ListenFeed(self, self._owner, self._clock, self._tasks)
                if is_modern
                else SubscribeFeed(self, self._owner, self._tasks)
            )
        self.feed.opened()

    def _look_for_batches(self) -> None:
        has_batches = self.peer.revision == BATCHING_REVISION and self.transport != "sse"
        if self._batches is not None:
            # Those in flight are still to be seen to.
            self._batches.is_allowed = has_batches
        elif has_batches:
            self._batches = WireBatches(
                self,
                self._correlation,
                self._renewal,
                self._clock,
                self._tasks,
                self._batch_support,
                self._max_batch,
                is_pipe=self.transport == "stdio",
            )

    async def _renew_session(self) -> bool:
        """Handshake again on the same channel; without success the connection is lost."""
        try:
            outcome = await self._handshake.initialize()
            if not isinstance(outcome, Initialized) or outcome.revision not in LEGACY_REVISIONS:
                raise BackendUnavailable(self.id, "The server ended our session and did not open another.")
            await self._opened()
        except BackendFault as fault:
            self.lose(fault)
            return False
        self._owner.session_renewed()
        return True

    # --- asking ---------------------------------------------------------------------------------------------

    async def call(self, call: Call) -> Raw:
        """The backend's own result, once there is a place for the call.

        Raises: BackendError for its error answer; Overloaded if too many wait; BackendFault otherwise.
        """
        slots = self.slots
        if call.is_parked:
            # It gave its place away before it had to be asked again.
            pass
        elif slots.taken < slots.limit:
            slots.taken += 1
        else:
            await self._wait_for_place(call)
        call.on_parked = slots.give
        try:
            if self._drilling.drill is not None:
                await self._drilling.felt(self.id, self._settings.timeouts.call_idle_s)
            return await self._renewal.around(lambda: self._call(call))
        finally:
            call.on_parked = None
            if not call.is_parked:
                slots.give()

    async def _wait_for_place(self, call: Call) -> None:
        if self._fault is not None:
            raise self._fault.unsent()
        began_at = self._clock.monotonic()
        await self.slots.wait(began_at + self._settings.timeouts.call_idle_s)
        if call.trace is not None:
            call.trace.step("queued", waited(began_at, self._clock.monotonic()))

    def mint(self) -> int:
        """An id for a request that is begun."""
        return self._correlation.mint()

    def begin(self, pending: Pending[Waiter], message: bytes, name: str) -> bool:
        """Send a tools/call at once, in no task; its waiter, which it becomes itself as soon as this is
        over, hears what comes of it, never before. False if anything stands in its way: then nothing was done.

        `message`: the whole request on one line. `name`: the server's own, of the tool. The place in `slots` is
        the caller's to take and to give. Raises: Only1Error, nothing done.
        """
        channel = self._channel
        if not self._is_open or self._fault is not None or self._is_closing or channel is None:
            return False
        if self._drilling.drill is not None or self._renewal.is_under_way:
            return False
        if not channel.begin(message, pending.id, name):
            return False
        self._correlation.add(pending)
        return True

    @property
    def begins_calls(self) -> bool:
        """Whether `begin` is ever of use: not where answers come on a stream of all, or requests in batches."""
        return self.transport != "sse" and self._batches is None

    @property
    def sessions(self) -> int:
        """How many a legacy server has opened here so far."""
        return self._renewal.sessions

    def session_lost(self, session: int) -> None:
        """A call that was begun when there were so many has lost its own."""
        self._renewal.lost(session)

    def withdraw_questions(self, pending: Pending[Waiter]) -> None:
        """A call that was begun has been answered, or has failed: its client is asked nothing more."""
        self._questions.ended(pending)

    def waits_for_call(self, call: Call) -> tuple[float, float]:
        """Seconds without a word, and in all."""
        timeouts = self._settings.timeouts
        if self._settings.tools.timeouts and call.name is not None and call.method == tasks.CALL:
            return self._settings.waits_for(call.name)
        return timeouts.call_idle_s, timeouts.call_s

    async def _call(self, call: Call) -> Raw:
        call.plain = None
        idle_s, cap_s = self.waits_for_call(call)
        if call.remaining_s is not None:
            cap_s = min(cap_s, call.remaining_s)
        pending = self._open_request(call.method, idle_s, cap_s, call)
        answer = self._carry(pending, call)
        return await (self._task_runs.to_end(pending.id, call, answer) if call.is_task else answer)

    async def ask_of_task(self, request: Call, call: Call | None, wait_s: float) -> Raw:
        return await self._carry(self._open_request(request.method, wait_s, wait_s, call), request)

    async def _carry(self, pending: Pending[Waiter], call: Call) -> Raw:
        try:
            params = self._params(call, pending)
            headers = self._param_headers(call) if call.header_params else None
        except Only1Error:
            self._correlation.close(pending.id)
            raise
        if call.trace is None:
            return await self._exchange(pending, params, call.name, headers)
        sending(call, self.id, self.peer, self.transport, params, headers)
        try:
            answer = await self._exchange(pending, params, call.name, headers)
        except (BackendError, BackendFault) as failure:
            heard_failure(call, failure)
            raise
        heard_answer(call, answer)
        return answer

    def _params(self, call: Call, pending: Pending[Waiter]) -> bytes:
        sink = call.sink
        token = self._correlation.token(pending) if sink is not None and sink.wants_progress else None
        if self.peer.era is Era.LEGACY:
            is_begun = call.is_task and call.method == tasks.CALL
            as_task = {"task": jsonrpc.encode({"ttl": self._task_ttl_ms})} if is_begun else {}
            return meta.for_legacy_backend(call.params, call.replace | as_task, token)
        capabilities = call.capabilities.with_tasks() if call.is_task else call.capabilities
        declared = NO_CAPABILITIES
        if capabilities is not NONE:
            declared = declaration(declared_with_call(capabilities, self.peer))
        return meta.for_modern_backend(
            call.params, call.replace, token, MODERN, declared, CLIENT_INFO, call.log_level
        )

    def meta_of_plain(self, call: Call, own: bytes) -> bytes:
        """The `_meta`, as JSON, that the server gets with such a call; empty: none. `own`: the client's."""
        if self.peer.era is Era.LEGACY:
            return meta.of_legacy_call(own)
        declared = NO_CAPABILITIES
        if call.capabilities is not NONE:
            declared = declaration(declared_with_call(call.capabilities, self.peer))
        return meta.of_modern_call(own, declared, CLIENT_INFO, MODERN)

    @property
    def _task_ttl_ms(self) -> int:
        return int(self._settings.timeouts.call_s * 1000)

    def _param_headers(self, call: Call) -> Headers | None:
        if not self._is_modern_http:
            return None
        arguments = jsonrpc.members(call.params).get("arguments", jsonrpc.NO_JSON)
        return header_params.headers_for(call.header_params, arguments)

    @property
    def _is_modern_http(self) -> bool:
        return self.peer.era is Era.MODERN and self.transport == "http"

    async def ask(self, method: str, params: dict[str, Any] | None = None, *, timeout_s: float) -> Raw:
        """A request of the gateway's own: declares no capabilities."""
        own = jsonrpc.encode(params or {})
        body = modern_params(own) if self.peer.era is Era.MODERN else own
        try:
            return await self._ask(method, body, timeout_s)
        except BackendStreamLost:
            if not self._is_modern_http:
                raise
            # Modern streams are not resumed; what we ask by ourselves can be asked twice.
            return await self._ask(method, body, timeout_s)

    async def _ask(self, method: str, params: bytes, timeout_s: float) -> Raw:
        return await self._renewal.around(
            lambda: self.request(method, params, idle_s=timeout_s, cap_s=timeout_s)
        )

    async def probe(self, timeout_s: float) -> None:
        """Whether the backend answers at all, by the cheapest request of its era.

        Raises: BackendError, BackendFault.
        """
        method = "server/discover" if self.peer.era is Era.MODERN else "ping"
        await self.ask(method, timeout_s=timeout_s)

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Raises: BackendFault."""
        body = jsonrpc.notification(method, jsonrpc.encode(params) if params else b"")
        await self.send(self._outgoing(body, method=method))

    @property
    def pid(self) -> int | None:
        return self._channel.pid if self._channel is not None else None

    @property
    def is_lost(self) -> bool:
        """Whether it has ended by itself, or was given up."""
        return self._fault is not None

    @property
    def announces_roots(self) -> bool:
        """Whether the server was told that it will hear when the client's roots change."""
        return self.declared.announces_roots and self.peer.era is Era.LEGACY

    @property
    def in_flight(self) -> int:
        return len(self._correlation)

    @property
    def waiting(self) -> int:
        """Calls that wait for a free place."""
        return self.slots.waiting

    def calls(self) -> list[AbandonedCall]:
        """The calls of clients that are at the server now."""
        return [
            AbandonedCall(str(pending.id), pending.call.method, pending.call.name or "")
            for pending in self._correlation
            if pending.call is not None
        ]

    def _open_request(
        self, method: str, idle_s: float, cap_s: float, call: Call | None = None
    ) -> Pending[Waiter]:
        if self._fault is not None:
            raise self._fault.unsent()
        if self._channel is None or self._is_closing:
            raise BackendUnavailable(self.id, "The server is not connected.")
        waiter: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
        return self._correlation.open(
            method, waiter, now=self._clock.monotonic(), idle_s=idle_s, cap_s=cap_s, call=call
        )

    async def request(self, method: str, params: bytes, *, idle_s: float, cap_s: float) -> Raw:
        return await self._exchange(self._open_request(method, idle_s, cap_s), params, None)

    def begin_listen(self, params: bytes) -> tuple[int, Coroutine[Any, Any, Raw]]:
        """A subscriptions/listen: its id, and what sends it and waits for its end. Raises: BackendFault."""
        pending = self._open_request("subscriptions/listen", LISTEN_S, LISTEN_S)
        return pending.id, self._exchange(pending, params, None)

    async def _exchange(
        self, pending: Pending[Waiter], params: bytes, name: str | None, headers: Headers | None = None
    ) -> Raw:
        request_id, waiter = pending.id, cast("asyncio.Future[Raw]", pending.waiter)
        data = jsonrpc.one_line(jsonrpc.request(b"%d" % request_id, pending.method, params))
        message = self._outgoing(data, request_id, pending.method, name, headers)
        try:
            if self._batches is None or not await self._batches.takes(pending, message):
                await self.send(message)
            return await waiter
        except asyncio.CancelledError:
            # Whoever asked has gone: the backend need not go on.
            if self.waits_for(request_id):
                self.give_up(pending)
            raise
        finally:
            self._correlation.close(request_id)
            if pending.questions:
                self._questions.ended(pending)
            if self._batches is not None:
                self._batches.left(pending)
            # A fault raised by send leaves the waiter unread; its exception, if any, is the same fault.
            if waiter.done() and not waiter.cancelled():
                waiter.exception()

    def _outgoing(
        self,
        data: bytes,
        request_id: int | None = None,
        method: str = "",
        name: str | None = None,
        headers: Headers | None = None,
    ) -> Outgoing:
        is_modern = self.peer.era is Era.MODERN
        # initialize never carries a version header left over from the probe, and 2024-11-05 knows none.
        revision = self.peer.revision if is_modern or method != "initialize" else None
        return Outgoing(data, request_id, method, name, revision, is_modern, headers or [])

    async def send(self, message: Outgoing) -> None:
        """Raises: BackendFault."""
        if self._fault is not None:
            raise self._fault.unsent()
        if self._channel is None:
            raise BackendUnavailable(self.id, "The server is not connected.")
        if self._batches is not None:
            self._batches.sending(message)
        await self._channel.send(message)

    # --- giving up ------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Fail the requests whose time has run out."""
        self.slots.expire(now)
        for pending in self._correlation.expired(now):
            timeout_s = pending.idle_s if pending.has_idled(now) else pending.cap_s
            fault = BackendTimeout(self.id, f"The server did not answer within {timeout_s:g} seconds.")
            if self._batches is not None:
                self._batches.gave_up(pending)
            self.request_failed(pending.id, fault, pending)
            self.give_up(pending)

    def give_up(self, pending: Pending[Waiter]) -> None:
        self._correlation.close(pending.id)
        self._questions.ended(pending)
        if self._channel is None:
            return
        if pending.task is not None:
            self._tasks.start(self._task_runs.cancel(pending), "cancel-task")
            return
        self._channel.abort(pending.id)
        # The handshake cannot be cancelled; on modern HTTP the closed stream says it all.
        silent = pending.method in ("initialize", "server/discover")
        if not silent and not (self.peer.era is Era.MODERN and self.transport == "http"):
            self._tasks.start(self._send_cancelled(pending.id), "cancelled")

    def abort(self, request_id: int) -> None:
        """Nobody waits for this message's answer any more."""
        if self._channel is not None:
            self._channel.abort(request_id)

    async def _send_cancelled(self, request_id: int) -> None:
        try:
            await self.notify("notifications/cancelled", {"requestId": request_id})
        except BackendFault as fault:
            self._owner.said("debug", f"could not send a cancellation: {fault.detail}")

    async def aclose(self) -> None:
        """End every request in flight and close the channel.

        Goes on to its end even if whoever asked does not wait for it. A second call joins the first.
        """
        if self._closing is None:
            self._is_closing = True
            self._fail_all(BackendFailing(self.id, "The connection to the server was closed."))
            self._closing = Tasks(f"closing:{self.id}").start(self._close(), "close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._questions.aclose()
        await self._tasks.aclose()
        if self._channel is not None:
            await self._channel.aclose()

    def _fail_all(self, fault: BackendFault) -> None:
        self._questions.drop()
        self.slots.fail(fault)
        for pending in self._correlation:
            self.request_failed(pending.id, fault)

    # --- what arrives (Receiver) ----------------------------------------------------------------------------

    def message(self, data: bytes, origin: int | None) -> bool:
        direct = _direct(self._correlation.get(origin))
        if direct is not None and not (direct.is_recorded or direct.lane is None or direct.lane.is_legacy):
            # Nearly every call.
            plain = results.plain_answer(data)
            if plain is not None and plain.id == origin:
                self._correlation.close(origin)
                direct.set_plain(plain.result)
                return False
        elif len(data) >= LARGE_BYTES and self._is_plain(data, origin):
            # To look at a shorter one several times costs next to nothing, and it stays as it came to the last
            # byte.
            return origin is not None and self.waits_for(origin)
        self._read(data, origin)
        return origin is not None and self.waits_for(origin)

    def _read(self, data: bytes, origin: int | None) -> None:
        answer = jsonrpc.parse_answer(data)
        if answer is not None:
            direct = _direct(self._correlation.get(answer.id))
            if direct is not None:
                self._correlation.close(direct.id)
                if origin != direct.id and self._channel is not None:
                    self._channel.abort(direct.id)
                direct.set_result(answer.result)
                return
            self._answered(answer, origin)
            return
        try:
            message = jsonrpc.parse(data)
        except jsonrpc.NotOneMessage as error:
            if error.is_array and self.peer.era is Era.LEGACY:
                self._batch(data, origin)
            else:
                self.skipped(error.message, data)
            return
        except ParseError as error:
            self.skipped(error.message, data)
            return
        match message:
            case jsonrpc.Response():
                self._answered(message, origin)
            case jsonrpc.Notification():
                self._notified(message, origin)
            case jsonrpc.Request():
                self._asked(message, origin)

    def _is_plain(self, data: bytes, origin: int | None) -> bool:
        """Whether it was the answer to a call, and plain: then one pass has told all that anybody has to know
        of it, and it has been handed on."""
        if origin is not None and not _may_be_plain(self._correlation.get(origin)):
            return False
        answer = results.plain_answer(data)
        pending = None if answer is None else self._correlation.get(answer.id)
        if answer is None or pending is None or pending.call is None or not _may_be_plain(pending):
            return False
        direct = _direct(pending)
        if direct is None:
            pending.call.plain = answer.result
            whole = results.plain_whole(answer.result)
            self._answered(jsonrpc.Response(answer.id, whole, jsonrpc.NO_JSON), origin)
            return True
        self._correlation.close(answer.id)
        if answer.id != origin and self._channel is not None:
            self._channel.abort(answer.id)
        direct.set_plain(answer.result)
        return True

    def _batch(self, data: bytes, origin: int | None) -> None:
        # Only 2025-03-26 knows arrays, but an answer in one is still an answer.
        items = jsonrpc.array_items(data)
        if len(items) > MAX_BATCH:
            self.skipped(f"an array of {len(items)} messages", data)
            return
        for item in items:
            if not jsonrpc.is_array(item):
                self.message(item, origin)

    def _answered(self, response: jsonrpc.Response, origin: int | None) -> None:
        request_id: object = response.id
        if request_id is None:
            # A peer that could not read our id answers without one; its own stream still tells which it was.
            request_id = origin
            if self._batches is not None:
                request_id = self._batches.nameless(jsonrpc.rpc_error(response.error), origin)
        pending = self._correlation.close(request_id)
        if pending is None or pending.waiter.done():
            return
        if self._channel is not None:
            # It may have come on another stream than its own, which then has nothing more to bring.
            self._channel.abort(pending.id)
        if self._batches is not None:
            self._batches.answered(pending)
        if jsonrpc.is_empty(response.error):
            self._task_runs.answered(pending, response.result)
            pending.waiter.set_result(response.result)
        else:
            error = jsonrpc.rpc_error(response.error)
            pending.waiter.set_exception(
                BackendError(self.id, error.code, error.message[:4096], bytes(error.data))
            )

    def request_failed(
        self, request_id: int, fault: BackendFault | BackendError, pending: Pending[Waiter] | None = None
    ) -> None:
        if self._batches is not None and self._batches.failed(request_id, fault):
            return
        pending = self._correlation.close(request_id) or pending
        if pending is not None and not pending.waiter.done():
            pending.waiter.set_exception(fault)

    def waits_for(self, request_id: int) -> bool:
        if self._correlation.get(request_id) is not None:
            return True
        return self._batches is not None and self._batches.waits_for(request_id)

    def will_be_polled(self, request_id: int) -> None:
        one = self._correlation.get(request_id)
        several = self._batches.waiting(request_id) if self._batches is not None else None
        for pending in several or ([one] if one is not None else []):
            if pending.sink is not None:
                pending.sink.let_go()

    def closed(self, fault: BackendFault) -> None:
        self.lose(fault)

    def lose(self, fault: BackendFault) -> None:
        """Count this connection as lost: nothing more is asked on it, and its owner opens another."""
        if self._fault is not None:
            return
        self._fault = fault
        if self._batches is not None:
            self._batches.lost()
        self._fail_all(fault)
        # Until it is open, `open` is told by its own requests, and may start the server again.
        if self._is_open and not self._is_closing:
            self._owner.connection_lost(fault)

    def kill(self) -> None:
        """End it as a crash of the server would: a child is killed, another connection is cut."""
        if self._channel is None or self._channel.kill():
            return
        self.lose(BackendStreamLost(self.id, "The connection to the server was lost.", DETAIL))

    def missed(self) -> None:
        if self.feed is not None:
            self.feed.missed()

    def skipped(self, reason: str, sample: bytes) -> None:
        text = sample[:200].decode(errors="replace")
        self._owner.said("warning", f"skipped something that is not MCP ({reason}): {text}")

    def _notified(self, notification: jsonrpc.Notification, origin: int | None) -> None:
        method = notification.method
        if method == "notifications/progress":
            self._notices.progress(notification.params)
        elif method == "notifications/message":
            if self._batches is not None:
                origin = self._batches.speaks_for(origin)
            self._notices.log(notification.params, origin)
        elif method in FEED_METHODS:
            if self.feed is not None:
                self.feed.heard(notification, origin)
        elif self.peer.era is Era.LEGACY:
            if method == "notifications/cancelled":
                self._questions.cancelled(notification.params)
            elif method == "notifications/elicitation/complete":
                self._elicited(notification.params)

    def _elicited(self, params: Raw) -> None:
        elicitation_id = plain_object(params).get("elicitationId")
        if isinstance(elicitation_id, str) and len(elicitation_id) <= MAX_ELICITATION_ID:
            self._owner.elicitation_complete(elicitation_id)

    def _asked(self, request: jsonrpc.Request, origin: int | None) -> None:
        if self.peer.era is Era.LEGACY:
            sharing = self._batches.waiting(origin) if self._batches is not None else None
            self._questions.asked(request, origin, sharing)
        else:
            self._owner.said(
                "warning", f"dropped a request that a modern server may not send: {request.method[:80]}"
            )

    async def _answer_backend(self, response: bytes) -> None:
        await self.send(self._outgoing(response))

    # --- for its batches --------------------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        """Whether it is ended on purpose."""
        return self._is_closing

    def tell(self, level: str, text: str) -> None:
        self._owner.said(level, text)


def _direct(pending: Pending[Waiter] | None) -> "DirectCall | None":
    """It, if it is a call that has no task: then it is its own waiter."""
    found: Any = pending
    return found if found is not None and found.waiter is found else None


def _may_be_plain(pending: Pending[Waiter] | None) -> bool:
    """Whether it is a call of a tool of which nobody wants to know more than what its client gets."""
    call = pending.call if pending is not None and pending.method == tasks.CALL else None
    return call is not None and call.trace is None and not call.is_task


MAX_ELICITATION_ID: Final = 1024
"""Characters."""
LARGE_BYTES: Final = 8192
"""Of an answer that is not to be looked at more than once."""
MAX_BATCH: Final = 1000
"""Messages in one array."""
