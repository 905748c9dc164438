"""Whether the loop turned while much was done: what happened at once, seen from other work."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sized
from contextlib import asynccontextmanager
from itertools import pairwise


@asynccontextmanager
async def beside(done: Sized) -> AsyncIterator[Callable[[], list[int]]]:
    """Look at `done` in every turn of the loop; what is yielded says by how many it grew each time."""
    seen = [len(done)]

    async def look() -> None:
        while True:
            seen.append(len(done))
            await asyncio.sleep(0)

    def runs() -> list[int]:
        counts = [*seen, len(done)]
        return [after - before for before, after in pairwise(counts) if after > before]

    looking = asyncio.ensure_future(look())
    # From the first turn on.
    await asyncio.sleep(0)
    try:
        yield runs
    finally:
        looking.cancel()
