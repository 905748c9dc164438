"""When what goes wrong during a soak, drawn from a seed. Pure: the same seed is the same trouble."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class What(StrEnum):
    KILL_CHILD = "kill a child"
    KILL_BACKEND = "kill an HTTP backend"
    RELOAD = "rewrite the configuration"
    ABANDON = "abandon sessions"
    HANG_UP = "hang up mid-call"


GAP_S: Final[Mapping[What, tuple[float, float]]] = {
    # Five exits within ten minutes are a crash loop, from which nothing comes back by itself.
    What.KILL_CHILD: (180, 300),
    What.KILL_BACKEND: (40, 80),
    What.RELOAD: (6, 12),
    What.ABANDON: (2, 4),
    What.HANG_UP: (1, 3),
}
"""Between two events of a kind at one target, at least and at most."""
DOWN_S: Final = (0.5, 3.0)
"""How long a killed backend stays away."""
FIRST_BY: Final = 0.4
"""Of the whole time: every target has had its first event by then."""
QUIET: Final = 0.1
"""Of the whole time, at its end: nothing new goes wrong."""


@dataclass(frozen=True, slots=True, order=True)
class Event:
    at_s: float
    """From the beginning."""
    what: What
    target: str
    """Id of a server; nothing where none is meant."""
    for_s: float = 0.0


def timetable(seed: int, seconds: float, targets: Mapping[What, Sequence[str]]) -> list[Event]:
    """In order. Each target of each kind has a series of its own, which no other changes."""
    return sorted(
        event for what, names in targets.items() for name in names for event in _of(seed, seconds, what, name)
    )


def _of(seed: int, seconds: float, what: What, target: str) -> list[Event]:
    numbers = Random(f"{seed} {what} {target}")
    least_s, most_s = GAP_S[what]
    at_s = numbers.uniform(0, min(most_s, seconds * FIRST_BY))
    events = []
    while at_s < seconds * (1 - QUIET):
        for_s = numbers.uniform(*DOWN_S) if what is What.KILL_BACKEND else 0.0
        events.append(Event(at_s, what, target, for_s))
        at_s += numbers.uniform(least_s, most_s)
    return events
