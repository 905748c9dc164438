"""A small MCP server on HTTP, on a free port: answers as its table says and remembers what it was sent.

Keys of the table are JSON-RPC methods, `batch` for an array, `answer` for a response to its own request, and
`GET` and `DELETE`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from proxy_core.protocol.revisions import MODERN

Handler = Callable[["Seen"], Awaitable[web.StreamResponse]]


class Seen:
    """One HTTP request that reached the server."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.request = request
        self.headers = request.headers
        self.message: Any = json.loads(body) if body else {}
        is_batch = isinstance(self.message, list)
        self.key = request.method if not body else "batch" if is_batch else self.message.get("method", "answer")

    @property
    def id(self) -> Any:
        return self.message.get("id")

    def result(self, value: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "result": value}).encode()

    def error(self, code: int, data: Any = None) -> bytes:
        error = {"code": code, "message": "no"} | ({} if data is None else {"data": data})
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "error": error}).encode()


def answers(value: Any, **headers: str) -> Handler:
    """A result as JSON; header names with `_` for the hyphen."""

    async def handle(seen: Seen) -> web.StreamResponse:
        return json_reply(seen.result(value), **headers)

    return handle


def json_reply(body: bytes, status: int = 200, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=body, status=status, content_type="application/json", headers=named)


def refuses(status: int, body: bytes = b"", content_type: str = "text/plain", **headers: str) -> Handler:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(seen: Seen) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=content_type, headers=named)

    return handle


def rpc_error(code: int, status: int = 200, data: Any = None) -> Handler:
    async def handle(seen: Seen) -> web.StreamResponse:
        return json_reply(seen.error(code, data), status)

    return handle


async def accepts(seen: Seen) -> web.StreamResponse:
    return web.Response(status=202)


async def event_stream(seen: Seen, **headers: str) -> web.StreamResponse:
    """An event stream, begun."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"} | named)
    await response.prepare(seen.request)
    return response


def streams(*chunks: bytes | Callable[[Seen], bytes]) -> Handler:
    """An event stream of these chunks, each flushed by itself; then it ends."""

    async def handle(seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        for chunk in chunks:
            await response.write(chunk if isinstance(chunk, bytes) else chunk(seen))
            await asyncio.sleep(0)
        return response

    return handle


def event(message: bytes, event_id: str | None = None) -> bytes:
    head = b"" if event_id is None else b"id: %s\n" % event_id.encode()
    return head + b"event: message\ndata: " + message + b"\n\n"


def result_event(value: Any) -> Callable[[Seen], bytes]:
    return lambda seen: event(seen.result(value))


class Holds:
    """A handler that keeps the request open until the client goes or `release` is set."""

    def __init__(self, *, as_stream: bool = False) -> None:
        self.as_stream = as_stream
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        response: web.StreamResponse = web.Response(status=202)
        if self.as_stream:
            response = await event_stream(seen)
        self.arrived.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        return response


DISCOVERED = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
INITIALIZED = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "box", "version": "1"},
}


class BackendServer:
    def __init__(self, table: dict[str, Handler | list[Handler]], url: str) -> None:
        self.table = table
        self.url = url
        self.seen: list[Seen] = []

    def of(self, key: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.key == key]

    @property
    def keys(self) -> list[str]:
        return [seen.key for seen in self.seen]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request, await request.read())
        self.seen.append(seen)
        reply = self.table.get(seen.key)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return await (reply or refuses(405))(seen)


@asynccontextmanager
async def serving(table: dict[str, Handler | list[Handler]]) -> AsyncIterator[BackendServer]:
    app = web.Application()
    server = BackendServer(table, "")
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_bytes(reply: bytes) -> AsyncIterator[str]:
    """A socket that answers every request with these bytes and hangs up; its URL."""

    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever has opened a connection may leave without asking.
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(reply)
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(answer(reader, writer))
        answering.add(task)
        task.add_done_callback(answering.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/mcp"
    for task in answering:
        task.cancel()
    await asyncio.gather(*answering, return_exceptions=True)


async def closed_port() -> int:
    """A port that nobody listens on."""
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port
