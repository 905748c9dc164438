"""Memory of a gateway that has nothing to do, and how soon after its start it answers."""

import subprocess
import sys
import time
from statistics import median
from typing import Final

from tests.benchmarks.goals import GOAL, Part
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.processes import gateway, http_backend, rss_mb, settled, tools_ready
from tests.benchmarks.results import Figure
from tests.benchmarks.screened import screened_gateway

BARE: Final = """
from aiohttp import web
import asyncio
async def main():
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, '127.0.0.1', 0).start()
asyncio.run(main())
"""
IDLE_BACKENDS: Final = 100
HEADLESS: Final = f"RSS, {IDLE_BACKENDS} idle HTTP backends"
_START: Final = GOAL["G10"]


async def memory() -> Part:
    """Once all tools are listed and counted; of the gateway's own process."""
    async with gateway([]) as (_, pid, _):
        alone_mb = rss_mb(pid)
    async with http_backend() as (backend_port, _):
        transport = {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}
        servers = [{"id": f"idle-{n}", "transport": transport} for n in range(IDLE_BACKENDS)]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, IDLE_BACKENDS)
            await settled(pid)
            many_mb = rss_mb(pid)
        async with screened_gateway(servers) as (_, program):
            await settled(program.process.pid)
            shown_mb = rss_mb(program.process.pid)
    found = {"G9 headless": many_mb, "G9 screen": shown_mb}
    figures = (
        Figure("RSS, no backend", "MB", "lower", (alone_mb,), is_must=True),
        *(
            Figure(name, "MB", "lower", (found[number],), GOAL[number].must, GOAL[number].aim, is_must=True)
            for name, number in ((HEADLESS, "G9 headless"), (f"{HEADLESS}, with the screen", "G9 screen"))
        ),
    )
    rows = [f"| {figure.name} | {figure.value:.0f} |" for figure in figures]
    exact = {number: Interval(mb, mb, mb) for number, mb in found.items()}
    return Part(exact, ["| what | MB |", "|---|---|", *rows], figures)


async def cold_start(times: int) -> Part:
    """In turns, since the machine may be noisy."""
    ours, bare = [], []
    for _ in range(times):
        async with gateway([]) as (_, _, started_s):
            ours.append(started_s * 1000)
        bare.append(_bare_aiohttp_ms())
    ratios = median_interval([mine / others for mine, others in zip(ours, bare, strict=True)])
    rows = [
        "| what | median ms | best ms |",
        "|---|---|---|",
        f"| `only1mcp --headless`, process start to first reply | {median(ours):.0f} | {min(ours):.0f} |",
        f"| bare aiohttp.web import and bind, for scale | {median(bare):.0f} | {min(bare):.0f} |",
    ]
    figures = (
        Figure("only1mcp --headless to its first reply", "ms", "lower", tuple(ours)),
        Figure("bare aiohttp.web import and bind", "ms", "lower", tuple(bare)),
        Figure(
            "the first / the second", "times", "lower", ratios.values, _START.must, _START.aim, is_must=True
        ),
    )
    return Part({_START.number: ratios}, rows, figures)


def _bare_aiohttp_ms() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], check=True)
    return (time.perf_counter() - begun) * 1000
