"""A load in a process of its own: calls at a steady pace, whatever the answers take; or as many as go through.

Run as `python -m tests.benchmarks.steady PORT PID TOOL... --seconds S [--per-s N]`; prints its figures as JSON.
A call's time counts from the moment it was due, so that a gateway that stops for a while is not let off.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections import deque
from typing import Any, Final

import uvloop

from tests.benchmarks.load import Call, Measured, closed_loop, connected, modern_call
from tests.benchmarks.processes import cpu_of

CALLERS: Final = 32
WARM_UP_S: Final = 1.0


async def steady_loop(callers: list[Call], per_s: float, seconds: float) -> list[float]:
    """Milliseconds of each call, from when it was due."""
    free = deque(callers)
    ids = itertools.count(1_000_000)
    took_ms: list[float] = []

    async def one(call: Call, due: float, counts: bool) -> None:
        await call(next(ids))
        free.append(call)
        if counts:
            took_ms.append((time.perf_counter() - due) * 1000)

    begun = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()
    for number in range(int(per_s * (seconds + WARM_UP_S))):
        due = begun + number / per_s
        while (now := time.perf_counter()) < due or not free:
            await asyncio.sleep(max(0.0, due - now))
        task = asyncio.create_task(one(free.popleft(), due, due - begun >= WARM_UP_S))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return took_ms


async def main(port: int, pid: int, tools: list[str], seconds: float, per_s: float) -> dict[str, Any]:
    async with connected(port, CALLERS, modern_call(tools[0])) as connections:
        for number, connection in enumerate(connections):
            connection._ask = modern_call(tools[number % len(tools)])
        if per_s:
            took_ms = await steady_loop(list(connections), per_s, seconds)
            measured = Measured(len(took_ms), seconds, took_ms, 0.0)
        else:
            measured = await closed_loop(connections, seconds, lambda: cpu_of(pid, children=False))
    return {
        "per_s": measured.per_s,
        "p50": measured.percentile_ms(0.5),
        "p99": measured.percentile_ms(0.99),
        "cpu_us": measured.cpu_us,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int, help="of the gateway, whose processor time is told")
    parser.add_argument("tools", nargs="+")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--per-s", type=float, default=0.0)
    options = parser.parse_args()
    print(
        json.dumps(uvloop.run(main(options.port, options.pid, options.tools, options.seconds, options.per_s)))
    )
