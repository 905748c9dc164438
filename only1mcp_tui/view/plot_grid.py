"""Where the plots of the Metrics screen stand, and the lines around each of them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from only1mcp_tui.view.history import History, Window, sparkline
from only1mcp_tui.view.numbers import duration, plural
from only1mcp_tui.view.plots import KINDS, Chart, Scope, spark_of
from only1mcp_tui.view.text import Line, Span, cells, clip, fit, safe

WIDE = 100
"""Cells from which on two plots stand side by side."""
LEAST_CELL = 9
"""Lines of a plot with its title, its legend and its axis."""
ROOMY_CELL = 12
"""With fewer lines to each, four plots tell more than all of them."""
GAP = 2
HEAD = 1
"""Lines above the plots."""
AROUND = 2
"""Lines of title and legend in each cell."""
AXIS_WIDTH = 5
MEANS = "  means of 10 s; latency, in flight and delay: the highest"


@dataclass(frozen=True, slots=True)
class Cell:
    """Where one plot stands, below the head."""

    kind: int
    """Its place among `KINDS`."""
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Grid:
    cells: tuple[Cell, ...]
    sparks: tuple[int, ...]
    """Kinds that have a line each, below the cells."""

    def at(self, x: int, y: int) -> int | None:
        """The kind under these cells of the screen."""
        for cell in self.cells:
            if cell.x <= x < cell.x + cell.width and cell.y <= y - HEAD < cell.y + cell.height:
                return cell.kind
        place = y - HEAD - (self.cells[0].height if self.cells else 0)
        return self.sparks[place] if self.sparks and 0 <= place < len(self.sparks) else None


def grid_of(width: int, height: int, chosen: int, is_zoomed: bool) -> Grid:
    """Four plots, or all of them, where there is room for two side by side; else one and the others' lines."""
    room = height - HEAD
    rows = room // LEAST_CELL
    if is_zoomed or width < WIDE or rows < 2:
        others = () if is_zoomed else tuple(number for number in range(len(KINDS)) if number != chosen)
        sparks = others[: max(0, room - LEAST_CELL)]
        return Grid((Cell(chosen, 0, 0, width, max(0, room - len(sparks))),), sparks)
    shown = len(KINDS) if room // ROOMY_CELL >= len(KINDS) // 2 else 4
    first = chosen // shown * shown
    tall, extra = divmod(room, shown // 2)
    left = (width - GAP) // 2
    placed: list[Cell] = []
    y = 0
    for row in range(shown // 2):
        height_of_row = tall + (row < extra)
        kind = first + 2 * row
        placed.append(Cell(kind, 0, y, left, height_of_row))
        placed.append(Cell(kind + 1, left + GAP, y, width - GAP - left, height_of_row))
        y += height_of_row
    return Grid(tuple(placed), ())


def head_line(scope: Scope, history: History, now: float, grid: Grid, width: int) -> Line:
    """What is shown of what, and since when it was seen."""
    of: Span = ("all servers", "text") if scope.server is None else (safe(scope.server, 60), "accent")
    line: list[Span] = [(f"  {scope.window.label}", "strong"), ("  of ", "muted"), of]
    since_s = history.since_s(now)
    if since_s < scope.window.seconds:
        line.append((f"  since {duration(since_s)}", "muted"))
    shown = [cell.kind + 1 for cell in grid.cells]
    where = f"{shown[0]}-{shown[-1]}" if len(shown) > 1 else f"{shown[0]}"
    what = f"  {plural(len(shown), 'plot').split()[1]} {where} of {len(KINDS)} "
    page: Line = ((what, "muted"),) if len(shown) < len(KINDS) else ()
    room = width - cells(page)
    if scope.window is Window.HOUR and cells(line) + len(MEANS) <= room:
        line.append((MEANS, "muted"))
    return (*clip(line, room), *page) if room > 0 else clip(line, width)


def cell_lines(chart: Chart | None, plot: Sequence[Line], cell: Cell, is_chosen: bool) -> list[Line]:
    """One cell in exactly its lines, each exactly as wide as it is."""
    title = KINDS[cell.kind].title if chart is None else chart.title
    lines = [_title(title, chart, cell.width, is_chosen)]
    if chart is None:
        lines.append(())
    elif chart.note:
        lines += [(), *[()] * max(0, (cell.height - 4) // 3), ((f"   {chart.note}", "muted"),)]
    else:
        lines += [_legend(chart, cell.width), *plot]
    lines = [clip(line, cell.width) for line in lines[: cell.height]]
    return [*lines, *[clip((), cell.width)] * (cell.height - len(lines))]


def _title(title: str, chart: Chart | None, width: int, is_chosen: bool) -> Line:
    name: Line = ((" › ", "accent"), (title, "strong")) if is_chosen else (("   ", "text"), (title, "muted"))
    figures: list[Span] = []
    for word, value in () if chart is None else chart.figures:
        figures += [(f"  {word} ", "muted"), (value, "strong")]
    gap = width - cells(name) - cells(figures) - 2
    return (*name, (" " * gap, "text"), *figures, ("  ", "text")) if gap >= 0 else name


def _legend(chart: Chart, width: int) -> Line:
    """Each curve's letter, name and newest value; names give way where the line is short."""
    names = [curve.label for curve in chart.curves]
    around = 4 + (sum(len(curve.last) + len(curve.label) + 5 for curve in chart.curves) < width)
    room = width - 3 - sum(len(curve.last) + around for curve in chart.curves)
    longest = max((cells([(name, "")]) for name in names), default=0)
    while longest > 3 and sum(min(longest, cells([(name, "")])) for name in names) > room:
        longest -= 1
    line: list[Span] = [("   ", "text")]
    for curve in chart.curves:
        name = curve.label if cells([(curve.label, "")]) <= longest else fit(curve.label, longest).rstrip()
        line += [
            (f"{curve.letter} ", curve.role),
            (name, "muted"),
            (f" {curve.last}", "text"),
            (" " * (around - 3), "text"),
        ]
    return tuple(line)


def spark_line(kind: int, history: History, scope: Scope, width: int) -> Line:
    """A kind in one line: its name, the newest seconds, its value."""
    values, last = spark_of(KINDS[kind], history, scope, max(0, width - 26))
    graph = sparkline(values, max(0, width - 26))
    name, value = (f"   {KINDS[kind].short:<13}", "muted"), (fit(last, 7, right=True), "text")
    return clip((name, value, ("  ", "text"), (graph, "trend")), width)


def y_ticks(chart: Chart) -> list[tuple[float, str]]:
    return [(at, _tick(chart, at).rjust(AXIS_WIDTH)) for at in (0.0, chart.top / 2, chart.top)]


def _tick(chart: Chart, at: float) -> str:
    """Exactly where it stands: half of 5 is not 2."""
    return f"{at:g}" if at < 1000 else chart.show(at).replace(".0", "")


def x_ticks(window: Window, points: int) -> list[tuple[float, str]]:
    """How long ago, at the two ends and in the middle."""
    far, near = {
        Window.MINUTE: ("60 s ago", "30 s"),
        Window.TEN_MINUTES: ("10 m ago", "5 m"),
        Window.HOUR: ("60 m ago", "30 m"),
    }[window]
    last = max(1, points - 1)
    return [(0, far), (last / 2, near), (last, "now")]


def points_of(cell: Cell) -> int:
    """What braille can tell apart: two to a cell of the canvas."""
    return max(2, 2 * (cell.width - AXIS_WIDTH - 4))


def composed(grid: Grid, drawn: Sequence[Sequence[Line]], sparks: Iterable[Line]) -> list[Line]:
    """The lines of all cells, those of a row side by side."""
    lines: list[Line] = []
    by_row: dict[int, list[Sequence[Line]]] = {}
    for cell, own in zip(grid.cells, drawn, strict=True):
        by_row.setdefault(cell.y, []).append(own)
    for row in by_row.values():
        for beside in zip_longest(*row, fillvalue=()):
            spans: list[Span] = []
            for number, part in enumerate(beside):
                spans += [(" " * GAP, "text"), *part] if number else part
            lines.append(tuple(spans))
    return [*lines, *sparks]
