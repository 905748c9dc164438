"""Curves of costs as SVG, both axes logarithmic, readable on light pages and dark ones. Pure: text out.

What costs the same for any number is a level line; what grows in proportion climbs as the dotted one does.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tests.benchmarks.growth.fit import Point

WIDTH: Final = 720
HEIGHT: Final = 380
LEFT: Final = 76
RIGHT: Final = 36
TOP: Final = 64
BOTTOM: Final = 52
LEGEND_PX: Final = 200
"""From one name of a curve to the next."""
STYLE: Final = """
.page { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; }
.grid { stroke: #d1d9e0; } .guide { stroke: #818b98; stroke-dasharray: 2 4; }
.c0 { --c: #0969da; } .c1 { --c: #bc4c00; } .c2 { --c: #8250df; } .c3 { --c: #1a7f37; }
.line { stroke: var(--c); stroke-width: 2; fill: none; } .dot { fill: var(--c); }
text { font: 12px system-ui, sans-serif; } .title { font-size: 14px; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; }
.grid { stroke: #3d444d; } .guide { stroke: #656c76; }
.c0 { --c: #4493f8; } .c1 { --c: #f0883e; } .c2 { --c: #ab7df8; } .c3 { --c: #3fb950; }
}
"""
COLOURS: Final = 4


@dataclass(frozen=True, slots=True)
class Drawn:
    """One curve of a picture."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Axis:
    """Whole decades that hold all values; 0 stands a decade below the least that is more."""

    lowest: int
    highest: int
    """Powers of ten."""

    @classmethod
    def of(cls, values: Iterable[float]) -> "Axis":
        """Raises: ValueError if none of them is more than 0."""
        known = list(values)
        above = [value for value in known if value > 0]
        lowest, highest = math.floor(math.log10(min(above))), math.ceil(math.log10(max(above)))
        return cls(lowest - (len(above) < len(known)), max(highest, lowest + 1))

    def share(self, value: float) -> float:
        """Where a value stands, from 0 to 1."""
        power = math.log10(value) if value > 0 else self.lowest
        return (power - self.lowest) / (self.highest - self.lowest)

    @property
    def decades(self) -> range:
        return range(self.lowest, self.highest + 1)


def svg(title: str, across: str, up: str, curves: Sequence[Drawn]) -> str:
    """A whole document. `across`, `up`: what the axes count. Raises: ValueError for too many curves."""
    if len(curves) > COLOURS:
        raise ValueError(f"There are colours for {COLOURS} curves.")
    x_axis = Axis.of(point.units for curve in curves for point in curve.points)
    y_axis = Axis.of(point.cost for curve in curves for point in curve.points)
    has_zero = any(point.units == 0 for curve in curves for point in curve.points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        f'<text class="text title" x="{LEFT}" y="24">{escape(title)}</text>',
        *_x_marks(x_axis, has_zero),
        *_y_marks(y_axis),
        _guide(x_axis, y_axis),
        *(line for number, curve in enumerate(curves) for line in _curve(number, curve, x_axis, y_axis)),
        f'<text class="faint" x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end">{escape(across)}</text>',
        f'<text class="faint" x="12" y="{HEIGHT - 12}">{escape(up)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _x_marks(axis: Axis, has_zero: bool) -> Iterator[str]:
    for power in axis.decades:
        x = _x(axis.share(10.0**power))
        label = "0" if has_zero and power == axis.lowest else _count(power)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_y(0):.1f}" y2="{_y(1):.1f}"/>'
        yield f'<text class="faint" x="{x:.1f}" y="{_y(0) + 16:.1f}" text-anchor="middle">{label}</text>'


def _y_marks(axis: Axis) -> Iterator[str]:
    for power in axis.decades:
        y = _y(axis.share(10.0**power))
        yield f'<line class="grid" x1="{_x(0):.1f}" x2="{_x(1):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="faint" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_count(power)}</text>'


def _count(power: int) -> str:
    return f"{10.0**power:,.{max(0, -power)}f}"


def _guide(x_axis: Axis, y_axis: Axis) -> str:
    """From a lower corner, a decade up for each decade across, as far as the picture goes."""
    across, up = len(x_axis.decades) - 1, len(y_axis.decades) - 1
    far = min(across, up)
    ends = f'x1="{_x(1 - far / across):.1f}" y1="{_y(0):.1f}" x2="{_x(1):.1f}" y2="{_y(far / up):.1f}"'
    return f'<line class="guide" {ends}/>'


def _curve(number: int, curve: Drawn, x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    places = [(_x(x_axis.share(point.units)), _y(y_axis.share(point.cost))) for point in curve.points]
    legend_x = LEFT + number * LEGEND_PX
    yield f'<g class="c{number}">'
    yield f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
    for x, y in places:
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    yield f'<circle class="dot" cx="{legend_x + 4}" cy="44" r="4"/>'
    yield f'<text class="text" x="{legend_x + 14}" y="48">{escape(curve.name)}</text>'
    yield "</g>"
