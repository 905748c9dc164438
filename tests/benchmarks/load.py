"""Load, made as cheaply as Python allows: closed loop, N callers, each with one call in flight, unique ids."""

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Call = Callable[[int], Awaitable[None]]


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
        return sorted(self.latencies_ms)[max(0, math.ceil(len(self.latencies_ms) * share) - 1)]


async def closed_loop(callers: list[Call], seconds: float, cpu_s: Callable[[], float]) -> Measured:
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


class HttpCaller:
    """One keep-alive connection: one modern tools/call at a time, the answer read by its length."""

    def __init__(self, port: int, tool: str) -> None:
        self._port = port
        self._tool = tool

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def __call__(self, request_id: int) -> None:
        body = call_body(request_id, self._tool)
        self._writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            b"Mcp-Method: tools/call\r\nMcp-Name: %s\r\nContent-Length: %d\r\n\r\n%s"
            % (self._port, self._tool.encode(), len(body), body)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        answer = await self._reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 200") and b'"id":%d,' % request_id in answer, answer[:300]

    def close(self) -> None:
        self._writer.close()


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


def call_body(request_id: int, tool: str) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":{"n":%d},"_meta":'
        b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
        b'"io.modelcontextprotocol/clientCapabilities":{}}}}' % (request_id, tool.encode(), request_id)
    )
