"""Metrics: what the numbers were, as plots of a window, for all servers or one.

One plot is built at a time, in a thread: those that were never built, or are of another size or window, at
once; after that one a second, the oldest first. Nothing is built while the screen is not shown.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.view.history import Window
from only1mcp_tui.view.plot_grid import (
    AROUND,
    Cell,
    Grid,
    cell_lines,
    composed,
    grid_of,
    head_line,
    points_of,
    spark_line,
    x_ticks,
    y_ticks,
)
from only1mcp_tui.view.plots import KINDS, Chart, Scope, chart_of
from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.plot import PlotBoard, plot_lines
from proxy_core.control import Control

log = logging.getLogger(__name__)

WINDOWS = tuple(Window)
YOUNG_S = 120.0
FAILED = "This plot could not be drawn; the log says why."


@dataclass(frozen=True, slots=True)
class Built:
    """A plot that is ready."""

    place: Hashable
    """Its scope and size: with another one it is another plot."""
    turn: int
    """The second of the history that it shows."""
    chart: Chart
    lines: tuple[Line, ...]


class MetricsScreen(CoreScreen):
    """Plots of the history that the app keeps."""

    MODE = "metrics"
    AUTO_FOCUS = "PlotBoard"
    FILTER_KEYS = frozenset()
    FILTER_HINT = ""
    HELP = """\
# Metrics

What the numbers were while this screen was open: it begins when only1mcp, or `monitor`, starts.

**w** takes another window: 1 or 10 minutes, or an hour. **[** and **]** go through the servers.
**Tab** chooses a plot, **z** shows it alone, **n** goes on to the next ones.

Each curve ends in its letter. A gap is a time that was not seen. Where a point stands for several
samples, rates are their mean; latency, errors, calls in flight and delay are the highest.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "window", "Window"),
        Binding("right_square_bracket", "scope(1)", "Server", key_display="[ ]"),
        Binding("left_square_bracket", "scope(-1)", "Server before", key_display="[", show=False),
        Binding("z", "zoom", "Zoom"),
        Binding("n", "next_page", "Next plots"),
        Binding("tab,l,right", "choose(1)", "Next plot", show=False),
        Binding("shift+tab,h,left", "choose(-1)", "Previous plot", show=False),
    ]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self.scope = Scope()
        self.chosen = 0
        self.is_zoomed = False
        self._built: dict[int, Built] = {}
        self._is_building = False
        self._built_at = 0
        """The second of the history at which one was built last."""
        self._composed: Hashable = None
        self._is_window_chosen = False

    def body(self) -> Iterator[Widget]:
        yield PlotBoard()

    @property
    def board(self) -> PlotBoard:
        return self.query_one(PlotBoard)

    @property
    def grid(self) -> Grid:
        size = self.board.size
        return grid_of(size.width, size.height, self.chosen, self.is_zoomed)

    # --- drawing --------------------------------------------------------------------------------------------

    def draw(self, picture: Picture) -> None:
        if not 0 < self.board.size.height < self.size.height:
            # The lines around it have no heights yet: a plot of this size would be one for nothing.
            return
        if not self._is_window_chosen:
            # Of a history that has only begun, ten minutes would be an empty plot with a line at its edge.
            self._is_window_chosen = True
            is_young = picture.history.since_s(picture.now) < YOUNG_S
            self.scope = replace(self.scope, window=Window.MINUTE if is_young else Window.TEN_MINUTES)
        if self.scope.server is not None and all(
            row.id != self.scope.server for row in picture.snapshot.servers
        ):
            self.scope = replace(self.scope, server=None)
        self._put(picture)
        self._build_one(picture)

    def _put(self, picture: Picture) -> None:
        """Compose the lines again if anything of them may be another."""
        grid, turn = self.grid, picture.history.turn
        ready = tuple(self._built.get(cell.kind) for cell in grid.cells)
        key = (
            turn,
            self.scope,
            self.chosen,
            grid,
            tuple(built and (built.place, built.turn) for built in ready),
        )
        if key == self._composed:
            return
        self._composed = key
        width = self.board.size.width
        drawn = [
            cell_lines(*self._chart(built, cell), cell, cell.kind == self.chosen)
            for built, cell in zip(ready, grid.cells, strict=True)
        ]
        sparks = (spark_line(kind, picture.history, self.scope, width) for kind in grid.sparks)
        head = head_line(self.scope, picture.history, picture.now, grid, width)
        self.board.put([head, *composed(grid, drawn, sparks)])

    def _chart(self, built: Built | None, cell: Cell) -> tuple[Chart | None, tuple[Line, ...]]:
        # One of another size or scope would be a lie until the new one is ready.
        if built is None or built.place != self._place(cell):
            return None, ()
        return built.chart, built.lines

    def _place(self, cell: Cell) -> Hashable:
        return self.scope, cell.width, cell.height

    def _build_one(self, picture: Picture) -> None:
        if self._is_building or (cell := self._due(picture.history.turn)) is None:
            return
        self._is_building = True
        # Pinned to the app: a screen's workers die with it, and this one must say that it is over.
        build = self._build(cell, picture)
        self.app.run_worker(build, group="plot", exit_on_error=False)

    @property
    def is_behind(self) -> bool:
        """Whether some plot has nothing to show yet."""
        return any(self._chart(self._built.get(cell.kind), cell)[0] is None for cell in self.grid.cells)

    def _due(self, turn: int) -> Cell | None:
        """The cell to build now: one that has nothing to show, else the oldest, once a second."""
        cells = self.grid.cells
        for cell in cells:
            if self._chart(self._built.get(cell.kind), cell)[0] is None:
                return cell
        if turn == self._built_at:
            return None
        return min(cells, key=lambda cell: self._built[cell.kind].turn)

    async def _build(self, cell: Cell, picture: Picture) -> None:
        kind, scope, place, turn = KINDS[cell.kind], self.scope, self._place(cell), picture.history.turn
        lines: tuple[Line, ...] = ()
        try:
            chart = chart_of(kind, picture.history, scope, picture.snapshot, points_of(cell))
            lines = await self._plotted(chart, scope, cell)
        except Exception:
            # A bug of one plot is shown in its place; the others and the calls go on.
            log.exception("the plot of %s could not be drawn", kind.key)
            chart = Chart(kind.title, (), (), 1.0, kind.show, FAILED)
        finally:
            self._is_building = False
        self._built[cell.kind] = Built(place, turn, chart, lines)
        self._built_at = turn
        if self.is_mounted and self.app.screen is self:
            now = self._picture()
            self._put(now)
            if self.is_behind:
                self._build_one(now)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # There are no rows to filter here.
        return action != "filter"

    async def _plotted(self, chart: Chart, scope: Scope, cell: Cell) -> tuple[Line, ...]:
        curves = [(curve.letter, curve.role, curve.values) for curve in chart.curves]
        points = max((len(values) for _, _, values in curves), default=0)
        ticks = y_ticks(chart), x_ticks(scope.window, points)
        return await asyncio.to_thread(plot_lines, curves, chart.top, *ticks, cell.width, cell.height - AROUND)

    # --- keys -----------------------------------------------------------------------------------------------

    def action_window(self) -> None:
        after = WINDOWS[(WINDOWS.index(self.scope.window) + 1) % len(WINDOWS)]
        self.scope = replace(self.scope, window=after)
        self.redraw()

    def action_scope(self, by: int) -> None:
        servers = [None, *(row.id for row in self._picture().snapshot.servers)]
        at = servers.index(self.scope.server) if self.scope.server in servers else 0
        self.scope = replace(self.scope, server=servers[(at + by) % len(servers)])
        self.redraw()

    def action_zoom(self) -> None:
        self.is_zoomed = not self.is_zoomed
        self.redraw()

    def action_choose(self, by: int) -> None:
        self._choose((self.chosen + by) % len(KINDS))

    def action_next_page(self) -> None:
        cells = self.grid.cells
        self._choose((cells[0].kind + len(cells)) % len(KINDS))

    def go_back(self) -> bool:
        if not self.is_zoomed:
            return super().go_back()
        self.action_zoom()
        return True

    def _choose(self, kind: int) -> None:
        self.chosen = kind
        self.redraw()

    @on(PlotBoard.Clicked)
    def _clicked(self, event: PlotBoard.Clicked) -> None:
        if (kind := self.grid.at(event.x, event.y)) is not None:
            self._choose(kind)
