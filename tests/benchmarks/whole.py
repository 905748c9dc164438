"""The gateway as a whole beside what else does its work: every goal, its figure and its verdict."""

from typing import Final

from tests.benchmarks.cores import where
from tests.benchmarks.goals import goal_figures, goal_rows
from tests.benchmarks.parts import Parts
from tests.benchmarks.results import Section

STEADY_PARTS: Final = ("forwarding", "listing", "ids")
"""Those with the goals that the CI judges."""
_SHORT_PARTS: Final = ("forwarding", "bridges", "pace", "listing", "ids", "memory", "start", "micro")
_ALL_PARTS: Final = (*_SHORT_PARTS, "sizes", "streams", "screen")
_OWN_SECTIONS: Final = frozenset({"listing", "memory", "start", "micro", "screen"})
"""Whose tables stand in sections of their own."""


async def goals_section(parts: Parts, *, is_must: bool = False) -> Section:
    """The goals first, then the figures behind them. `is_must`: those alone that the CI judges."""
    names: tuple[str, ...] = STEADY_PARTS
    if not is_must:
        names = _SHORT_PARTS if parts.is_quick else _ALL_PARTS
    found = {name: await parts.of(name) for name in names}
    rows = goal_rows(list(found.values()), is_short=is_must or parts.is_quick)
    for name, part in found.items():
        if name not in _OWN_SECTIONS:
            rows += ["", *part.table]
    return Section([*rows, "", where()], goal_figures(list(found.values())))
