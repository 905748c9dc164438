"""What aiohttp serves: every request that does not take the fast path, and the admin API.

Knows HTTP and nothing of MCP; what it serves is an `Endpoint`. The only module that imports aiohttp's server,
and itself imported when the first connection wants it: that takes longer than the rest of a start.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from proxy_core.errors import HttpRefusal
from proxy_core.frontend.fast_path import BODY_S, IDLE_S, LINGER_S
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
_SERVER: Final = ("Server", "only1mcp")


class AiohttpServer:
    """Makes the protocol of each connection, and ends them all."""

    def __init__(self, endpoint_at: Callable[[str], Endpoint]) -> None:
        """`endpoint_at`: who serves a path. Needs a running loop."""
        self._endpoint_at = endpoint_at
        self._handlers: set[asyncio.Task[object]] = set()
        self._server = web.Server(
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

    def __call__(self) -> asyncio.Protocol:
        return self._server()

    async def aclose(self, grace_s: float) -> None:
        """Close every connection; what is being served has `grace_s` to finish, then is cancelled."""
        if self._handlers:
            _, late = await asyncio.wait(self._handlers, timeout=grace_s)
            for handler in late:
                handler.cancel()
        self._server.pre_shutdown()
        await self._server.shutdown(grace_s)

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
