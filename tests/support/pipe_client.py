"""A client of both eras at the other end of a pipe: what it sends and hears, line by line."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy_core.frontend.pipe import Pipe
from tests.support.http_client import ENVELOPE, LATEST_LEGACY, SOON_S, request

Json = dict[str, Any]


class PipeClient:
    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, write_fd: int) -> None:
        self._reader = reader
        self._transport = transport
        self._write_fd = write_fd
        self.heard: list[Any] = []
        """Every line so far, parsed."""

    # --- lines

    def send(self, *messages: Any) -> None:
        """Messages, or bytes as they are; all in one write."""
        lines = (m if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages)
        os.write(self._write_fd, b"".join(lines))

    def end(self) -> None:
        """Close its side; safe to call twice."""
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def hang_up(self) -> None:
        """Read nothing any more."""
        self._transport.close()

    def stop_reading(self) -> None:
        self._transport.pause_reading()

    def go_on_reading(self) -> None:
        self._transport.resume_reading()

    async def line(self) -> bytes:
        """The next line, byte for byte; empty at the end."""
        line = await asyncio.wait_for(self._reader.readline(), SOON_S)
        assert not line or line.endswith(b"\n"), line
        return line

    async def next(self) -> Any:
        """The next line; None at the end."""
        line = await self.line()
        if not line:
            return None
        message = json.loads(line)
        self.heard.append(message)
        return message

    async def until(self, wanted: Callable[[Any], Any]) -> Any:
        """The first line that is wanted; those before it are only heard."""
        while True:
            message = await self.next()
            assert message is not None, f"the pipe ended; heard {self.heard}"
            if wanted(message):
                return message

    async def answer(self, id: Any = 1) -> Json:
        answer: Json = await self.until(lambda m: is_answer(m) and m.get("id") == id)
        return answer

    # --- requests

    async def initialize(self, version: str = LATEST_LEGACY, capabilities: Json | None = None) -> Json:
        """The whole handshake."""
        self.send(initialize(version, capabilities))
        answer = await self.answer("init")
        self.send(initialized())
        return answer

    async def ask(self, method: str, params: Json | None = None, id: Any = 1) -> Json:
        """A legacy request."""
        self.send(request(method, params, id))
        return await self.answer(id)

    async def ask_modern(self, method: str, params: Json | None = None, id: Any = 1) -> Json:
        self.send(modern(method, params, id))
        return await self.answer(id)


def is_answer(message: Any) -> bool:
    return isinstance(message, dict) and "method" not in message


def initialize(version: str = LATEST_LEGACY, capabilities: Json | None = None, id: Any = "init") -> Json:
    params = {
        "protocolVersion": version,
        "capabilities": capabilities or {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    return request("initialize", params, id)


def initialized() -> Json:
    return notification("notifications/initialized")


def notification(method: str, params: Json | None = None) -> Json:
    return {"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params})


def modern(method: str, params: Json | None = None, id: Any = 1, meta: Json | None = None) -> Json:
    return request(method, (params or {}) | {"_meta": ENVELOPE | (meta or {})}, id)


def cancelled(id: Any) -> Json:
    return notification("notifications/cancelled", {"requestId": id})


@asynccontextmanager
async def piped() -> AsyncIterator[tuple[PipeClient, Pipe]]:
    """A client, and the descriptors of whoever serves it in this process; what is still open is closed."""
    (our_in, client_out), (client_in, our_out) = os.pipe(), os.pipe()
    client = await connected(client_in, client_out)
    try:
        yield client, Pipe(our_in, our_out)
    finally:
        client.end()
        client.hang_up()
        os.close(our_out)


async def connected(read_fd: int, write_fd: int) -> PipeClient:
    """A client with these two ends."""
    reader = asyncio.StreamReader(limit=64 << 20)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", 0)
    )
    return PipeClient(reader, transport, write_fd)
