"""What sections make of what they measured: rows for the documents, figures that can be compared."""

from collections.abc import Sequence
from typing import TypeVar

from tests.benchmarks.calls import Way, section_of
from tests.benchmarks.listing import part_of
from tests.benchmarks.load import Measured
from tests.benchmarks.rounds import Turns
from tests.benchmarks.rounds import Way as LineWay

Some = TypeVar("Some", bound=Turns)


def measured(per_s: float, cpu_us: float) -> Measured:
    """Of one second."""
    return Measured(int(per_s), 1.0, [1.0, 2.0, 3.0], cpu_us * per_s / 1e6)


def gone(way: Some, turns: Sequence[Measured]) -> Some:
    way.turns.extend(turns)
    return way


async def nothing() -> Measured:
    raise AssertionError("not measured here")


def test_calls_tell_the_medians_of_their_rounds_and_keep_the_rounds():
    direct = gone(Way("there", 8, nothing), [measured(100, 20), measured(300, 25), measured(200, 20)])
    ours = gone(Way("here", 8, nothing, direct), [measured(100, 40), measured(300, 50), measured(200, 60)])
    section = section_of([direct, ours])
    assert section.rows[2:] == [
        "| there | 8 | 200 | 2.00 | 3.00 | - |",
        "| here | 8 | 200 | 2.00 | 3.00 | 50 |",
    ]
    by_name = {figure.name: figure for figure in section.figures}
    assert len(by_name) == len(section.figures) == 8
    assert by_name["there, 8 at once"].samples == (100.0, 300.0, 200.0)
    (must,) = (figure for figure in section.figures if figure.is_must)
    assert must.name == "here, 8 at once: CPU / the backend's, directly"
    assert [round(sample, 6) for sample in must.samples] == [2.0, 2.0, 3.0]


def test_one_caller_alone_is_no_must():
    direct = gone(Way("there", 1, nothing), [measured(100, 20)])
    section = section_of([direct, gone(Way("here", 1, nothing, direct), [measured(100, 40)])])
    assert "here, 1 at once: CPU" in {figure.name for figure in section.figures}
    assert not any(figure.is_must for figure in section.figures)


def test_lists_tell_the_ratio_within_each_turn():
    ways = [
        gone(LineWay(name, 1, []), [measured(100, by * each) for by in (1, 2, 3, 4, 5, 6)])
        for name, each in (("ready", 30), ("modern", 10), ("legacy", 20))
    ]
    for way in ways:
        way.turns[0] = measured(100, 30)
    part = part_of(ways, 10_220)
    assert part.table[-2:] == [
        "| modern | 35 | 100 | 3.00 [1.00, 3.00] |",
        "| legacy | 70 | 100 | 1.50 [1.00, 1.50] |",
    ]
    by_name = {figure.name: figure for figure in part.figures}
    assert len(by_name) == len(part.figures) == 8
    ratio = by_name["modern: the first's CPU / its own"]
    assert [round(sample, 6) for sample in ratio.samples] == [1.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    assert (ratio.must, ratio.aim, ratio.is_must, ratio.better) == (2.0, 3.0, True, "higher")
