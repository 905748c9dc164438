"""A replica's connections beside its primary one: opened on demand, one per isolation key, closed when idle.

Sole owner of the set. What happens to one of them is its own calls' affair, never the replica's state.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Protocol

from proxy_core.backends.connection import Connection
from proxy_core.backends.isolation import Key
from proxy_core.backends.owner import ConnectionOwner, Relay
from proxy_core.backends.peer import plain_object
from proxy_core.clock import Clock
from proxy_core.errors import BackendError, BackendFault, BackendUnavailable, Overloaded
from proxy_core.protocol.capabilities import needed
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.tasks import Tasks

MAX_CONNECTIONS: Final = 64
IDLE_S: Final = 300.0
RETRY_PAUSE_S: Final = 1.0
"""How long the calls of a key hear that its connection could not be opened, before that is tried again."""


class ReplicaOwner(ConnectionOwner, Protocol):
    """The backend above a replica."""

    async def session_request(self, session: str, request: Request) -> bytes | RpcError:
        """A request that no call has caused, on a connection that serves this legacy session alone."""
        ...


class Connections:
    def __init__(
        self,
        backend: str,
        new: Callable[[Key, ConnectionOwner], Connection],
        owner: ReplicaOwner,
        clock: Clock,
        *,
        on_open: Callable[[Connection], Coroutine[Any, Any, None]],
    ) -> None:
        """`on_open` runs before a connection takes calls, and again when its session has been renewed."""
        self._backend = backend
        self._new = new
        self._owner = owner
        self._clock = clock
        self._on_open = on_open
        self._tasks = Tasks(f"connections:{backend}")
        self._kept: dict[Key, Kept] = {}
        self._closing: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def all(self) -> list[Connection]:
        return [kept.connection for kept in self._kept.values()]

    @property
    def processes(self) -> list[tuple[Key, int, float]]:
        """Whose it is, process id and start (monotonic seconds) of each that is a child."""
        return [
            (key, pid, kept.connection.started_at)
            for key, kept in self._kept.items()
            if (pid := kept.connection.pid) is not None
        ]

    @property
    def open(self) -> list[Connection]:
        return [kept.connection for kept in self._kept.values() if kept.is_open]

    def of_client(self, principal: str, session: str | None) -> list[Connection]:
        """The open ones that calls of this client go to."""
        return [
            kept.connection
            for key, kept in self._kept.items()
            if kept.is_open and key.principal == principal and key.session in (None, session)
        ]

    def use(self, key: Key) -> "Kept":
        """The connection of this key, for one call: it is not closed inside the `with` block.

        Raises: Overloaded if all there may be are in use; BackendFault if it could not be opened just now.
        """
        kept = self._kept.get(key)
        if kept is None:
            self._make_room()
            kept = self._kept[key] = Kept(key, self)
            kept.connection = self._new(key, _KeptOwner(kept, self._owner, self._on_open, self._tasks))
            kept.opening = self._tasks.start(self._open(kept), "open")
        elif kept.fault is not None:
            raise kept.fault
        return kept

    def opened(self, key: Key) -> "Kept | None":
        """That connection, if it is open."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.takes_calls else None

    def _make_room(self) -> None:
        if len(self._kept) < MAX_CONNECTIONS:
            return
        idle = [kept for kept in self._kept.values() if not kept.users]
        if not idle:
            raise Overloaded("Too many clients use this server at once.")
        self._close(min(idle, key=lambda kept: kept.used_at))

    async def _open(self, kept: "Kept") -> None:
        try:
            await kept.connection.open()
            await self._on_open(kept.connection)
        except BackendFault as fault:
            await self._failed(kept, fault)
        except BackendError as error:
            detail = f"it answered: {error.message}"
            await self._failed(kept, BackendUnavailable(self._backend, "The server failed.", detail))
        else:
            kept.is_open = True

    async def _failed(self, kept: "Kept", fault: BackendFault) -> None:
        kept.fault = fault
        kept.used_at = self._clock.monotonic()
        self._owner.said("warning", f"a further connection could not be opened: {fault.detail}")
        await kept.connection.aclose()

    # --- closing ----------------------------------------------------------------------------------------------

    def left(self, kept: "Kept") -> None:
        """One call less on it."""
        kept.users -= 1
        kept.used_at = self._clock.monotonic()
        if kept.is_leaving and not kept.users:
            self._close(kept)

    def lost(self, kept: "Kept", fault: BackendFault) -> None:
        """It ended by itself; the next call of its key opens another."""
        self._owner.said("warning", f"a further connection was lost: {fault.detail}")
        self._close(kept)

    def session_ended(self, session: str) -> None:
        """Close what served this legacy session alone, once its calls are over."""
        for key, kept in list(self._kept.items()):
            if key.session == session:
                kept.is_leaving = True
                if not kept.users:
                    self._close(kept)

    def sweep(self, now: float) -> None:
        """Fail the requests whose time has run out; close what was idle for too long."""
        for kept in list(self._kept.values()):
            kept.connection.sweep(now)
            patience_s = IDLE_S if kept.fault is None else RETRY_PAUSE_S
            if not kept.users and now - kept.used_at >= patience_s:
                self._close(kept)

    def _close(self, kept: "Kept") -> None:
        if self._kept.get(kept.key) is kept:
            del self._kept[kept.key]
            kept.is_open = False
            self._closing.add(kept.connection)
            self._tasks.start(self._finish(kept.connection), "close")

    async def _finish(self, connection: Connection) -> None:
        await connection.aclose()
        self._closing.discard(connection)

    async def aclose(self) -> None:
        """Close all of them; calls in flight fail. Takes new ones again afterwards."""
        leaving, self._kept = list(self._kept.values()), {}
        for kept in leaving:
            kept.fault = BackendUnavailable(self._backend, "The connection to the server was closed.")
        await self._tasks.aclose()
        closing = {kept.connection for kept in leaving} | self._closing
        await asyncio.gather(*(connection.aclose() for connection in closing))
        self._closing.clear()


class Kept:
    """One connection of the set, in use by a call for as long as a `with` block runs, or as `users` counts it
    and `within.left` has not been told."""

    connection: Connection
    opening: "asyncio.Task[None]"

    def __init__(self, key: Key, within: Connections) -> None:
        self.key = key
        self.within = within
        self.users = 0
        self.used_at = 0.0
        """Monotonic seconds; when the last call left it, or it failed to open."""
        self.is_open = False
        self.is_leaving = False
        self.fault: BackendFault | None = None
        """Why it could not be opened."""

    @property
    def takes_calls(self) -> bool:
        return self.is_open and not self.is_leaving

    async def ready(self) -> Connection:
        """Raises: BackendFault if it cannot be opened."""
        if not self.is_open:
            # Unlike awaiting it, this hands on no cancellation: others wait for the same opening.
            await asyncio.wait((self.opening,))
            if self.fault is not None:
                raise self.fault
        return self.connection

    def __enter__(self) -> "Kept":
        self.users += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.within.left(self)


class _KeptOwner(Relay):
    def __init__(
        self,
        kept: Kept,
        above: ReplicaOwner,
        on_open: Callable[[Connection], Coroutine[Any, Any, None]],
        tasks: Tasks,
    ) -> None:
        super().__init__(above)
        self._kept = kept
        self._backend = above
        self._on_open = on_open
        self._tasks = tasks

    def connection_lost(self, fault: BackendFault) -> None:
        self._kept.within.lost(self._kept, fault)

    def session_renewed(self) -> None:
        # Only this session is new: what the primary connection has read still stands.
        self._tasks.start(self._on_open(self._kept.connection), "session-renewed")

    async def server_request(self, request: Request) -> bytes | RpcError:
        key = self._kept.key
        wanted = needed(request.method, plain_object(request.params))
        if key.session is not None and wanted <= key.declared.features:
            return await self._backend.session_request(key.session, request)
        return await super().server_request(request)
