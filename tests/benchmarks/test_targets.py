"""Targets and their figures, what is measured once, and what is said where the sampler is missing."""

import shutil

import pytest

from tests.benchmarks import parts as parts_module
from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import median_interval
from tests.benchmarks.parts import Parts
from tests.benchmarks.processes import ROOT
from tests.benchmarks.profiling import MISSING, profile_section
from tests.benchmarks.results import Figure
from tests.benchmarks.targets import TARGETS


def test_a_target_tells_its_figure_and_whether_it_is_met():
    rate = next(each for each in TARGETS if each.what == "forwarded calls")
    slow, fast = (
        rate.row(Part({}, figures=(Figure("gateway, forwarded", "calls/s", "higher", (by,) * 6),)))
        for by in (9_999.0, 10_001.0)
    )
    assert "| > 10,000 req/s | 9,999 req/s | **missed** |" in slow
    assert "| 10,001 req/s | met |" in fast
    balancer = next(each for each in TARGETS if each.what == "balancer")
    assert "| < 10 µs | 1.00 µs | met |" in balancer.row(Part({"G11 balancer": median_interval([1.0] * 6)}))


def test_every_harness_is_there():
    for target in TARGETS:
        assert (ROOT / "tests" / "benchmarks" / target.harness).is_file()
        assert target.part in parts_module._MEASURES


async def test_a_part_is_measured_by_whoever_asks_first(monkeypatch: pytest.MonkeyPatch):
    asked: list[bool] = []

    async def memory(is_quick: bool) -> Part:
        asked.append(is_quick)
        return Part({}, ["| a |"])

    monkeypatch.setattr(parts_module, "_MEASURES", {"memory": memory})
    parts = Parts(is_quick=True)
    assert await parts.of("memory") is await parts.of("memory")
    assert (await parts.section("memory")).rows == ["| a |"]
    assert asked == [True]


async def test_without_a_sampler_nothing_is_profiled_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert (await profile_section(1.0)).rows == [MISSING]
