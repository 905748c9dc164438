"""docs/conformance.md, from what was measured."""

from collections.abc import Iterator

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

UNSCORED = """## Not scored

Extensions, and scenarios younger than the suite's reference servers. Failing, of those that pass directly:
"""

ANSWERS = """## Answers

Every list, tool, prompt, resource and completion is asked for by raw requests in both eras, by clients that
declare no capabilities. Compared as JSON with what the server says when asked directly, without what the
gateway sets for itself: `dev.only1mcp/*`, the server's identity, `ttlMs`, `cacheScope`, `requestState` and a
title before a description.
"""


def page(columns: list[Column], versions: str, day: str) -> str:
    direct = columns[0]
    parts = [
        HEAD,
        f"Measured on {day} with {versions}.\n",
        SCORES,
        _table(["suite", *(column.title for column in columns)], list(_scores(columns))),
        "## Failing\n",
        *_failing(columns),
        "## Passed with other checks\n",
        "Scenarios that count as passed, but whose checks are not those of the direct run.\n",
        *_weaker(direct, columns[1:]),
        UNSCORED,
        *_unscored(direct, columns[1:]),
        ANSWERS,
        _table(["", *(column.title for column in columns)], list(_answers(columns))),
        *_other_answers(columns[1:]),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _scores(columns: list[Column]) -> Iterator[list[str]]:
    for suite, direct in columns[0].runs.items():
        yield [suite, *(_score(column.runs[suite], direct) for column in columns)]


def _score(run: Run, direct: Run) -> str:
    passed = len(run.passed())
    weaker = len(run.weaker_than(direct))
    return f"{passed}/{len(run.scored)}" + (f" ({passed - weaker})" if weaker else "")


def _failing(columns: list[Column]) -> Iterator[str]:
    for column in columns:
        for suite, run in column.runs.items():
            if not run.is_full:
                yield f"**{column.title}, {suite}**\n"
                yield "\n".join(f"- {name}: {_why(run, name)}" for name in run.failed()) + "\n"


def _why(run: Run, name: str) -> str:
    """The first failed check, short and on one line: the suite quotes what servers say."""
    first = run.scenarios[name].failures[0]
    said = " ".join(first.message.split())
    return f"`{first.id}`: {said[:117] + '...' if len(said) > 120 else said}"


def _weaker(direct: Column, columns: list[Column]) -> Iterator[str]:
    lines = [
        f"- {column.title}, {suite}: {', '.join(names)}"
        for column in columns
        for suite, run in column.runs.items()
        if (names := run.weaker_than(direct.runs[suite]))
    ]
    yield "\n".join(lines or ["None."]) + "\n"


def _unscored(direct: Column, columns: list[Column]) -> Iterator[str]:
    able = {suite: set(run.passed(is_scored=False)) for suite, run in direct.runs.items()}
    lines = [
        f"- {column.title}, {suite}: {', '.join(names)}"
        for column in columns
        for suite, run in column.runs.items()
        if (names := [name for name in run.failed(is_scored=False) if name in able[suite]])
    ]
    yield "\n".join(lines or ["None."]) + "\n"
    for suite, run in direct.runs.items():
        if names := run.failed(is_scored=False):
            yield f"The everything server itself fails, {suite}: {', '.join(names)}.\n"


def _answers(columns: list[Column]) -> Iterator[list[str]]:
    for era in columns[0].counts:
        for kind in columns[0].counts[era]:
            yield [f"{kind}, {era} client", *(str(column.counts[era][kind]) for column in columns)]
        asked = len(columns[0].equal_answers[era])
        yield [f"equal answers, {era} client", *(f"{len(c.equal_answers[era])}/{asked}" for c in columns)]


def _other_answers(columns: list[Column]) -> Iterator[str]:
    lines = [
        f"- {column.title}, {era} client: {', '.join(names)}"
        for column in columns
        for era, names in column.other_answers.items()
        if names
    ]
    if lines:
        yield "Answered otherwise than by the server alone:\n"
        yield "\n".join(lines) + "\n"
