"""Long work on the loop, a little at a time, so that no call waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

HOLD_S: Final = 0.002
"""How long the loop is held at most, but for a single item that takes longer."""
T = TypeVar("T")


async def in_slices(items: Iterable[T], hold_s: float = HOLD_S) -> AsyncIterator[T]:
    """The items, with a turn for everyone else whenever the work on them has held the loop for so long."""
    since_at = time.perf_counter()
    for item in items:
        if time.perf_counter() - since_at >= hold_s:
            await asyncio.sleep(0)
            since_at = time.perf_counter()
        yield item
