"""The sections of `make bench` that measure growth, each with a picture, in docs/performance_guide.md.

Each can be measured alone, `ARGS=growth-tools`, in less than a minute; `ARGS=growth` measures all.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from tests.benchmarks.growth import bodies, calls, listeners, sessions
from tests.benchmarks.growth.series import FULL, QUICK, Effort, Series
from tests.benchmarks.processes import ROOT

IMAGES: Final = ROOT / "docs" / "images"
GROUP: Final = "growth"
MEASURES: Final[Mapping[str, Callable[[Effort], Awaitable[Series]]]] = {
    "connections": calls.connections,
    "backends": calls.backends,
    "tools": calls.tools,
    "listeners": listeners.listeners,
    "sessions": sessions.sessions,
    "requests": bodies.requests,
    "replies": bodies.replies,
}
"""In the order of docs/performance_guide.md."""


def growth_sections(is_quick: bool) -> dict[str, Callable[[], Awaitable[list[str]]]]:
    """By name of the section. Unless quick, each draws its picture anew as well."""
    return {f"{GROUP}-{name}": partial(_section, name, is_quick) for name in MEASURES}


async def _section(name: str, is_quick: bool) -> list[str]:
    series = await MEASURES[name](QUICK if is_quick else FULL)
    if not is_quick:
        (IMAGES / f"{GROUP}-{name}.svg").write_text(series.picture(), encoding="utf-8")
    return series.rows()
