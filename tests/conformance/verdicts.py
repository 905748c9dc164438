"""What a run of the suite showed, and how it compares. Pure: knows no processes and no files.

SKIPPED and WARNING do not fail a scenario, by the suite's own rule. So a pass alone says little: it is worth as
much as the direct one only if the same checks ran and came out the same.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


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

    def is_like(self, direct: "Scenario") -> bool:
        """Whether the same checks ran, as often, with the same outcomes."""
        return _outcomes(self) == _outcomes(direct)


def _outcomes(scenario: Scenario) -> Counter[tuple[str, str, str]]:
    return Counter((check.id, check.name, check.status) for check in scenario.checks)


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

    def weaker_than(self, direct: "Run") -> list[str]:
        """Scenarios that passed with other checks than those of the direct run."""
        return [name for name in self.passed() if not self.scenarios[name].is_like(direct.scenarios[name])]


@dataclass(frozen=True)
class Column:
    """Everything known of one way to reach the everything server."""

    title: str
    runs: Mapping[str, Run]
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Era -> list -> how many items."""
    equal_answers: Mapping[str, list[str]] = field(default_factory=dict)
    """Era -> requests answered as by the server alone."""
    other_answers: Mapping[str, list[str]] = field(default_factory=dict)


Promise = Mapping[str, Mapping[str, list[str]]]
"""Column -> suite or era -> what passes."""


def promise_of(columns: list[Column]) -> Promise:
    """What the columns show, to be held to from now on."""
    return {
        column.title: {
            **{suite: run.passed() + run.passed(is_scored=False) for suite, run in column.runs.items()},
            **{f"{era} answers": names for era, names in column.equal_answers.items()},
        }
        for column in columns
    }


def broken(promise: Promise, columns: list[Column]) -> list[str]:
    """Each thing that is promised and does not hold."""
    now = promise_of(columns)
    return [
        f"{title}, {group}: {name}"
        for title, groups in promise.items()
        for group, names in groups.items()
        for name in names
        if name not in now.get(title, {}).get(group, [])
    ]
