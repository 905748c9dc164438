"""Curves in braille, drawn by plotext; block characters stand in where that is missing or fails.

The only module that knows plotext, which is imported when the first plot is wanted. It has one figure in the
whole process: two plots are never built at once. That takes milliseconds: `plot_lines` is meant for a thread.
"""

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, ClassVar, TypeAlias

from textual import events
from textual.message import Message
from textual.strip import Strip

from only1mcp_tui.widgets.lines import Line, Painted, Span, changed_regions

log = logging.getLogger(__name__)

Drawn: TypeAlias = tuple[str, str, Sequence[float]]
"""Letter, role and values of a curve; NaN is a gap."""
Ticks: TypeAlias = Sequence[tuple[float, str]]

LEAST_WIDTH, LEAST_HEIGHT = 24, 5
"""Of a plot that can be read."""
GUTTER = 3
"""At the right, for the letters at the ends of the curves."""
BELOW = 2
"""The axis and its labels."""
PLOT_ROLES = tuple(f"plot-{number}" for number in range(1, 7))
BLOCKS = " ▁▂▃▄▅▆▇█"

_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_figure_lock = threading.Lock()
_plotext: Any = None
_has_failed = False


class PlotBoard(Painted, can_focus=True):
    """The lines of all the plots of a screen."""

    KNOWN_ROLES: ClassVar[frozenset[str]] = Painted.KNOWN_ROLES | frozenset(PLOT_ROLES)

    DEFAULT_CSS = """
    PlotBoard {
        height: 1fr; width: 1fr;
        & > .line--plot-1 { color: $primary; }
        & > .line--plot-2 { color: $warning; }
        & > .line--plot-3 { color: $success; }
        & > .line--plot-4 { color: $accent; }
        & > .line--plot-5 { color: $error; }
        & > .line--plot-6 { color: $text-muted; }
        /* Of an ansi theme, success and accent are one colour. */
        &:ansi > .line--plot-4 { color: ansi_magenta; }
    }
    """

    class Clicked(Message):
        def __init__(self, x: int, y: int) -> None:
            super().__init__()
            self.x, self.y = x, y

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: Sequence[Line] = ()

    def put(self, lines: Sequence[Line]) -> None:
        old, self.lines = self.lines, tuple(lines)
        if regions := changed_regions(old, self.lines, self.size.width):
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        return self.strip_of(self.lines[y] if y < len(self.lines) else (), self.size.width)

    def on_click(self, event: events.Click) -> None:
        self.post_message(self.Clicked(event.x, event.y))


def plot_lines(
    curves: Sequence[Drawn], top: float, y_ticks: Ticks, x_ticks: Ticks, width: int, height: int
) -> tuple[Line, ...]:
    """A plot from zero to `top` in exactly `height` lines of `width` cells. `x_ticks` count values from 0."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT or not curves:
        return ((),) * height
    global _has_failed
    with _figure_lock:
        if not _has_failed:
            try:
                text = _built(curves, top, y_ticks, x_ticks, width - GUTTER, height)
                return tuple(_with_letters(_lines_of(text, curves), curves, top, height))
            except Exception as error:
                # Whatever a plot library does wrong, the screen lives in the process that carries the calls.
                _has_failed = True
                log.warning("plots are drawn with blocks, for plotext cannot be used: %s", error)
    return _blocks(curves, top, width, height)


def _built(curves: Sequence[Drawn], top: float, y_ticks: Ticks, x_ticks: Ticks, width: int, height: int) -> str:
    plotext = _loaded()
    figure = plotext.figure.clear()
    figure.plot_size(width, height)
    # Without colours of its own: what is a curve's carries its number, and the theme decides how that looks.
    figure.theme("colorless")
    figure.canvas("default")
    figure.axes(False, axis="x", side="upper")
    figure.axes(False, axis="y", side="right")
    last = max(1, max(len(values) for _, _, values in curves) - 1)
    figure.ruler("x", "lower").lim(0, last).ticks([at for at, _ in x_ticks], [label for _, label in x_ticks])
    figure.ruler("y", "left").lim(0, top).ticks([at for at, _ in y_ticks], [label for _, label in y_ticks])
    for number, (_, _, values) in enumerate(curves, 1):
        for places in _runs(values):
            pen = plotext.marker("braille", plotext.pixel(foreground=number))
            figure.draw(figure.signal(list(places), [values[at] for at in places], marker=pen).lines())
    text: str = figure.build().string()
    return text


def _loaded() -> Any:
    global _plotext
    if _plotext is None:
        # A fifth of a second, and only this screen wants it.
        import plotext

        plotext.terminal.limit(False, False)
        _plotext = plotext
    return _plotext


def _runs(values: Sequence[float]) -> Iterator[Sequence[int]]:
    """The places of values that follow each other without a gap."""
    for is_there, places in groupby(range(len(values)), key=lambda at: values[at] == values[at]):
        if is_there:
            yield list(places)


def _lines_of(text: str, curves: Sequence[Drawn]) -> Iterator[Line]:
    """What plotext says with escapes, as spans; anything that is no curve belongs to the frame."""
    roles = {f"38;5;{number}": role for number, (_, role, _) in enumerate(curves, 1)}
    for line in text.rstrip("\n").split("\n"):
        spans: list[Span] = []
        role = "muted"
        # The pattern has one group, so its matches stand at the odd places.
        for place, part in enumerate(_SGR.split(line)):
            if place % 2:
                role = roles.get(part, "muted")
            elif part:
                spans.append((part, role))
        yield tuple(spans)


def _with_letters(lines: Iterator[Line], curves: Sequence[Drawn], top: float, height: int) -> Iterator[Line]:
    """Each curve's letter at the end of the line that its newest value is in, or above it."""
    rows = height - BELOW
    letters: dict[int, Span] = {}
    ending = [curve for curve in curves if curve[2] and curve[2][-1] == curve[2][-1]]
    lowest = rows - 1
    # From the lowest one up, so that the letters stand in the order of the curves.
    for letter, role, values in sorted(ending, key=lambda curve: curve[2][-1]):
        row = min(lowest, round((rows - 1) * (1 - min(1.0, max(0.0, values[-1] / top)))))
        letters[row] = (f" {letter} ", role)
        lowest = row - 1
    for number, line in enumerate(lines):
        yield (*line, letters.get(number, (" " * GUTTER, "text")))


# --- without plotext ----------------------------------------------------------------------------------------


def _blocks(curves: Sequence[Drawn], top: float, width: int, height: int) -> tuple[Line, ...]:
    """Each curve as a band of block characters, one below the other."""
    each = max(1, height // len(curves))
    lines: list[Line] = []
    for letter, role, values in curves[:height]:
        shown = list(values)[-(width - GUTTER) :]
        for row in reversed(range(each)):
            bar = "".join(_block(value / top * each - row) for value in shown).rjust(width - GUTTER)
            mark = f" {letter} " if row == 0 else " " * GUTTER
            lines.append(((bar, role), (mark, role)))
    return (*lines, *((),) * (height - len(lines)))


def _block(level: float) -> str:
    """How much of one cell is filled, from 0 to 1; nothing for a gap."""
    return " " if level != level else BLOCKS[round(min(1.0, max(0.0, level)) * (len(BLOCKS) - 1))]
