"""calls/s beside other MCP proxies: FastMCP's in front of an HTTP backend, and bridges over one stdio child.

Run as `python -m tests.benchmarks.bridges`. Clients are legacy ones, for all of these serve them. The others
are those that `make bench-peers` installs, each with what it needs apart from ours.
"""

import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop

from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval
from tests.benchmarks.lines import opened
from tests.benchmarks.peers.web_servers import free_port, serving
from tests.benchmarks.processes import BACKEND, ROOT, gateway, http_backend, settled, tools_ready
from tests.benchmarks.rounds import Way, in_turns, per_s, ratio, warm_up
from tests.benchmarks.sessions import legacy_call, legacy_headers
from tests.benchmarks.standing import GATEWAY, OF_300_BYTES

CONNECTIONS: Final = 8
PEERS: Final = ROOT / ".cache" / "peers"
FASTMCPS_PYTHON: Final = PEERS / "fastmcp" / "bin" / "python"
PROGRAMS: Final = os.pathsep.join(
    map(str, (PEERS / "mcp-proxy" / "bin", PEERS / "node" / "node_modules" / ".bin"))
)
FASTMCP: Final = "FastMCP's proxy"
CHILD: Final = (*BACKEND, "--stdio", *OF_300_BYTES)
BRIDGES: Final[Mapping[str, tuple[str, ...]]] = {
    "mcp-proxy": ("--port", "{port}", "--", *CHILD),
    "supergateway": (
        *("--port", "{port}", "--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none"),
        *("--stdio", shlex.join(CHILD)),
    ),
}
"""Programs, and what each is told."""


async def beside_bridges(rounds: int, seconds: float) -> Part:
    """`seconds`: of each way in each round."""
    async with AsyncExitStack() as stack:
        stack.enter_context(feeding())
        by_http = await _over_http(stack)
        by_stdio = await _over_stdio(stack)
        for ways in (by_http, by_stdio):
            warm_up(ways.values())
            if GATEWAY in ways:
                await settled(ways[GATEWAY].pid)
            in_turns(list(ways.values()), rounds, lambda way: way.saturated(seconds))
    table = [
        f"| tools/call, {CONNECTIONS} connections, 2025-11-25 | calls/s | gateway's calls/s / its own |",
        "|---|---|---|",
    ]
    best: dict[str, Interval | None] = {}
    for number, kind, ways, names in (("G6", "HTTP", by_http, (FASTMCP,)), ("G7", "stdio", by_stdio, BRIDGES)):
        others = [ways[name] for name in names if name in ways]
        best[number] = None
        if others:
            fastest = max(others, key=lambda way: way.middle(per_s))
            best[number] = ratio(ways[GATEWAY], fastest, per_s)
            table.append(f"| {kind}: {GATEWAY} | {ways[GATEWAY].middle(per_s):,.0f} | - |")
        for name in names:
            if name not in ways:
                table.append(f"| {kind}: {name} | not installed | - |")
                continue
            share = ratio(ways[GATEWAY], ways[name], per_s).shown(".1f")
            table.append(f"| {kind}: {name} | {ways[name].middle(per_s):,.0f} | {share} |")
    return Part(best, table)


async def _over_http(stack: AsyncExitStack) -> dict[str, Way]:
    """None, where there is nothing to compare with."""
    if not FASTMCPS_PYTHON.exists():
        return {}
    backend_port, pid = await stack.enter_async_context(http_backend(*OF_300_BYTES))
    pin(pid, FEEDING)
    url, port = f"http://127.0.0.1:{backend_port}/mcp", free_port()
    program = (str(FASTMCPS_PYTHON), "-m", "tests.benchmarks.peers.fastmcp_proxy", url, str(port))
    found = await stack.enter_async_context(serving(port, *program))
    return {
        GATEWAY: await _gateway(stack, {"type": "http", "url": url}),
        FASTMCP: _way(stack, FASTMCP, *found, "echo"),
    }


async def _over_stdio(stack: AsyncExitStack) -> dict[str, Way]:
    """Each has started the child itself. None, where there is nothing to compare with."""
    ways: dict[str, Way] = {}
    for name, told in BRIDGES.items():
        if program := shutil.which(name, path=PROGRAMS):
            port = free_port()
            arguments = (each.replace("{port}", str(port)) for each in told)
            found = await stack.enter_async_context(serving(port, program, *arguments))
            ways[name] = _way(stack, name, *found, "echo")
    if ways:
        transport = {"type": "stdio", "command": CHILD[0], "args": CHILD[1:], "cwd": str(ROOT)}
        ways[GATEWAY] = await _gateway(stack, transport)
    return ways


async def _gateway(stack: AsyncExitStack, transport: dict[str, Any]) -> Way:
    port, pid, _ = await stack.enter_async_context(gateway([{"id": "one", "transport": transport}]))
    await tools_ready(port, 1)
    return _way(stack, GATEWAY, port, pid, "one__echo")


def _way(stack: AsyncExitStack, name: str, port: int, pid: int, tool: str) -> Way:
    pin(pid, MEASURED)
    ask = legacy_call(legacy_headers(port), tool)
    return Way(name, pid, stack.enter_context(opened(port, CONNECTIONS, ask)))


if __name__ == "__main__":
    print("\n".join(uvloop.run(beside_bridges(8, 0.5)).table))
