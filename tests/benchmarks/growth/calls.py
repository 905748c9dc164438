"""What a call costs by the number of connections, of backends, of tools."""

import itertools
import json
from collections.abc import Sequence
from typing import Any, Final

from tests.benchmarks.growth.meter import CALLERS, allow_files, at, cheapest, figure, fill_rings, repeated
from tests.benchmarks.growth.series import Curve, Effort, Figure, Series
from tests.benchmarks.load import META, Ask, connected, modern_call, modern_headers, modern_list
from tests.benchmarks.processes import gateway, http_backend, rss_mb, tools_ready

CONNECTIONS: Final = (1, 8, 64, 512, 2000)
BACKENDS: Final = (1, 10, 100, 500)
TOOLS: Final = (10, 100, 1000, 20_000)
TOOL_SERVERS: Final = 5
"""They share the tools of the catalogue: the gateway takes 5,000 of one server."""
LISTERS: Final = 4
"""A page of a thousand tools has 300 KB."""


async def connections(effort: Effort) -> Series:
    """Each caller has a connection of its own and one call in flight."""
    counts = effort.of(CONNECTIONS)
    allow_files(2 * max(counts))
    call = modern_call("web__echo")
    calls, memory = [], []
    async with http_backend() as (backend_port, _):
        async with gateway([{"id": "web", "transport": at(backend_port)}]) as (port, pid, _):
            await tools_ready(port, 1)
            await fill_rings(port, call)
            for count in counts:
                async with connected(port, count, call) as callers:
                    await repeated(callers, 1)
                    memory.append(Figure(count, rss_mb(pid)))
            for count in counts:
                async with connected(port, count, call) as callers:
                    calls.append(figure(count, await cheapest(callers, pid, effort)))
    curves = [Curve("tools/call", "CPU µs", calls), Curve("memory, open and idle", "MB", memory)]
    return Series("By connections, each with a call in flight", "connection", "connections", curves)


async def backends(effort: Effort) -> Series:
    """Many configured servers that are one and the same process; calls go to all of them in turn."""
    counts = effort.of(BACKENDS)
    allow_files(CALLERS * max(counts))
    calls, memory = [], []
    async with http_backend() as (backend_port, _):
        for count in counts:
            servers = [{"id": f"s{number}", "transport": at(backend_port)} for number in range(count)]
            async with gateway(servers) as (port, pid, _):
                await tools_ready(port, count)
                idle_mb = rss_mb(pid)
                async with connected(port, CALLERS, _in_turn(count)) as callers:
                    calls.append(figure(count, await cheapest(callers, pid, effort)))
                memory.append(Figure(count, idle_mb))
    curves = [Curve("tools/call", "CPU µs", calls), Curve("memory, idle", "MB", memory)]
    return Series("By backends, all called in turn", "backend", "backends", curves)


def _in_turn(servers: int) -> Ask:
    asks = [modern_call(f"s{number}__echo") for number in range(servers)]
    return lambda request_id: asks[request_id % servers](request_id)


async def tools(effort: Effort) -> Series:
    """Calls of one of them, and pages of the list of all of them, which is kept."""
    calls: list[Figure] = []
    first: list[Figure] = []
    last: list[Figure] = []
    for count in effort.of(TOOLS):
        async with http_backend("--tools", str(count // TOOL_SERVERS)) as (backend_port, _):
            servers = [{"id": f"s{number}", "transport": at(backend_port)} for number in range(TOOL_SERVERS)]
            async with gateway(servers) as (port, pid, _):
                pages = await _pages(port, count)
                async with connected(port, CALLERS, modern_call("s0__echo")) as callers:
                    calls.append(figure(count, await cheapest(callers, pid, effort)))
                for page, figures in ((pages[0], first), (pages[-1], last)):
                    async with connected(port, LISTERS, page) as listers:
                        figures.append(figure(count, await cheapest(listers, pid, effort)))
    curves = [
        Curve("tools/call", "CPU µs", calls),
        Curve("tools/list, first page", "CPU µs", first),
        Curve("last page", "CPU µs", last),
    ]
    return Series("By tools in the catalogue; a page has 1,000 at most", "tool", "tools", curves)


async def _pages(port: int, tools: int) -> Sequence[Ask]:
    """How each page of the whole list is asked for, once all of it is there."""
    await tools_ready(port, min(tools, 1000))
    while True:
        asks, listed = [modern_list()], 0
        async with connected(port, 1, asks[0]) as (connection,):
            for number in itertools.count(1):
                _, body = await connection.post(*asks[-1](number))
                result: dict[str, Any] = json.loads(body)["result"]
                listed += len(result["tools"])
                if "nextCursor" not in result:
                    break
                asks.append(_page_at(result["nextCursor"]))
        if listed == tools:
            return asks


def _page_at(cursor: str) -> Ask:
    headers = modern_headers("tools/list")
    rest = f'"method":"tools/list","params":{{"cursor":{json.dumps(cursor)},{META}}}}}'.encode()
    return lambda request_id: (headers, b'{"jsonrpc":"2.0","id":%d,%s' % (request_id, rest))
