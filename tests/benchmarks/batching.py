"""What a call costs on one connection, with and without JSON-RPC batches.

Run as `python -m tests.benchmarks.batching`. The connection alone, without the clients' side of a gateway; the
backend is a process of its own. CPU is this process's. The ways are measured in turns, and the best of each
counts, since the machine may be noisy.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from msgspec import Raw

from proxy_core.backends.batch_support import BatchSupport, Support
from proxy_core.backends.call import Call
from proxy_core.backends.connection import Connection, Terms
from proxy_core.backends.guard import Guard
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.stdio_channel import StdioChannel
from proxy_core.clock import SystemClock
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from tests.benchmarks.load import Measured, closed_loop
from tests.benchmarks.processes import BACKEND, ROOT, http_backend
from tests.support.scripted_channel import Owner, until

CALLERS = (1, 8, 64)
LARGEST = 10
PARAMS = Raw(b'{"name":"echo","arguments":{"n":1}}')


@asynccontextmanager
async def connected(
    transport: HttpTransport | StdioTransport, guard: Guard, most: Callable[[], int]
) -> AsyncIterator[Connection]:
    """`most`: in one batch."""
    support = BatchSupport()

    def channel(kind: Any, receiver: Any) -> Any:
        if isinstance(transport, HttpTransport):
            return HttpChannel("bench", transport, receiver, 30, lambda note: None)
        return StdioChannel("bench", transport, receiver, guard, lambda line: None)

    settings = ServerConfig(id="bench", transport=transport, era="legacy", concurrency=64)
    terms = Terms(wire_batch=most)
    connection = Connection(settings, channel, Owner(), SystemClock(), terms=terms, batch_support=support)
    await connection.open()
    try:
        await asyncio.gather(connection.probe(5), connection.probe(5))
        await until(lambda: support.state is Support.SHOWN)
        yield connection
    finally:
        await connection.aclose()


async def measured(connection: Connection, callers: int, seconds: float) -> Measured:
    async def call(request_id: int) -> None:
        await connection.call(Call("tools/call", PARAMS, name="echo"))

    return await closed_loop([call] * callers, seconds, time.process_time)


async def compare(
    name: str, transport: HttpTransport | StdioTransport, guard: Guard, rounds: int, seconds: float
) -> list[str]:
    most, rows = LARGEST, []
    async with connected(transport, guard, lambda: most) as connection:
        for callers in CALLERS:
            found: dict[int, list[Measured]] = {0: [], LARGEST: []}
            for _ in range(rounds):
                for size, runs in found.items():
                    most = size
                    runs.append(await measured(connection, callers, seconds))
            for size, runs in found.items():
                cpu = min(run.cpu_us for run in runs)
                p50 = min(run.percentile_ms(0.5) for run in runs)
                per_s = max(run.per_s for run in runs)
                rows.append(f"| {name} | {callers} | {size or 'none'} | {cpu:.0f} | {p50:.3f} | {per_s:,.0f} |")
            most = LARGEST
    return rows


async def batch_table(rounds: int, seconds: float) -> list[str]:
    """`seconds`: of each way in each round."""
    guard = Guard()
    await guard.start()
    child = StdioTransport(command=BACKEND[0], args=(*BACKEND[1:], "--stdio"), cwd=str(ROOT))
    try:
        async with http_backend() as (port, _):
            remote = HttpTransport(url=f"http://127.0.0.1:{port}/mcp")
            return [
                "| transport | callers | most in a batch | CPU µs a call | p50 ms | calls/s |",
                "|---|---|---|---|---|---|",
                *await compare("stdio", child, guard, rounds, seconds),
                *await compare("HTTP", remote, guard, rounds, seconds),
            ]
    finally:
        await guard.aclose()


if __name__ == "__main__":
    print("\n".join(uvloop.run(batch_table(5, 1.0))))
