"""`make bench` as a whole, on sections that measure nothing: what it keeps, says, and ends with."""

from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import results
from tests.benchmarks.goals import Part, goal_figures, goal_rows
from tests.benchmarks.intervals import median_interval
from tests.benchmarks.results import Figure, Section


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "KEPT", tmp_path / ".cache" / "bench")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "QUICK", True)
    for name in ("SAVE", "BASELINE"):
        monkeypatch.delenv(name, raising=False)
    return bench.KEPT


def give(monkeypatch: pytest.MonkeyPatch, by: float, *, is_must: bool = True) -> None:
    """A section that "measures" this many times a hundred."""
    samples = tuple(by * sample for sample in (99.0, 100.0, 101.0, 100.0, 99.5))

    async def section() -> Section:
        return Section(["| a |", "|---|", "| 1 |"], (Figure("cpu", "µs", "lower", samples, is_must=is_must),))

    async def plain_rows() -> list[str]:
        return ["| b |", "|---|", "| 2 |"]

    monkeypatch.setattr(bench, "SECTIONS", {"calls": section, "saving": plain_rows})


def test_a_run_is_kept_with_its_page(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    give(monkeypatch, 1.0)
    assert bench.main(["calls", "saving"])
    found = results.read(kept / "latest.json")
    assert list(found.sections) == ["calls", "saving"] and found.is_quick
    assert "<svg" in (kept / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "## saving" in printed and "baseline" not in printed


@pytest.mark.parametrize(
    ("by", "is_must", "is_well"), [(1.0, True, True), (2.0, True, False), (2.0, False, True)]
)
def test_a_run_fails_only_if_a_must_has_become_worse(
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    by: float,
    is_must: bool,
    is_well: bool,
):
    give(monkeypatch, 1.0)
    monkeypatch.setenv("SAVE", "before")
    bench.main(["calls"])
    give(monkeypatch, by, is_must=is_must)
    monkeypatch.delenv("SAVE")
    monkeypatch.setenv("BASELINE", "before")
    assert bench.main(["calls"]) is is_well
    assert ("worse" in capsys.readouterr().out) is (by > 1)
    assert (kept / "before.json").exists() and (kept / "latest.json").exists()


@pytest.mark.parametrize(("of_usual", "is_well"), [(1.0, False), (5.0, True)])
def test_a_must_that_is_missed_fails_the_run_and_its_sentence_says_so(
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    of_usual: float,
    is_well: bool,
):
    found = Part({"G2": median_interval([of_usual + step / 10 for step in range(6)]), "G5": None})

    async def goals() -> Section:
        return Section(goal_rows([found], is_short=True), goal_figures([found]))

    monkeypatch.setattr(bench, "SECTIONS", {"goals": goals})
    assert bench.main(["goals"])
    assert "what must hold" not in capsys.readouterr().out
    monkeypatch.setattr(bench, "MUST", True)
    assert bench.main(["goals"]) is is_well
    printed = capsys.readouterr().out.split("## what must hold")[1]
    assert ("FAILED: G2" in printed) is not is_well
    assert "G5 was not measured" in printed


def test_each_kind_of_run_has_its_usual_sections(monkeypatch: pytest.MonkeyPatch):
    for is_quick, is_must in ((False, False), (True, False), (True, True), (False, True)):
        monkeypatch.setattr(bench, "QUICK", is_quick)
        monkeypatch.setattr(bench, "MUST", is_must)
        asked = bench.usual()
        assert set(asked) <= bench.SECTIONS.keys()
        assert (asked == ["goals"]) is is_must
        assert not any(name.startswith("growth") for name in asked)


def test_a_baseline_that_is_not_there_is_said_before_anything_is_measured(
    kept: Path, monkeypatch: pytest.MonkeyPatch
):
    give(monkeypatch, 1.0)
    monkeypatch.setenv("BASELINE", "missing")
    with pytest.raises(results.BadResults, match="missing"):
        bench.main(["calls"])
    assert not kept.exists()


def test_what_was_measured_before_a_section_failed_is_kept(kept: Path, monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, 1.0)

    async def fails() -> list[str]:
        raise RuntimeError("no server")

    monkeypatch.setattr(bench, "SECTIONS", {**bench.SECTIONS, "saving": fails})
    with pytest.raises(RuntimeError, match="no server"):
        bench.main(["calls", "saving"])
    assert list(results.read(kept / "latest.json").sections) == ["calls"]


def test_a_must_that_is_missed_is_measured_again_before_it_counts(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    runs: list[float] = []

    async def goals() -> Section:
        runs.append(1.0 if not runs else 5.0)
        found = Part({"G2": median_interval([runs[-1] + step / 10 for step in range(6)])})
        return Section(goal_rows([found], is_short=True), goal_figures([found]))

    monkeypatch.setattr(bench, "SECTIONS", {"goals": goals})
    monkeypatch.setattr(bench, "MUST", True)
    assert bench.main(["goals"])
    assert len(runs) == 2
    assert "measured again" in capsys.readouterr().out
