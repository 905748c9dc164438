"""What a call costs by the size of its request, and by that of its reply."""

from contextlib import AsyncExitStack
from typing import Final

from tests.benchmarks.growth.meter import at, cheapest, figure
from tests.benchmarks.growth.series import Curve, Effort, Figure, Series
from tests.benchmarks.load import META, Ask, connected, modern_call, modern_headers
from tests.benchmarks.processes import gateway, http_backend, rss_mb, tools_ready

SIZES: Final = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
"""Bytes of text; the envelope around it adds some two hundred."""
CALLERS: Final = 4
"""So many bodies are under way at once, in each of three processes."""
MAX_BODY_BYTES: Final = 16 * 1024 * 1024


async def requests(effort: Effort) -> Series:
    """The argument of a tool grows; its answer has 200 bytes."""
    calls, memory = [], []
    async with http_backend() as (backend_port, _):
        servers = [{"id": "web", "transport": at(backend_port)}]
        proxy = {"port": 0, "grace_s": 1, "max_body_bytes": MAX_BODY_BYTES}
        async with gateway(servers, proxy=proxy) as (port, pid, _):
            await tools_ready(port, 1)
            for size in effort.of(SIZES):
                async with connected(port, CALLERS, _with_argument("web__echo", size)) as callers:
                    calls.append(figure(size, await cheapest(callers, pid, effort)))
                    memory.append(Figure(size, rss_mb(pid)))
    return _series("By bytes in the request", calls, memory)


async def replies(effort: Effort) -> Series:
    """The answer of a tool grows; its arguments have a few bytes."""
    calls, memory = [], []
    sizes = effort.of(SIZES)
    async with AsyncExitStack() as stack:
        ports = [
            (await stack.enter_async_context(http_backend("--text-bytes", str(size))))[0] for size in sizes
        ]
        servers = [{"id": f"s{number}", "transport": at(port)} for number, port in enumerate(ports)]
        port, pid, _ = await stack.enter_async_context(gateway(servers))
        await tools_ready(port, len(sizes))
        for number, size in enumerate(sizes):
            async with connected(port, CALLERS, modern_call(f"s{number}__echo")) as callers:
                calls.append(figure(size, await cheapest(callers, pid, effort)))
                memory.append(Figure(size, rss_mb(pid)))
    return _series("By bytes in the reply", calls, memory)


def _series(title: str, calls: list[Figure], memory: list[Figure]) -> Series:
    curves = [Curve("tools/call", "CPU µs", calls), Curve("memory, after the calls", "MB", memory)]
    return Series(title, "byte", "bytes", curves)


def _with_argument(tool: str, size: int) -> Ask:
    headers = modern_headers("tools/call", tool)
    params = f'{{"name":"{tool}","arguments":{{"text":"{"x" * size}"}},{META}}}'
    rest = f'"method":"tools/call","params":{params}}}'.encode()
    return lambda request_id: (headers, b'{"jsonrpc":"2.0","id":%d,%s' % (request_id, rest))
