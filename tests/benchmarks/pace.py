"""What the gateway adds to a call's time, at paces that do not wait for answers, beside what nginx adds.

Run as `python -m tests.benchmarks.pace`. A call's time counts from when it was due.

At the pace of the goal there are many short turns: where the machine stops for some milliseconds, as one that
is shared does now and then, it spoils the turns that this falls into, and those are less than half.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import uvloop

from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval, added_interval, percentile
from tests.benchmarks.lines import at_pace, schedule
from tests.benchmarks.results import Figure
from tests.benchmarks.rounds import Way, in_turns
from tests.benchmarks.standing import DIRECT, GATEWAY, NGINX, standing

GOAL_PER_S: Final = 1_000
PACES: Final[Mapping[int, tuple[int, float]]] = {100: (6, 0.6), GOAL_PER_S: (18, 0.2), 5_000: (6, 0.6)}
"""Calls a second; how many turns of each way, and their seconds."""
SHORT: Final[Mapping[int, tuple[int, float]]] = {GOAL_PER_S: (6, 0.2)}
SHARES: Final = (0.5, 0.99, 0.999)
ADDED_P99: Final = f"added p99 at {GOAL_PER_S:,} calls/s"
WARM_UP_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Paced:
    """Milliseconds of each call, by turn."""

    turns: list[Sequence[float]] = field(default_factory=list)

    def of_turns(self, share: float) -> list[float]:
        """A percentile of each turn."""
        return [percentile(turn, share) for turn in self.turns]

    def of_all(self, share: float) -> float:
        return percentile([each for turn in self.turns for each in turn], share)


async def pace(paces: Mapping[int, tuple[int, float]] = PACES) -> Part:
    """`paces`: as `PACES`; `GOAL_PER_S` has to be among them."""
    async with standing((DIRECT, NGINX, GATEWAY)) as ways:
        measured = {per_s: _paced(ways, per_s, *turns) for per_s, turns in paces.items()}
    table = [
        "| open loop | calls/s | p50 ms | p99 ms | p99.9 ms | added p50 / nginx's | added p99 / nginx's |",
        "|---|---|---|---|---|---|---|",
    ]
    for per_s, by_name in measured.items():
        for name in (DIRECT, NGINX, GATEWAY):
            if name not in by_name:
                table.append(f"| {name} | {per_s:,} | not installed | - | - | - | - |")
                continue
            figures = " | ".join(f"{by_name[name].of_all(share):.3f}" for share in SHARES)
            added = [_added(by_name, share) for share in SHARES[:2]] if name == GATEWAY else [None, None]
            shown = " | ".join(each.shown() if each else "-" for each in added)
            table.append(f"| {name} | {per_s:,} | {figures} | {shown} |")
    at_goal = measured[GOAL_PER_S]
    found = {"G3 p50": _added(at_goal, 0.5), "G3 p99": _added(at_goal, 0.99)}
    return Part(found, table, (_added_p99(at_goal),))


def _paced(ways: Mapping[str, Way], per_s: int, rounds: int, seconds: float) -> dict[str, Paced]:
    found = {name: Paced() for name in ways}
    due_s, warming = schedule(per_s, seconds), schedule(per_s, WARM_UP_S)

    def turn(way: Way) -> None:
        at_pace(way.lines, warming)
        found[way.name].turns.append(at_pace(way.lines, due_s))

    in_turns(list(ways.values()), rounds, turn)
    return found


def _added_p99(by_name: dict[str, Paced]) -> Figure:
    """To a call of the backend itself, in the same round; less than nothing is noise."""
    pairs = zip(by_name[GATEWAY].of_turns(0.99), by_name[DIRECT].of_turns(0.99), strict=True)
    return Figure(ADDED_P99, "ms", "lower", tuple(max(0.0, ours - direct) for ours, direct in pairs))


def _added(by_name: dict[str, Paced], share: float) -> Interval | None:
    if NGINX not in by_name:
        return None
    return added_interval(*(by_name[name].of_turns(share) for name in (GATEWAY, NGINX, DIRECT)))


if __name__ == "__main__":
    print("\n".join(uvloop.run(pace()).table))
