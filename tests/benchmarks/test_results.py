"""Results: what is written is what is read, and what is none of ours says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.results import (
    BadResults,
    Figure,
    Machine,
    Results,
    Section,
    as_section,
    found_at,
    place,
    plain,
    read,
    save,
    this_machine,
)
from tests.support.processes import ROOT

MACHINE = Machine(
    date="2026-01-31",
    cores=2,
    cpu="Some CPU",
    system="Linux 6.1.0 x86_64",
    python="3.11.7",
    packages={"uvloop": "0.22.1"},
    commit="abc1234",
)
FIGURE = Figure("RSS", "MB", "lower", (70.0, 72.0, 71.0), must=60.0, aim=45.0, is_must=True)


def results(*figures: Figure, **settings: Any) -> Results:
    sections = {"memory": Section(["| what | MB |", "|---|---|", "| RSS | 71 |"], figures or (FIGURE,))}
    return Results(
        **{"machine": MACHINE, "is_quick": False, "load_before": 0.1, "sections": sections, **settings}
    )


def test_what_is_saved_is_read_again(tmp_path: Path):
    path = tmp_path / "new" / "latest.json"
    save(path, results())
    assert read(path) == results()


def test_a_figure_is_the_median_of_its_rounds_and_knows_its_bounds():
    assert FIGURE.value == 71.0
    assert not FIGURE.reaches(60.0) and FIGURE.reaches(71.0)
    more = Figure("calls", "calls/s", "higher", (10.0,))
    assert more.reaches(10.0) and not more.reaches(11.0)


def test_a_section_may_give_rows_alone():
    assert as_section(["| a |"]) == Section(["| a |"], ())
    assert as_section(Section([], (FIGURE,))).figures == (FIGURE,)


def test_the_machine_tells_its_facts():
    machine = this_machine(ROOT)
    assert machine.cores >= 1 and machine.cpu
    assert machine.packages["msgspec"] and machine.packages["aiohttp"]
    assert machine.short == (
        f"*{machine.date}; {machine.cores} cores, {machine.system.split()[0]} {machine.system.split()[2]}, "
        f"Python {machine.python}*"
    )
    assert machine.differs_from(machine) == []


def test_another_machine_is_known_by_what_differs():
    other = Machine(**{**plain(results())["machine"], "cores": 8, "python": "3.13.0", "date": "2026-02-01"})
    assert MACHINE.differs_from(other) == ["cores", "python"]


def test_where_there_is_no_git_there_is_no_commit(tmp_path: Path):
    assert this_machine(tmp_path).commit == ""


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in plain(results()).items() if name != key}


@pytest.mark.parametrize(
    "written",
    [
        "",
        "[]",
        "{}",
        json.dumps(_without("machine")),
        json.dumps(plain(results()) | {"format": 2}),
        json.dumps(plain(results(Figure("a", "b", "lower", ())))),
        json.dumps(plain(results(Figure("a", "b", "sideways", (1.0,))))),  # type: ignore[arg-type]
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, written: str):
    path = tmp_path / "other.json"
    path.write_text(written)
    with pytest.raises(BadResults, match="holds no results"):
        read(path)


def test_a_baseline_is_found_by_name_and_by_path(tmp_path: Path):
    save(place(tmp_path, "before"), results())
    assert found_at(tmp_path, "before") == tmp_path / "before.json"
    assert found_at(tmp_path, "before.json") == tmp_path / "before.json"
    assert found_at(tmp_path / "elsewhere", str(tmp_path / "before.json")) == tmp_path / "before.json"
    with pytest.raises(BadResults, match=r"no results at .*missing\.json; SAVE=missing makes some"):
        found_at(tmp_path, "missing")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a b"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str):
    with pytest.raises(BadResults, match="is no name for results"):
        place(tmp_path, name)
