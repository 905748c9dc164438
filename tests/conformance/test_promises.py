"""What is promised is what was shown, and each difference is found."""

from dataclasses import replace

from tests.conformance.promises import Change, broken, gained, promise_of, unjudged
from tests.conformance.verdicts import Check, Column, Findings, Login, Run, Scenario, Visit

SUITE = "2025-11-25"


def findings(status: str, title: str = "HTTP") -> Findings:
    direct = _column("direct", "SUCCESS")
    visit = Visit(SUITE, _scenario("initialize", "SUCCESS"), _scenario("initialize", status))
    return Findings(direct, [_column(title, status)], [visit])


def _column(title: str, status: str) -> Column:
    run = Run({"ping": _scenario("ping", status)}, frozenset({"ping"}))
    return Column(title, {SUITE: run}, equal_answers={"legacy client": ["list tools"]})


def _scenario(name: str, status: str) -> Scenario:
    return Scenario(name, (Check("check", "Check", status, ""),))


def test_a_promise_holds_what_passed_and_how() -> None:
    assert promise_of(findings("SUCCESS")) == {
        "HTTP": {
            "2025-11-25: passed": ["ping"],
            "2025-11-25: as direct": ["ping"],
            "legacy client: same answer": ["list tools"],
        },
        "as a client": {"2025-11-25": ["initialize"]},
    }


def test_what_fails_and_what_passes_with_other_checks_breaks_a_promise() -> None:
    promise = promise_of(findings("SUCCESS"))
    skipped = [
        Change("HTTP", "2025-11-25: as direct", "ping"),
        Change("as a client", "2025-11-25", "initialize"),
    ]
    assert broken(promise, findings("SKIPPED")) == skipped
    assert broken(promise, findings("FAILURE")) == [Change("HTTP", "2025-11-25: passed", "ping"), *skipped]
    assert broken(promise, findings("SUCCESS")) == []


def test_what_newly_holds_is_a_gain() -> None:
    promise = promise_of(findings("FAILURE"))
    assert Change("HTTP", "2025-11-25: passed", "ping") in gained(promise, findings("SUCCESS"))
    assert gained(promise, findings("FAILURE")) == []


def test_a_column_that_was_not_judged_breaks_nothing_but_is_known() -> None:
    promise = promise_of(findings("SUCCESS", "stdio"))
    assert broken(promise, findings("SUCCESS")) == []
    assert unjudged(promise, findings("SUCCESS")) == ["stdio"]


def test_every_scenario_that_was_judged_through_the_gateway_is_found_with_what_is_wrong_with_it() -> None:
    found = findings("WARNING")
    login = Login(SUITE, _scenario("auth/basic", "FAILURE"))
    found = replace(found, logins=[login], tasks=[_column("direct", "SUCCESS"), _column("stdio", "SUCCESS")])
    assert [
        (title, kind, scenario.name, [check.status for check in scenario.faults])
        for title, kind, scenario in found.scenarios
    ] == [
        ("HTTP", SUITE, "ping", ["WARNING"]),
        ("stdio", SUITE, "ping", []),
        ("as a client", SUITE, "initialize", ["WARNING"]),
        ("logging in", SUITE, "auth/basic", ["FAILURE"]),
    ]
