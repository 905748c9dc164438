"""A cached 10 KB list over HTTP, both eras, in turns with a server that returns the same bytes ready-made.

Run as `python -m tests.benchmarks.listing`. The unit is CPU microseconds a request of each server's process
tree; the ratio is taken within each turn, since the machine may be noisy, and the median counts.
"""

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.goals import GOAL as GOALS
from tests.benchmarks.goals import Part
from tests.benchmarks.lines import opened
from tests.benchmarks.load import modern_list
from tests.benchmarks.processes import gateway, http_backend, listening, settled, tools_ready
from tests.benchmarks.results import Figure
from tests.benchmarks.rounds import Way, cpu_us, in_turns, per_s, ratio, warm_up
from tests.benchmarks.sessions import legacy_headers, legacy_list
from tests.benchmarks.standing import CONNECTIONS

SERVERS: Final = 10
TOOLS: Final = 4
"""Of each server: 1 KB of list."""
GOAL: Final = GOALS["G5"]
"""Of modern clients; legacy ones are held to the same."""


async def listing(rounds: int, seconds: float) -> Part:
    """`seconds`: of each way in each round."""
    async with http_backend("--tools", str(TOOLS)) as (backend_port, backend_pid):
        pin(backend_pid, FEEDING)
        url = f"http://127.0.0.1:{backend_port}/mcp"
        servers = [{"id": f"s{n}", "transport": {"type": "http", "url": url}} for n in range(SERVERS)]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, SERVERS * TOOLS)
            pin(pid, MEASURED)
            with feeding():
                return await _compare(port, pid, rounds, seconds)


async def _compare(port: int, pid: int, rounds: int, seconds: float) -> Part:
    legacy = legacy_list(legacy_headers(port))
    with opened(port, CONNECTIONS, modern_list()) as by_modern, opened(port, CONNECTIONS, legacy) as by_legacy:
        _, body = by_modern[0].exchange(*modern_list()(1))
        async with _ready_server(body) as (ready_port, ready_pid):
            pin(ready_pid, MEASURED)
            # What is ready-made cannot repeat the id of the request.
            with opened(ready_port, CONNECTIONS, modern_list(), repeats_ids=False) as ready:
                reference = Way("aiohttp.web, the same bytes ready-made", ready_pid, ready)
                ours = [Way("gateway, modern", pid, by_modern), Way("gateway, legacy", pid, by_legacy)]
                ways = [reference, *ours]
                warm_up(ways)
                await settled(pid)
                in_turns(ways, rounds, lambda way: way.saturated(seconds))
    return part_of(ways, len(body))


def part_of(ways: Sequence[Way], size: int) -> Part:
    """Of the reference, the gateway's modern clients and its legacy ones."""
    reference, modern, _ = ways
    return Part({GOAL.number: ratio(reference, modern, cpu_us)}, _rows(ways, size), tuple(_figures(ways)))


def _rows(ways: Sequence[Way], size: int) -> list[str]:
    rows = [
        f"| tools/list, {size:,} bytes, {CONNECTIONS} connections | CPU µs a request | requests/s "
        "| the first's CPU / its own |",
        "|---|---|---|---|",
    ]
    for way in ways:
        share = ratio(ways[0], way, cpu_us).shown() if way is not ways[0] else "-"
        rows.append(f"| {way.name} | {way.middle(cpu_us):.0f} | {way.middle(per_s):,.0f} | {share} |")
    return rows


def _figures(ways: Sequence[Way]) -> Iterator[Figure]:
    for way in ways:
        yield Figure(f"{way.name}: CPU", "µs a request", "lower", way.samples(cpu_us))
        yield Figure(way.name, "requests/s", "higher", way.samples(per_s))
        if way is not ways[0]:
            name, shares = f"{way.name}: the first's CPU / its own", ratio(ways[0], way, cpu_us).values
            yield Figure(name, "times", "higher", shares, GOAL.must, GOAL.aim, is_must=True)


@asynccontextmanager
async def _ready_server(body: bytes) -> AsyncIterator[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body.json"
        file.write_bytes(body)
        async with listening(sys.executable, "-m", "tests.benchmarks.peers.ready_server", str(file)) as found:
            yield found


if __name__ == "__main__":
    print("\n".join(uvloop.run(listing(8, 0.5)).table))
