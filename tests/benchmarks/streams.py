"""What a call costs that is answered by a stream: of one event, as the SDKs do, or after some progress.

Run as `python -m tests.benchmarks.streams`.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import uvloop

from tests.benchmarks.goals import Part
from tests.benchmarks.load import Ask, modern_call
from tests.benchmarks.rounds import cpu_us, in_turns, per_s
from tests.benchmarks.standing import DIRECT, GATEWAY, NGINX, OF_300_BYTES, AskOf, legacy, standing

EVENTS: Final = 10
NAMES: Final = (DIRECT, NGINX, GATEWAY)
ONE: Final = ("--progress", "1")
"""Of an answer to a call that wants no progress."""


class Kind(NamedTuple):
    what: str
    backend: Sequence[str]
    ask_of: AskOf


def _with_progress(_port: int, tool: str) -> Ask:
    return modern_call(tool, wants_progress=True)


KINDS: Final = (
    Kind("one event, 2025-11-25", (*ONE, "--legacy", *OF_300_BYTES), legacy),
    Kind("one event of 100 KB, 2025-11-25", (*ONE, "--legacy", "--text-bytes", "100000"), legacy),
    Kind(f"{EVENTS} of progress first", ("--progress", str(EVENTS), *OF_300_BYTES), _with_progress),
)


async def streams(rounds: int, seconds: float) -> Part:
    """`seconds`: of each way in each round."""
    table = ["| tools/call, answered by a stream | by way of | CPU µs a call | calls/s |", "|---|---|---|---|"]
    for kind in KINDS:
        async with standing(NAMES, kind.backend, kind.ask_of) as ways:
            in_turns(list(ways.values()), rounds, lambda way: way.saturated(seconds))
        for name in NAMES:
            way = ways.get(name)
            cells = "not installed | -"
            if way is not None:
                cells = f"{way.interval(cpu_us).shown('.0f')} | {way.middle(per_s):,.0f}"
            table.append(f"| {kind.what} | {name} | {cells} |")
    return Part({}, table)


if __name__ == "__main__":
    print("\n".join(uvloop.run(streams(6, 0.3)).table))
