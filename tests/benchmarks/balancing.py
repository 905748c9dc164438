"""What it costs to choose a replica, without a gateway."""

from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Final, get_args

from proxy_core.catalog.balance import Policy, balancer_for
from tests.benchmarks.intervals import Interval
from tests.benchmarks.timing import step_us

COUNTS: Final = (5, 50, 100, 500)
VIRTUAL_NODES: Final = 150
KEYS: Final = tuple(f"tool_{number}" for number in range(1000))


@dataclass(eq=False, slots=True)
class Replica:
    id: str
    weight: int
    in_flight: int


def picks() -> dict[Policy, dict[int, Interval]]:
    """Microseconds of one pick, by policy and number of candidates."""
    return {policy: {count: pick_us(policy, count) for count in COUNTS} for policy in get_args(Policy)}


def pick_us(policy: Policy, count: int) -> Interval:
    """Of replicas that have two to six calls each; one key after another, which is part of the time."""
    rng = Random(count)
    candidates = tuple(Replica(f"r{n}", 1 + n % 3, rng.randint(2, 6)) for n in range(count))
    choose = balancer_for(policy, VIRTUAL_NODES, rng).choose
    # The ring is built once, not at each pick.
    choose(candidates, KEYS[0])
    next_key = cycle(KEYS).__next__
    return step_us(lambda: choose(candidates, next_key()))
