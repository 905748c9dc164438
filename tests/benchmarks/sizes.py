"""What reading a large reply costs, in passes of a decoder over it.

Run as `python -m tests.benchmarks.sizes`. A proxy has to move the bytes in any case, and nginx does nothing
else with them: what a large reply costs the gateway more than a small one, less what it costs nginx more, is
for reading it. The reply is of many small values, which is what takes a decoder long.
"""

import time
from collections.abc import Mapping
from statistics import median
from typing import Final

import msgspec
import uvloop

from tests.benchmarks.backend import Backend
from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.rounds import Way, cpu_us, in_turns
from tests.benchmarks.standing import GATEWAY, NGINX, legacy, modern, standing

SMALL: Final = ("--text-bytes", "10", "--rows", "14")
LARGE: Final = ("--text-bytes", "10", "--rows", "1850")
PASSES: Final = 200


class _Reply(msgspec.Struct):
    id: msgspec.Raw
    result: msgspec.Raw


def pass_us() -> float:
    """Microseconds of one pass over a large reply that keeps its result as it came."""
    body = Backend(text_bytes=int(LARGE[1]), rows=int(LARGE[3])).answer(
        b'{"id":1000000000,"method":"tools/call"}'
    )
    decode = msgspec.json.Decoder(_Reply).decode
    took = []
    for _ in range(PASSES):
        begun = time.perf_counter()
        decode(body)
        took.append(time.perf_counter() - begun)
    return median(took) * 1e6


async def sizes(rounds: int, seconds: float) -> Part:
    """`seconds`: of each way in each round."""
    unit = pass_us()
    table = [
        f"| CPU µs a call; a pass over 100 KB takes {unit:.0f} | 1 KB back | 100 KB back | more, in passes |",
        "|---|---|---|---|",
    ]
    found: dict[str, Interval | None] = {}
    for era, ask_of, options in (("modern", modern, ()), ("legacy", legacy, ("--legacy",))):
        async with (
            standing((NGINX, GATEWAY), (*SMALL, *options), ask_of) as small,
            standing((NGINX, GATEWAY), (*LARGE, *options), ask_of) as large,
        ):
            in_turns([*small.values(), *large.values()], rounds, lambda way: way.saturated(seconds))
        for name in small:
            more = _more(small[name], large[name], unit)
            cpu = (ways[name].middle(cpu_us) for ways in (small, large))
            table.append(
                f"| {name}, {era} | " + " | ".join(f"{each:.0f}" for each in cpu) + f" | {more.shown()} |"
            )
        found[f"G12 {era}"] = _reading(small, large, unit) if NGINX in small else None
    return Part(found, table)


def _reading(small: Mapping[str, Way], large: Mapping[str, Way], unit_us: float) -> Interval:
    """What it costs the gateway more than nginx, in the same rounds."""
    ours, nginx = (zip(large[name].turns, small[name].turns, strict=True) for name in (GATEWAY, NGINX))
    return median_interval(
        [
            ((much.cpu_us - little.cpu_us) - (moved.cpu_us - few.cpu_us)) / unit_us
            for (much, little), (moved, few) in zip(ours, nginx, strict=True)
        ]
    )


def _more(small: Way, large: Way, unit_us: float) -> Interval:
    pairs = zip(large.turns, small.turns, strict=True)
    return median_interval([(much.cpu_us - little.cpu_us) / unit_us for much, little in pairs])


if __name__ == "__main__":
    print("\n".join(uvloop.run(sizes(6, 0.4)).table))
