"""One MCP server under one name: its lists, its verbs, its calls. One replica each, for now.

Sole writer of its lists. Tells those above by `Upward` when what it offers has changed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from msgspec import Raw

from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.connection import Connection
from proxy_core.backends.last_words import with_last_words
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF, Event
from proxy_core.backends.lists import EMPTY, FEATURE_OF, METHODS_OF_KIND, Listing, read_listing
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.peer import Peer
from proxy_core.backends.replica import Replica
from proxy_core.backends.upward import CallSink, Upward
from proxy_core.clock import Clock
from proxy_core.config.models import ServerConfig
from proxy_core.control import DrainOutcome
from proxy_core.errors import BackendError, BackendFault
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
        self._lost_at: float | None = None
        self._was_listed = False
        self._make_channel = make_channel
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        """What the present child said lately; the next one starts anew."""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.lists = Lists()
        self.last_error = ""
        self.last_probe: Probe | None = None
        self.replica = Replica(
            settings,
            self._new_channel,
            self,
            clock,
            on_open=self._opened,
            on_state=self._state_changed,
            explain=lambda fault: with_last_words(fault.detail, self._words),
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

    async def call(
        self,
        method: str,
        params: Raw,
        replace: dict[str, bytes],
        *,
        name: str | None,
        sink: CallSink | None,
        log_level: str | None = None,
    ) -> tuple[Raw, Era]:
        """One client call; the backend's own result and the era it is written in.

        Raises: BackendError, BackendFault.
        """
        with self.replica.lease() as replica:
            connection = replica.connection or await replica.ready()
            try:
                result = await connection.call(
                    method, params, replace, name=name, sink=sink, log_level=log_level
                )
            except BackendFault as fault:
                self.last_error = fault.detail
                raise
            return result, connection.peer.era

    def sweep(self, now: float) -> None:
        """Fail what has waited too long; take the lists of a server that is down too long out of sight."""
        if self._was_listed != self.is_listed:
            self._was_listed = self.is_listed
            self._upward.lists_changed(self.id)
        if self.replica.connection is not None:
            self.replica.connection.sweep(now)
        elif (opening := self.replica.opening) is not None:
            opening.sweep(now)

    def want_log_level(self, level: str) -> None:
        """Some client wants log messages from `level` on; the backend is told the most verbose one wanted."""
        wanted = self._wanted_level
        if wanted is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(wanted):
            self._wanted_level = level
            if self.replica.connection is not None:
                self._tasks.start(self._send_log_level(self.replica.connection, level), "log-level")

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
            await connection.probe()
        except (BackendFault, BackendError) as error:
            detail = error.detail if isinstance(error, BackendFault) else error.message
            self.last_probe = Probe(self._clock.monotonic(), None, detail)
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
        if self._wanted_level is not None:
            await self._send_log_level(connection, self._wanted_level)

    async def _read(self, connection: Connection, method: str) -> None:
        listing = await read_listing(
            connection, method, self._clock.monotonic, lambda text: self.said("warning", text)
        )
        self.lists = self.lists.replaced(method, listing)

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
        if self._wanted_level is not None and self.replica.connection is not None:
            self._tasks.start(self._send_log_level(self.replica.connection, self._wanted_level), "log-level")

    def said(self, level: str, text: str) -> None:
        self._says(self.id, level, text)

    async def server_request(self, request: Request) -> bytes | RpcError:
        return await self._upward.server_request(self.id, request)

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


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'} in flight"
