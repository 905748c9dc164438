"""What it costs to choose a replica, without a gateway; alone: `python -m tests.benchmarks.balancing`."""

from dataclasses import dataclass
from random import Random
from timeit import repeat
from typing import Final, get_args

from proxy_core.catalog.balance import Policy, balancer_for

COUNTS: Final = (3, 10, 100)
VIRTUAL_NODES: Final = 150
KEYS: Final = tuple(f"tool_{number}" for number in range(1000))
ROUNDS: Final = 20
BEST_OF: Final = 5


@dataclass(eq=False, slots=True)
class Replica:
    id: str
    weight: int
    in_flight: int


def balancer_table() -> list[str]:
    """Microseconds a pick, each policy by number of candidates."""
    head = "| policy | " + " | ".join(f"{count} replicas, µs" for count in COUNTS) + " |"
    rows = [
        f"| {policy} | " + " | ".join(f"{pick_us(policy, count):.2f}" for count in COUNTS) + " |"
        for policy in get_args(Policy)
    ]
    return [head, "|---" * (len(COUNTS) + 1) + "|", *rows]


def pick_us(policy: Policy, count: int) -> float:
    """Of replicas that have two to six calls each; the best of a few runs, for the machine may be shared."""
    rng = Random(count)
    candidates = tuple(Replica(f"r{n}", 1 + n % 3, rng.randint(2, 6)) for n in range(count))
    choose = balancer_for(policy, VIRTUAL_NODES, rng).choose
    # The ring is built once, not at each pick.
    choose(candidates, KEYS[0])

    def pick_for_every_key() -> None:
        for key in KEYS:
            choose(candidates, key)

    best_s = min(repeat(pick_for_every_key, number=ROUNDS, repeat=BEST_OF))
    return best_s / (ROUNDS * len(KEYS)) * 1e6


if __name__ == "__main__":
    print("\n".join(balancer_table()))
