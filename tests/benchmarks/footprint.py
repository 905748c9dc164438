"""Memory of a gateway that has nothing to do, and how soon after its start it answers."""

import subprocess
import sys
import time
from statistics import median
from typing import Final

from tests.benchmarks.processes import gateway, http_backend, rss_mb, tools_ready
from tests.benchmarks.results import Figure, Section

BARE: Final = """
from aiohttp import web
import asyncio
async def main():
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, '127.0.0.1', 0).start()
asyncio.run(main())
"""


MUST_MB, AIM_MB = 60.0, 45.0
"""Of a gateway with a hundred backends."""
MUST_START, AIM_START = 2.0, 1.3
"""Times the bare server."""


async def memory_table(idle_backends: int) -> Section:
    async with gateway([]) as (_, pid, _):
        alone_mb = rss_mb(pid)
    async with http_backend() as (backend_port, _):
        transport = {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}
        servers = [{"id": f"idle-{n}", "transport": transport} for n in range(idle_backends)]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, idle_backends)
            many_mb = rss_mb(pid)
    figures = (
        Figure("RSS, no backend", "MB", "lower", (alone_mb,), is_must=True),
        Figure(f"RSS, {idle_backends} idle HTTP backends", "MB", "lower", (many_mb,), MUST_MB, AIM_MB, True),
    )
    rows = [f"| {figure.name} | {figure.value:.0f} |" for figure in figures]
    return Section(["| what | MB |", "|---|---|", *rows], figures)


async def cold_start_table(times: int) -> Section:
    """In turns, since the machine may be noisy."""
    ours, bare = [], []
    for _ in range(times):
        async with gateway([]) as (_, _, started_s):
            ours.append(started_s * 1000)
        bare.append(_bare_aiohttp_ms())
    ratios = tuple(mine / others for mine, others in zip(ours, bare, strict=True))
    rows = [
        "| what | median ms | best ms |",
        "|---|---|---|",
        f"| `only1mcp --headless`, process start to first reply | {median(ours):.0f} | {min(ours):.0f} |",
        f"| bare aiohttp.web import and bind, for scale | {median(bare):.0f} | {min(bare):.0f} |",
    ]
    figures = (
        Figure("only1mcp --headless to its first reply", "ms", "lower", tuple(ours)),
        Figure("bare aiohttp.web import and bind", "ms", "lower", tuple(bare)),
        Figure("the first / the second", "times", "lower", ratios, MUST_START, AIM_START, is_must=True),
    )
    return Section(rows, figures)


def _bare_aiohttp_ms() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], check=True)
    return (time.perf_counter() - begun) * 1000
