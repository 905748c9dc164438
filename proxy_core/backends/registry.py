"""The set of backends, in config order; builds each one's channels. Sole writer of the set."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from proxy_core.backends.backend import Backend, ServerSays
from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.connection import Terms
from proxy_core.backends.credentials import LoginSource, NoLogins
from proxy_core.backends.guard import Guard
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.process_samples import Child
from proxy_core.backends.stdio_channel import StdioChannel
from proxy_core.backends.upward import Upward
from proxy_core.clock import Clock
from proxy_core.config.models import EndpointConfig, ServerConfig, SseTransport, StdioTransport
from proxy_core.control import AbandonedCall, DrainOutcome
from proxy_core.errors import UnknownServer
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import ServerState

SWEEP_S: Final = 0.25
"""How often deadlines are looked at; a timeout may come so much late."""


class Memory(Protocol):
    """What a server listed in an earlier run."""

    def recall(self, backend: Backend) -> None:
        """Give its replicas the lists that they had, where they are still known."""
        ...

    def keep(self, backend: Backend) -> None:
        """Its lists were read."""
        ...


class BackendRegistry:
    """The servers of the configuration in force, and those that are on their way out."""

    def __init__(
        self,
        upward: Upward,
        clock: Clock,
        guard: Guard,
        *,
        says: ServerSays,
        on_state: Callable[[str, ServerState, ServerState, str], None],
        terms: Terms | None = None,
        memory: Memory | None = None,
        logins: LoginSource | None = None,
    ) -> None:
        """`memory` may give a new backend the lists of an earlier run, before it starts."""
        self._logins = logins or NoLogins()
        self._upward = upward
        self._clock = clock
        self._guard = guard
        self._says = says
        self._on_state = on_state
        self._terms = terms
        self._memory = memory
        self._tasks = Tasks("registry")
        self._backends: dict[str, Backend] = {}
        self._leaving: set[Backend] = set()

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    def __len__(self) -> int:
        return len(self._backends)

    def get(self, server: str) -> Backend:
        try:
            return self._backends[server]
        except KeyError:
            raise UnknownServer(server) from None

    def find(self, server: str) -> Backend | None:
        return self._backends.get(server)

    def start(self) -> None:
        self._tasks.start(self._sweep(), "sweep")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self._clock.monotonic()
            for backend in (*self._backends.values(), *self._leaving):
                backend.sweep(now)

    def apply(self, servers: tuple[ServerConfig, ...], unset: Mapping[str, str], grace_s: float) -> None:
        """Make the set equal to `servers`: what stays keeps its connections, what is gone drains.

        `unset` names servers that cannot run, with the reason. Returns at once; drains go on by themselves.
        """
        old = self._backends
        self._backends = {
            settings.id: old.get(settings.id) or self._build(settings, unset.get(settings.id))
            for settings in servers
        }
        for server, backend in old.items():
            if server not in self._backends:
                self._leaving.add(backend)
                self._tasks.start(self._retire(backend, grace_s), f"retire-{server}")
        for settings in servers:
            backend = self._backends[settings.id]
            if settings.id in old:
                backend.use(settings, unset.get(settings.id), grace_s)
            elif settings.id not in unset:
                self._bring_up(backend)

    def _bring_up(self, backend: Backend) -> None:
        if self._memory is not None:
            self._memory.recall(backend)
        backend.start()

    def _build(self, settings: ServerConfig, unset: str | None) -> Backend:
        return Backend(
            settings,
            self._channel,
            self._upward,
            self._clock,
            says=self._says,
            on_state=self._on_state,
            terms=self._terms,
            unset=unset,
            on_lists=self._memory.keep if self._memory is not None else _forgotten,
        )

    def _channel(
        self, settings: EndpointConfig, kind: TransportKind, receiver: Receiver, stderr: Callable[[str], None]
    ) -> Channel:
        transport, connect_s = settings.transport, settings.timeouts.connect_s
        if isinstance(transport, StdioTransport):
            return StdioChannel(settings.id, transport, receiver, self._guard, stderr)

        def note(text: str) -> None:
            self._says(settings.id, "debug", text)

        credentials = self._logins.of(settings.id, transport)
        # Here, since who has local servers alone does without all that speaks HTTP: it is two megabytes.
        if kind == "sse" or isinstance(transport, SseTransport):
            from proxy_core.backends.sse_channel import SseChannel

            return SseChannel(settings.id, transport, receiver, connect_s, note, credentials)
        from proxy_core.backends.http_channel import HttpChannel

        return HttpChannel(settings.id, transport, receiver, connect_s, note, credentials)

    async def _retire(self, backend: Backend, grace_s: float) -> None:
        try:
            await backend.drain(grace_s)
        finally:
            await backend.aclose()
            self._leaving.discard(backend)

    def children(self) -> list[Child]:
        """Every child process of ours."""
        return [child for backend in (*self, *self._leaving) for child in backend.children()]

    @property
    def calls(self) -> tuple[AbandonedCall, ...]:
        """The calls of clients that are at a server now."""
        members = (member for backend in (*self, *self._leaving) for member in backend.all_members)
        return tuple(call for member in members for call in member.replica.calls())

    @property
    def in_flight(self) -> int:
        """Calls at all servers, those on their way out included."""
        return sum([backend.in_flight for backend in (*self, *self._leaving)])

    async def drain_all(self, grace_s: float) -> DrainOutcome:
        """Drain every backend at once, join the drains under way."""
        outcomes = await asyncio.gather(*(backend.drain(grace_s) for backend in (*self, *self._leaving)))
        return DrainOutcome(
            sum(outcome.finished for outcome in outcomes),
            sum(outcome.abandoned for outcome in outcomes),
            tuple(call for outcome in outcomes for call in outcome.calls),
        )

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await asyncio.gather(*(backend.aclose() for backend in (*self._backends.values(), *self._leaving)))


def _forgotten(backend: Backend) -> None:
    """Nothing outlives this run."""
