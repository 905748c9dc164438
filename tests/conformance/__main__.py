"""The gateway before the official conformance suite: `make conformance`, ARGS=--accept to raise the bar.

Writes docs/conformance.md. Fails if the everything server, asked directly, does not get full marks: then
nothing else means anything. Fails too if something no longer passes that expected.json promises.
"""

import argparse
import json
import shutil
import sys
from datetime import date
from importlib.metadata import version

from tests.conformance.columns import judge_all
from tests.conformance.judge import CACHE, SUITES, Judge
from tests.conformance.page import page
from tests.conformance.verdicts import Column, broken, promise_of
from tests.support.processes import ROOT

PAGE = ROOT / "docs/conformance.md"
EXPECTED = ROOT / "tests/conformance/expected.json"
RESULTS = CACHE / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge the gateway by the official conformance suite.")
    parser.add_argument("--accept", action="store_true", help="promise from now on what passes today")
    given = parser.parse_args()
    judge = Judge()
    shutil.rmtree(RESULTS, ignore_errors=True)
    columns = judge_all(judge, RESULTS)
    PAGE.write_text(page(columns, versions(judge), date.today().isoformat()), encoding="utf-8")
    for column in columns:
        scores = (f"{suite}: {len(run.passed())}/{len(run.scored)}" for suite, run in column.runs.items())
        print(f"{column.title:18} {', '.join(scores)}")
    if given.accept:
        EXPECTED.write_text(json.dumps(promise_of(columns), indent=2) + "\n", encoding="utf-8")
    return report([*short_of_full(columns[0]), *broken(json.loads(EXPECTED.read_text()), columns)])


def short_of_full(direct: Column) -> list[str]:
    """The server that all are measured by must itself be beyond doubt."""
    return [
        f"direct, {suite}: {', '.join(run.failed())}" for suite, run in direct.runs.items() if not run.is_full
    ]


def versions(judge: Judge) -> str:
    suites = " and ".join(dict.fromkeys(suite.version for suite in SUITES))
    return (
        f"only1mcp {version('only1mcp')}, the suite {suites}, Node.js {judge.node_version}, "
        f"the Python SDK {version('mcp')}, Python {sys.version.split()[0]}"
    )


def report(faults: list[str]) -> int:
    for fault in faults:
        print(f"does not pass: {fault}", file=sys.stderr)
    print(f"Written: {PAGE.relative_to(ROOT)}; the suite's own files: {RESULTS.relative_to(ROOT)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
