"""An HTTP reverse proxy whose relay sees every JSON-RPC message and may change it.

What the relay leaves alone stays as it was, byte for byte. Knows bodies and event streams, nothing of MCP.
Serves until it is ended: the tests run it as a process of its own.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

MAX_BODY_BYTES = 64 * 1024 * 1024
OF_ONE_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Accept-Encoding", "Expect")
NAMING_US = ("Host", "Origin")
NOT_INVENTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
DATA = b"data: "


class Relay:
    """One HTTP exchange on its way. A subclass overrides what it wants to see."""

    def request(self, headers: CIMultiDict[str], body: bytes) -> bytes:
        """The body to send on; `headers` are changed in place."""
        return body

    def answered(self, headers: CIMultiDictProxy[str]) -> None:
        """The head of the answer is there."""

    def message(self, body: bytes) -> bytes:
        """A JSON body, or the data of one event, to hand back."""
        return body


def serve(target: str, port: int, relay: Callable[[], Relay]) -> None:
    """Relay what comes to `port` of loopback to the origin `target`; every exchange gets a relay of its own."""
    asyncio.run(_serve(target, port, relay))


async def _serve(target: str, port: int, relay: Callable[[], Relay]) -> None:
    unlimited = aiohttp.ClientTimeout(total=None)
    pool = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=unlimited, auto_decompress=False, connector=pool) as http:

        async def forward(request: web.Request) -> web.StreamResponse:
            return await _forward(http, target, request, relay())

        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", forward)
        # A client that hangs up must be felt behind us too.
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


async def _forward(
    http: aiohttp.ClientSession, target: str, request: web.Request, relay: Relay
) -> web.StreamResponse:
    headers = _of_both_hops(request.headers)
    _readdress(headers, request.url.port, urlsplit(target).port)
    body = relay.request(headers, await request.read())
    async with http.request(
        request.method,
        target + request.path_qs,
        headers=headers,
        data=body or None,
        allow_redirects=False,
        skip_auto_headers=NOT_INVENTED,
    ) as answer:
        relay.answered(answer.headers)
        head = _of_both_hops(answer.headers)
        if answer.content_type != "text/event-stream":
            whole = await answer.read()
            return web.Response(
                status=answer.status, headers=head, body=relay.message(whole) if whole.strip() else whole
            )
        stream = web.StreamResponse(status=answer.status, headers=head)
        await stream.prepare(request)
        async for line in _lines(answer.content):
            await stream.write(_relayed(line, relay))
        return stream


def _of_both_hops(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in OF_ONE_HOP:
        kept.popall(name, None)
    return kept


def _readdress(headers: CIMultiDict[str], port: int | None, there: int | None) -> None:
    """What is addressed to our port goes to the other's; a foreign host stays one."""
    for name in NAMING_US:
        if headers.get(name, "").endswith(f":{port}"):
            headers[name] = headers[name].removesuffix(f":{port}") + f":{there}"


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Each with its end, as soon as it is whole; the reader's own lines are limited in length."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def _relayed(line: bytes, relay: Relay) -> bytes:
    text = line.rstrip(b"\r\n")
    data = text[len(DATA) :]
    if not text.startswith(DATA) or not data.strip():
        return line
    return DATA + relay.message(data) + line[len(text) :]


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True, help="the origin behind it: http://127.0.0.1:8080")
    return parser
