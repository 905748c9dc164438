"""Bars as SVG: one for each figure, its rounds as dots, bounds and the baseline as marks. Pure; no script."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from tests.benchmarks.results import Figure
from tests.benchmarks.verdicts import number

WIDTH: Final = 760
LABEL: Final = 300
"""Pixels for the names."""
VALUE: Final = 90
"""Pixels for the numbers."""
ROW: Final = 26
_BAR: Final = 12
_MAX_NAME: Final = 46
"""Characters of a name that fit."""


class Bar(NamedTuple):
    figure: Figure
    before: float | None = None
    """The baseline's."""


def chart(bars: Sequence[Bar]) -> str:
    """Figures of one unit on one scale, which begins at 0."""
    top = max(_largest(bar) for bar in bars) or 1.0
    height = ROW * len(bars)
    rows = "".join(_row(bar, index, top) for index, bar in enumerate(bars))
    unit = escape(bars[0].figure.unit)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{unit}" '
        f'xmlns="http://www.w3.org/2000/svg">{rows}</svg>'
    )


def _largest(bar: Bar) -> float:
    bounds = (bar.before, bar.figure.must, bar.figure.aim)
    return max(*bar.figure.samples, *(bound for bound in bounds if bound is not None), 0.0)


def _row(bar: Bar, index: int, top: float) -> str:
    figure = bar.figure
    middle = index * ROW + ROW // 2
    scale = (WIDTH - LABEL - VALUE) / top

    def x(value: float) -> float:
        return LABEL + max(0.0, value) * scale

    def parts() -> Iterator[str]:
        yield f"<title>{escape(_told(bar))}</title>"
        yield f'<text class="name" x="{LABEL - 8}" y="{middle + 4}">{escape(_short(figure.name))}</text>'
        length = x(figure.value) - LABEL
        yield (f'<rect class="bar" x="{LABEL}" y="{middle - _BAR // 2}" width="{length:.1f}" height="{_BAR}"/>')
        if len(figure.samples) > 1:
            yield "".join(
                f'<circle class="round" cx="{x(value):.1f}" cy="{middle}" r="2"/>' for value in figure.samples
            )
        for kind, bound in (("before", bar.before), ("must", figure.must), ("aim", figure.aim)):
            if bound is not None:
                yield f'<path class="{kind}" d="M{x(bound):.1f} {middle - 10}v20"/>'
        yield f'<text class="value" x="{WIDTH - VALUE + 8}" y="{middle + 4}">{number(figure.value)}</text>'

    return f"<g>{''.join(parts())}</g>"


def _told(bar: Bar) -> str:
    figure = bar.figure
    words = [f"{figure.name}: {number(figure.value)} {figure.unit}, {figure.better} is better"]
    if len(figure.samples) > 1:
        words.append(f"rounds {', '.join(map(number, figure.samples))}")
    named = (("baseline", bar.before), ("must", figure.must), ("aim", figure.aim))
    words += [f"{name} {number(value)}" for name, value in named if value is not None]
    return "; ".join(words)


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
