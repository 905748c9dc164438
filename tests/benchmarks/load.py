"""Load, made as cheaply as Python allows: closed loop, N callers, each with one call in flight, unique ids."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.intervals import percentile

MAX_HEAD: Final = 600
"""Bytes: the id comes within these, for all servers here write it first."""
Call = Callable[[int], Awaitable[None]]
Ask = Callable[[int], tuple[bytes, bytes]]
"""From a request id to the header lines and the body of a POST."""
META: Final = (
    '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    '"io.modelcontextprotocol/clientCapabilities":{}}'
)


@dataclass(frozen=True, slots=True)
class Measured:
    calls: int
    seconds: float
    latencies_ms: list[float]
    cpu_s: float
    """CPU seconds that the process under test used meanwhile."""

    @property
    def per_s(self) -> float:
        return self.calls / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a call."""
        return self.cpu_s / self.calls * 1e6

    def percentile_ms(self, share: float) -> float:
        return percentile(self.latencies_ms, share)


async def closed_loop(callers: Sequence[Call], seconds: float, cpu_s: Callable[[], float]) -> Measured:
    """Every caller repeats its call for `seconds`, after a fifth of that to warm up."""
    latencies: list[float] = []
    ids = itertools.count(1)

    async def repeat(call: Call, until: float, note: bool) -> None:
        while (begun := time.perf_counter()) < until:
            await call(next(ids))
            if note:
                latencies.append((time.perf_counter() - begun) * 1000)

    async def phase(length_s: float, note: bool) -> None:
        until = time.perf_counter() + length_s
        await asyncio.gather(*(repeat(call, until, note) for call in callers))

    await phase(seconds / 5, note=False)
    cpu_before, begun = cpu_s(), time.perf_counter()
    await phase(seconds, note=True)
    took = time.perf_counter() - begun
    return Measured(len(latencies), took, latencies, cpu_s() - cpu_before)


class HttpCaller(asyncio.Protocol):
    """One keep-alive connection: one request at a time, the answer read by its length.

    Not the connection of `proxy_core.load`, which `only1mcp bench` loads with: awaited request by request, as
    here, its parser costs 1.2 µs more each (of 11.6; measured 2026-11-29), on the cores of what is measured.
    Told in callbacks, as there, it costs the same as this.
    """

    def __init__(self, port: int, ask: Ask) -> None:
        self._port = port
        self._ask = ask
        self._received = bytearray()
        self._missing = 0
        """Bytes of the answer that have not come; negative: its head is not whole."""
        self._answered: asyncio.Future[None] | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)

    async def __call__(self, request_id: int) -> None:
        await self._post(*self._ask(request_id))
        answer = self._received
        is_right = answer.startswith(b"HTTP/1.1 200") and b'"id":%d,' % request_id in answer[:MAX_HEAD]
        assert is_right, bytes(answer[: 2 * MAX_HEAD])

    async def post(self, headers: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer. `headers`: lines beside those that every POST has."""
        await self._post(headers, body)
        head, _, answer = bytes(self._received).partition(b"\r\n\r\n")
        return head, answer

    async def _post(self, headers: bytes, body: bytes) -> None:
        self._received.clear()
        self._missing = -1
        answered = self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"POST /mcp HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\n%sContent-Length: %d\r\n\r\n%s"
            % (self._port, headers, len(body), body)
        )
        await answered

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._missing < 0:
            end = self._received.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            length = self._received[:end].lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
            self._missing = end + int(length) - len(self._received)
        else:
            self._missing -= len(data)
        if self._missing == 0 and self._answered is not None:
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("The server hung up."))

    def close(self) -> None:
        self._transport.close()


@asynccontextmanager
async def connected(port: int, callers: int, ask: Ask) -> AsyncIterator[list[HttpCaller]]:
    """As many connections, each asking the same way."""
    connections = [HttpCaller(port, ask) for _ in range(callers)]
    await asyncio.gather(*(connection.open() for connection in connections))
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


class StdioPeer:
    """A child asked directly over its pipes; answers are told apart by their ids."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def open(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            request_id = int(line.split(b'"id":', 1)[1].split(b",", 1)[0])
            self._waiting.pop(request_id).set_result(None)

    async def __call__(self, request_id: int) -> None:
        assert self.process.stdin is not None
        waiter = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(call_body(request_id, "echo") + b"\n")
        await waiter

    async def aclose(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()
        await self._reading


def modern_headers(method: str, name: str = "") -> bytes:
    lines = f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n"
    return (lines + (f"Mcp-Name: {name}\r\n" if name else "")).encode()


def modern_call(tool: str, *, wants_progress: bool = False) -> Ask:
    headers = modern_headers("tools/call", tool)
    if not wants_progress:
        return lambda request_id: (headers, call_body(request_id, tool))
    meta, token = b'"_meta":{', b'"_meta":{"progressToken":%d,'
    return lambda request_id: (headers, call_body(request_id, tool).replace(meta, token % request_id, 1))


def modern_list(method: str = "tools/list") -> Ask:
    headers = modern_headers(method)
    body = f'"method":"{method}","params":{{{META}}}}}'.encode()
    return lambda request_id: (headers, b'{"jsonrpc":"2.0","id":%d,%s' % (request_id, body))


def call_body(request_id: int, tool: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":{"n":%d},%s}}' % (
        request_id,
        tool.encode(),
        request_id,
        META.encode(),
    )
