"""Speed and memory of the gateway, measured: `make bench`, or `make bench QUICK=1` for a short look.

Renews the figures of every document that has a place for them, unless QUICK; `ARGS="lists micro"` measures
those sections alone. A short look leaves out what takes long, unless it is named. The machine may be shared and
noisy: trust the ratios inside one run and the CPU a call, not the wall-clock figures.

The results are kept as JSON in .cache/bench, under SAVE=name or as latest, with a page of HTML beside them.
BASELINE=name (or a path) compares with kept ones; the exit code is 1 if a figure that is named a must has
become worse by more than the noise.

MUST=1 measures the goals on which equal runs agree, and nothing else: the exit code is 1 if one of them misses
its must by more than the noise, and does so again whenever it is measured again, twice. What cannot be measured
here, or is hidden by the noise, is said and fails nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks import musts, report, results, verdicts
from tests.benchmarks.batching import batch_table
from tests.benchmarks.calls import calls_table
from tests.benchmarks.efficiency import efficiency_table
from tests.benchmarks.figures import renew
from tests.benchmarks.growth.report import GROUP, growth_sections
from tests.benchmarks.guarded import guarded_section
from tests.benchmarks.parts import Parts
from tests.benchmarks.processes import BACKEND, ROOT, gateway, tools_ready
from tests.benchmarks.profiling import profile_section
from tests.benchmarks.reloading import reload_table, servers
from tests.benchmarks.targets import targets_section
from tests.benchmarks.tuning import tuning_section
from tests.benchmarks.whole import goals_section

DOCS: Final = ROOT / "docs"
KEPT: Final = ROOT / ".cache" / "bench"
QUICK: Final = os.environ.get("QUICK", "") not in ("", "0")
MUST: Final = os.environ.get("MUST", "") not in ("", "0")
PARTS: Final = Parts(QUICK)
AGAIN: Final = 2
"""How often a must that is missed is measured again, before it counts."""


async def reloads() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "only1mcp.json"
        async with gateway(servers(BACKEND, str(ROOT), 3), config) as (port, _, _):
            await tools_ready(port, 3)
            return await reload_table(port, config, 20 if QUICK else 60)


SECTIONS: Final[Mapping[str, Callable[[], Awaitable[list[str] | results.Section]]]] = {
    "goals": lambda: goals_section(PARTS, is_must=MUST),
    "calls": lambda: calls_table(*((4, 0.4) if QUICK else (6, 0.3))),
    "lists": lambda: PARTS.section("listing"),
    "micro": lambda: PARTS.section("micro"),
    "efficiency": efficiency_table,
    "batches": lambda: batch_table(*((1, 0.4) if QUICK else (4, 0.3))),
    "memory": lambda: PARTS.section("memory"),
    "start": lambda: PARTS.section("start"),
    "reload": reloads,
    "screen": lambda: PARTS.section("screen"),
    "targets": lambda: targets_section(PARTS),
    "profile": lambda: profile_section(3.0 if QUICK else 5.0),
    "tuning": lambda: tuning_section(*((6, 0.15) if QUICK else (6, 0.3))),
    "guarded": lambda: guarded_section(*((6, 0.15, 1) if QUICK else (12, 0.4, 3))),
    **growth_sections(QUICK),
}
"""In the order of docs/benchmarks.md, then of docs/performance_guide.md."""
SHORT: Final = ("goals", "lists", "micro", "memory", "start", "targets")
"""What a short look measures unless told otherwise: less than a minute."""


def usual() -> list[str]:
    """The sections that are measured if none is named."""
    if MUST:
        return ["goals"]
    if QUICK:
        return list(SHORT)
    return [name for name in SECTIONS if not name.startswith(GROUP)]


async def measure(wanted: list[str], path: Path) -> results.Results:
    """Every section, kept after each, so that one that fails takes no others with it."""
    found = results.Results(results.this_machine(ROOT), QUICK, results.load_average())
    for name in wanted:
        begun = time.perf_counter()
        section = results.as_section(await SECTIONS[name]())
        print(f"\n## {name}\n", *section.rows, "", found.machine.short, sep="\n", flush=True)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
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


def missed(found: results.Results) -> bool:
    """Whether something that must hold does not."""
    return any(each.fails for each in musts.judged(found.sections["goals"].figures))


def held(found: results.Results) -> bool:
    """Say of each goal that must hold whether it does; whether none is missed."""
    judged = musts.judged(found.sections["goals"].figures)
    print("\n## what must hold\n", *(each.sentence for each in judged), sep="\n", flush=True)
    return not missed(found)


def main(wanted: list[str]) -> bool:
    """Raises: BadResults if there is no such baseline, or no such name to save under."""
    path = results.place(KEPT, os.environ.get("SAVE") or "latest")
    named = os.environ.get("BASELINE")
    baseline = results.read(results.found_at(KEPT, named)) if named else None
    found = uvloop.run(measure(wanted, path))
    for _ in range(AGAIN if MUST and not held(found) else 0):
        # Beside something else that takes the machine's caches and cores, all rounds of a run may be slow.
        print("\nmeasured again:")
        PARTS.forget()
        found = uvloop.run(measure(wanted, path))
        if held(found):
            break
    print(f"\nwritten: {path.relative_to(ROOT)}")
    if not (QUICK or MUST):
        figures = {name: [*section.rows, "", found.machine.short] for name, section in found.sections.items()}
        for document in renew(DOCS, figures):
            print(f"written: {document.relative_to(ROOT)}")
    is_well = told(found, baseline)
    return is_well and not (MUST and missed(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="SECTION",
        help=f"of {', '.join(SECTIONS)}; {GROUP}: its kind; none: all others",
    )
    # As every installation has it: what is started again and again is compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    asked = parser.parse_args().sections or usual()
    growth = list(growth_sections(QUICK))
    sections = [name for each in asked for name in (growth if each == GROUP else [each])]
    if MUST and sections != ["goals"]:
        parser.error("MUST=1 measures the section goals, and no other.")
    if unknown := set(sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    try:
        is_well = main(sections)
    except results.BadResults as error:
        parser.error(str(error))
    sys.exit(0 if is_well else 1)
