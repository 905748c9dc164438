"""The listeners: what is bound, who serves a connection, and a graceful end.

Knows sockets, and HTTP only as far as the fast path goes; what is served is an `Endpoint`. aiohttp serves the
rest, and is loaded when the first connection wants it.
"""

import asyncio
import errno
import importlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from proxy_core.backends.process_table import listener_on
from proxy_core.errors import PortInUse
from proxy_core.frontend.fast_path import FastPath
from proxy_core.frontend.wire import DirectEndpoint, Endpoint
from proxy_core.tasks import Tasks

if TYPE_CHECKING:
    from proxy_core.frontend.aiohttp_server import AiohttpServer

SHUTDOWN_S: Final = 2.0
HANDSHAKE_S: Final = 10.0
"""How long a client may take until TLS stands."""
BACKLOG: Final = 1024
"""Connections that may wait to be accepted; one too many hears nothing, and tries again a good while later."""
Factory: TypeAlias = Callable[[], asyncio.Protocol]
Listen: TypeAlias = Callable[[Factory], Awaitable[asyncio.Server]]
Direct: TypeAlias = tuple[DirectEndpoint, Callable[[str], bool]]
"""An endpoint, and whether a path is surely its own."""


class HttpServer:
    """What serves endpoints, wherever its connections come from."""

    def __init__(self, endpoint_at: Callable[[str], Endpoint], direct: Direct | None = None) -> None:
        """`endpoint_at`: who serves a path. `direct`: whose POSTs take the fast path; None: nobody's do."""
        self._endpoint_at = endpoint_at
        self._listening: list[asyncio.Server] = []
        self._is_over = False
        self._rest = _Rest(endpoint_at)
        self._fast = None if direct is None else FastPath(*direct, self._rest)

    async def _serve_on(self, listen: Listen) -> asyncio.Server:
        """Serve whom `listen` lets in. Raises: OSError if it cannot be bound."""
        server = await listen(self._fast or self._rest)
        self._listening.append(server)
        if self._is_over:
            await self._end_listening(server)
        return server

    async def _end_listening(self, *servers: asyncio.Server) -> None:
        mine = [server for server in servers if server in self._listening]
        for server in mine:
            self._listening.remove(server)
            for bound in server.sockets:
                asyncio.get_running_loop().remove_reader(bound)
        # asyncio hands over what it accepted in its next turn, and leaves it open and forgotten if the server
        # was closed since.
        await asyncio.sleep(0)
        for server in mine:
            server.close()

    async def stop_accepting(self) -> None:
        """Take no new connections; those that are open stay."""
        self._is_over = True
        await self._end_listening(*self._listening)

    def sweep(self) -> None:
        """End connections whose time is over; to be called now and then."""
        if self._fast is not None:
            self._fast.sweep()

    async def aclose(self) -> None:
        """Close every connection; what is being served has `SHUTDOWN_S` to finish, then is cancelled."""
        await self.stop_accepting()
        if self._fast is not None:
            await self._fast.aclose(SHUTDOWN_S)
        await self._rest.aclose(SHUTDOWN_S)


class Listener(HttpServer):
    """One address."""

    def __init__(
        self,
        endpoint_at: Callable[[str], Endpoint],
        host: str,
        port: int,
        direct: Direct | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """As `HttpServer`. `tls`: what to serve HTTPS with; None: HTTP."""
        super().__init__(endpoint_at, direct)
        self._host = host
        self._port = port
        self._tls = tls
        self._turn = asyncio.Lock()

    async def start(self) -> int:
        """Bind and serve; the port that was bound. Raises: PortInUse, OSError for any other failure to bind."""
        loop = asyncio.get_running_loop()
        try:
            server = await self._serve_on(
                lambda factory: loop.create_server(
                    factory,
                    self._host,
                    self._port,
                    backlog=BACKLOG,
                    ssl=self._tls,
                    ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
                )
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(self._host, self._port, listener_on(self._port)) from error
            raise
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def use_tls(self, tls: ssl.SSLContext | None) -> None:
        """Serve new connections so from now on; those that are open go on as they are. Raises: OSError."""
        self._tls = tls
        async with self._turn:
            before = list(self._listening)
            for bound in [each for server in before for each in server.sockets]:
                await self._serve_on(partial(self._listen_again, bound.dup()))
            # Held twice for a moment: who connects meanwhile waits in the one queue of both.
            await self._end_listening(*before)

    async def _listen_again(self, bound: socket.socket, factory: Factory) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            factory,
            sock=bound,
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
        )


class SocketListener(HttpServer):
    """A Unix socket, bound already."""

    async def start(self, bound: socket.socket) -> None:
        """Listen and serve; the socket is closed with the listener. Raises: OSError."""
        loop = asyncio.get_running_loop()
        await self._serve_on(lambda factory: loop.create_unix_server(factory, sock=bound, backlog=BACKLOG))


class _Rest:
    """aiohttp's server, from the first connection on that wants it; those that come first wait meanwhile."""

    def __init__(self, endpoint_at: Callable[[str], Endpoint]) -> None:
        self._endpoint_at = endpoint_at
        self._server: AiohttpServer | None = None
        self._waiting: set[_Waiting] = set()
        self._tasks = Tasks("aiohttp")

    def __call__(self) -> asyncio.Protocol:
        return self._server() if self._server is not None else _Waiting(self)

    def wait(self, connection: "_Waiting") -> None:
        self._waiting.add(connection)
        if not len(self._tasks):
            self._tasks.start(self._load(), "load")

    def leave(self, connection: "_Waiting") -> None:
        self._waiting.discard(connection)

    async def _load(self) -> None:
        try:
            # In a thread: the calls that are in flight go on between its steps.
            module = await asyncio.to_thread(importlib.import_module, "proxy_core.frontend.aiohttp_server")
            self._server = server = cast("AiohttpServer", module.AiohttpServer(self._endpoint_at))
            while self._waiting:
                self._waiting.pop().go_on(server())
        finally:
            # Nobody else would end those that could not be served.
            for connection in list(self._waiting):
                connection.abort()

    async def aclose(self, grace_s: float) -> None:
        await self._tasks.aclose()
        if self._server is not None:
            await self._server.aclose(grace_s)


class _Waiting(asyncio.Protocol):
    """A connection before there is anything to serve it."""

    def __init__(self, rest: _Rest) -> None:
        self._rest = rest
        self._received: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        self._rest.wait(self)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if len(self._received) == 1 and self._transport is not None:
            # One piece is enough to begin with.
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._rest.leave(self)

    def go_on(self, protocol: asyncio.Protocol) -> None:
        if (transport := self._transport) is None or transport.is_closing():
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._received:
            transport.resume_reading()
            for piece in self._received:
                protocol.data_received(piece)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
