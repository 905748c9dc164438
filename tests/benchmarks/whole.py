"""The gateway as a whole beside what else does its work: every goal, its figure and its verdict."""

from typing import Final

from tests.benchmarks.bridges import beside_bridges
from tests.benchmarks.cores import where
from tests.benchmarks.equal_ids import equal_ids
from tests.benchmarks.forwarding import forwarding
from tests.benchmarks.goals import goal_rows
from tests.benchmarks.listing import listing
from tests.benchmarks.pace import GOAL_PER_S, pace
from tests.benchmarks.sizes import sizes

_TURNS: Final = {"forwarding": (15, 0.7), "pace": (9, 1.0), "listing": (12, 0.5), "sizes": (10, 0.5)}
"""Rounds, and seconds of each way in each; five minutes in all."""
_SHORT: Final = (6, 0.1)


async def goals_table(is_quick: bool) -> list[str]:
    """The goals first, then the figures behind them."""
    turns = dict.fromkeys(_TURNS, _SHORT) if is_quick else _TURNS
    paced = await (pace(6, 0.3, (GOAL_PER_S,)) if is_quick else pace(*turns["pace"]))
    parts = [
        await forwarding(*turns["forwarding"]),
        await beside_bridges(*turns["forwarding"]),
        paced,
        await listing(*turns["listing"]),
        await sizes(*turns["sizes"]),
        await equal_ids(),
    ]
    rows = goal_rows(parts)
    for part in parts:
        rows += ["", *part.table]
    return [*rows, "", where()]
