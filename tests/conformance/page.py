"""docs/conformance.md, from what was measured."""

from collections.abc import Iterable, Iterator, Sequence

from tests.conformance.verdicts import Column, Run

HEAD = """# Conformance

Written by `make conformance`; do not edit it by hand.

The judge is the official suite, npm package `@modelcontextprotocol/conformance`, in two pinned versions. It is
run against an everything server on the official Python SDK: directly, and through the gateway with that server
as the only one behind it and names as they are (`routing: {prefix: none}`). The columns name the transport to
the server and, where it is held to one, its era.
"""

SCORES = """## Scenarios passed

`passed / scored`. The suite counts a scenario as passed when no check failed, even if checks were skipped or
only warned. In brackets: how many of them passed with exactly the checks and outcomes of the direct run, where
that is fewer.
"""

FAILING = """## Not passed

By suite; the last column is the first check that failed, in the first column that has one.
"""

WEAKER = """## Passed with other checks

Scenarios that count as passed, but whose checks or outcomes are not those of the direct run.
"""

UNSCORED = """## Not scored

Extensions, and scenarios younger than the suite's reference servers, that pass directly and not through the
gateway.
"""

ANSWERS = """## Answers

Every list, tool, prompt, resource and completion is asked for by raw requests in both eras, by clients that
declare no capabilities. Compared as JSON with what the server says when asked directly, without what the
gateway sets for itself: `dev.only1mcp/*`, the server's identity, `ttlMs`, `cacheScope`, `requestState`, a title
before a description and the order of lists.
"""

NONE = "None.\n"
MARKS = {True: "yes", False: "**no**"}
LONGEST = 120


def page(columns: Sequence[Column], versions: str, day: str) -> str:
    direct, *through = columns
    parts = [
        HEAD,
        f"Measured on {day} with {versions}.\n",
        SCORES,
        _table(["suite", *_titles(columns)], _scores(columns)),
        FAILING,
        *_failing(direct, through),
        WEAKER,
        _listed(_weaker(direct, through)),
        UNSCORED,
        _listed(_unscored(direct, through)),
        *_beyond_the_server(direct),
        ANSWERS,
        _table(["", *_titles(columns)], _counted(columns)),
        *_other_answers(direct, through),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _titles(columns: Iterable[Column]) -> list[str]:
    return [column.title for column in columns]


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) + "\n" if (lines := list(lines)) else NONE


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
    """Short and on one line: the suite quotes what servers say."""
    failures = next(run.scenarios[name].failures for run in runs if name in run.failed())
    said = " ".join(failures[0].message.replace("|", "/").split())
    return f"`{failures[0].id}`: {said if len(said) <= LONGEST else said[:LONGEST] + '...'}"


def _weaker(direct: Column, through: Iterable[Column]) -> Iterator[str]:
    for column in through:
        for suite, run in column.runs.items():
            alike = run.as_in(direct.runs[suite])
            if names := [name for name in run.passed() if name not in alike]:
                yield f"{column.title}, {suite}: {', '.join(names)}"


def _unscored(direct: Column, through: Iterable[Column]) -> Iterator[str]:
    for column in through:
        for suite, run in column.runs.items():
            able = direct.runs[suite].passed(is_scored=False)
            if names := [name for name in able if name not in run.passed(is_scored=False)]:
                yield f"{column.title}, {suite}: {', '.join(names)}"


def _beyond_the_server(direct: Column) -> Iterator[str]:
    for suite, run in direct.runs.items():
        if names := run.failed(is_scored=False):
            yield f"Not passed by the everything server itself, {suite}: {', '.join(names)}.\n"


def _counted(columns: Sequence[Column]) -> Iterator[list[str]]:
    for era, kinds in columns[0].counts.items():
        for kind in kinds:
            yield [f"{era} client: {kind}", *(str(column.counts[era][kind]) for column in columns)]
        asked = len(columns[0].equal_answers[era])
        yield [f"{era} client: same answer", *(f"{len(c.equal_answers[era])}/{asked}" for c in columns)]


def _other_answers(direct: Column, through: Sequence[Column]) -> Iterator[str]:
    for era, asked in direct.equal_answers.items():
        same = [column.equal_answers[era] for column in through]
        rows = [[name, *(MARKS[name in each] for each in same)] for name in asked]
        if differing := [row for row in rows if MARKS[False] in row]:
            yield _table([f"same answer to a {era} client", *_titles(through)], differing)
