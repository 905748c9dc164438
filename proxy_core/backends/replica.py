"""One configured endpoint or command, kept connected: start, handshake, loss, back-off, start again.

Its state is that of its primary connection; others are opened beside it as calls need them. Sole writer of its
state, its reason and its in-flight count. Knows no lists and no names: the backend above reads those when it
says that a connection is open.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, NoReturn

from proxy_core.backends.batch_support import BatchSupport
from proxy_core.backends.breaker import Breaker
from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.connection import Connection, Terms
from proxy_core.backends.connections import Connections, ReplicaOwner
from proxy_core.backends.drill import Drilling
from proxy_core.backends.isolation import EVERYTHING, Key
from proxy_core.backends.lifecycle import SWITCHED_OFF, Event, after
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.owner import ConnectionOwner, Relay
from proxy_core.backends.verdicts import address_of
from proxy_core.clock import Clock
from proxy_core.config.models import EndpointConfig, HealthConfig
from proxy_core.control import AbandonedCall
from proxy_core.errors import (
    BackendAuthRequired,
    BackendError,
    BackendFailing,
    BackendFault,
    BackendUnavailable,
)
from proxy_core.facts import BreakerTurned
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.signals import Signal
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import BreakerState, ServerState

CRASH_WINDOW_S: Final = 600.0
CRASHES: Final = 5
MIN_WAKE_S: Final = 1.0
"""A call that finds its backend waiting for its next start brings it forward, at most so often."""
RENEGOTIATE_S: Final = 10.0
"""A connection that is younger is not replaced because the server speaks another revision."""


class Replica:
    __slots__ = (
        "_batch_support",
        "_clock",
        "_crashes",
        "_explain",
        "_idle",
        "_is_attempting",
        "_last",
        "_lost",
        "_make_channel",
        "_on_open",
        "_on_state",
        "_opened_at",
        "_owner",
        "_run",
        "_settings",
        "_tasks",
        "_terms",
        "_turn",
        "_wake",
        "_woken_at",
        "breaker",
        "connection",
        "drilling",
        "further",
        "id",
        "in_flight",
        "opening",
        "reason",
        "restarts",
        "retry_at",
        "since_at",
        "state",
    )

    def __init__(
        self,
        settings: EndpointConfig,
        make_channel: Callable[[TransportKind, Receiver], Channel],
        owner: ReplicaOwner,
        clock: Clock,
        *,
        on_open: Callable[[Connection], Awaitable[None]],
        on_open_further: Callable[[Connection], Coroutine[Any, Any, None]],
        on_state: Callable[[ServerState, ServerState, str], None],
        explain: Callable[[BackendFault], str] = lambda fault: fault.detail,
        terms: Terms | None = None,
        replica: str = "",
    ) -> None:
        """`on_open` runs before the replica takes calls; a BackendFault from it counts as a failed attempt.

        `on_open_further` runs before a connection beside the primary one takes calls. `explain` makes the
        reason on the row of a fault.
        """
        self._settings = settings
        self._make_channel = make_channel
        self._owner = owner
        self._clock = clock
        self._on_open = on_open
        self._on_state = on_state
        self._explain = explain
        self._terms = terms or Terms()
        self.id = replica
        self._batch_support = BatchSupport()
        self.drilling = Drilling()
        self.breaker = Breaker(settings.id, self._terms.breaker, clock.monotonic, self._breaker_turned)
        self._tasks = Tasks(f"replica:{settings.id}")
        self._run: asyncio.Task[None] | None = None
        self._lost: asyncio.Future[BackendFault] | None = None
        self._wake = Signal()
        self._turn = Signal()
        self._woken_at = float("-inf")
        self._is_attempting = False
        self._crashes: tuple[float, ...] = ()
        self._idle = Signal(is_set=True)
        self.state = ServerState.STARTING if settings.enabled else ServerState.DISABLED
        self.reason = "" if settings.enabled else "switched off in the configuration"
        self.since_at = clock.monotonic()
        self.retry_at: float | None = None
        self.restarts = 0
        self.in_flight = 0
        self.connection: Connection | None = None
        """Set exactly while the replica takes calls."""
        self.opening: Connection | None = None
        """The connection of the attempt under way, whose deadlines need sweeping too."""
        self._opened_at = 0.0
        self._last: Connection | None = None
        """Primary; it may still be closing."""
        self.further = Connections(settings.id, self._new_further, owner, clock, on_open=on_open_further)

    @property
    def transport(self) -> TransportKind:
        """As configured, or what an http endpoint turned out to be."""
        return self.connection.transport if self.connection is not None else self._settings.transport.type

    @property
    def pid(self) -> int | None:
        """Of the child, for stdio."""
        connection = self.connection or self.opening
        return connection.pid if connection is not None else None

    def processes(self) -> list[tuple[str, int, float]]:
        """Of each child: whose it is alone (empty: everybody's), its process id, its monotonic start."""
        primary = self.connection or self.opening
        found = [] if primary is None or primary.pid is None else [("", primary.pid, primary.started_at)]
        for key, pid, started_at in self.further.processes:
            session = f" {key.session[:8]}" if key.session is not None else ""
            found.append((f"{key.principal}{session}", pid, started_at))
        return found

    # --- state ----------------------------------------------------------------------------------------------

    def move(self, event: Event, reason: str = "") -> None:
        before, self.state = self.state, after(self.state, event)
        if event is not Event.START or self.state is not before:
            # An attempt to leave a bad state keeps the reason for it on the row.
            self.reason = reason
        if self.state is not before:
            self.since_at = self._clock.monotonic()
            self._turned()
            self._on_state(before, self.state, reason)

    def _breaker_turned(self, now: BreakerState) -> None:
        level = "warning" if now is BreakerState.OPEN else "info"
        self._owner.said(level, _BREAKER_WORDS[now])
        self._terms.publish(
            BreakerTurned(self._clock.monotonic(), self._settings.id, self.id, now, _BREAKER_WORDS[now])
        )

    def _turned(self) -> None:
        turn, self._turn = self._turn, Signal()
        turn.set()

    def settled(self) -> Coroutine[Any, Any, object]:
        """Wait until the state changes or an attempt to connect ends; from this call on, not from the await."""
        return self._turn.wait()

    # --- leases ---------------------------------------------------------------------------------------------

    def lease(self) -> "Lease":
        """Counts a call in flight. Raises: BackendUnavailable if the server has been switched off."""
        if self.state in SWITCHED_OFF:
            raise self._unavailable()
        return Lease(self)

    async def ready(self) -> Connection:
        """The open connection, waiting for the attempt under way or bringing the next one forward.

        Raises: BackendUnavailable as soon as that attempt has failed, or after `connect_s`.
        """
        self._wake_up()
        try:
            async with asyncio.timeout(self._settings.timeouts.connect_s):
                while not self._has_settled():
                    await self.settled()
        except TimeoutError:
            raise self._unavailable() from None
        if self.connection is None:
            raise self._unavailable()
        return self.connection

    def _has_settled(self) -> bool:
        is_coming = self._is_attempting or self.state is ServerState.RESTARTING
        return self.connection is not None or not is_coming

    def refuse(self) -> NoReturn:
        """Say why it cannot be asked now. Raises: BackendUnavailable."""
        raise self._unavailable()

    def _unavailable(self) -> BackendUnavailable:
        detail = f"{self.state}: {self.reason}" if self.reason else str(self.state)
        return BackendUnavailable(self._settings.id, f"The server is {_WORDS[self.state]}.", detail)

    async def renegotiate(self) -> bool:
        """Agree on a revision anew, since the server has changed; whether there is a connection to ask again.

        Calls in flight fail: they were made in a revision that the server does not speak.
        """
        connection = self.connection
        if connection is not None:
            if self._clock.monotonic() - self._opened_at < RENEGOTIATE_S:
                return False
            connection.lose(
                BackendFailing(
                    self._settings.id, "The server has changed.", "it speaks another revision than before"
                )
            )
            self._terms.verdicts.forget(address_of(self._settings.transport))
            await self.settled()
            await self.further.aclose()
        await self.ready()
        return True

    def use(self, settings: EndpointConfig) -> None:
        """Other settings from now on, but for the transport and the era."""
        self._settings = settings
        for connection in (self.connection, self.opening, *self.further.all):
            if connection is not None:
                connection.use(settings)

    def sweep(self, now: float) -> None:
        """Fail the requests whose time has run out."""
        primary = self.connection or self.opening
        if primary is not None:
            primary.sweep(now)
        self.further.sweep(now)

    def calls(self) -> tuple[AbandonedCall, ...]:
        """The calls of clients that are at the server now."""
        return tuple(call for connection in self.connections for call in connection.calls())

    @property
    def waiting(self) -> int:
        """Calls that wait for a free place."""
        return sum(connection.waiting for connection in self.connections)

    @property
    def batches_sent(self) -> int:
        """JSON-RPC batches of requests, over all its connections so far."""
        return self._batch_support.batches_sent

    @property
    def requests_in_batches(self) -> int:
        """Requests that travelled in those."""
        return self._batch_support.requests_in_batches

    @property
    def connections(self) -> list[Connection]:
        """All that take calls."""
        return ([self.connection] if self.connection is not None else []) + self.further.open

    def _wake_up(self) -> None:
        now = self._clock.monotonic()
        is_waiting = self.retry_at is not None and not self._is_attempting
        if is_waiting and self.state not in SWITCHED_OFF and now - self._woken_at >= MIN_WAKE_S:
            self._woken_at = now
            # Set here, not when the attempt begins: this attempt is the one that the caller waits for.
            self._is_attempting = True
            self._wake.set()

    # --- keeping it connected -------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, and stay connected until `stop`. Also ends a wait for the next attempt, or a crash loop."""
        if self._run is None or self._run.done():
            self._crashes = ()
            self._is_attempting = True
            self.move(Event.START)
            self._run = self._tasks.start(self._keep_connected(), "run")
        else:
            self._wake.set()

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            self.retry_at = None
            self._wake.clear()
            self._is_attempting = True
            self.move(Event.START)
            fault = await self._terms.paced(self._attempt)
            self._is_attempting = False
            if fault is None:
                failures = 0
                fault = await self._in_service()
                self.restarts += 1
            else:
                failures += 1
            if self._is_crash_loop(fault):
                self.move(
                    Event.GAVE_UP, f"gave up after {CRASHES} crashes in 10 minutes: {self._explain(fault)}"
                )
                return
            await self._wait_for_next(failures, fault)

    async def _attempt(self) -> BackendFault | None:
        """One connection attempt; the fault if it failed."""
        self._lost = asyncio.get_running_loop().create_future()
        connection = self._new_connection(self._settings, _Losing(self._owner, self._lost), EVERYTHING)
        self.opening = self._last = connection
        try:
            await connection.open()
            await self._on_open(connection)
        except BackendFault as fault:
            await connection.aclose()
            return fault
        except BackendError as error:
            await connection.aclose()
            return BackendUnavailable(self._settings.id, "The server failed.", f"it answered: {error.message}")
        except asyncio.CancelledError:
            await connection.aclose()
            raise
        finally:
            self.opening = None
        self.connection = connection
        self._opened_at = self._clock.monotonic()
        return None

    def _new_connection(
        self, settings: EndpointConfig, owner: ConnectionOwner, declared: ClientCapabilities
    ) -> Connection:
        return Connection(
            settings,
            self._make_channel,
            owner,
            self._clock,
            declared=declared,
            terms=self._terms,
            batch_support=self._batch_support,
            drilling=self.drilling,
        )

    def _new_further(self, key: Key, owner: ConnectionOwner) -> Connection:
        settings = self._settings
        if self.connection is not None:
            # The primary connection has found out which era it is.
            settings = settings.model_copy(update={"era": self.connection.peer.era.value})
        return self._new_connection(settings, owner, key.declared)

    async def _in_service(self) -> BackendFault:
        assert self._lost is not None and self.connection is not None
        connection = self.connection
        try:
            self.move(Event.OPENED)
            # While it drains, no state tells those who waited for this attempt.
            self._turned()
            fault = await self._lost
            self.connection = None
            self.move(Event.LOST, self._explain(fault))
            return fault
        finally:
            self.connection = None
            # Without a connection the state refuses calls, and a new one begins with a handshake and lists that
            # were answered: what the last one did must neither delay it nor be held against it.
            self.breaker.renew()
            await connection.aclose()

    async def _wait_for_next(self, failures: int, fault: BackendFault) -> None:
        delay_s = self._delay_s(failures)
        self.retry_at = self._clock.monotonic() + delay_s
        if failures:
            is_auth = isinstance(fault, BackendAuthRequired)
            self.move(Event.AUTH_MISSING if is_auth else Event.ATTEMPT_FAILED, self._explain(fault))
            self._turned()
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _delay_s(self, failures: int) -> float:
        if self._settings.transport.type == "stdio":
            return float(min(60, 2 ** max(0, failures - 1)))
        # Full jitter keeps many gateways from knocking at a server that comes back all at once. An attempt is
        # what a probe is to a server that is connected, and comes at least as often.
        cap_s = min(30.0, self._health().probe_interval)
        return random.uniform(min(0.1, cap_s), min(cap_s, 0.5 * 2 ** min(failures, 10)))

    def _health(self) -> HealthConfig:
        return self._settings.health.over(self._terms.health())

    def _is_crash_loop(self, fault: BackendFault) -> bool:
        if self._settings.transport.type != "stdio":
            return False
        now = self._clock.monotonic()
        self._crashes = (*self._crashes, now)[-CRASHES:]
        return len(self._crashes) == CRASHES and now - self._crashes[0] < CRASH_WINDOW_S

    # --- stopping -------------------------------------------------------------------------------------------

    async def idle(self, grace_s: float) -> int:
        """Wait until no call is in flight, at most `grace_s`; how many still are."""
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            return self.in_flight
        return 0

    async def stop(self) -> None:
        """Close every connection and make no more; calls in flight fail. Safe to call twice."""
        await self._tasks.aclose()
        if self._last is not None:
            await self._last.aclose()
        await self.further.aclose()
        self._run = None
        self.retry_at = None
        self._is_attempting = False

    def kill(self) -> None:
        """End every connection at once, as a crash would; what follows is what follows a crash."""
        for connection in (self.connection, self.opening, *self.further.all):
            if connection is not None:
                connection.kill()

    def entered(self) -> None:
        self.in_flight += 1
        if self.in_flight == 1:
            self._idle.clear()

    def left(self) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()


class Lease:
    """One call in flight on a replica, for as long as the `with` block runs."""

    __slots__ = ("_replica",)

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def __enter__(self) -> Replica:
        self._replica.entered()
        return self._replica

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._replica.left()


class _Losing(Relay):
    """Remembers that the primary connection was lost."""

    def __init__(self, above: ConnectionOwner, lost: "asyncio.Future[BackendFault]") -> None:
        super().__init__(above)
        self._lost = lost

    def connection_lost(self, fault: BackendFault) -> None:
        if not self._lost.done():
            self._lost.set_result(fault)


_WORDS: Final = {
    ServerState.STARTING: "still starting",
    ServerState.RESTARTING: "restarting",
    ServerState.HEALTHY: "not ready",
    ServerState.DEGRADED: "not ready",
    ServerState.UNHEALTHY: "not available",
    ServerState.FAILED: "not available",
    ServerState.AUTH_REQUIRED: "not available",
    ServerState.DRAINING: "being drained",
    ServerState.DRAINED: "drained",
    ServerState.DISABLED: "disabled",
}
"""What clients are told; the reason itself stays inside."""

_BREAKER_WORDS: Final = {
    BreakerState.CLOSED: "its circuit breaker is closed: it is asked as usual again",
    BreakerState.OPEN: "its circuit breaker is open: it fails too often to be asked for now",
    BreakerState.HALF_OPEN: "its circuit breaker is half open: a few calls try it",
}
