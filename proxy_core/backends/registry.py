"""The set of backends, in config order; builds each one's channels. Sole writer of the set."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from proxy_core.backends.backend import Backend, ServerSays
from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.connection import Terms
from proxy_core.backends.guard import Guard
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.lifecycle import Event
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.sse_channel import SseChannel
from proxy_core.backends.stdio_channel import StdioChannel
from proxy_core.backends.upward import Upward
from proxy_core.clock import Clock
from proxy_core.config.models import ServerConfig, SseTransport, StdioTransport
from proxy_core.control import ReloadOutcome
from proxy_core.errors import UnknownServer
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import ServerState

SWEEP_S: Final = 0.25
"""How often deadlines are looked at; a timeout may come so much late."""


class BackendRegistry:
    def __init__(
        self,
        upward: Upward,
        clock: Clock,
        guard: Guard,
        *,
        says: ServerSays,
        on_state: Callable[[str, ServerState, ServerState, str], None],
        terms: Terms | None = None,
    ) -> None:
        self._upward = upward
        self._clock = clock
        self._guard = guard
        self._says = says
        self._on_state = on_state
        self._terms = terms
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

    def apply(
        self, servers: tuple[ServerConfig, ...], unset: Mapping[str, str], grace_s: float
    ) -> ReloadOutcome:
        """Make the set equal to `servers`: what is equal stays untouched, what is gone or changed drains.

        `unset` names servers that cannot run, with the reason. Returns at once; drains go on by themselves.
        """
        old = self._backends
        outcome = _compare(old, servers)
        self._backends = {
            settings.id: old[settings.id] if settings.id in outcome.kept else self._build(settings, unset)
            for settings in servers
        }
        for server in (*outcome.removed, *outcome.replaced):
            self._leaving.add(old[server])
            self._tasks.start(self._retire(old[server], grace_s), f"retire-{server}")
        for server in (*outcome.added, *outcome.replaced):
            if server not in unset:
                self._backends[server].start()
        return outcome

    def _build(self, settings: ServerConfig, unset: Mapping[str, str]) -> Backend:
        backend = Backend(
            settings,
            self._channel,
            self._upward,
            self._clock,
            says=self._says,
            on_state=self._on_state,
            terms=self._terms,
        )
        if settings.id in unset:
            backend.replica.move(Event.DISABLED, unset[settings.id])
        return backend

    def _channel(
        self, settings: ServerConfig, kind: TransportKind, receiver: Receiver, stderr: Callable[[str], None]
    ) -> Channel:
        transport, connect_s = settings.transport, settings.timeouts.connect_s
        if isinstance(transport, StdioTransport):
            return StdioChannel(settings.id, transport, receiver, self._guard, stderr)

        def note(text: str) -> None:
            self._says(settings.id, "debug", text)

        if kind == "sse" or isinstance(transport, SseTransport):
            return SseChannel(settings.id, transport, receiver, connect_s, note)
        return HttpChannel(settings.id, transport, receiver, connect_s, note)

    async def _retire(self, backend: Backend, grace_s: float) -> None:
        try:
            await backend.drain(grace_s)
        finally:
            await backend.aclose()
            self._leaving.discard(backend)

    async def drain_all(self, grace_s: float) -> int:
        """Drain every backend at once, join the drains under way; how many calls were cut off."""
        outcomes = await asyncio.gather(*(backend.drain(grace_s) for backend in (*self, *self._leaving)))
        return sum(outcome.abandoned for outcome in outcomes)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await asyncio.gather(*(backend.aclose() for backend in (*self._backends.values(), *self._leaving)))


def _compare(old: Mapping[str, Backend], servers: tuple[ServerConfig, ...]) -> ReloadOutcome:
    wanted = {settings.id: settings for settings in servers}
    return ReloadOutcome(
        added=tuple(server for server in wanted if server not in old),
        removed=tuple(server for server in old if server not in wanted),
        replaced=tuple(s for s in wanted if s in old and old[s].settings != wanted[s]),
        kept=tuple(s for s in wanted if s in old and old[s].settings == wanted[s]),
    )
