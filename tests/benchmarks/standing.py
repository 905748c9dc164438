"""Who stands in front of the backend: started, connected to, and each on its core."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeAlias

from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.lines import opened
from tests.benchmarks.load import Ask, modern_call
from tests.benchmarks.peers.web_servers import haproxy, nginx
from tests.benchmarks.processes import gateway, http_backend, listening, settled, tools_ready
from tests.benchmarks.rounds import Way, warm_up
from tests.benchmarks.sessions import legacy_call, legacy_headers

CONNECTIONS: Final = 64
OF_300_BYTES: Final = ("--text-bytes", "115")
"""A backend's replies, in all."""
DIRECT: Final = "the backend itself"
NGINX: Final = "nginx, one worker"
HAPROXY: Final = "haproxy, one thread"
USUAL: Final = "aiohttp.web + ClientSession + json, 40 lines"
GATEWAY: Final = "gateway"
SLOW_GATEWAY: Final = "gateway `--no-fast-path`"
GATEWAYS: Final = frozenset({GATEWAY, SLOW_GATEWAY})
AskOf: TypeAlias = Callable[[int, str], Ask]
"""From the port of a server and the name of the tool there."""


def modern(_port: int, tool: str) -> Ask:
    return modern_call(tool)


def legacy(port: int, tool: str) -> Ask:
    return legacy_call(legacy_headers(port), tool)


@asynccontextmanager
async def standing(
    names: Sequence[str], backend: Sequence[str] = OF_300_BYTES, ask_of: AskOf = modern
) -> AsyncIterator[dict[str, Way]]:
    """A way through each of these to one backend, which has these options; none where it is not installed.

    Each has been used for a moment, and has nothing left to do from it.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(feeding())
        backend_port, backend_pid = await stack.enter_async_context(http_backend(*backend))
        pin(backend_pid, FEEDING)
        found = {}
        for name in names:
            if name == DIRECT:
                started: tuple[int, int] | None = backend_port, backend_pid
            else:
                started = await _start(stack, name, backend_port)
            if started is None:
                continue
            port, pid = started
            tool = "web__echo" if name in GATEWAYS else "echo"
            lines = stack.enter_context(opened(port, CONNECTIONS, ask_of(port, tool)))
            found[name] = Way(name, pid, lines)
            if name != DIRECT:
                pin(pid, MEASURED)
        warm_up(found.values())
        for name in GATEWAYS & found.keys():
            await settled(found[name].pid)
        yield found


async def _start(stack: AsyncExitStack, name: str, backend_port: int) -> tuple[int, int] | None:
    """(port, pid); None where it is not installed."""
    url = f"http://127.0.0.1:{backend_port}/mcp"
    if name in GATEWAYS:
        servers = [{"id": "web", "transport": {"type": "http", "url": url}}]
        arguments = () if name == GATEWAY else ("--no-fast-path",)
        port, pid, _ = await stack.enter_async_context(gateway(servers, arguments=arguments))
        await tools_ready(port, 1)
        return port, pid
    if name == USUAL:
        program = "tests.benchmarks.peers.usual_proxy"
        return await stack.enter_async_context(listening(sys.executable, "-m", program, url))
    web_server = {NGINX: nginx, HAPROXY: haproxy}[name]
    return await stack.enter_async_context(web_server(backend_port))
