"""Speed and memory of the gateway, measured: `make bench`, or `make bench QUICK=1` for a short look.

Renews the figures of every document that has a place for them, unless QUICK; `ARGS="lists saving"` measures
those sections alone. The machine may be shared and noisy: trust the ratios inside one run and the CPU a call,
not the wall-clock figures.

The results are kept as JSON in .cache/bench, under SAVE=name or as latest, with a page of HTML beside them.
BASELINE=name (or a path) compares with kept ones; the exit code is 1 if a figure that is named a must has
become worse by more than the noise.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks import report, results, verdicts
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
from tests.benchmarks.whole import goals_section

DOCS: Final = ROOT / "docs"
KEPT: Final = ROOT / ".cache" / "bench"
QUICK: Final = os.environ.get("QUICK", "") not in ("", "0")


async def reloads() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "only1mcp.json"
        async with gateway(servers(BACKEND, str(ROOT), 3), config) as (port, _, _):
            await tools_ready(port, 3)
            return await reload_table(port, config, 20 if QUICK else 200)


async def balancing() -> list[str]:
    return balancer_table()


async def lists() -> results.Section:
    part = await listing(*((6, 0.3) if QUICK else (9, 1.5)))
    return results.Section([*part.table], part.figures)


SECTIONS: Final[Mapping[str, Callable[[], Awaitable[list[str] | results.Section]]]] = {
    "goals": lambda: goals_section(QUICK),
    "calls": lambda: calls_table(*((4, 0.4) if QUICK else (7, 1.0))),
    "lists": lists,
    "saving": saving_table,
    "efficiency": efficiency_table,
    "batches": lambda: batch_table(*((1, 0.4) if QUICK else (4, 0.8))),
    "memory": lambda: memory_table(10 if QUICK else 100),
    "start": lambda: cold_start_table(4 if QUICK else 7),
    "reload": reloads,
    "balancing": balancing,
    "screen": screen_table,
    **growth_sections(QUICK),
}
"""In the order of docs/benchmarks.md, then of docs/performance_guide.md."""


async def measure(wanted: list[str], path: Path) -> results.Results:
    """Every section, kept after each, so that one that fails takes no others with it."""
    found = results.Results(results.this_machine(ROOT), QUICK, results.load_average())
    for name in wanted:
        section = results.as_section(await SECTIONS[name]())
        print(f"\n## {name}\n", *section.rows, "", found.machine.short, sep="\n", flush=True)
        found.sections[name] = section
        found.load_after = results.load_average()
        results.save(path, found)
    return found


def told(found: results.Results, baseline: results.Results | None) -> bool:
    """Write the page, and say how it compares; whether nothing that is a must has become worse."""
    compared = verdicts.compared(found, baseline) if baseline else []
    page = KEPT / "report.html"
    page.write_text(report.page(found, compared), encoding="utf-8")
    if baseline is not None:
        print("\n## against the baseline\n", *verdicts.rows(compared), sep="\n")
        for doubt in report.doubts(found, baseline):
            print(doubt)
    print(f"\nwritten: {page.relative_to(ROOT)}")
    return not any(each.fails for each in compared)


def main(wanted: list[str]) -> bool:
    """Raises: BadResults if there is no such baseline, or no such name to save under."""
    path = results.place(KEPT, os.environ.get("SAVE") or "latest")
    named = os.environ.get("BASELINE")
    baseline = results.read(results.found_at(KEPT, named)) if named else None
    found = uvloop.run(measure(wanted, path))
    print(f"\nwritten: {path.relative_to(ROOT)}")
    if not QUICK:
        figures = {name: [*section.rows, "", found.machine.short] for name, section in found.sections.items()}
        for document in renew(DOCS, figures):
            print(f"written: {document.relative_to(ROOT)}")
    return told(found, baseline)


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
    try:
        is_well = main(sections)
    except results.BadResults as error:
        parser.error(str(error))
    sys.exit(0 if is_well else 1)
