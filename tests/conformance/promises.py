"""What is promised, kept in expected.json, and how the findings differ from it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.conformance.verdicts import CLIENT_MODE, LOGIN_MODE, Column, Findings

Promise = Mapping[str, Mapping[str, list[str]]]
"""Column -> what kind of thing -> the names of those that hold."""


@dataclass(frozen=True)
class Change:
    """Something that held and does not, or the other way round."""

    column: str
    kind: str
    name: str

    @property
    def cells(self) -> tuple[str, str, str]:
        return self.column, self.kind, self.name


def promise_of(findings: Findings) -> Promise:
    """What the findings show, to be held to from now on."""
    shown = {column.title: _shown(column, direct) for column, direct in findings.compared}
    if findings.visits:
        revisions = dict.fromkeys(visit.revision for visit in findings.visits)
        shown[CLIENT_MODE] = {
            revision: [
                visit.name for visit in findings.visits if visit.revision == revision and visit.is_as_direct
            ]
            for revision in revisions
        }
    if findings.logins:
        shown[LOGIN_MODE] = {
            revision: [each.name for each in findings.logins if each.revision == revision and each.has_passed]
            for revision in dict.fromkeys(each.revision for each in findings.logins)
        }
    return shown


def _shown(column: Column, direct: Column) -> Mapping[str, list[str]]:
    shown = {}
    for suite, run in column.runs.items():
        alone = direct.runs[suite]
        shown[f"{suite}: passed"] = run.passed() + run.passed(is_scored=False)
        shown[f"{suite}: as direct"] = run.as_in(alone) + run.as_in(alone, is_scored=False)
    for who, names in column.equal_answers.items():
        shown[f"{who}: same answer"] = names
    return shown


def broken(promise: Promise, findings: Findings) -> list[Change]:
    """Each thing that is promised of what was judged, and does not hold."""
    now = promise_of(findings)
    return list(_beyond({title: kinds for title, kinds in promise.items() if title in now}, now))


def gained(promise: Promise, findings: Findings) -> list[Change]:
    """Each thing that holds and is not promised yet."""
    return list(_beyond(promise_of(findings), promise))


def _beyond(these: Promise, those: Promise) -> Iterator[Change]:
    for title, kinds in these.items():
        for kind, names in kinds.items():
            known = those.get(title, {}).get(kind, [])
            yield from (Change(title, kind, name) for name in names if name not in known)


def unjudged(promise: Promise, findings: Findings) -> list[str]:
    """Columns that are promised and were not judged."""
    return [title for title in promise if title not in promise_of(findings)]
