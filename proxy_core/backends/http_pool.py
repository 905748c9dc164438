"""Keep-alive connections to one origin: HTTP/1.1, a request each at a time.

What is to be sent is bytes here; what is read is an `HttpResponse`. Knows no MCP and follows no redirect.
Spec: RFC 9112, section 9.3 (persistence); RFC 9110, section 9.2.2 (idempotent methods).
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from proxy_core.backends.http_connection import DOUBTFUL_AFTER_S, HttpConnection, HttpResponse, KnownHead
from proxy_core.backends.http_url import Origin
from proxy_core.errors import BackendStreamLost, BackendTimeout, BackendUnavailable
from proxy_core.known_heads import HeadKey
from proxy_core.outbox import Outbox

KEEP_S: Final = 4.0
"""Below the five seconds after which common servers close an idle connection under our feet."""
KEEP_MARGIN_S: Final = 1.0
"""What is left to a server that says how long it keeps one."""
KEEP_SHARE: Final = 0.8
"""Of the time after which a server closed an idle one without a word: none is kept longer from then on."""
LEARNED_FROM_S: Final = 0.5
"""An idle one that was closed sooner tells nothing: its server ended, or had too many."""
CLOSE_S: Final = 2.0
"""How long connections may take to be gone once they are closed."""
MAX_CONNECTIONS: Final = 1024
"""At once, streams among them; calls are bounded far below by the server's `concurrency`."""
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""From host and port to the addresses that may be connected to, best first. Raises: Unreachable, OSError."""


class Unreachable(BackendUnavailable):
    """No connection could be made, so nothing was sent."""

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(backend, "The server cannot be reached.", detail)


class HttpPool:
    """Sole owner of its connections. One whose server closed it is never written to, as far as can be known."""

    def __init__(
        self,
        backend: str,
        origin: Origin,
        connect_s: float,
        max_connections: int = MAX_CONNECTIONS,
        resolve: Resolve | None = None,
    ) -> None:
        """`resolve`: says which addresses may be connected to, and no other is; None: the system does."""
        self._backend = backend
        self._origin = origin
        self._connect_s = connect_s
        self._max = max_connections
        self._resolve = resolve
        self.known: dict[HeadKey, KnownHead] = {}
        self.outbox = Outbox()
        self.leaving = 0
        self._keep_s = KEEP_S
        self._idle: list[HttpConnection] = []
        self._all: set[HttpConnection] = set()
        self._opening = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._ended: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Connections that are open."""
        return len(self._all)

    # --- asking ---------------------------------------------------------------------------------------------

    async def ask(self, request: bytes, *, is_idempotent: bool) -> HttpResponse:
        """Send one request, head and body; the response, once its own head is there.

        Whoever gets it reads it whole or closes it. Raises: Unreachable, if surely nothing was sent;
        BackendStreamLost, BackendProtocolError, BackendTimeout if no connection became free.
        """
        connection = self.take() or await self._next()
        was_used = connection.uses > 0
        try:
            return await _asked(connection, request)
        except BackendStreamLost:
            if not (was_used and is_idempotent):
                raise
        # Its server closed it while we wrote: what may be asked twice is asked once more, on a fresh one.
        return await _asked(await self._connected(), request)

    def take(self) -> HttpConnection | None:
        """An idle one, for one request; None if there is none. The one used last: those beneath it expire."""
        # Not the loop's own time: to ask for the loop is a system call.
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            idle_s = now - connection.freed_at
            if idle_s < DOUBTFUL_AFTER_S or idle_s < self._kept_s(connection):
                if connection.is_usable(now):
                    return connection
                self._learn(idle_s)
            connection.close()
        return None

    async def _next(self) -> HttpConnection:
        while len(self._all) + self._opening >= self._max:
            await self._wait_for_one()
            if (connection := self.take()) is not None:
                return connection
        return await self._connected()

    async def _wait_for_one(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._connect_s):
                await turn
        except TimeoutError as error:
            raise BackendTimeout(
                self._backend,
                "The server has no connection free.",
                f"all {self._max} connections to it were in use for {self._connect_s:g} seconds",
            ) from error
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.cancelled():
                # Its turn came as it left.
                self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.pop(0)
            if not turn.done():
                turn.set_result(None)
                return

    async def _connected(self) -> HttpConnection:
        self._check_open()
        host, port = self._origin.host, self._origin.port
        self._opening += 1
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await self._connect(host, port)
        except TimeoutError as error:
            raise Unreachable(
                self._backend, f"could not connect to {host}:{port} within {self._connect_s:g} seconds"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                self._backend, f"its TLS certificate was not accepted: {error.verify_message}"
            ) from error
        except ssl.SSLError as error:
            raise Unreachable(self._backend, f"could not connect: {error}") from error
        except socket.gaierror as error:
            raise Unreachable(self._backend, f"its host name was not found: {host}") from error
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise Unreachable(self._backend, f"could not connect to {host}:{port}: {why}") from error
        except ValueError as error:
            # A host name that no resolver takes.
            raise Unreachable(self._backend, f"its host name is none: {host[:200]}") from error
        finally:
            self._opening -= 1
            if len(self._all) + self._opening < self._max:
                self._wake_next()
        if self._is_closed:
            connection.close()
        self._check_open()
        return connection

    async def _connect(self, host: str, port: int) -> HttpConnection:
        loop, tls = asyncio.get_running_loop(), _tls() if self._origin.scheme == "https" else None
        if self._resolve is None:
            return (await loop.create_connection(self._new_connection, host, port, ssl=tls))[1]
        fault = OSError("its host name has no address")
        name = host if tls is not None else None
        for address in await self._resolve(host, port):
            try:
                opened = await loop.create_connection(
                    self._new_connection, address, port, ssl=tls, server_hostname=name
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                fault = error
            else:
                return opened[1]
        raise fault

    def _new_connection(self) -> HttpConnection:
        return HttpConnection(self._backend, self)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unreachable(self._backend, "the connection is closed")

    # --- what a connection says (ConnectionOwner) -----------------------------------------------------------

    def made(self, connection: HttpConnection) -> None:
        self._all.add(connection)

    def freed(self, connection: HttpConnection) -> None:
        if self._is_closed or (connection.keep_s is not None and not self._kept_s(connection)):
            connection.close()
            return
        self._idle.append(connection)
        if self._waiting:
            self._wake_next()
        if self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(KEEP_S, self._expire)

    def gone(self, connection: HttpConnection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            # By its server, and not as it had one request too many.
            self._idle.remove(connection)
            self._learn(time.monotonic() - connection.freed_at)
        self._wake_next()
        if self._ended is not None and not self._all and not self._ended.done():
            self._ended.set_result(None)

    # --- the end --------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Close what has been idle too long; one timer for all."""
        now = time.monotonic()
        for connection in [each for each in self._idle if now - each.freed_at >= self._kept_s(each)]:
            self._idle.remove(connection)
            connection.close()
        self._expiry = None
        if self._idle:
            due_in_s = min(each.freed_at + self._kept_s(each) for each in self._idle) - now
            self._expiry = asyncio.get_running_loop().call_later(max(due_in_s, 0.05), self._expire)

    def _learn(self, idle_s: float) -> None:
        """A server closed one that had been idle for so long."""
        if idle_s >= LEARNED_FROM_S:
            self._keep_s = min(self._keep_s, idle_s * KEEP_SHARE)

    def _kept_s(self, connection: HttpConnection) -> float:
        said = connection.keep_s
        return self._keep_s if said is None else max(0.0, min(self._keep_s, said - KEEP_MARGIN_S))

    async def aclose(self) -> None:
        """Close every connection, whatever is under way, and wait until they are. Safe to call twice."""
        self._is_closed = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._idle.clear()
        while self._waiting:
            self._wake_next()
        for connection in list(self._all):
            connection.close()
        if self._all:
            self._ended = self._ended or asyncio.get_running_loop().create_future()
            await asyncio.wait([self._ended], timeout=CLOSE_S)


async def _asked(connection: HttpConnection, request: bytes) -> HttpResponse:
    try:
        return await connection.ask(request)
    except BaseException:
        # Also of whoever is cancelled: an answer that comes yet must not be another's.
        connection.close()
        raise


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The machine's own trust; reading its certificates takes milliseconds, so once for all."""
    return ssl.create_default_context()
