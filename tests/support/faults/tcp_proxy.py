"""A TCP proxy in front of an HTTP server that can be broken and mended while connections are open.

Knows bytes, the end of a head and the length of a body, no more of HTTP; of MCP nothing. It remembers which
calls it was given, by the keys in what passes, so that a test can tell what was in flight on a broken server.
"""

import asyncio
import random
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from tests.support.faults.keys import LONGEST, keys_in
from tests.support.faults.ports import HeldPort

SLOW_BYTE_S = 0.2
CHUNK_BYTES = 64 * 1024
CUT_AFTER_BYTES = 12
"""How much of a body, or of an event, still passes before it is cut."""
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")
_HEAD_END = b"\r\n\r\n"
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NONSENSE = b'{"jsonrpc": "2.0", "id": 1, "result": {'
_NO_JSON = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    % len(_NONSENSE)
) + _NONSENSE


class Mode(StrEnum):
    PASS = "pass"
    REFUSE = "refuse"
    """Nobody listens; what was open is reset."""
    RESET = "reset"
    """A response is begun, then the connection is reset in the middle of its body."""
    PLAIN = "plain"
    """Behind an https URL: what answers does not speak TLS."""
    UNTRUSTED = "untrusted"
    """Behind an https URL: the certificate is one that nobody trusts."""
    BLACK_HOLE = "black-hole"
    """Accepts and says nothing, on open connections too; what was held back passes when it ends."""
    ERROR_500 = "error-500"
    SLOW_BYTES = "slow-bytes"
    GARBAGE = "garbage"
    """By turns bytes that are no HTTP, and a 200 with half a JSON document."""
    HALF_STREAM = "half-stream"
    """A stream ends in the middle of an event."""


class FaultProxy:
    def __init__(
        self,
        upstream_port: int,
        tls: ssl.SSLContext | None = None,
        untrusted: ssl.SSLContext | None = None,
    ) -> None:
        """`tls`: what it serves with behind an https URL. `untrusted`: what it then breaks with."""
        self.upstream_port = upstream_port
        self._port = HeldPort()
        self.seen: set[str] = set()
        """Keys of the calls that it was given, whatever became of them."""
        self.mode = Mode.PASS
        self._tls = tls
        self._untrusted = untrusted
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._count = 0
        self.is_open = asyncio.Event()
        self.is_open.set()

    @property
    def port(self) -> int:
        return self._port.number

    async def start(self) -> None:
        context = self._untrusted if self.mode is Mode.UNTRUSTED else self._tls
        self._listener = await asyncio.start_server(
            self._accept,
            "127.0.0.1",
            self.port,
            ssl=None if self.mode is Mode.PLAIN else context,
        )

    async def switch(self, mode: Mode) -> None:
        """From now on, for the connections that are open as well."""
        was, self.mode = self.mode, mode
        renewing = (Mode.REFUSE, Mode.PLAIN, Mode.UNTRUSTED)
        if mode in renewing or was in renewing:
            self._stop_listening()
            for link in tuple(self._links):
                link.reset()
            if mode is not Mode.REFUSE:
                await self.start()
        if mode is Mode.BLACK_HOLE:
            self.is_open.clear()
        else:
            self.is_open.set()

    async def aclose(self) -> None:
        self._stop_listening()
        for link in tuple(self._links):
            await link.aclose()
        self._port.release()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        link = _Link(self, self._count, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class _Link:
    """One connection and its counterpart upstream."""

    def __init__(
        self, proxy: FaultProxy, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._number = number
        self._reader = reader
        self._writer = writer
        self._upstream: asyncio.StreamWriter | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._tail = b""
        self._ended = asyncio.Event()

    async def run(self) -> None:
        try:
            if self._proxy.mode is Mode.PLAIN:
                await self._reader.read(CHUNK_BYTES)
                self._writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\nThis is no TLS.\r\n")
                return
            up_reader, self._upstream = await asyncio.open_connection("127.0.0.1", self._proxy.upstream_port)
            self._pumps = [
                asyncio.create_task(self._requests(self._upstream)),
                asyncio.create_task(self._responses(up_reader)),
            ]
            await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, ssl.SSLError):
            return
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in (self._writer, self._upstream):
            if writer is not None:
                writer.close()
                # A peer that has gone is as good as one that was told.
                with suppress(OSError, ssl.SSLError, TimeoutError):
                    await asyncio.wait_for(writer.wait_closed(), 1)

    def reset(self) -> None:
        """End it by RST instead of FIN."""
        if self._writer.transport.is_closing():
            # Over TLS it has no socket any more that could be asked for.
            return
        sock = self._writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _requests(self, upstream: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await self._reader.read(CHUNK_BYTES):
                self._remember(data)
                await self._proxy.is_open.wait()
                if self._proxy.mode in (Mode.ERROR_500, Mode.GARBAGE):
                    await self._answer(data)
                    return
                upstream.write(data)
                await upstream.drain()

    def _remember(self, data: bytes) -> None:
        data = self._tail + data
        self._proxy.seen |= keys_in(data)
        self._tail = data[-LONGEST:]

    async def _answer(self, data: bytes) -> None:
        """Take the whole request, then answer it in the server's place and hang up."""
        while not _is_whole(data) and (more := await self._reader.read(CHUNK_BYTES)):
            self._remember(more)
            data += more
        reply = _ERROR
        if self._proxy.mode is Mode.GARBAGE:
            reply = random.Random(self._number).randbytes(300) if self._number % 2 else _NO_JSON
        self._writer.write(reply)
        await self._writer.drain()

    async def _responses(self, upstream: asyncio.StreamReader) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await upstream.read(CHUNK_BYTES):
                await self._proxy.is_open.wait()
                mode = self._proxy.mode
                if mode is Mode.RESET:
                    self._writer.write(_begun(data))
                    await self._writer.drain()
                    self.reset()
                    return
                if mode is Mode.HALF_STREAM and (half := _half_event(data)):
                    self._writer.write(half)
                    await self._writer.drain()
                    return
                if mode is Mode.SLOW_BYTES:
                    await self._drip(data)
                else:
                    self._writer.write(data)
                    await self._writer.drain()

    async def _drip(self, data: bytes) -> None:
        for at in range(len(data)):
            if self._proxy.mode is not Mode.SLOW_BYTES:
                self._writer.write(data[at:])
                break
            self._writer.write(data[at : at + 1])
            await asyncio.sleep(SLOW_BYTE_S)
        await self._writer.drain()


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(_HEAD_END)
    length = _LENGTH.search(head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


def _begun(data: bytes) -> bytes:
    """The head, if it is one, and a little of what follows."""
    head, end, _ = data.partition(_HEAD_END)
    return data[: (len(head + end) if end else 0) + CUT_AFTER_BYTES]


def _half_event(data: bytes) -> bytes:
    """Up to a little way into the first event's data; nothing if no event begins here."""
    at = data.find(b"data: ")
    return data[: at + CUT_AFTER_BYTES] if at >= 0 else b""


@asynccontextmanager
async def proxied(proxies: list[FaultProxy]) -> AsyncIterator[None]:
    """All of them listen inside the block."""
    for proxy in proxies:
        await proxy.start()
    try:
        yield
    finally:
        for proxy in proxies:
            await proxy.aclose()
