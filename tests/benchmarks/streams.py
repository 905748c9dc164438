"""What a call costs that is answered by a stream: events of its progress, then the answer.

Run as `python -m tests.benchmarks.streams`.
"""

from typing import Final

import uvloop

from tests.benchmarks.goals import Part
from tests.benchmarks.load import Ask, modern_call
from tests.benchmarks.rounds import cpu_us, in_turns, per_s
from tests.benchmarks.standing import DIRECT, GATEWAY, NGINX, OF_300_BYTES, standing

EVENTS: Final = 10
NAMES: Final = (DIRECT, NGINX, GATEWAY)


async def streams(rounds: int, seconds: float) -> Part:
    """`seconds`: of each way in each round."""
    async with standing(NAMES, ("--progress", str(EVENTS), *OF_300_BYTES), _with_progress) as ways:
        in_turns(list(ways.values()), rounds, lambda way: way.saturated(seconds))
    table = [f"| tools/call with {EVENTS} events of progress | CPU µs a call | calls/s |", "|---|---|---|"]
    for name in NAMES:
        if way := ways.get(name):
            table.append(f"| {name} | {way.interval(cpu_us).shown('.0f')} | {way.middle(per_s):,.0f} |")
        else:
            table.append(f"| {name} | not installed | - |")
    return Part({}, table)


def _with_progress(_port: int, tool: str) -> Ask:
    return modern_call(tool, wants_progress=True)


if __name__ == "__main__":
    print("\n".join(uvloop.run(streams(8, 0.4)).table))
