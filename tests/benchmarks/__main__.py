"""Speed and memory of the gateway, measured: `make bench`, or `make bench QUICK=1` for a short look.

Renews the figures of every document that has a place for them, unless QUICK; `ARGS="lists saving"` measures
those sections alone. The machine may be shared and noisy: trust the ratios inside one run and the CPU a call,
not the wall-clock figures.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks.balancing import balancer_table
from tests.benchmarks.batching import batch_table
from tests.benchmarks.caching import saving_table
from tests.benchmarks.calls import calls_table
from tests.benchmarks.efficiency import efficiency_table
from tests.benchmarks.figures import renew
from tests.benchmarks.footprint import cold_start_table, memory_table
from tests.benchmarks.growth.report import GROUP, growth_sections
from tests.benchmarks.listing import listing
from tests.benchmarks.processes import BACKEND, ROOT, gateway, tools_ready
from tests.benchmarks.reloading import reload_table, servers
from tests.benchmarks.screen import screen_table
from tests.benchmarks.whole import goals_table

DOCS: Final = ROOT / "docs"
QUICK: Final = os.environ.get("QUICK", "") not in ("", "0")


async def reloads() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "only1mcp.json"
        async with gateway(servers(BACKEND, str(ROOT), 3), config) as (port, _, _):
            await tools_ready(port, 3)
            return await reload_table(port, config, 20 if QUICK else 200)


async def balancing() -> list[str]:
    return balancer_table()


async def lists() -> list[str]:
    return [*(await listing(*((6, 0.3) if QUICK else (9, 1.5)))).table]


SECTIONS: Final[Mapping[str, Callable[[], Awaitable[list[str]]]]] = {
    "goals": lambda: goals_table(QUICK),
    "calls": lambda: calls_table(1.5 if QUICK else 6.0),
    "lists": lists,
    "saving": saving_table,
    "efficiency": efficiency_table,
    "batches": lambda: batch_table(*((1, 0.4) if QUICK else (4, 0.8))),
    "memory": lambda: memory_table(10 if QUICK else 100),
    "start": lambda: cold_start_table(3 if QUICK else 7),
    "reload": reloads,
    "balancing": balancing,
    "screen": screen_table,
    **growth_sections(QUICK),
}
"""In the order of docs/benchmarks.md, then of docs/performance_guide.md."""


def measured_on() -> str:
    """The line below a table: the day and the machine."""
    machine = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    return f"*{time.strftime('%Y-%m-%d')}; {machine}*"


async def main(wanted: list[str]) -> None:
    figures = {}
    for section in wanted:
        figures[section] = [*await SECTIONS[section](), "", measured_on()]
        print(f"\n## {section}\n", *figures[section], sep="\n", flush=True)
    if not QUICK:
        for path in renew(DOCS, figures):
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; {GROUP}: its kind; none: all"
    )
    asked = parser.parse_args().sections or list(SECTIONS)
    growth = list(growth_sections(QUICK))
    sections = [name for each in asked for name in (growth if each == GROUP else [each])]
    if unknown := set(sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    uvloop.run(main(sections))
