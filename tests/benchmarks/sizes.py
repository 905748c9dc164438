"""What reading a large reply costs, in passes of a decoder over it.

Run as `python -m tests.benchmarks.sizes`. The reply is of many small values, which take a decoder long. Reading
is timed inside a gateway of its own (`timed_reading`), and so is a pass. Beside it stands what the whole reply
costs more processor time than a small one, moving it too, of a plain gateway and of nginx, which does nothing
but move it: what is looked at without being timed would be seen there.
"""

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import mean, median
from typing import Final

import msgspec
import uvloop

from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.lines import opened
from tests.benchmarks.processes import gateway, http_backend, settled, tools_ready
from tests.benchmarks.rounds import Way, cpu_us, in_turns
from tests.benchmarks.standing import CONNECTIONS, GATEWAY, NGINX, AskOf, legacy, modern, standing
from tests.benchmarks.timed_reading import Noted

SMALL: Final = ("--text-bytes", "10", "--rows", "14")
LARGE: Final = ("--text-bytes", "10", "--rows", "1850")
SETTLING: Final = 50
"""Replies before those that count."""


async def sizes(rounds: int, seconds: float) -> Part:
    """`seconds`: of each way in each round."""
    reading = [
        "| reading a reply, µs | of 1 KB | of 100 KB | a pass over 100 KB | more, in passes |",
        "|---|---|---|---|---|",
    ]
    table = ["| CPU µs a call | 1 KB back | 100 KB back | more, in passes |", "|---|---|---|---|"]
    found: dict[str, Interval | None] = {}
    for era, ask_of, options in (("modern", modern, ()), ("legacy", legacy, ("--legacy",))):
        noted = await _read(options, ask_of, seconds * rounds)
        little, much, pass_us = (median(each) for each in (noted.small_us, noted.large_us, noted.passes_us))
        read = _in_passes(noted, rounds)
        found[f"G12 {era}"] = read
        reading.append(f"| {era} | {little:.1f} | {much:.1f} | {pass_us:.1f} | {read.shown()} |")
        async with (
            standing((NGINX, GATEWAY), (*SMALL, *options), ask_of) as small,
            standing((NGINX, GATEWAY), (*LARGE, *options), ask_of) as large,
        ):
            in_turns([*small.values(), *large.values()], rounds, lambda way: way.saturated(seconds))
        for name in small:
            more = _more(small[name], large[name], pass_us)
            cpu = (ways[name].middle(cpu_us) for ways in (small, large))
            table.append(
                f"| {name}, {era} | " + " | ".join(f"{each:.0f}" for each in cpu) + f" | {more.shown()} |"
            )
    return Part(found, [*reading, "", *table])


async def _read(options: Sequence[str], ask_of: AskOf, seconds: float) -> Noted:
    """What a gateway has noted that was called as often as it could answer, for so long; half of it for small
    replies. `options`: of its servers."""
    async with AsyncExitStack() as stack:
        stack.enter_context(feeding())
        servers = []
        for name, size in (("few", SMALL), ("much", LARGE)):
            port, pid = await stack.enter_async_context(http_backend(*size, *options))
            pin(pid, FEEDING)
            servers.append({"id": name, "transport": {"type": "http", "url": f"http://127.0.0.1:{port}/mcp"}})
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder) / "noted.json"
        async with gateway(servers, program=("-m", "tests.benchmarks.timed_reading", str(file))) as (
            port,
            pid,
            _,
        ):
            await tools_ready(port, len(servers))
            pin(pid, MEASURED)
            await settled(pid)
            for name, share in (("few__echo", 0.5), ("much__echo", 1.0)):
                with opened(port, CONNECTIONS, ask_of(port, name)) as lines:
                    Way("timed", pid, lines).saturated(seconds * share)
        noted = msgspec.json.decode(file.read_bytes(), type=Noted)
    return Noted(noted.small_us[SETTLING:], noted.large_us[SETTLING:], noted.passes_us[1:])


def _in_passes(noted: Noted, parts: int) -> Interval:
    """What a large one takes more than a small one, in passes of the same moments; of so many stretches."""
    little = mean(noted.small_us)
    stretches = (_stretches(each, parts) for each in (noted.large_us, noted.passes_us))
    return median_interval(
        [(mean(replies) - little) / mean(passes) for replies, passes in zip(*stretches, strict=True)]
    )


def _stretches(values: Sequence[float], parts: int) -> list[Sequence[float]]:
    length = len(values) // parts
    return [values[at * length : (at + 1) * length] for at in range(parts)]


def _more(small: Way, large: Way, unit_us: float) -> Interval:
    pairs = zip(large.turns, small.turns, strict=True)
    return median_interval([(much.cpu_us - little.cpu_us) / unit_us for much, little in pairs])


if __name__ == "__main__":
    print("\n".join(uvloop.run(sizes(6, 0.3)).table))
