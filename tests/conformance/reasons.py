"""Why a scenario need not pass through the gateway, or may pass with other checks. Pure.

A scenario that fails and has no reason here fails the whole run; so does a reason that nothing needs any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.conformance.verdicts import LEGACY, MODERN, Column, Findings, Scenario, Visit

BOTH = ("http", "stdio")


@dataclass(frozen=True)
class Reason:
    """Why a scenario cannot be passed, or shown in full."""

    checks: frozenset[str]
    """Of these it is true, and of no others."""
    why: str
    over: tuple[str, ...] = BOTH
    """The transports for which it holds."""

    def covers(self, column: Column, scenario: Scenario) -> bool:
        return column.over in self.over and {check.id for check in scenario.failures} <= self.checks


BEHIND_LEGACY = {
    "input-required-result-basic-elicitation": Reason(
        frozenset({"sep-2322-elicitation-incomplete"}),
        "The scenario wants the request under the key `user_name`. A legacy server asks by a request of its "
        "own, which has no such key; the gateway makes one up.",
    ),
    "input-required-result-multiple-input-requests": Reason(
        frozenset({"sep-2322-multiple-inputs-incomplete"}),
        "The scenario wants three requests in one result. The legacy server asks for one thing, waits for the "
        "answer, and asks for the next; so does the gateway, in three rounds.",
    ),
    "input-required-result-capability-check": Reason(
        frozenset({"sep-2322-respect-client-capabilities"}),
        "Over stdio one process serves all clients, and was told at its start what any of them may be able to "
        "do. So it asks for what this client cannot do, and its call fails.",
        over=("stdio",),
    ),
    "server-stateless": Reason(
        frozenset({"sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400"}),
        "The scenario wants a capability to be missed with the error code -32021, which the legacy era does "
        "not have. Over HTTP the server refuses in its own words, which are passed on; over stdio it was told "
        "at its start that clients may have the capability, and misses nothing.",
    ),
}
BEHIND_MODERN: dict[str, Reason] = {}
BEHIND = {LEGACY: BEHIND_LEGACY, MODERN: BEHIND_MODERN}
"""By the era that the server is held to: scenarios of the other era."""

WITH_OTHER_CHECKS = {
    "server-sse-multiple-streams": "The everything server answers every request by an event stream. The "
    "gateway opens one only if something comes before the result, as it is free to do: then the suite has no "
    "streams to look into.",
    "server-sse-polling": "The tool ends its stream in the middle of the call, which only a legacy server on "
    "HTTP has. Behind one the gateway lets its client go too; every other server just answers, and so does "
    "the gateway.",
}
"""Scenarios that pass, and rightly with other checks than directly."""
WITH_OTHER_CHECKS_BEHIND_LEGACY = {
    "input-required-result-ignore-extra-params": "The scenario answers by the key `user_name` a question that "
    "it has not been asked yet. A legacy server asks by a request of its own, which has no such key.",
}
"""Scenarios of the modern era of which this is true in front of a legacy server."""

LACKING_AS_CLIENT = {
    "request-metadata": Reason(
        frozenset(f"ClientDeclares{each}Capability" for each in ("Elicitation", "Roots", "Sampling")),
        "The suite's server offers nothing that could be called for a client, so the gateway makes only "
        "requests of its own; these need no capability and declare none.",
    ),
}
"""Client scenarios in which the gateway rightly does not show what a direct client does."""


def reason_for(column: Column, suite: str, scenario: Scenario) -> str | None:
    """Why this scenario fails in this column; None if there is no good reason."""
    if not column.has_to_bridge(suite) or column.era is None:
        return None
    reason = BEHIND[column.era].get(scenario.name)
    return reason.why if reason is not None and reason.covers(column, scenario) else None


def reason_for_other_checks(column: Column, suite: str, name: str) -> str | None:
    """Why this scenario passes with other checks than directly; None if there is no good reason."""
    if column.era == LEGACY and column.has_to_bridge(suite) and name in WITH_OTHER_CHECKS_BEHIND_LEGACY:
        return WITH_OTHER_CHECKS_BEHIND_LEGACY[name]
    return WITH_OTHER_CHECKS.get(name)


def reason_for_lacking(visit: Visit) -> str | None:
    """Why the gateway does not show all that a direct client does; None if there is no good reason."""
    reason = LACKING_AS_CLIENT.get(visit.name)
    return reason.why if reason is not None and reason.checks.issuperset(visit.lacks) else None


def unexplained(findings: Findings) -> Iterator[str]:
    """Everything that is not as it is directly, and that no reason covers."""
    for column, direct in findings.compared:
        for suite, run in column.runs.items():
            alone = direct.runs[suite]
            for is_scored in (True, False):
                able = alone.passed(is_scored)
                for name in run.failed(is_scored):
                    failed = run.scenarios[name]
                    if name in able and reason_for(column, suite, failed) is None:
                        yield f"{column.title}, {suite}: {name} fails: {failed.first_failure}"
                for name in run.unlike(alone, is_scored):
                    if reason_for_other_checks(column, suite, name) is None:
                        yield f"{column.title}, {suite}: {name} passes with other checks"
        yield from _unlike_answers(column, direct)
    for visit in findings.visits:
        if not visit.through.has_passed:
            yield f"as a client, {visit.revision}: {visit.name} fails: {visit.through.first_failure}"
        elif visit.lacks and reason_for_lacking(visit) is None:
            yield f"as a client, {visit.revision}: {visit.name} lacks {', '.join(visit.lacks)}"


def _unlike_answers(column: Column, direct: Column) -> Iterator[str]:
    """Lists must be the same for everyone; everything must be, for a client that is able to answer."""
    for who, names in direct.equal_answers.items():
        for name in set(names).difference(column.equal_answers[who]):
            if name.startswith("list ") or not direct.counts[who]:
                yield f"{column.title}, {who}: {name} is answered otherwise"


def needless(findings: Findings) -> Iterator[str]:
    """Reasons for what needs none: the scenario passes in every column that was judged."""
    for era, reasons in BEHIND.items():
        judged = [column for column in findings.through if column.era == era]
        for name, reason in reasons.items():
            runs = [run for column in judged if column.over in reason.over for run in column.runs.values()]
            if runs and not any(name in run.failed() for run in runs):
                yield f"{name} passes in front of a {era} server: its reason is out of date"
