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

    def as_in(self, direct: "Run", is_scored: bool = True) -> list[str]:
        """Scenarios that passed with the very checks of the direct run."""
        names = self.passed(is_scored)
        return [name for name in names if self.scenarios[name].is_like(direct.scenarios[name])]


@dataclass(frozen=True)
class Column:
    """Everything known of one way to reach the everything server."""

    title: str
    runs: Mapping[str, Run]
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Era -> list -> how many items."""
    equal_answers: Mapping[str, list[str]] = field(default_factory=dict)
    """Era -> requests answered as by the server alone; of the direct column all."""


Promise = Mapping[str, Mapping[str, list[str]]]
"""Column -> what kind of thing -> the names of those that hold."""


def promise_of(columns: list[Column]) -> Promise:
    """What the columns after the direct one show, to be held to from now on."""
    direct = columns[0]
    return {column.title: _shown(column, direct) for column in columns[1:]}


def _shown(column: Column, direct: Column) -> Mapping[str, list[str]]:
    shown = {}
    for suite, run in column.runs.items():
        alone = direct.runs[suite]
        shown[f"{suite}: passed"] = run.passed() + run.passed(is_scored=False)
        shown[f"{suite}: as direct"] = run.as_in(alone) + run.as_in(alone, is_scored=False)
    for era, names in column.equal_answers.items():
        shown[f"{era} client: same answer"] = names
    return shown


def broken(promise: Promise, columns: list[Column]) -> list[str]:
    """Each thing that is promised and does not hold."""
    now = promise_of(columns)
    return [
        f"{title}, {kind}: {name}"
        for title, kinds in promise.items()
        for kind, names in kinds.items()
        for name in names
        if name not in now.get(title, {}).get(kind, [])
    ]
