"""The HTTP listener, on aiohttp's low-level server: sockets, bodies within bounds, and a graceful end.

Knows HTTP and nothing of MCP; what it serves is an `Endpoint`. The only module that imports aiohttp's server.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from proxy_core.backends.process_table import listener_on
from proxy_core.errors import HttpRefusal, PortInUse
from proxy_core.frontend.fast_path import BODY_S, IDLE_S, LINGER_S, FastPath
from proxy_core.frontend.guards import too_large
from proxy_core.frontend.http_heads import reply_head
from proxy_core.frontend.wire import (
    Endpoint,
    HeaderList,
    Streamed,
    WireHead,
    WireReply,
    WireRequest,
    WireStream,
)

MAX_HEADER_LINE_BYTES: Final = 8192
SHUTDOWN_S: Final = 2.0
BACKLOG: Final = 1024
"""Connections that may wait to be accepted; one too many hears nothing, and tries again a good while later."""
_SERVER: Final = ("Server", "only1mcp")
Factory: TypeAlias = Callable[[], asyncio.Protocol]
Listen: TypeAlias = Callable[[Factory], Awaitable[asyncio.Server]]
IsMcp: TypeAlias = Callable[[str], bool]


class HttpServer:
    """What serves endpoints, wherever its connections come from."""

    def __init__(self, endpoint_at: Callable[[str], Endpoint]) -> None:
        """`endpoint_at`: who serves a path."""
        self._endpoint_at = endpoint_at
        self._handlers: set[asyncio.Task[object]] = set()
        self._runner: web.ServerRunner | None = None
        self._site: _Site | None = None
        self._fast: FastPath | None = None

    async def _serve_on(self, listen: Listen, is_mcp: IsMcp | None = None) -> int:
        """Serve whom `listen` lets in; the port, where there is one. Raises: OSError if it cannot be bound.

        `is_mcp`: the paths whose POSTs take the fast path; None: none do.
        """
        server = web.Server(
            self._serve,
            handler_cancellation=True,
            access_log=None,
            logger=_logger(),
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            max_line_size=MAX_HEADER_LINE_BYTES,
            max_field_size=MAX_HEADER_LINE_BYTES,
            # A compressed body is refused by its header, and so never inflated.
            auto_decompress=False,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        factory: Factory = server
        if is_mcp is not None:
            factory = self._fast = FastPath(self._endpoint_at, is_mcp, server)
        site = _Site(self._runner, lambda: listen(factory))
        try:
            await site.start()
        except OSError:
            await self.aclose()
            raise
        self._site = site
        return site.port

    async def stop_accepting(self) -> None:
        """Take no new connections; those that are open stay."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    def sweep(self) -> None:
        """End connections whose time is over; to be called now and then."""
        if self._fast is not None:
            self._fast.sweep()

    async def aclose(self) -> None:
        """Close every connection; what is being served has `SHUTDOWN_S` to finish, then is cancelled."""
        if self._runner is None:
            return
        await self.stop_accepting()
        if self._fast is not None:
            await self._fast.aclose(SHUTDOWN_S)
        if self._handlers:
            _, late = await asyncio.wait(self._handlers, timeout=SHUTDOWN_S)
            for handler in late:
                handler.cancel()
        await self._runner.cleanup()
        self._runner = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            return await self._respond(request)
        finally:
            self._handlers.discard(handler)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        head = _head_of(request)
        endpoint = self._endpoint_at(head.path)
        refusal = endpoint.admit(head)
        if refusal is not None:
            return _response(refusal)
        try:
            body = await _body_of(request, endpoint.max_body_bytes)
        except HttpRefusal as error:
            return _response(endpoint.refuse(head, error))
        streams = _Streams(request)
        answer = await endpoint.answer(WireRequest(head, body, streams.open))
        if isinstance(answer, Streamed):
            return streams.opened()
        if answer.status == 200 and request.keep_alive and request.version == HttpVersion11:
            # aiohttp asks of a response what _ReadyResponse has, and nothing else.
            return cast(web.StreamResponse, _ReadyResponse(request, reply_head(answer), answer.body))
        return _response(answer)


class Listener(HttpServer):
    """One address."""

    def __init__(
        self, endpoint_at: Callable[[str], Endpoint], host: str, port: int, is_mcp: IsMcp | None = None
    ) -> None:
        """`is_mcp`: the paths whose POSTs take the fast path; None: none do."""
        super().__init__(endpoint_at)
        self._host = host
        self._port = port
        self._paths = is_mcp

    async def start(self) -> int:
        """Bind and serve; the port that was bound. Raises: PortInUse, OSError for any other failure to bind."""
        loop = asyncio.get_running_loop()
        try:
            return await self._serve_on(
                lambda factory: loop.create_server(factory, self._host, self._port, backlog=BACKLOG),
                self._paths,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(self._host, self._port, listener_on(self._port)) from error
            raise


class SocketListener(HttpServer):
    """A Unix socket, bound already."""

    async def start(self, bound: socket.socket) -> None:
        """Listen and serve; the socket is closed with the listener. Raises: OSError."""
        loop = asyncio.get_running_loop()
        await self._serve_on(lambda factory: loop.create_unix_server(factory, sock=bound, backlog=BACKLOG))


class _Site(web.BaseSite):
    """aiohttp's own take no other factory than its server, and a Unix socket that is bound for one of TCP."""

    def __init__(self, runner: web.ServerRunner, listen: Callable[[], Awaitable[asyncio.Server]]) -> None:
        super().__init__(runner)
        self._listen = listen
        self.port = 0
        """That was bound; 0 for a Unix socket."""

    @property
    def name(self) -> str:
        return "only1mcp"

    async def start(self) -> None:
        await super().start()
        self._server = server = await self._listen()
        address = server.sockets[0].getsockname()
        self.port = address[1] if isinstance(address, tuple) else 0


class _ReadyResponse:
    """A response that is bytes already. aiohttp's own builds its headers in as long as all the rest takes."""

    __slots__ = ("_body", "_head", "_request")
    keep_alive = True

    def __init__(self, request: web.BaseRequest, head: bytes, body: bytes) -> None:
        self._request = request
        self._head = head
        self._body = body

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to prepare."""

    async def write_eof(self) -> None:
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("The client has gone.")
        transport.write(self._head + self._body)
        await self._request.writer.drain()


class _Stream:
    """A WireStream on an aiohttp response."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response

    async def write(self, data: bytes) -> None:
        await self._response.write(data)

    async def close(self) -> None:
        await self._response.write_eof()

    def abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.abort()


class _Streams:
    """Opens the one stream that a request may have."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None

    async def open(self, status: int, headers: HeaderList) -> WireStream:
        if self._request.transport is None:
            raise ConnectionResetError("The client has gone.")
        self._response = web.StreamResponse(status=status, headers=[*headers, _SERVER])
        await self._response.prepare(self._request)
        return _Stream(self._request, self._response)

    def opened(self) -> web.StreamResponse:
        if self._response is None:
            # The client left before the first byte.
            raise ConnectionResetError("The client has gone.")
        return self._response


def _head_of(request: web.BaseRequest) -> WireHead:
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    url = request.rel_url
    return WireHead(
        request.method, url.raw_path, headers, request.remote or "", dict(headers), query=url.raw_query_string
    )


def _response(reply: WireReply) -> web.Response:
    response = web.Response(status=reply.status, headers=[*reply.headers, _SERVER], body=reply.body)
    if reply.status >= 400 and ("Connection", "close") in reply.headers:
        response.force_close()
    return response


async def _body_of(request: web.BaseRequest, limit: int) -> bytes:
    """The whole body. Raises: HttpRefusal, as soon as it is longer than `limit`, too slow or malformed."""
    content = request.content
    if content.is_eof():
        # A small body arrives with its head: nothing to wait for.
        body = content.read_nowait()
        if len(body) > limit:
            raise too_large(limit)
        return body
    try:
        async with asyncio.timeout(BODY_S):
            return await _read(request, limit)
    except TimeoutError as error:
        raise HttpRefusal(408, "The body took too long.", {"Connection": "close"}) from error
    except web.RequestPayloadError as error:
        raise HttpRefusal(400, "The body is not framed as HTTP says.", {"Connection": "close"}) from error


async def _read(request: web.BaseRequest, limit: int) -> bytes:
    if request.headers.get("expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    chunks: list[bytes] = []
    size = 0
    while chunk := await request.content.readany():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _logger() -> logging.Logger:
    quiet = logging.getLogger(__name__ + ".http")
    quiet.addFilter(_is_our_fault)
    return quiet


def _is_our_fault(record: logging.LogRecord) -> bool:
    """What does not parse as HTTP is a stranger's fault, and strangers must not fill the log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
