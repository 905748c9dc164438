"""A replica as one of its backend's: the calls that it is given, its last words, and the verbs on it.

Knows neither clients' names nor other replicas; tells its backend by `MemberOwner`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any, Final, Protocol

from msgspec import Raw

from proxy_core.backends.breaker import Permit
from proxy_core.backends.call import Answer, Call
from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.checks import Checks
from proxy_core.backends.connection import Connection, Terms
from proxy_core.backends.connections import Kept
from proxy_core.backends.isolation import Key, key_of
from proxy_core.backends.last_words import with_last_words
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF, Event
from proxy_core.backends.lists import METHODS_OF_KIND, Listing, Lists
from proxy_core.backends.offer import Offer
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.peer import Peer
from proxy_core.backends.questions import method_not_found
from proxy_core.backends.remedies import Remedy, remedy_for
from proxy_core.backends.replica import Replica
from proxy_core.backends.wanted import WantedTopics
from proxy_core.clock import Clock
from proxy_core.config.models import EndpointConfig, HealthConfig
from proxy_core.config.secrets import masked_address
from proxy_core.control import DrainOutcome
from proxy_core.errors import (
    BackendError,
    BackendFault,
    BackendSessionLost,
    CircuitOpen,
)
from proxy_core.protocol import header_params, jsonrpc, tasks
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import Task
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import Probe, ServerState

LAST_WORDS: Final = 20
"""Lines among which the reason of a failure is looked for."""
REREAD_PAUSE_S: Final = 0.5
STALE_S: Final = 600.0
"""How long the last lists of a replica that is down are still served."""

MakeChannel = Callable[[EndpointConfig, TransportKind, Receiver, Callable[[str], None]], Channel]


class MemberOwner(Protocol):
    """The backend above. Calls are synchronous and must not raise, but for `session_request`."""

    def lists_read(self, member: "Member") -> None:
        """Its lists were read again."""
        ...

    def lists_invalid(self, member: "Member", methods: tuple[str, ...]) -> None:
        """These lists of its are no longer what its server has, and have not been read again yet."""
        ...

    def member_changed(self, member: "Member", before: ServerState, now: ServerState, reason: str) -> None: ...

    def said(self, member: "Member", level: str, text: str) -> None: ...

    def heard_stderr(self, member: "Member", line: str) -> None: ...

    def resource_updated(self, uri: str) -> None: ...

    def task_changed(self, member: "Member", task: Task) -> None: ...

    def elicitation_complete(self, elicitation_id: str) -> None: ...

    async def session_request(self, session: str, request: Request) -> bytes | RpcError: ...


class Member:
    def __init__(
        self,
        replica: str,
        weight: int,
        settings: EndpointConfig,
        make_channel: MakeChannel,
        owner: MemberOwner,
        clock: Clock,
        *,
        log_level: Callable[[], str | None] = lambda: None,
        terms: Terms | None = None,
    ) -> None:
        """`log_level`: what legacy servers are told that clients want."""
        self.id = replica
        self.weight = weight
        self.settings = settings
        self.address = masked_address(settings.transport)
        """The command line or URL, secrets masked; made once, for every picture shows it."""
        self._owner = owner
        self._clock = clock
        self._log_level = log_level
        self._terms = terms or Terms()
        self._make_channel = make_channel
        self._tasks = Tasks(f"member:{settings.id}/{replica}")
        self._drain: asyncio.Task[DrainOutcome] | None = None
        self.wanted = WantedTopics(owner.resource_updated, lambda task: owner.task_changed(self, task))
        """What clients want to hear of from this replica."""
        self._lost_at: float | None = None
        self._words: tuple[str, ...] = ()
        """What the present child said lately; the next one starts anew."""
        self.last_error = ""
        self.calls = 0
        self.failures = 0
        self.is_leaving = False
        """It is no longer configured, and goes."""
        self.drain_until: float | None = None
        self.replica = Replica(
            settings,
            self._new_channel,
            self,
            clock,
            on_open=self._opened,
            on_open_further=self._send_log_level,
            on_state=self._state_changed,
            explain=lambda fault: with_last_words(fault.detail, self._words),
            terms=terms,
            replica=replica,
        )
        self.breaker = self.replica.breaker
        self.checks = Checks(
            settings.id,
            self.replica,
            self.health_rules,
            lambda: self.settings.transport,
            self._terms.publish,
            clock,
        )
        self.offer = Offer(
            lambda: self.replica.connection,
            self._tasks,
            clock,
            on_read=lambda: owner.lists_read(self),
            on_invalid=lambda methods: owner.lists_invalid(self, methods),
            on_refused=self._refused,
            warn=lambda text: self.said("warning", text),
        )

    def __repr__(self) -> str:
        return f"Member({self.settings.id}/{self.id} {self.state})"

    def _new_channel(self, kind: TransportKind, receiver: Receiver) -> Channel:
        self._words = ()
        return self._make_channel(self.settings, kind, receiver, self.heard_stderr)

    # --- for the backend ------------------------------------------------------------------------------------

    @property
    def state(self) -> ServerState:
        return self.replica.state

    @property
    def reason(self) -> str:
        return self.replica.reason

    @property
    def in_flight(self) -> int:
        return self.replica.in_flight

    @property
    def batches_sent(self) -> int:
        """As `Replica.batches_sent`."""
        return self.replica.batches_sent

    @property
    def requests_in_batches(self) -> int:
        return self.replica.requests_in_batches

    @property
    def connection(self) -> Connection | None:
        return self.replica.connection

    @property
    def peer(self) -> Peer | None:
        connection = self.replica.connection
        return connection.peer if connection is not None else None

    @property
    def lists(self) -> Lists:
        return self.offer.lists

    @property
    def is_remembered(self) -> bool:
        """Whether the lists are those of an earlier run."""
        return self.offer.is_remembered

    @property
    def last_probe(self) -> Probe | None:
        return self.checks.last

    @property
    def is_listed(self) -> bool:
        """Whether clients see its items: in service, or down for so short a time that it may well be back."""
        if self.state in IN_SERVICE:
            return True
        if self.state in SWITCHED_OFF or self._lost_at is None:
            return False
        return self._clock.monotonic() - self._lost_at < STALE_S

    def health_rules(self) -> HealthConfig:
        return self.settings.health.over(self._terms.health())

    def use(self, settings: EndpointConfig, weight: int) -> None:
        """Other settings, but for the transport and the era."""
        self.settings = settings
        self.weight = weight
        self.replica.use(settings)
        self.checks.rules_changed()

    def remember(self, lists: Lists) -> None:
        """Lists of an earlier run, which are served until the replica answers."""
        self.offer.remember(lists)
        self._lost_at = self._clock.monotonic()

    def settled(self) -> Coroutine[Any, Any, object]:
        return self.replica.settled()

    # --- calls ----------------------------------------------------------------------------------------------

    async def call(self, call: Call) -> Answer:
        """One client call; the server's own result. Raises: BackendError, BackendFault, Overloaded."""
        if call.met is None:
            self.calls += 1
        if call.trace is not None:
            call.trace.replica = self.id
        with self.replica.lease() as replica:
            try:
                return await self._ask(replica, call)
            except (BackendError, BackendFault) as failure:
                if await self._is_mended(replica, call, failure):
                    return await self._ask(replica, call)
                raise

    def open_for(self, call: Call) -> tuple[Connection, Kept | None] | None:
        """The open connection that such calls can be made on in no task, and what holds it if it is not the
        primary one. None: there is none."""
        primary = self.connection
        if primary is None or call.name in self.offer.only_as_tasks:
            return None
        key = key_of(self.settings, primary.peer.era, call)
        kept = None if key is None else self.replica.further.opened(key)
        if key is not None and kept is None:
            return None
        connection = primary if kept is None else kept.connection
        return (connection, kept) if connection.begins_calls else None

    def call_begun(self) -> None:
        """One was begun without a task; `call_over` is to be called once it is over."""
        self.calls += 1
        self.replica.entered()

    def call_over(self, failure: BackendError | BackendFault | None, permit: Permit | None) -> None:
        """A call that was begun is over. `permit` None: it was given up."""
        self.replica.left()
        if permit is not None and (failure is not None or self.breaker.failures):
            self.breaker.ended(permit, failure)
        if isinstance(failure, BackendFault):
            self.last_error = failure.detail
            self.failures += 1

    async def _ask(self, replica: Replica, call: Call) -> Answer:
        if call.met is not None:
            # It was made already, and counted; what can be done about it is the same.
            failure, call.met = call.met.failure, None
            if not isinstance(failure, BackendSessionLost):
                raise failure
            # Nothing was done there, and by now another session is there or on its way.
        connection = replica.connection or await replica.ready()
        if call.name in self.offer.only_as_tasks and call.method == tasks.CALL:
            call.is_task = True
        breaker, permit = replica.breaker, None
        try:
            key = key_of(self.settings, connection.peer.era, call)
            if key is not None:
                connection, result = await self._ask_beside(replica, key, call)
            elif (permit := breaker.free) is not None:
                # As inside `with permit`, but for its price: this is the way of nearly every call.
                result = await connection.call(call)
                if breaker.failures:
                    breaker.ended(permit)
            else:
                with breaker.admit():
                    result = await connection.call(call)
        except CircuitOpen:
            raise
        except (BackendError, BackendFault) as failure:
            if permit is not None:
                breaker.ended(permit, failure)
            if isinstance(failure, BackendFault):
                self.last_error = failure.detail
                self.failures += 1
            raise
        if replica.state is not ServerState.HEALTHY:
            self.checks.answered()
        return Answer(result, connection.peer.era, connection.peer.revision, self.id, call.plain)

    async def _ask_beside(self, replica: Replica, key: Key, call: Call) -> tuple[Connection, Raw]:
        """On a connection beside the primary one."""
        # A child of its own says nothing of how the others fare; an endpoint is the same for all.
        breaker = replica.breaker if self.settings.transport.type != "stdio" else None
        if breaker is not None:
            breaker.check()
        with replica.further.use(key) as kept:
            connection = await kept.ready()
            with nullcontext() if breaker is None else breaker.free or breaker.admit():
                return connection, await connection.call(call)

    async def _is_mended(self, replica: Replica, call: Call, failure: BackendError | BackendFault) -> bool:
        """Whether what stood in the way of this call is gone, so that asking again can help."""
        peer = self.peer
        match remedy_for(failure, call, peer.era if peer is not None else None, self.settings):
            case Remedy.READ_TOOLS:
                await self.offer.refresh(("tools/list",))
                return self._knows_headers(call)
            case Remedy.RECONNECT:
                return await replica.renegotiate()
            case Remedy.RUN_AS_TASK:
                call.is_task = True
                return True
            case None:
                return False

    def _knows_headers(self, call: Call) -> bool:
        for tool in self.lists.get("tools/list").items:
            if tool.get("name") == call.name:
                try:
                    call.header_params = header_params.annotations(tool.get("inputSchema") or {})
                except header_params.InvalidAnnotation:
                    return False
                return True
        return False

    async def read_for(self, principal: str, method: str) -> Listing:
        """This list as that principal has it, read where its calls go; kept by whoever asks.

        Raises: BackendError, BackendFault, Overloaded.
        """
        with self.replica.lease() as replica:
            connection = replica.connection or await replica.ready()
            key = key_of(self.settings, connection.peer.era, Call(method, jsonrpc.NO_JSON, principal=principal))
            if key is None:
                return await self.offer.read(connection, method)
            with replica.further.use(key) as kept:
                return await self.offer.read(await kept.ready(), method)

    def sweep(self, now: float) -> None:
        """Fail what has waited too long."""
        self.replica.sweep(now)

    # --- what clients want of legacy servers ----------------------------------------------------------------

    def tell_log_level(self) -> None:
        """Another level is wanted than before."""
        for connection in self.replica.connections:
            self._tasks.start(self._send_log_level(connection), "log-level")

    async def _send_log_level(self, connection: Connection) -> None:
        level = self._log_level()
        if level is None or connection.peer.era is Era.MODERN or not connection.peer.offers("logging"):
            return
        try:
            await connection.ask("logging/setLevel", {"level": level}, timeout_s=5)
        except (BackendError, BackendFault) as error:
            self.said("warning", f"did not take the log level: {error.message}")

    def roots_changed(self, principal: str, session: str | None) -> None:
        """A legacy client's roots changed: tell the server where it was told that it would be."""
        for connection in self.replica.further.of_client(principal, session):
            if connection.announces_roots:
                self._tasks.start(self._tell_roots_changed(connection), "roots-changed")

    async def _tell_roots_changed(self, connection: Connection) -> None:
        try:
            await connection.notify("notifications/roots/list_changed")
        except BackendFault as fault:
            self.said("debug", f"could not be told of changed roots: {fault.detail}")

    # --- verbs ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self.settings.enabled:
            self.turn_on()

    def turn_on(self) -> None:
        """Connect and stay connected; also what was switched off."""
        self.replica.start()
        self.checks.start()

    async def drain(self, grace_s: float, final: Event = Event.DRAINED) -> DrainOutcome:
        """Stop taking calls, wait for those in flight, then close the connection.

        Safe to call twice: the second call joins the first; `grace_s` is the first's. One that is off already
        stays off, and is what `final` says.
        """
        if self.state in (ServerState.DRAINED, ServerState.DISABLED):
            if final is Event.DISABLED:
                self.replica.move(final)
            return DrainOutcome(0, 0)
        if self._drain is None or self._drain.done():
            self._drain = self._tasks.start(self._drain_now(grace_s, final), "drain")
        outcome = await asyncio.shield(self._drain)
        if final is Event.DISABLED:
            # It may have joined a drain that somebody else had begun.
            self.replica.move(final, self.replica.reason)
        return outcome

    async def _drain_now(self, grace_s: float, final: Event) -> DrainOutcome:
        in_flight = self.in_flight
        self.drain_until = self._clock.monotonic() + grace_s
        try:
            self.replica.move(Event.DRAIN, _calls(in_flight))
            abandoned = await self.replica.idle(grace_s)
            calls = self.replica.calls() if abandoned else ()
            await self._turn_off()
        finally:
            self.drain_until = None
        self.replica.move(final, f"{_calls(abandoned)} cut off" if abandoned else "")
        return DrainOutcome(in_flight - abandoned, abandoned, calls)

    async def _turn_off(self) -> None:
        await self.checks.stop()
        await self.replica.stop()

    def switch_off(self, reason: str = "") -> None:
        """Be disabled without having run."""
        self.replica.move(Event.DISABLED, reason)

    async def resume(self) -> None:
        """Take calls again after a drain or a disable."""
        if self._drain is not None:
            await asyncio.shield(self._drain)
        if self.state in SWITCHED_OFF or self.state is ServerState.FAILED:
            self.turn_on()

    async def restart(self, grace_s: float) -> None:
        """Drain, then start again; goes on to its end even if whoever asked does not wait for it."""
        await asyncio.shield(self._tasks.start(self._restart_now(grace_s), "restart"))

    async def _restart_now(self, grace_s: float) -> None:
        if self.connection is not None or self.state is ServerState.DRAINING:
            await self.drain(grace_s)
        if self.state not in SWITCHED_OFF:
            await self._turn_off()
        self.turn_on()

    async def aclose(self) -> None:
        await self.checks.stop()
        await self._tasks.aclose()
        await self.replica.stop()

    # --- what a new connection offers -----------------------------------------------------------------------

    async def _opened(self, connection: Connection) -> None:
        await self.offer.read_all(connection)
        await self._send_log_level(connection)
        if connection.feed is not None:
            connection.feed.attach(self.wanted)
        self.checks.renew()

    def _refused(self, error: str, sentence: str) -> None:
        self.last_error = error
        self.said("warning", sentence)

    # --- what the connection says (ConnectionOwner) ---------------------------------------------------------

    def connection_lost(self, fault: BackendFault) -> None:
        self.last_error = fault.detail

    def list_changed(self, kind: str) -> None:
        self.offer.changed(kind)

    def session_renewed(self) -> None:
        for kind in METHODS_OF_KIND:
            self.list_changed(kind)
        if self.replica.connection is not None:
            self._tasks.start(self._send_log_level(self.replica.connection), "log-level")

    def said(self, level: str, text: str) -> None:
        self._owner.said(self, level, text)

    def elicitation_complete(self, elicitation_id: str) -> None:
        self._owner.elicitation_complete(elicitation_id)

    async def session_request(self, session: str, request: Request) -> bytes | RpcError:
        return await self._owner.session_request(session, request)

    async def server_request(self, request: Request) -> bytes | RpcError:
        if request.method == "roots/list" and self.settings.roots:
            return jsonrpc.encode({"roots": [{"uri": uri} for uri in self.settings.roots]})
        return method_not_found(request.method)

    def heard_stderr(self, line: str) -> None:
        self._words = (*self._words, line)[-LAST_WORDS:]
        self._owner.heard_stderr(self, line)

    def _state_changed(self, before: ServerState, now: ServerState, reason: str) -> None:
        if before in IN_SERVICE and now not in IN_SERVICE:
            self._lost_at = self._clock.monotonic()
        elif now in IN_SERVICE:
            self._lost_at = None
            self.offer.read_again()
        self._owner.member_changed(self, before, now, reason)


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'} in flight"
