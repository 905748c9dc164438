"""What every series measures with: processor time and memory of the gateway, and room for many sockets."""

import asyncio
import resource
from collections.abc import Sequence
from typing import Any, Final

from tests.benchmarks.growth.series import Effort, Figure
from tests.benchmarks.load import Ask, Call, Measured, closed_loop, connected
from tests.benchmarks.processes import cpu_of

CALLERS: Final = 32
"""Connections, where it is not their number that grows."""
KEPT_CALLS: Final = 5000
"""inspect.exchanges, unless it is set."""
SPARE_FILES: Final = 200
"""Descriptors of a process beside the sockets of a series."""


def allow_files(count: int) -> None:
    """Let this process, and what it starts from now on, have so many descriptors beside the usual ones.

    Raises: RuntimeError if the system allows fewer.
    """
    wanted = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise RuntimeError(f"{wanted} descriptors are needed, and the system allows {hard}.")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def cheapest(callers: Sequence[Call], pid: int, effort: Effort) -> Measured:
    """Of a few turns, for what else runs on the machine can only add to a cost."""
    turns = [
        await closed_loop(callers, effort.seconds, lambda: cpu_of(pid, children=False))
        for _ in range(effort.turns)
    ]
    return min(turns, key=lambda turn: turn.cpu_us)


async def repeated(callers: Sequence[Call], times: int) -> None:
    """So many calls by each, not measured."""

    async def repeat(call: Call) -> None:
        for number in range(times):
            await call(number + 1)

    await asyncio.gather(*map(repeat, callers))


async def fill_rings(port: int, ask: Ask) -> None:
    """Make as many calls as the gateway keeps: what they take is no matter of what grows."""
    async with connected(port, CALLERS, ask) as callers:
        await repeated(callers, KEPT_CALLS // CALLERS + 1)


def figure(units: int, measured: Measured) -> Figure:
    """CPU µs of a call, and calls a second."""
    return Figure(units, measured.cpu_us, measured.per_s)


def at(port: int) -> dict[str, Any]:
    """The transport of a backend on this machine."""
    return {"type": "http", "url": f"http://127.0.0.1:{port}/mcp"}
