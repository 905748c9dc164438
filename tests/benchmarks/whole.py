"""The gateway as a whole beside what else does its work: every goal, its figure and its verdict."""

from collections.abc import Mapping
from typing import Final

from tests.benchmarks.bridges import beside_bridges
from tests.benchmarks.cores import where
from tests.benchmarks.equal_ids import equal_ids
from tests.benchmarks.forwarding import forwarding
from tests.benchmarks.goals import goal_figures, goal_rows
from tests.benchmarks.listing import listing
from tests.benchmarks.pace import GOAL_PER_S, pace
from tests.benchmarks.results import Section
from tests.benchmarks.sizes import sizes
from tests.benchmarks.streams import streams

_TURNS: Final[Mapping[str, tuple[int, float]]] = {
    "forwarding": (12, 0.6),
    "bridges": (9, 0.5),
    "pace": (8, 0.9),
    "listing": (12, 0.5),
    "sizes": (10, 0.5),
    "streams": (8, 0.4),
}
"""Rounds, and seconds of each way in each; less than five minutes in all."""
_SHORT: Final = (6, 0.1)


async def goals_section(is_quick: bool) -> Section:
    """The goals first, then the figures behind them. A quick look leaves out what no goal is about."""
    turns = dict.fromkeys(_TURNS, _SHORT) if is_quick else _TURNS
    parts = [
        await forwarding(*turns["forwarding"]),
        await beside_bridges(*turns["bridges"]),
        await (pace(6, 0.25, (GOAL_PER_S,)) if is_quick else pace(*turns["pace"])),
        await listing(*turns["listing"]),
        await sizes(*turns["sizes"]),
        await equal_ids(),
    ]
    if not is_quick:
        parts.append(await streams(*turns["streams"]))
    rows = goal_rows(parts)
    for part in parts:
        rows += ["", *part.table]
    return Section([*rows, "", where()], goal_figures(parts))
