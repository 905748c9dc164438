"""Ways to do the same, measured in turns, so that a machine's moods fall on all of them alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.lines import Line, saturate
from tests.benchmarks.load import Measured
from tests.benchmarks.processes import cpu_of

WARM_UP_S: Final = 0.6
"""After so long a gateway has seen as many calls as it keeps, and what it does for each is what it will do."""


@dataclass(eq=False)
class Turns:
    """One of them, and what it has cost in each turn."""

    name: str
    turns: list[Measured] = field(default_factory=list, init=False)

    def samples(self, figure: Callable[[Measured], float]) -> tuple[float, ...]:
        return tuple(map(figure, self.turns))

    def middle(self, figure: Callable[[Measured], float]) -> float:
        return median(self.samples(figure))

    def interval(self, figure: Callable[[Measured], float]) -> Interval:
        return median_interval(self.samples(figure))


@dataclass(eq=False)
class Way(Turns):
    """One over plain sockets."""

    pid: int
    """Of the process whose tree does the work."""
    lines: Sequence[Line]

    def saturated(self, seconds: float) -> None:
        """A turn with as many requests as go through."""
        self.turns.append(saturate(self.lines, seconds, lambda: cpu_of(self.pid)))


def warm_up(ways: Iterable[Way]) -> None:
    """Before anything counts."""
    for way in ways:
        saturate(way.lines, WARM_UP_S, lambda: 0.0)


def cpu_us(turn: Measured) -> float:
    return turn.cpu_us


def per_s(turn: Measured) -> float:
    return turn.per_s


def in_turns(ways: Sequence[Way], rounds: int, turn: Callable[[Way], None]) -> None:
    """A turn of each way in each round; who begins changes, for a turn feels the one before it."""
    for number in range(rounds):
        for offset in range(len(ways)):
            turn(ways[(number + offset) % len(ways)])


def pairwise_ratios(above: Turns, below: Turns, figure: Callable[[Measured], float]) -> tuple[float, ...]:
    """Of the same round each time."""
    pairs = zip(above.turns, below.turns, strict=True)
    return tuple(figure(a) / figure(b) for a, b in pairs)


def ratio(above: Turns, below: Turns, figure: Callable[[Measured], float]) -> Interval:
    return median_interval(pairwise_ratios(above, below, figure))
