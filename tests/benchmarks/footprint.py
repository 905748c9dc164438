"""Memory of a gateway that has nothing to do, and how soon after its start it answers."""

import subprocess
import sys
import time
from statistics import median
from typing import Final

from tests.benchmarks.processes import gateway, http_backend, rss_mb, tools_ready

BARE: Final = """
from aiohttp import web
import asyncio
async def main():
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, '127.0.0.1', 0).start()
asyncio.run(main())
"""


async def memory_table(idle_backends: int) -> list[str]:
    rows = ["| what | MB |", "|---|---|"]
    async with gateway([]) as (_, pid, _):
        rows.append(f"| RSS, no backend | {rss_mb(pid):.0f} |")
    async with http_backend() as (backend_port, _):
        transport = {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}
        servers = [{"id": f"idle-{n}", "transport": transport} for n in range(idle_backends)]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, idle_backends)
            rows.append(f"| RSS, {idle_backends} idle HTTP backends | {rss_mb(pid):.0f} |")
    return rows


async def cold_start_table(times: int) -> list[str]:
    ours = []
    for _ in range(times):
        async with gateway([]) as (_, _, started_s):
            ours.append(started_s * 1000)
    bare = [_bare_aiohttp_ms() for _ in range(times)]
    return [
        "| what | median ms | best ms |",
        "|---|---|---|",
        f"| `only1mcp --headless`, process start to first reply | {median(ours):.0f} | {min(ours):.0f} |",
        f"| bare aiohttp.web import and bind, for scale | {median(bare):.0f} | {min(bare):.0f} |",
    ]


def _bare_aiohttp_ms() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], check=True)
    return (time.perf_counter() - begun) * 1000
