"""The small steps of the gateway, each alone and without sockets: `make bench ARGS=micro`.

Timed by the house's own means (`timing.py`, `intervals.py`), which the other sections use as well: the median
of rounds with the ranks that hold it, so that a figure here can be compared between runs as any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import uvloop

from tests.benchmarks.balancing import COUNTS, picks
from tests.benchmarks.caching import CAPACITY, HIT, cache_us, saving_us
from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval
from tests.benchmarks.limiting import limiting_us
from tests.benchmarks.pieces import MEASURED, piece_us
from tests.benchmarks.results import Figure

JUDGED_REPLICAS: Final = 100


async def micro() -> Part:
    cache, saving, pieces, balancers = cache_us(), await saving_us(), piece_us() | limiting_us(), picks()
    slowest = max((by_count[JUDGED_REPLICAS] for by_count in balancers.values()), key=lambda each: each.middle)
    table = [
        *_table(f"| cache of {CAPACITY:,} entries of 1 KB | ours, µs | `cachetools.TLRUCache`, µs |", cache),
        "",
        *_table("| step | µs |", {name: (each,) for name, each in (saving | pieces).items()}),
        "",
        *_table(
            "| policy | " + " | ".join(f"{count} replicas, µs" for count in COUNTS) + " |",
            {policy: tuple(by_count.values()) for policy, by_count in balancers.items()},
        ),
    ]
    ours = {f"cache: {name}": each[0] for name, each in cache.items()} | saving | pieces
    ours |= {
        f"{policy}, {JUDGED_REPLICAS} replicas": each[JUDGED_REPLICAS] for policy, each in balancers.items()
    }
    found = {"G11 cache": cache[HIT][0], "G11 balancer": slowest, "G11 metrics": pieces[MEASURED]}
    return Part(found, table, tuple(_figures(ours)))


def _table(head: str, rows: Mapping[str, Sequence[Interval]]) -> Iterator[str]:
    yield head
    yield "|---" * (head.count("|") - 1) + "|"
    for name, cells in rows.items():
        yield f"| {name} | " + " | ".join(each.shown(form(each.middle)) for each in cells) + " |"


def form(value: float) -> str:
    """Three digits that say something."""
    return ".2f" if value < 10 else ".1f" if value < 100 else ",.0f"


def _figures(ours: Mapping[str, Interval]) -> Iterator[Figure]:
    for name, interval in ours.items():
        yield Figure(name, "µs", "lower", interval.values)


if __name__ == "__main__":
    print("\n".join(uvloop.run(micro()).table))
