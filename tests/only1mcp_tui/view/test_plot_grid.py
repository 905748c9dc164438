"""Where the plots stand, at any size, and that every line is exactly as wide as it must be."""

from dataclasses import replace

import pytest

from only1mcp_tui.view.history import History, Window, sparkline
from only1mcp_tui.view.numbers import rate
from only1mcp_tui.view.plot_grid import (
    HEAD,
    LEAST_CELL,
    Cell,
    cell_lines,
    composed,
    grid_of,
    head_line,
    spark_line,
    x_ticks,
    y_ticks,
)
from only1mcp_tui.view.plots import KINDS, Chart, Curve, Scope
from only1mcp_tui.view.text import cells, plain
from tests.support.fake_control import snapshot_of


@pytest.mark.parametrize(
    ("size", "shown", "lines"),
    [
        ((120, 33), 4, 0),
        ((100, 20), 4, 0),
        ((130, 39), 4, 0),
        ((200, 57), 8, 0),
        ((80, 21), 1, 7),
        ((60, 15), 1, 5),
        ((120, 15), 1, 5),
    ],
)
def test_as_many_plots_as_there_is_room_for(size: tuple[int, int], shown: int, lines: int) -> None:
    grid = grid_of(*size, 0, False)
    assert (len(grid.cells), len(grid.sparks)) == (shown, lines)


@pytest.mark.parametrize("size", [(120, 33), (100, 19), (200, 57), (80, 21), (60, 15), (30, 3), (0, 0)])
@pytest.mark.parametrize("is_zoomed", [False, True])
@pytest.mark.parametrize("chosen", [0, 3, 7])
def test_the_chosen_plot_is_shown_and_no_line_is_left_over_or_too_wide(
    size: tuple[int, int], is_zoomed: bool, chosen: int
) -> None:
    width, height = size
    grid = grid_of(width, height, chosen, is_zoomed)
    assert chosen in [cell.kind for cell in grid.cells]
    drawn = [cell_lines(None, (), cell, cell.kind == chosen) for cell in grid.cells]
    sparks = [spark_line(kind, History(), Scope(), width) for kind in grid.sparks]
    lines = composed(grid, drawn, sparks)
    assert len(lines) == max(0, height - HEAD)
    assert {cells(line) for line in lines} <= {width}


def test_a_click_finds_its_plot() -> None:
    wide, narrow = grid_of(120, 33, 0, False), grid_of(80, 21, 2, False)
    assert [wide.at(x, y) for x, y in ((0, 1), (119, 1), (0, 32), (119, 32), (0, 0))] == [0, 1, 2, 3, None]
    assert narrow.at(5, 5) == 2
    assert narrow.at(5, 20) == narrow.sparks[-1]
    assert narrow.at(5, 21) is None


def chart(*labels: str) -> Chart:
    curves = tuple(
        Curve(letter, label, (1.0, 2.0), "2.0") for letter, label in zip("abcdef", labels, strict=False)
    )
    return Chart("Calls", curves, (("all", "12.0"), ("min", "1.0"), ("max", "20.0")), 20, rate)


def test_names_in_the_legend_give_way_evenly_and_the_figures_stay() -> None:
    cell = Cell(0, 0, 0, 50, LEAST_CELL)
    lines = cell_lines(chart("a-very-long-name", "日本語のサーバー", "short"), (), cell, True)
    assert {cells(line) for line in lines} == {50}
    legend = plain(lines[1])
    assert legend.count("2.0") == 3
    assert "short" in legend
    assert "…" in legend
    assert "all 12.0  min 1.0  max 20.0" in plain(lines[0])


def test_a_note_stands_in_place_of_curves() -> None:
    cell = Cell(0, 0, 0, 50, LEAST_CELL)
    lines = cell_lines(Chart("Calls", (), (), 1, rate, "No traffic yet."), (), cell, False)
    assert len(lines) == LEAST_CELL
    assert [plain(line).strip() for line in lines if plain(line).strip()] == ["Calls", "No traffic yet."]


def test_the_head_says_since_when_there_is_anything_to_see() -> None:
    history = History()
    history.sample(snapshot_of(), 100.0)
    grid = grid_of(120, 33, 0, False)
    assert "10 m  of all servers  since 12s" in plain(head_line(Scope(), history, 112.0, grid, 120))
    assert "since" not in plain(head_line(Scope(), history, 701.0, grid, 120))
    head = plain(head_line(Scope(Window.HOUR, "\x1b[31mevil"), history, 701.0, grid, 120))
    assert "1 h  of ␛[31mevil  since 10m01s" in head
    assert head.endswith("plots 1-4 of 8")


@pytest.mark.parametrize("width", [20, 40, 60, 120])
def test_the_head_is_never_wider_than_the_screen(width: int) -> None:
    for chosen in range(len(KINDS)):
        grid = grid_of(width, 20, chosen, False)
        assert cells(head_line(Scope(Window.HOUR, "日本" * 30), History(), 0.0, grid, width)) == width


def test_ticks_are_as_wide_as_each_other_and_in_words() -> None:
    assert y_ticks(chart("a")) == [(0.0, "    0"), (10.0, "   10"), (20, "   20")]
    ticks = [y_ticks(replace(chart("a"), top=top)) for top in (0.5, 5, 5000, 20_000)]
    halves, tops = [words.strip() for _, (_, words), _ in ticks], [words.strip() for _, _, (_, words) in ticks]
    assert (halves, tops) == (["0.25", "2.5", "2500", "10k"], ["0.5", "5", "5000", "20k"])
    assert x_ticks(Window.HOUR, 101) == [(0, "60 m ago"), (50.0, "30 m"), (100, "now")]


def test_a_kind_in_one_line_has_its_sparkline() -> None:
    history = History()
    for now in range(5):
        history.sample(snapshot_of(at=float(now)), float(now))
    line = plain(spark_line(6, history, Scope(), 60))
    assert line.split() == ["in", "flight", "0"]
    assert sparkline([0.0], 3) == "   "
