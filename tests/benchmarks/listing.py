"""A cached 10 KB list over HTTP, both eras, in turns with a server that returns the same bytes ready-made.

Run as `python -m tests.benchmarks.listing`. The unit is CPU microseconds a request of each server's process
tree; the ratio is taken within each turn, since the machine may be noisy, and the median counts.
"""

import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from tests.benchmarks.load import Ask, Call, HttpCaller, Measured, closed_loop, connected, modern_list
from tests.benchmarks.processes import cpu_of, gateway, http_backend, listening, tools_ready

SERVERS: Final = 10
TOOLS: Final = 4
"""Of each server: 1 KB of list."""
CONNECTIONS: Final = 64
LEGACY: Final = "2025-11-25"


@dataclass
class Way:
    """One way to get the list, and what it has cost in each turn."""

    name: str
    pid: int
    calls: Sequence[Call]
    turns: list[Measured] = field(default_factory=list)

    async def take_turn(self, seconds: float) -> None:
        self.turns.append(await closed_loop(self.calls, seconds, lambda: cpu_of(self.pid)))


async def list_table(turns: int, seconds: float) -> list[str]:
    """`seconds`: of each way in each turn."""
    async with http_backend("--tools", str(TOOLS)) as (backend_port, _):
        url = f"http://127.0.0.1:{backend_port}/mcp"
        servers = [{"id": f"s{n}", "transport": {"type": "http", "url": url}} for n in range(SERVERS)]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, SERVERS * TOOLS)
            return await _compare(port, pid, turns, seconds)


async def _compare(port: int, pid: int, turns: int, seconds: float) -> list[str]:
    legacy = await _legacy_list(port)
    async with (
        connected(port, CONNECTIONS, modern_list()) as by_modern,
        connected(port, CONNECTIONS, legacy) as by_legacy,
    ):
        _, body = await by_modern[0].post(*modern_list()(1))
        async with (
            _ready_server(body) as (ready_port, ready_pid),
            connected(ready_port, CONNECTIONS, modern_list()) as ready,
        ):
            ways = [
                Way("aiohttp.web, the same bytes ready-made", ready_pid, [_of_any_id(each) for each in ready]),
                Way("gateway, modern", pid, by_modern),
                Way("gateway, legacy", pid, by_legacy),
            ]
            for _ in range(turns):
                for way in ways:
                    await way.take_turn(seconds)
    return _rows(ways, len(body))


def _rows(ways: list[Way], size: int) -> list[str]:
    reference = ways[0]
    rows = [
        f"| tools/list, {size:,} bytes, {CONNECTIONS} connections | CPU µs a request | requests/s "
        "| the first's CPU / its own |",
        "|---|---|---|---|",
    ]
    for way in ways:
        cpu_us, per_s = median(turn.cpu_us for turn in way.turns), median(turn.per_s for turn in way.turns)
        ratio = median(a.cpu_us / b.cpu_us for a, b in zip(reference.turns, way.turns, strict=True))
        rows.append(f"| {way.name} | {cpu_us:.0f} | {per_s:,.0f} | {ratio:.2f} |")
    return rows


def _of_any_id(connection: HttpCaller) -> Call:
    """What is ready-made cannot repeat the id of the request."""
    ask = modern_list()

    async def call(request_id: int) -> None:
        head, _ = await connection.post(*ask(request_id))
        assert head.startswith(b"HTTP/1.1 200"), head

    return call


@asynccontextmanager
async def _ready_server(body: bytes) -> AsyncIterator[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body.json"
        file.write_bytes(body)
        async with listening(sys.executable, "-m", "tests.benchmarks.ready_server", str(file)) as found:
            yield found


async def _legacy_list(port: int) -> Ask:
    """A session that has shaken hands, and how it asks."""
    version = f"MCP-Protocol-Version: {LEGACY}\r\n".encode()
    hello = (
        f'{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}",'
        '"capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}'
    ).encode()
    async with connected(port, 1, modern_list()) as (connection,):
        head, _ = await connection.post(version, hello)
    session = head.lower().split(b"mcp-session-id:", 1)[1].split(b"\r\n", 1)[0].strip()
    # Header names are in lower case by now, and so would be the id.
    at = head.lower().index(session)
    headers = version + b"Mcp-Session-Id: %s\r\n" % head[at : at + len(session)]
    return lambda request_id: (headers, b'{"jsonrpc":"2.0","id":%d,"method":"tools/list"}' % request_id)


if __name__ == "__main__":
    print("\n".join(uvloop.run(list_table(7, 1.0))))
