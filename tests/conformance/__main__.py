"""The gateway before the official conformance suite: `make conformance`, ARGS=--accept to raise the bar.

Writes docs/conformance.md. Fails if the everything server, asked directly, does not get full marks, or the
client that is compared with; if something no longer holds that expected.json promises; and if something is not
as it is directly and there is no reason for it in tests/conformance/reasons.py.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version

from tests.conformance import clients, logins, promises, reasons, tasks
from tests.conformance.columns import WAYS, judge_direct, judge_way
from tests.conformance.judge import CACHE, SUITES, Judge
from tests.conformance.page import page
from tests.conformance.promises import Change
from tests.conformance.verdicts import CLIENT_MODE, LOGIN_MODE, Findings
from tests.support.processes import LIGHT_TOKENIZER, ROOT

PAGE = ROOT / "docs/conformance.md"
EXPECTED = ROOT / "tests/conformance/expected.json"
RESULTS = CACHE / "results"
AT_ONCE = 3
"""Each judging is a gateway, a server and the suite, often waiting; more would be in each other's way."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge the gateway by the official conformance suite.")
    parser.add_argument("--accept", action="store_true", help="promise from now on what passes today")
    columns = [*(way.title for way in (*WAYS, *tasks.WAYS)), CLIENT_MODE, LOGIN_MODE]
    parser.add_argument("--only", action="append", choices=columns, help="this column; writes no page")
    parser.add_argument("--install", action="store_true", help="only see to it that the suite is there")
    given = parser.parse_args()
    judge = Judge()
    if given.install:
        return 0
    # The suite sees no figures, and loading the vocabulary is a tenth of what all of this costs.
    os.environ.setdefault(*LIGHT_TOKENIZER)
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    findings = judge_all(judge, given.only or columns)
    print_scores(findings)
    if given.only is None:
        PAGE.write_text(page(findings, versions(judge), date.today().isoformat()), encoding="utf-8")
        print(f"Written: {PAGE.relative_to(ROOT)}; the suite's own files: {RESULTS.relative_to(ROOT)}")
        if given.accept:
            EXPECTED.write_text(json.dumps(promises.promise_of(findings), indent=2) + "\n", encoding="utf-8")
    return report(findings, json.loads(EXPECTED.read_text(encoding="utf-8")), is_whole=given.only is None)


def judge_all(judge: Judge, titles: Iterable[str]) -> Findings:
    direct, alone = judge_direct(judge, RESULTS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        through = [pool.submit(judge_way, way, judge, RESULTS, alone) for way in WAYS if way.title in titles]
        asked = clients.scenarios() if CLIENT_MODE in titles else ()
        visits = [pool.submit(clients.visit, judge, *scenario, RESULTS / CLIENT_MODE) for scenario in asked]
        wanted = logins.scenarios() if LOGIN_MODE in titles else ()
        logged_in = [pool.submit(logins.visit, judge, *scenario, RESULTS / LOGIN_MODE) for scenario in wanted]
        with_tasks = [pool.submit(tasks.judge_direct, judge, RESULTS)]
        with_tasks += [
            pool.submit(tasks.judge_way, way, judge, RESULTS) for way in tasks.WAYS if way.title in titles
        ]
        return Findings(
            direct,
            [each.result() for each in through],
            [each.result() for each in visits],
            [each.result() for each in with_tasks],
            [each.result() for each in logged_in],
        )


def print_scores(findings: Findings) -> None:
    for column in (*findings.columns, *findings.tasks):
        scores = (f"{suite}: {len(run.passed())}/{len(run.scored)}" for suite, run in column.runs.items())
        print(f"{column.title:18} {', '.join(scores)}")
    if findings.visits:
        held = sum(visit.is_as_direct for visit in findings.visits)
        print(f"{CLIENT_MODE:18} {held}/{len(findings.visits)} as a direct client")
    for revision in dict.fromkeys(login.revision for login in findings.logins):
        mine = [login for login in findings.logins if login.revision == revision]
        print(f"{LOGIN_MODE:18} {revision}: {sum(login.has_passed for login in mine)}/{len(mine)}")


def report(findings: Findings, promise: promises.Promise, is_whole: bool) -> int:
    lost = promises.broken(promise, findings)
    faults = [*short_of_full(findings), *reasons.unexplained(findings)]
    if is_whole:
        faults += reasons.needless(findings)
        faults += [f"{title} is promised and was not judged" for title in promises.unjudged(promise, findings)]
    print_changes("Holds, and is not promised yet (ARGS=--accept):", promises.gained(promise, findings))
    print_changes("PROMISED, AND DOES NOT HOLD:", lost)
    if lost:
        print_faults(findings, {change.name for change in lost})
    if faults:
        print("\nNOT AS IT SHOULD BE:", *faults, sep="\n  ")
    return 1 if lost or faults else 0


def short_of_full(findings: Findings) -> Iterator[str]:
    """What all are measured by must itself be beyond doubt."""
    for column in (findings.direct, *findings.tasks[:1]):
        for suite, run in column.runs.items():
            if not run.is_full:
                yield f"{column.title}, {suite}: {', '.join(run.scored - set(run.passed()))}"
    for visit in findings.visits:
        if visit.direct.failures or not visit.direct.successes:
            yield f"the client alone, {visit.revision}: {visit.name}"


def print_changes(title: str, changes: list[Change]) -> None:
    if not changes:
        return
    widths = [max(map(len, cells)) for cells in zip(*(change.cells for change in changes), strict=True)]
    print(f"\n{title}")
    for change in changes:
        cells = (cell.ljust(width) for cell, width in zip(change.cells, widths, strict=True))
        print(" ", "  ".join(cells).rstrip())


def print_faults(findings: Findings, names: set[str]) -> None:
    """What the suite says about these scenarios: whoever reads this may have nothing else of the run."""
    print()
    for title, kind, scenario in findings.scenarios:
        if scenario.name in names:
            for check in scenario.faults:
                print(f"  {title}, {kind}, {scenario.name}: {check.status} {check.id} {check.message}")
            if not scenario.checks:
                print(f"  {title}, {kind}, {scenario.name}: nothing was checked")


def versions(judge: Judge) -> str:
    suites = " and ".join(dict.fromkeys(suite.version for suite in SUITES))
    return (
        f"only1mcp {version('only1mcp')}, the suite {suites}, Node.js {judge.node_version}, "
        f"the Python SDK {version('mcp')}, Python {sys.version.split()[0]}"
    )


if __name__ == "__main__":
    sys.exit(main())
