"""What a run of the suite showed, and how it compares. Pure: knows no processes and no files.

SKIPPED and WARNING do not fail a scenario, by the suite's own rule. So a pass alone says little: it is worth as
much as the direct one only if the same checks ran and came out the same.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LEGACY, MODERN = "legacy", "modern"
CLIENT_MODE, LOGIN_MODE = "as a client", "logging in"
"""The columns of those that are no servers."""
MODERN_REVISION = "2026-07-28"
LONGEST_QUOTE = 120
"""Of what the suite says about a failure, in characters."""


@dataclass(frozen=True)
class Check:
    id: str
    name: str
    status: str
    message: str


@dataclass(frozen=True)
class Scenario:
    name: str
    checks: tuple[Check, ...]

    @property
    def has_passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks if check.status == "FAILURE"]

    @property
    def faults(self) -> list[Check]:
        """Warnings too: of clients the suite lets none pass."""
        return [check for check in self.checks if check.status in ("FAILURE", "WARNING")]

    @property
    def first_failure(self) -> str:
        """On one line: the suite quotes what servers say."""
        check = self.failures[0]
        said = " ".join(check.message.split())
        return f"`{check.id}`: {said if len(said) <= LONGEST_QUOTE else said[:LONGEST_QUOTE] + '...'}"

    @property
    def successes(self) -> set[tuple[str, str]]:
        return {(check.id, check.name) for check in self.checks if check.status == "SUCCESS"}

    def is_like(self, direct: "Scenario") -> bool:
        """Whether the same checks ran, as often, with the same outcomes."""
        return _outcomes(self) == _outcomes(direct)

    def lacks(self, direct: "Scenario") -> list[str]:
        """What succeeded directly and did not here."""
        return sorted(name for _, name in direct.successes - self.successes)


def _outcomes(scenario: Scenario) -> Counter[tuple[str, str, str]]:
    # INFO is the suite's diary, no outcome.
    judged = (check for check in scenario.checks if check.status != "INFO")
    return Counter((check.id, check.name, check.status) for check in judged)


@dataclass(frozen=True)
class Run:
    """One suite against one column."""

    scenarios: Mapping[str, Scenario]
    scored: frozenset[str]

    def passed(self, is_scored: bool = True) -> list[str]:
        return self._names(True, is_scored)

    def failed(self, is_scored: bool = True) -> list[str]:
        return self._names(False, is_scored)

    def _names(self, has_passed: bool, is_scored: bool) -> list[str]:
        return [
            name
            for name, scenario in sorted(self.scenarios.items())
            if (name in self.scored) is is_scored and scenario.has_passed is has_passed
        ]

    @property
    def is_full(self) -> bool:
        return set(self.passed()) == self.scored

    def as_in(self, direct: "Run", is_scored: bool = True) -> list[str]:
        """Scenarios that passed with the very checks of the direct run."""
        return [name for name in self.passed(is_scored) if name not in self.unlike(direct, is_scored)]

    def unlike(self, direct: "Run", is_scored: bool = True) -> list[str]:
        """Scenarios that passed, directly too, but with other checks."""
        both = [name for name in self.passed(is_scored) if name in direct.passed(is_scored)]
        return [name for name in both if not self.scenarios[name].is_like(direct.scenarios[name])]


@dataclass(frozen=True)
class Column:
    """Everything known of one way to reach the everything server."""

    title: str
    runs: Mapping[str, Run]
    """By suite."""
    over: str = ""
    """The transport behind the gateway: http or stdio."""
    era: str | None = None
    """The one that the server is held to; None: it speaks both."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Who asks -> list -> how many items."""
    equal_answers: Mapping[str, list[str]] = field(default_factory=dict)
    """Who asks -> requests answered as by the server alone; of the direct column all."""

    def has_to_bridge(self, suite: str) -> bool:
        """Whether this suite's era is not the server's."""
        return self.era is not None and self.era != era_of(suite)


def era_of(suite: str) -> str:
    return MODERN if suite == MODERN_REVISION else LEGACY


@dataclass(frozen=True)
class Visit:
    """One client scenario in one revision: the same client directly, and with the gateway in between."""

    revision: str
    direct: Scenario
    through: Scenario

    @property
    def name(self) -> str:
        return self.direct.name

    @property
    def lacks(self) -> list[str]:
        return self.through.lacks(self.direct)

    @property
    def is_as_direct(self) -> bool:
        return self.through.has_passed and not self.lacks


@dataclass(frozen=True)
class Login:
    """One client scenario of authorization: the gateway logs in at the suite's server, or must not."""

    revision: str
    scenario: Scenario

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def has_passed(self) -> bool:
        return not self.scenario.faults and bool(self.scenario.successes)


@dataclass(frozen=True)
class Findings:
    """All that one judging showed."""

    direct: Column
    through: list[Column]
    visits: list[Visit]
    tasks: list[Column] = field(default_factory=list)
    """The tasks server: directly, then through the gateway."""
    logins: list[Login] = field(default_factory=list)

    @property
    def columns(self) -> list[Column]:
        return [self.direct, *self.through]

    @property
    def scenarios(self) -> Iterator[tuple[str, str, Scenario]]:
        """(column, suite or revision, one of its scenarios), all that were judged through the gateway."""
        for column in (*self.through, *self.tasks[1:]):
            for suite, run in column.runs.items():
                yield from ((column.title, suite, scenario) for scenario in run.scenarios.values())
        yield from ((CLIENT_MODE, visit.revision, visit.through) for visit in self.visits)
        yield from ((LOGIN_MODE, login.revision, login.scenario) for login in self.logins)

    @property
    def compared(self) -> list[tuple[Column, Column]]:
        """Each column through the gateway, and the direct one that it is measured by."""
        pairs = [(column, self.direct) for column in self.through]
        return pairs + [(column, self.tasks[0]) for column in self.tasks[1:]]
