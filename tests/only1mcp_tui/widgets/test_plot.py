"""Plots: exactly as large as asked for, told apart without colour, the same again for the same values."""

import math
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.cells import cell_len

from only1mcp_tui.widgets import plot
from only1mcp_tui.widgets.lines import Line
from only1mcp_tui.widgets.plot import plot_lines

WAVE = [50 + 40 * math.sin(at / 7) for at in range(100)]
GAPPED = [*WAVE[:30], *[math.nan] * 20, *WAVE[50:]]
Y_TICKS = [(0.0, "    0"), (50.0, "   50"), (100.0, "  100")]
X_TICKS = [(0.0, "10 m ago"), (49.5, "5 m"), (99.0, "now")]


@pytest.fixture
def no_plotext(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if it were not installed."""
    monkeypatch.setattr(plot, "_plotext", None)
    monkeypatch.setattr(plot, "_has_failed", False)
    monkeypatch.setitem(sys.modules, "plotext", None)
    yield


def drawn(*curves: tuple[str, str, list[float]], width: int = 58, height: int = 14) -> tuple[Line, ...]:
    return plot_lines(curves, 100.0, Y_TICKS, X_TICKS, width, height)


def text(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(span[0] for span in line) for line in lines]


@pytest.mark.parametrize("size", [(24, 5), (58, 14), (200, 60)])
def test_a_plot_is_exactly_as_large_as_asked_for(size: tuple[int, int]) -> None:
    lines = text(drawn(("a", "plot-1", WAVE), ("b", "plot-2", GAPPED), width=size[0], height=size[1]))
    assert len(lines) == size[1]
    assert {cell_len(line) for line in lines} == {size[0]}


def test_it_has_its_axes_and_ticks_and_each_curve_ends_in_its_letter() -> None:
    lines = text(drawn(("a", "plot-1", WAVE), ("b", "plot-2", [5.0] * 100)))
    assert lines[0].startswith("  100┤")
    assert lines[11].startswith("    0┤")
    assert "10 m ago" in lines[-1]
    assert lines[-1].rstrip().endswith("now")
    ends = [line.rstrip()[-1] for line in lines[:12] if line.rstrip()[-1:] in ("a", "b")]
    assert ends == ["a", "b"]


def test_curves_that_end_together_keep_the_order_of_their_values() -> None:
    lines = text(drawn(("a", "plot-1", [1.0] * 9), ("b", "plot-2", [2.0] * 9), ("c", "plot-3", [0.5] * 9)))
    assert [line[-2] for line in lines[9:12]] == ["b", "a", "c"]


def test_each_curve_has_its_role_and_the_frame_another() -> None:
    lines = drawn(("a", "plot-1", WAVE), ("b", "plot-2", [5.0] * 100))
    roles = {span[1] for line in lines for span in line if span[0].strip()}
    assert roles == {"plot-1", "plot-2", "muted"}


def test_a_gap_stays_empty() -> None:
    line = text(drawn(("a", "plot-1", [50.0] * 30 + [math.nan] * 40 + [50.0] * 30)))[6]
    canvas = line[6:-3]
    assert canvas[:12].strip() and canvas[-12:].strip()
    assert not canvas[20:32].strip()


def test_a_curve_that_has_ended_has_no_letter() -> None:
    lines = text(drawn(("a", "plot-1", [*WAVE[:-1], math.nan])))
    assert all(line.endswith("   ") for line in lines)


def test_the_same_values_are_the_same_lines() -> None:
    assert drawn(("a", "plot-1", WAVE)) == drawn(("a", "plot-1", WAVE))


def test_too_little_room_is_left_empty() -> None:
    assert drawn(("a", "plot-1", WAVE), width=10, height=3) == ((), (), ())
    assert drawn(width=58, height=6) == ((),) * 6


@pytest.mark.usefixtures("no_plotext")
def test_blocks_stand_in_where_plotext_is_missing() -> None:
    lines = text(drawn(("a", "plot-1", [0.0, 50.0, 100.0]), ("b", "plot-2", [math.nan, 100.0]), height=6))
    assert [line.rstrip() for line in lines[:6]] == [
        " " * 54 + "█",
        " " * 53 + "▄█",
        " " * 53 + "██ a",
        " " * 54 + "█",
        " " * 54 + "█",
        " " * 54 + "█ b",
    ]


@pytest.mark.usefixtures("no_plotext")
def test_it_is_missing_only_once(caplog: pytest.LogCaptureFixture) -> None:
    drawn(("a", "plot-1", WAVE))
    drawn(("a", "plot-1", WAVE))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_plotext_that_fails_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fails(*_: object) -> str:
        asked.append(1)
        raise OSError("no kernel for this machine")

    monkeypatch.setattr(plot, "_has_failed", False)
    monkeypatch.setattr(plot, "_built", fails)
    first = drawn(("a", "plot-1", WAVE))
    assert drawn(("a", "plot-1", WAVE)) == first
    assert asked == [1]
    assert "█" in "".join(text(first))


def test_two_threads_never_build_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    most: list[int] = []
    build = plot._built

    def watched(*args: object) -> str:
        inside.append(1)
        most.append(len(inside))
        try:
            return build(*args)  # type: ignore[arg-type]
        finally:
            inside.pop()

    monkeypatch.setattr(plot, "_built", watched)
    expected = drawn(("a", "plot-1", WAVE))
    got: list[tuple[Line, ...]] = []
    threads = [threading.Thread(target=lambda: got.append(drawn(("a", "plot-1", WAVE)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert got == [expected] * 8
