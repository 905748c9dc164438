"""tools/call forwarded: by the gateway, by web servers, by a proxy as it is usually written, and not at all.

Run as `python -m tests.benchmarks.forwarding [ROUNDS SECONDS]`. All stand in front of the same backend and are
measured in turns; the unit is CPU microseconds a request of each one's process tree.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import uvloop

from tests.benchmarks.cores import pin
from tests.benchmarks.lines import opened
from tests.benchmarks.load import Ask, modern_call
from tests.benchmarks.peers.web_servers import haproxy, nginx
from tests.benchmarks.processes import gateway, http_backend, listening, tools_ready
from tests.benchmarks.rounds import Way, cpu_us, in_turns, per_s, ratio

CONNECTIONS: Final = 64
TEXT_BYTES: Final = 115
"""Of a reply that has 300 in all."""
DIRECT: Final = "backend, directly"
NGINX: Final = "nginx proxy_pass, one worker"
HAPROXY: Final = "haproxy, one thread"
USUAL: Final = "aiohttp.web + ClientSession + json, 40 lines"
GATEWAY: Final = "gateway"
AIOHTTP_GATEWAY: Final = "gateway --no-fast-path"
MEASURED, FEEDING = 0, 1
"""Cores."""


@asynccontextmanager
async def ways_through(*names: str, text_bytes: int = TEXT_BYTES) -> AsyncIterator[list[Way | str]]:
    """Each of these, started and connected to; its name alone where it is not installed.

    Whoever forwards has the first core; the backend and the load, which is this process, have the second.
    """
    async with AsyncExitStack() as stack:
        port, pid = await stack.enter_async_context(http_backend("--text-bytes", str(text_bytes)))
        found: list[Way | str] = []
        for name in names:
            started = await _start(stack, name, port, pid)
            if started is None:
                found.append(name)
                continue
            way_port, way_pid, ask = started
            lines = stack.enter_context(opened(way_port, CONNECTIONS, ask))
            pin(way_pid, FEEDING if name == DIRECT else MEASURED)
            found.append(Way(name, way_pid, lines))
        pin(pid, FEEDING)
        yield found


async def _start(
    stack: AsyncExitStack, name: str, backend_port: int, backend_pid: int
) -> tuple[int, int, Ask] | None:
    """(port, pid, how it is asked)."""
    found: tuple[int, int] | None = None
    if name in (GATEWAY, AIOHTTP_GATEWAY):
        server = {"id": "web", "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}}
        arguments = () if name == GATEWAY else ("--no-fast-path",)
        port, pid, _ = await stack.enter_async_context(gateway([server], arguments=arguments))
        await tools_ready(port, 1)
        return port, pid, modern_call("web__echo")
    if name == DIRECT:
        found = backend_port, backend_pid
    elif name == USUAL:
        program = "tests.benchmarks.peers.usual_proxy"
        url = f"http://127.0.0.1:{backend_port}/mcp"
        found = await stack.enter_async_context(listening(sys.executable, "-m", program, url))
    else:
        found = await stack.enter_async_context({NGINX: nginx, HAPROXY: haproxy}[name](backend_port))
    return None if found is None else (*found, modern_call("echo"))


async def forwarding_rows(rounds: int, seconds: float) -> list[str]:
    async with ways_through(DIRECT, NGINX, HAPROXY, USUAL, AIOHTTP_GATEWAY, GATEWAY) as ways:
        running = [way for way in ways if isinstance(way, Way)]
        in_turns(running, rounds, lambda way: way.saturated(seconds))
        nginx = next((way for way in running if way.name == NGINX), None)
        rows = []
        for way in ways:
            if isinstance(way, str):
                rows.append(f"| {way} | not installed | | |")
                continue
            share = ratio(nginx, way, cpu_us).shown() if nginx else "-"
            rows.append(
                f"| {way.name} | {way.interval(cpu_us).shown('.1f')} | {way.middle(per_s):,.0f} | {share} |"
            )
        return rows


if __name__ == "__main__":
    rounds, seconds = (int(sys.argv[1]), float(sys.argv[2])) if len(sys.argv) > 2 else (6, 0.3)
    print("\n".join(uvloop.run(forwarding_rows(rounds, seconds))))
