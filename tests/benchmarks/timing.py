"""How long a small step takes: processor time of this thread, in rounds, with the interval of their median."""

import gc
import time
from collections.abc import Awaitable, Callable
from typing import Final

from tests.benchmarks.intervals import Interval, median_interval

ROUNDS: Final = 9
ROUND_S: Final = 0.01
"""As many times as fit into it, found out beforehand, are one round."""
Once = Callable[[], object]


def step_us(once: Once, rounds: int = ROUNDS) -> Interval:
    """Microseconds of one. Raises: ValueError for fewer rounds than an interval is made of."""
    times = _times(once)

    def run() -> float:
        begun = time.thread_time()
        for _ in range(times):
            once()
        return (time.thread_time() - begun) / times * 1e6

    gc.collect()
    return median_interval([run() for _ in range(rounds)])


async def async_step_us(once: Callable[[], Awaitable[object]], times: int, rounds: int = ROUNDS) -> Interval:
    """Microseconds of one that is awaited, `times` in each round, after a round that does not count."""

    async def run() -> float:
        begun = time.thread_time()
        for _ in range(times):
            await once()
        return (time.thread_time() - begun) / times * 1e6

    await run()
    gc.collect()
    return median_interval([await run() for _ in range(rounds)])


def per(interval: Interval, count: int) -> Interval:
    """Of each, where one step was so many."""
    return Interval(
        interval.middle / count,
        interval.low / count,
        interval.high / count,
        tuple(value / count for value in interval.values),
    )


def _times(once: Once) -> int:
    once()
    times, took = 1, 0.0
    while took < ROUND_S / 4:
        times *= 4
        begun = time.thread_time()
        for _ in range(times):
            once()
        took = time.thread_time() - begun
    return max(1, round(times * ROUND_S / took))
