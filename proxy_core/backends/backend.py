"""One MCP server under one name: its lists, its verbs, its calls. One replica each, for now.

Sole writer of its lists. Tells those above by `Upward` when what it offers has changed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from msgspec import Raw

from proxy_core.backends.call import Answer, Call
from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.connection import Connection, Terms
from proxy_core.backends.isolation import Key, key_of
from proxy_core.backends.last_words import with_last_words
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF, Event
from proxy_core.backends.lists import EMPTY, FEATURE_OF, METHODS_OF_KIND, Listing, read_listing
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.peer import Peer
from proxy_core.backends.questions import method_not_found
from proxy_core.backends.remedies import Remedy, remedy_for
from proxy_core.backends.replica import Replica
from proxy_core.backends.upward import Upward
from proxy_core.backends.wanted import Topic, WantedTopics
from proxy_core.clock import Clock
from proxy_core.config.models import ServerConfig
from proxy_core.control import DrainOutcome
from proxy_core.errors import BackendError, BackendFault, CircuitOpen
from proxy_core.protocol import header_params, jsonrpc, tasks
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.methods import LOG_LEVELS
from proxy_core.protocol.revisions import Era
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import Probe, ServerState

STDERR_LINES: Final = 200
LAST_WORDS: Final = 20
"""Lines among which the reason of a failure is looked for."""
REREAD_PAUSE_S: Final = 0.5
STALE_S: Final = 600.0
"""How long the last lists of a server that is down are still served."""

ServerSays = Callable[[str, str, str], None]
"""(server, level, text) for the log."""


@dataclass(frozen=True, slots=True)
class Lists:
    """All four lists of a backend."""

    by_method: dict[str, Listing] = field(default_factory=dict)

    def get(self, method: str) -> Listing:
        return self.by_method.get(method, EMPTY)

    def replaced(self, method: str, listing: Listing) -> "Lists":
        return Lists(self.by_method | {method: listing})


class Backend:
    def __init__(
        self,
        settings: ServerConfig,
        make_channel: Callable[[ServerConfig, TransportKind, Receiver, Callable[[str], None]], Channel],
        upward: Upward,
        clock: Clock,
        *,
        says: ServerSays,
        on_state: Callable[[str, ServerState, ServerState, str], None],
        terms: Terms | None = None,
    ) -> None:
        self.settings = settings
        self.id = settings.id
        self._upward = upward
        self._clock = clock
        self._says = says
        self._on_state = on_state
        self._tasks = Tasks(f"backend:{settings.id}")
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._reread_at: dict[str, float] = {}
        """When a kind may be read again at the earliest, in monotonic seconds."""
        self._drain: asyncio.Task[DrainOutcome] | None = None
        self._wanted_level: str | None = None
        self._wanted = WantedTopics(
            lambda uri: upward.resource_updated(self.id, uri), lambda task: upward.task_changed(self.id, task)
        )
        self._lost_at: float | None = None
        self._was_listed = False
        self._make_channel = make_channel
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        """What the present child said lately; the next one starts anew."""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.lists = Lists()
        self._only_as_tasks: frozenset[str] = frozenset()
        """The 2025-11-25 tools that refuse plain calls."""
        self.last_error = ""
        self.last_probe: Probe | None = None
        self.replica = Replica(
            settings,
            self._new_channel,
            self,
            clock,
            on_open=self._opened,
            on_open_further=self._send_wanted_level,
            on_state=self._state_changed,
            explain=lambda fault: with_last_words(fault.detail, self._words),
            terms=terms,
        )

    def _new_channel(self, kind: TransportKind, receiver: Receiver) -> Channel:
        self._words.clear()
        return self._make_channel(self.settings, kind, receiver, self.heard_stderr)

    # --- for those above ------------------------------------------------------------------------------------

    @property
    def state(self) -> ServerState:
        return self.replica.state

    @property
    def peer(self) -> Peer | None:
        connection = self.replica.connection
        return connection.peer if connection is not None else None

    @property
    def is_listed(self) -> bool:
        """Whether clients see its items: in service, or down for so short a time that it may well be back."""
        if self.state in IN_SERVICE:
            return True
        if self.state in SWITCHED_OFF or self._lost_at is None:
            return False
        return self._clock.monotonic() - self._lost_at < STALE_S

    @property
    def is_settling(self) -> bool:
        return self.state is ServerState.STARTING

    async def settled(self) -> None:
        await self.replica.settled()

    async def call(self, call: Call) -> Answer:
        """One client call; the backend's own result. Raises: BackendError, BackendFault, Overloaded."""
        with self.replica.lease() as replica:
            try:
                return await self._ask(replica, call)
            except (BackendError, BackendFault) as failure:
                if await self._is_mended(replica, call, failure):
                    return await self._ask(replica, call)
                raise

    async def _ask(self, replica: Replica, call: Call) -> Answer:
        connection = replica.connection or await replica.ready()
        if call.name in self._only_as_tasks and call.method == tasks.CALL:
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
            raise
        return Answer(result, connection.peer.era, connection.peer.revision)

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
                await self.refresh(("tools",))
                return self._knows_headers(call)
            case Remedy.RECONNECT:
                return await replica.renegotiate()
            case Remedy.RUN_AS_TASK:
                call.is_task = True
                return True
            case Remedy.NOTHING:
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

    def sweep(self, now: float) -> None:
        """Fail what has waited too long; take the lists of a server that is down too long out of sight."""
        if self._was_listed != self.is_listed:
            self._was_listed = self.is_listed
            self._upward.lists_changed(self.id)
        self.replica.sweep(now)

    def want_log_level(self, level: str) -> None:
        """Some client wants log messages from `level` on; the backend is told the most verbose one wanted."""
        wanted = self._wanted_level
        if wanted is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(wanted):
            self._wanted_level = level
            for connection in self.replica.connections:
                self._tasks.start(self._send_log_level(connection, level), "log-level")

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

    def session_ended(self, session: str | None) -> None:
        """A legacy client has gone: end the connections that were its alone."""
        if session is not None:
            self.replica.further.session_ended(session)

    async def subscribe(self, topic: Topic) -> bool:
        """One more wants to hear of this, in the backend's own words; whether the backend tells.

        Counts nothing without a yes, nor if it is cancelled. Survives reconnects. It is the primary connection
        that subscribes, for all principals. Raises: BackendUnavailable.
        """
        if self.replica.connection is None:
            await self.replica.ready()
        return await self._wanted.add(topic)

    def unsubscribe(self, topic: Topic) -> None:
        """One less; nothing is asked of the backend before the last one has gone."""
        self._wanted.remove(topic)

    async def _send_wanted_level(self, connection: Connection) -> None:
        if self._wanted_level is not None:
            await self._send_log_level(connection, self._wanted_level)

    async def _send_log_level(self, connection: Connection, level: str) -> None:
        if connection.peer.era is Era.MODERN or not connection.peer.offers("logging"):
            return
        try:
            await connection.ask("logging/setLevel", {"level": level}, timeout_s=5)
        except (BackendError, BackendFault) as error:
            self.said("warning", f"did not take the log level: {error.message}")

    # --- verbs ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self.settings.enabled:
            self.replica.start()

    async def drain(self, grace_s: float, final: Event = Event.DRAINED) -> DrainOutcome:
        """Stop taking calls, wait for those in flight, then close the connection.

        Safe to call twice: the second call joins the first; `grace_s` and `final` are the first's. A server
        that is off already stays as it is.
        """
        if self.state in (ServerState.DRAINED, ServerState.DISABLED):
            return DrainOutcome(0, 0)
        if self._drain is None or self._drain.done():
            self._drain = self._tasks.start(self._drain_now(grace_s, final), "drain")
        return await asyncio.shield(self._drain)

    async def _drain_now(self, grace_s: float, final: Event) -> DrainOutcome:
        in_flight = self.replica.in_flight
        self.replica.move(Event.DRAIN, _calls(in_flight))
        self._upward.lists_changed(self.id)
        abandoned = await self.replica.idle(grace_s)
        await self.replica.stop()
        self.replica.move(final, f"{_calls(abandoned)} cut off" if abandoned else "")
        return DrainOutcome(in_flight - abandoned, abandoned)

    async def resume(self) -> None:
        """Take calls again after a drain or a disable."""
        if self._drain is not None:
            await asyncio.shield(self._drain)
        if self.state in SWITCHED_OFF or self.state is ServerState.FAILED:
            self.replica.start()

    async def restart(self, grace_s: float) -> None:
        """Drain, then start again; goes on to its end even if whoever asked does not wait for it."""
        await asyncio.shield(self._tasks.start(self._restart_now(grace_s), "restart"))

    async def _restart_now(self, grace_s: float) -> None:
        if self.state in IN_SERVICE or self.state is ServerState.DRAINING:
            await self.drain(grace_s)
        if self.state not in SWITCHED_OFF:
            await self.replica.stop()
        self.replica.start()

    async def probe(self) -> Probe:
        """Ask the backend whether it answers; one that waits for its next start makes it now."""
        started = self._clock.monotonic()
        try:
            connection = await self.replica.ready()
            with self.replica.breaker.admit_probe():
                await connection.probe()
        except (BackendFault, BackendError) as error:
            detail = error.detail if isinstance(error, BackendFault) else error.message
            self.last_probe = Probe(self._clock.monotonic(), None, detail)
            if not isinstance(error, CircuitOpen):
                self.replica.move(Event.PROBE_FAILED, detail)
        else:
            now = self._clock.monotonic()
            self.last_probe = Probe(now, (now - started) * 1000, None)
            self.replica.move(Event.PROBE_ANSWERED)
        return self.last_probe

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self.replica.stop()

    # --- lists ----------------------------------------------------------------------------------------------

    async def _opened(self, connection: Connection) -> None:
        """Read everything before the first call; a list that cannot be read costs that list alone."""
        results = await asyncio.gather(
            *(self._read(connection, method) for method in FEATURE_OF), return_exceptions=True
        )
        for method, result in zip(FEATURE_OF, results, strict=True):
            if isinstance(result, BackendError):
                self.last_error = f"{method}: {result.message}"
                self.said("warning", f"{method} was refused: {result.message}")
            elif isinstance(result, BaseException):
                raise result
        await self._send_wanted_level(connection)
        if connection.feed is not None:
            connection.feed.attach(self._wanted)

    async def _read(self, connection: Connection, method: str) -> None:
        listing = await self._listing(connection, method)
        self.lists = self.lists.replaced(method, listing)
        if method == "tools/list":
            self._only_as_tasks = _only_as_tasks(connection.peer, listing)

    async def _listing(self, connection: Connection, method: str) -> Listing:
        return await read_listing(
            connection, method, self._clock.monotonic, lambda text: self.said("warning", text)
        )

    async def read_for(self, principal: str, method: str) -> Listing:
        """This list as that principal has it, read where its calls go; kept by whoever asks.

        Raises: BackendError, BackendFault, Overloaded.
        """
        with self.replica.lease() as replica:
            connection = replica.connection or await replica.ready()
            key = key_of(self.settings, connection.peer.era, Call(method, jsonrpc.NO_JSON, principal=principal))
            if key is None:
                return await self._listing(connection, method)
            with replica.further.use(key) as kept:
                return await self._listing(await kept.ready(), method)

    async def refresh(self, kinds: tuple[str, ...] = tuple(METHODS_OF_KIND)) -> None:
        """Read these lists again; one reading at a time of each kind, later callers join it."""
        for kind in kinds:
            self.refresh_soon(kind)
        await asyncio.gather(
            *(asyncio.shield(self._refreshes[kind]) for kind in kinds if kind in self._refreshes)
        )

    def refresh_soon(self, kind: str) -> None:
        """As `refresh`, without waiting."""
        if kind not in self._refreshes:
            self._refreshes[kind] = self._tasks.start(self._refresh_one(kind), f"refresh-{kind}")

    async def _refresh_one(self, kind: str) -> None:
        try:
            # Some servers announce a change with every reading: they must not keep us reading.
            await asyncio.sleep(self._reread_at.get(kind, 0.0) - self._clock.monotonic())
            self._reread_at[kind] = self._clock.monotonic() + REREAD_PAUSE_S
            connection = self.replica.connection
            if connection is not None:
                for method in METHODS_OF_KIND[kind]:
                    await self._read(connection, method)
        except (BackendError, BackendFault) as error:
            self.last_error = error.message
            self.said("warning", f"its {kind} could not be read again: {error.message}")
        finally:
            del self._refreshes[kind]
        self._upward.lists_changed(self.id)
        self._read_again(kind)

    # --- what the connection says (ConnectionOwner) ---------------------------------------------------------

    def connection_lost(self, fault: BackendFault) -> None:
        self.last_error = fault.detail

    def list_changed(self, kind: str) -> None:
        if kind in self._refreshes or self.replica.connection is None:
            # The reading under way, also the first, may have begun before the change: one more follows it.
            self._again.add(kind)
        else:
            self.refresh_soon(kind)

    def _read_again(self, kind: str) -> None:
        if kind in self._again:
            self._again.discard(kind)
            self.refresh_soon(kind)

    def session_renewed(self) -> None:
        for kind in METHODS_OF_KIND:
            self.list_changed(kind)
        if self.replica.connection is not None:
            self._tasks.start(self._send_wanted_level(self.replica.connection), "log-level")

    def said(self, level: str, text: str) -> None:
        self._says(self.id, level, text)

    def elicitation_complete(self, elicitation_id: str) -> None:
        self._upward.elicitation_complete(self.id, elicitation_id)

    async def session_request(self, session: str, request: Request) -> bytes | RpcError:
        return await self._upward.session_request(self.id, session, request)

    async def server_request(self, request: Request) -> bytes | RpcError:
        if request.method == "roots/list" and self.settings.roots:
            return jsonrpc.encode({"roots": [{"uri": uri} for uri in self.settings.roots]})
        return method_not_found(request.method)

    def heard_stderr(self, line: str) -> None:
        self.stderr.append(line)
        self._words.append(line)
        self._says(self.id, "info", line)

    def _state_changed(self, before: ServerState, now: ServerState, reason: str) -> None:
        if before in IN_SERVICE and now not in IN_SERVICE:
            self._lost_at = self._clock.monotonic()
        elif now in IN_SERVICE:
            self._lost_at = None
            for kind in METHODS_OF_KIND:
                self._read_again(kind)
        self._on_state(self.id, before, now, reason)
        self._upward.lists_changed(self.id)


def _only_as_tasks(peer: Peer, tools: Listing) -> frozenset[str]:
    if peer.era is not Era.LEGACY or not tasks.takes_tasks(peer.capabilities):
        return frozenset()
    names = (tool.get("name") for tool in tools.items if tasks.is_required(tool))
    return frozenset(name for name in names if isinstance(name, str))


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'} in flight"
