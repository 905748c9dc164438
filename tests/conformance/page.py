"""docs/conformance.md, from what was measured."""

from collections.abc import Iterable, Iterator, Sequence

from tests.conformance.logins import NOT_DONE
from tests.conformance.reasons import reason_for, reason_for_lacking, reason_for_other_checks
from tests.conformance.verdicts import (
    LEGACY,
    LONGEST_QUOTE,
    MODERN,
    Column,
    Findings,
    Login,
    Run,
    Visit,
    era_of,
)

HEAD = """# Conformance

Written by `make conformance`; do not edit it by hand.

The judge is the official suite, npm package `@modelcontextprotocol/conformance`, in two pinned versions. It is
run against an everything server on the official Python SDK, of both eras at once: directly, and through the
gateway. The columns name the transport to the server and what else is special:

- `legacy only`, `modern only`: the server is held to one era. The suite of the other era then needs the gateway
  to translate.
- `one of three`: two more servers are behind the same gateway.
- `prefixed`: names are exposed as `everything__name`, and a small proxy between the suite and the gateway
  renames them. In all other columns this server's names are as they are (`prefix: none`).
"""

SCORES = """## Scenarios passed

`passed / scored`. The suite counts a scenario as passed when no check failed, even if checks were skipped or
only warned. In brackets: how many of them passed with exactly the checks and outcomes of the direct run, where
that is fewer.
"""

FAILING = """## Not passed

By suite; the last column is the first check that failed, in the first column that has one. What a server of one
era cannot do is explained further down.
"""

WEAKER = """## Passed with other checks

Scenarios that count as passed, here and directly, but whose checks or outcomes are not those of the direct run.
"""

UNSCORED = """## Not scored

Extensions, and scenarios younger than the suite's reference servers. They are run all the same.
"""

TASKS = """## Tasks

The scenarios of the tasks extension. No SDK has it yet, so a small server of our own stands in the place of the
everything server. `tasks-status-notifications` is left out, as the suite skips it by itself.
"""

BRIDGED = {
    LEGACY: """## Modern requirements in front of a legacy-only server

Every scored scenario, and for each that such a server cannot answer, the reason. The gateway speaks the modern
era to the suite and the legacy era to the server.
""",
    MODERN: """## Legacy requirements in front of a modern-only server

The same the other way round.
""",
}

VISITS = """## As a client of its servers

The suite's client scenarios, those about authorization further down: the suite is the server, and judges what
it is sent. A client on the Python SDK lists and uses everything there is; first directly, then with the gateway
in between, so that what is judged is the gateway. `succeeded / failed`; what the direct client showed and the
gateway did not is named.
"""

LOGINS = """## Logging in at its servers

The suite's client scenarios of authorization: the suite is the server and its authorization server, the gateway
is the OAuth client. A person logs in by `only1mcp login`, with a browser that says yes to everything, whenever
the gateway says that one has to; in the scenarios where a client must not log in, that has to fail. The number
is that of the checks that succeeded; a warning counts as a failure here, as it does in the suite.
"""

ANSWERS = """## Answers

The suite is content with an empty list and takes some errors for passes. So every list, tool, prompt, resource
and completion is asked for as well: by raw requests of clients that declare no capabilities, and by a client on
the Python SDK that has them all and answers what it is asked. Compared as JSON with what the server says when
asked directly, without what the gateway sets for itself: `dev.only1mcp/*`, the server's identity, `ttlMs`,
`cacheScope`, `requestState`, a title before a description, the order of lists and other servers' items in them;
of an error the code and the data.

A client that lacks a capability is refused with the code of the era in which the gateway speaks to the server:
-32021 is unknown to the legacy era, and to a legacy client it becomes an internal error. A legacy server over
stdio does not know what a single client lacks: it is refused when it asks.
"""

NONE = "None.\n"
MARKS = {True: "yes", False: "**no**"}


def page(findings: Findings, versions: str, day: str) -> str:
    direct, through = findings.direct, findings.through
    parts = [
        HEAD,
        f"Measured on {day} with {versions}.\n",
        SCORES,
        _table(["suite", *_titles(findings.columns)], _scores(findings.columns)),
        FAILING,
        *(list(_failing(direct, through)) or [NONE]),
        WEAKER,
        _table(["suite", "scenario", "columns", "why"], _weaker(direct, through)),
        UNSCORED,
        *_unscored(findings.columns),
        TASKS,
        *_tasks(findings.tasks),
        *_bridged(direct, through),
        VISITS,
        _table(["scenario", "revision", "direct", "gateway", "not shown"], _visits(findings.visits)),
        LOGINS,
        *_logins(findings.logins),
        ANSWERS,
        _table(["", *_titles(findings.columns)], _counted(findings.columns)),
        *_other_answers(direct, through),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _titles(columns: Iterable[Column]) -> list[str]:
    return [column.title for column in columns]


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    if len(lines) == 2:
        return NONE
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _scores(columns: Sequence[Column]) -> Iterator[list[str]]:
    for suite, direct in columns[0].runs.items():
        yield [suite, *(_score(column.runs[suite], direct) for column in columns)]


def _score(run: Run, direct: Run) -> str:
    passed, alike = len(run.passed()), len(run.as_in(direct))
    return f"{passed}/{len(run.scored)}" + (f" ({alike})" if alike < passed else "")


def _failing(direct: Column, through: Sequence[Column]) -> Iterator[str]:
    for suite in direct.runs:
        runs = [column.runs[suite] for column in through]
        names = sorted({name for run in runs for name in run.failed()})
        if names:
            rows = ([name, *_marks(name, runs), _first_failure(name, runs)] for name in names)
            yield _table([suite, *_titles(through), "why"], rows)


def _marks(name: str, runs: Iterable[Run]) -> list[str]:
    return [MARKS[name in run.passed()] for run in runs]


def _first_failure(name: str, runs: Iterable[Run]) -> str:
    failed = next(run.scenarios[name] for run in runs if name in run.failed())
    return failed.first_failure.replace("|", "/")


def _weaker(direct: Column, through: Sequence[Column]) -> Iterator[list[str]]:
    where: dict[tuple[str, str, str], list[str]] = {}
    for column in through:
        for suite, run in column.runs.items():
            alone = direct.runs[suite]
            for name in (*run.unlike(alone), *run.unlike(alone, is_scored=False)):
                why = reason_for_other_checks(column, suite, name) or "Not explained."
                where.setdefault((suite, name, why), []).append(column.title)
    for (suite, name, why), titles in where.items():
        is_everywhere = len(titles) == len(through)
        yield [suite, name, "all" if is_everywhere else "; ".join(titles), why]


def _unscored(columns: Sequence[Column]) -> Iterator[str]:
    for suite in columns[0].runs:
        runs = [column.runs[suite] for column in columns]
        names = sorted(runs[0].scenarios.keys() - runs[0].scored)
        if names := [name for name in names if not name.startswith("tasks-")]:
            rows = ([name, *(MARKS[name in run.passed(is_scored=False)] for run in runs)] for name in names)
            yield _table([suite, *_titles(columns)], rows)


def _tasks(columns: Sequence[Column]) -> Iterator[str]:
    for suite, direct in columns[0].runs.items():
        runs = [column.runs[suite] for column in columns]
        yield _table(
            ["scenario", *_titles(columns)], ([name, *_marks(name, runs)] for name in direct.scenarios)
        )


def _bridged(direct: Column, through: Iterable[Column]) -> Iterator[str]:
    for era, text in BRIDGED.items():
        held = [column for column in through if column.era == era]
        if not held:
            continue
        yield text
        for suite, run in direct.runs.items():
            if era_of(suite) != era:
                rows = (
                    [name, *_marks(name, (column.runs[suite] for column in held)), _why(name, suite, held)]
                    for name in sorted(run.scored)
                )
                yield _table([suite, *_titles(held), "why not"], rows)


def _why(name: str, suite: str, columns: Iterable[Column]) -> str:
    failed = [column for column in columns if name in column.runs[suite].failed()]
    reasons = [reason_for(column, suite, column.runs[suite].scenarios[name]) for column in failed]
    return " ".join(dict.fromkeys(reason or "Not explained." for reason in reasons))


def _visits(visits: Iterable[Visit]) -> Iterator[list[str]]:
    for visit in visits:
        both = [f"{len(each.successes)} / {len(each.failures)}" for each in (visit.direct, visit.through)]
        why = reason_for_lacking(visit) or "Not explained."
        yield [visit.name, visit.revision, *both, f"{', '.join(visit.lacks)}. {why}" if visit.lacks else ""]


def _logins(logins: Sequence[Login]) -> Iterator[str]:
    revisions = list(dict.fromkeys(login.revision for login in logins))
    scores = []
    for revision in revisions:
        mine = [login for login in logins if login.revision == revision]
        scores.append(f"{sum(login.has_passed for login in mine)}/{len(mine)}")
    yield _table(["", *revisions], [["passed", *scores]])
    found = {(login.name, login.revision): login for login in logins}
    names = list(dict.fromkeys(login.name for login in logins))
    rows = ([name, *(_login(found.get((name, revision))) for revision in revisions)] for name in names)
    yield _table(["scenario", *revisions], rows)
    yield f"Not done, and so not judged: {', '.join(NOT_DONE)}.\n"


def _login(login: Login | None) -> str:
    if login is None:
        return ""
    if login.has_passed:
        return str(sum(check.status == "SUCCESS" for check in login.scenario.checks))
    if not login.scenario.faults:
        return f"{MARKS[False]}: nothing was shown"
    fault = login.scenario.faults[0]
    return f"{MARKS[False]}: `{fault.id}` {' '.join(fault.message.split())[:LONGEST_QUOTE]}".replace("|", "/")


def _counted(columns: Sequence[Column]) -> Iterator[list[str]]:
    for who, kinds in columns[0].counts.items():
        for kind in kinds:
            yield [f"{who}: {kind}", *(str(column.counts[who][kind]) for column in columns)]
        asked = len(columns[0].equal_answers[who])
        yield [f"{who}: same answer", *(f"{len(column.equal_answers[who])}/{asked}" for column in columns)]


def _other_answers(direct: Column, through: Sequence[Column]) -> Iterator[str]:
    for who, asked in direct.equal_answers.items():
        same = [column.equal_answers[who] for column in through]
        rows = [[name, *(MARKS[name in each] for each in same)] for name in asked]
        if differing := [row for row in rows if MARKS[False] in row]:
            yield _table([f"same answer to a {who}", *_titles(through)], differing)
