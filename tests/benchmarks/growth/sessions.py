"""What idle legacy sessions cost: the memory of each, and a call of another beside them."""

import asyncio
from typing import Final

from tests.benchmarks.growth.meter import CALLERS, at, cheapest, figure, fill_rings
from tests.benchmarks.growth.series import Curve, Effort, Figure, Series
from tests.benchmarks.load import HttpCaller, connected, modern_call, modern_list
from tests.benchmarks.processes import gateway, http_backend, rss_mb, tools_ready
from tests.benchmarks.sessions import legacy_call, session_of

SESSIONS: Final = (0, 1000, 10_000, 100_000)
LIMITS: Final = {"sessions": 200_000, "session_idle_s": 3600}
TOOL: Final = "web__echo"


async def sessions(effort: Effort) -> Series:
    """Each has shaken hands and is never heard of again; one more makes the calls."""
    modern: list[Figure] = []
    legacy: list[Figure] = []
    memory: list[Figure] = []
    async with http_backend() as (backend_port, _):
        servers = [{"id": "web", "transport": at(backend_port)}]
        async with gateway(servers, limits=LIMITS) as (port, pid, _):
            await tools_ready(port, 1)
            await fill_rings(port, modern_call(TOOL))
            async with connected(port, 1, modern_list()) as (connection,):
                session = await session_of(connection)
            there = 0
            for count in effort.of(SESSIONS):
                await _open(port, count - there)
                there = count
                memory.append(Figure(count, rss_mb(pid)))
                for ask, figures in ((modern_call(TOOL), modern), (legacy_call(session, TOOL), legacy)):
                    async with connected(port, CALLERS, ask) as callers:
                        figures.append(figure(count, await cheapest(callers, pid, effort)))
    curves = [
        Curve("modern tools/call", "CPU µs", modern),
        Curve("legacy tools/call", "CPU µs", legacy),
        Curve("memory", "MB", memory),
    ]
    return Series("By idle legacy sessions", "session", "sessions", curves)


async def _open(port: int, count: int) -> None:
    async def some(connection: HttpCaller, number: int) -> None:
        for _ in range(number, count, CALLERS):
            await session_of(connection)

    async with connected(port, CALLERS, modern_list()) as connections:
        await asyncio.gather(*(some(connection, number) for number, connection in enumerate(connections)))
