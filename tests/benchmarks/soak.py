"""A gateway under load for long, with all that goes wrong in a house: does it answer right, does it grow?

Run as `python -m tests.benchmarks.soak [--minutes 30] [--share 0.5] [--seed N] [--json FILE] [--write]`. The
load is a share of what went through just before; every answer is compared with what its call must get.
`--write` renews the figures in docs/performance_guide.md. Exits with 1 if a promise was not kept; each is
named.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import SystemRandom
from typing import Final

import uvloop

from tests.benchmarks.__main__ import DOCS
from tests.benchmarks.figures import renew
from tests.benchmarks.intervals import percentile
from tests.benchmarks.processes import ROOT
from tests.benchmarks.results import this_machine
from tests.benchmarks.soaking.house import RECOVERY_S, SERVERS, TARGETS, House
from tests.benchmarks.soaking.load import Ledger, Load, is_excused
from tests.benchmarks.soaking.report import Soak, as_json, line_of, rows
from tests.benchmarks.soaking.timetable import QUIET, What, timetable
from tests.benchmarks.soaking.verdict import Sample, Tally, faults, rss_slope

SECTION: Final = "soak"
CALLERS: Final = 64
CAPACITY_S: Final = 3.0
SAMPLE_S: Final = 10.0
LEAST_SAMPLES: Final = 12
"""A short soak is looked at more often."""


async def soak(minutes: float, share: float, seed: int) -> Soak:
    seconds = minutes * 60
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        house = House(Path(folder), seed)
        async with house.open():
            load = Load(house.port, SERVERS, CALLERS)
            await load.open()
            capacity = await load.capacity(CAPACITY_S)
            per_s = capacity.per_s * share
            say(f"{capacity.per_s:,.0f} calls/s go through; {per_s:,.0f} will be made for {minutes:g} minutes")
            await house.settle()
            before = await _sampled(house, load.ledger, 0.0, 0)
            events = timetable(seed, seconds, TARGETS)
            watching = asyncio.create_task(_watched(house, load.ledger, seconds))
            async with asyncio.TaskGroup() as group:
                group.create_task(house.trouble(events))
                group.create_task(load.run(per_s, seconds))
            samples = await watching
            await house.settle()
            after = await _sampled(house, load.ledger, seconds, load.ledger.answered)
            load.close()
    tally = judged(house, load.ledger)
    return Soak(
        seed=seed,
        minutes=minutes,
        capacity_per_s=capacity.per_s,
        per_s=per_s,
        events={what.value: house.done[what] for what in What},
        tally=tally,
        errors=dict(Counter(refused.message for refused in load.ledger.refused)),
        before=before,
        after=after,
        slope=rss_slope(samples),
        faults=faults(tally, samples, before, after),
        samples=samples,
    )


async def _watched(house: House, ledger: Ledger, seconds: float) -> list[Sample]:
    """A sample every few seconds, to the end."""
    every_s = min(SAMPLE_S, seconds / LEAST_SAMPLES)
    begun, samples, answered = time.monotonic(), [], ledger.answered
    for number in range(1, int(seconds / every_s + 1e-9) + 1):
        await asyncio.sleep(begun + number * every_s - time.monotonic())
        samples.append(await _sampled(house, ledger, time.monotonic() - begun, answered))
        answered = ledger.answered
        say(line_of(samples[-1]))
    return samples


async def _sampled(house: House, ledger: Ledger, at_s: float, answered: int) -> Sample:
    """`answered`: as the sample before found it."""
    latencies_ms, ledger.latencies_ms = ledger.latencies_ms, []
    p50_ms, p99_ms = (percentile(latencies_ms, share) if latencies_ms else 0.0 for share in (0.5, 0.99))
    return await house.sample(at_s, ledger.answered - answered, p50_ms, p99_ms)


def judged(house: House, ledger: Ledger) -> Tally:
    inexcusable = [each for each in ledger.refused if not is_excused(each, house.hurts, RECOVERY_S)]
    return Tally(
        answered=ledger.answered,
        wrong=ledger.wrong,
        broken=ledger.broken,
        refused=len(ledger.refused) - len(inexcusable),
        inexcusable=[f"{each.server}: {each.message}" for each in inexcusable],
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.5, help="of the calls a second that go through")
    parser.add_argument(
        "--seed", type=int, default=None, help="of what goes wrong; drawn and printed unless given"
    )
    parser.add_argument("--json", type=Path, help="write the result and every sample there")
    parser.add_argument("--write", action="store_true", help="renew the figures of the documents")
    options = parser.parse_args()
    seed = SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    say(f"--seed {seed}: trouble until {100 * (1 - QUIET):.0f} % of the time")
    result = uvloop.run(soak(options.minutes, options.share, seed))
    table = [*rows(result), "", this_machine(ROOT).short]
    print("\n".join(table))
    if options.json:
        options.json.write_text(json.dumps(as_json(result), indent=1), encoding="utf-8")
    if options.write:
        renew(DOCS, {SECTION: table})
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
