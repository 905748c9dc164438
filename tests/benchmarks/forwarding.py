"""tools/call forwarded: by the gateway, by web servers, by a proxy as it is usually written, and not at all.

Run as `python -m tests.benchmarks.forwarding`. The unit is CPU microseconds a call of each one's process tree.
"""

from collections.abc import Sequence
from typing import Final

import uvloop

from tests.benchmarks.goals import Part
from tests.benchmarks.load import Measured
from tests.benchmarks.results import Figure
from tests.benchmarks.rounds import cpu_us, in_turns, per_s, ratio
from tests.benchmarks.standing import (
    CONNECTIONS,
    DIRECT,
    GATEWAY,
    HAPROXY,
    NGINX,
    SLOW_GATEWAY,
    USUAL,
    standing,
)

NAMES: Final = (DIRECT, NGINX, HAPROXY, USUAL, SLOW_GATEWAY, GATEWAY)
JUDGED: Final = (NGINX, USUAL, GATEWAY)
"""Those that goals are about."""
RATE: Final = "gateway, forwarded"


async def forwarding(rounds: int, seconds: float, names: Sequence[str] = NAMES) -> Part:
    """`seconds`: of each way in each round."""
    async with standing(names) as ways:
        in_turns(list(ways.values()), rounds, lambda way: way.saturated(seconds))
    ours, usual, nginx = ways[GATEWAY], ways[USUAL], ways.get(NGINX)
    table = [
        f"| tools/call, {CONNECTIONS} connections, 300 bytes back | CPU µs a call | calls/s "
        "| nginx's CPU / its own |",
        "|---|---|---|---|",
    ]
    for name in names:
        if (way := ways.get(name)) is None:
            table.append(f"| {name} | not installed | - | - |")
            continue
        share = ratio(nginx, way, cpu_us).shown() if nginx and way is not nginx else "-"
        table.append(f"| {name} | {way.interval(cpu_us).shown('.1f')} | {way.middle(per_s):,.0f} | {share} |")
    found = {
        "G1": ratio(nginx, ours, cpu_us) if nginx else None,
        "G2": ratio(usual, ours, cpu_us),
        "G4": ours.interval(_per_core),
    }
    return Part(found, table, (Figure(RATE, "calls/s", "higher", ours.samples(per_s)),))


def _per_core(turn: Measured) -> float:
    """Calls a second, if one core did nothing else."""
    return 1e6 / turn.cpu_us


if __name__ == "__main__":
    print("\n".join(uvloop.run(forwarding(8, 0.5)).table))
