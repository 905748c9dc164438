"""What has to be explained, and what a reason covers."""

from tests.conformance.reasons import BEHIND_LEGACY, needless, reason_for, unexplained
from tests.conformance.verdicts import LEGACY, Check, Column, Findings, Run, Scenario, Visit

SUITE = "2026-07-28"
KNOWN, REASON = next(iter(BEHIND_LEGACY.items()))
EXCUSED = next(iter(REASON.checks))


def scenario(name: str, *statuses: str, id: str = "check") -> Scenario:
    return Scenario(name, tuple(Check(id, f"Check{n}", status, "") for n, status in enumerate(statuses)))


def column(*scenarios: Scenario, era: str | None = None, over: str = "http") -> Column:
    run = Run({each.name: each for each in scenarios}, frozenset(each.name for each in scenarios))
    return Column("a column", {SUITE: run}, over, era)


def findings(direct: Scenario, through: Column) -> Findings:
    return Findings(column(direct), [through], [])


def test_a_failure_without_a_reason_is_told() -> None:
    found = findings(scenario("new", "SUCCESS"), column(scenario("new", "FAILURE")))
    assert list(unexplained(found)) == ["a column, 2026-07-28: new fails: `check`: "]


def test_a_pass_with_other_checks_is_told() -> None:
    found = findings(scenario("new", "SUCCESS"), column(scenario("new", "SKIPPED")))
    assert list(unexplained(found)) == ["a column, 2026-07-28: new passes with other checks"]


def test_what_the_suite_only_notes_is_no_other_check() -> None:
    found = findings(scenario("new", "SUCCESS"), column(scenario("new", "SUCCESS", "INFO")))
    assert list(unexplained(found)) == []


def test_a_reason_holds_for_its_checks_in_front_of_a_server_of_its_era() -> None:
    failed = scenario(KNOWN, "FAILURE", id=EXCUSED)
    assert reason_for(column(failed, era=LEGACY), SUITE, failed) == REASON.why
    assert reason_for(column(failed), SUITE, failed) is None
    assert reason_for(column(failed, era=LEGACY), "2025-11-25", failed) is None
    other = scenario(KNOWN, "FAILURE", id="another-check")
    assert reason_for(column(other, era=LEGACY), SUITE, other) is None


def test_a_reason_that_nothing_needs_is_told() -> None:
    passed = [scenario(name, "SUCCESS") for name in BEHIND_LEGACY]
    failed = [scenario(name, "FAILURE") for name in BEHIND_LEGACY]
    assert len(list(needless(Findings(column(), [column(*passed, era=LEGACY)], [])))) >= 1
    assert list(needless(Findings(column(), [column(*failed, era=LEGACY)], []))) == []


def test_a_client_must_show_what_a_direct_one_shows() -> None:
    direct = scenario("sse-retry", "SUCCESS", "SUCCESS")
    skipped = Visit("2025-11-25", direct, scenario("sse-retry", "SUCCESS", "SKIPPED"))
    told = list(unexplained(Findings(column(), [], [skipped])))
    assert told == ["as a client, 2025-11-25: sse-retry lacks Check1"]
    more = Visit("2025-11-25", direct, scenario("sse-retry", "SUCCESS", "SUCCESS", "SUCCESS"))
    assert list(unexplained(Findings(column(), [], [more]))) == []
