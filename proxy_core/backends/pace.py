"""At what pace attempts to connect begin: what hundreds of them need at once would stay in our memory for good.

An attempt takes us some milliseconds of processor time, so that those that wait here hardly lose any.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

SPACING_S: Final = 0.005
"""From one attempt to the next, where there are several."""
Turn: TypeAlias = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """The pace of those who have no pace."""


class Pace:
    """Attempts begin in the order in which they ask; one that asks alone begins at once."""

    def __init__(self) -> None:
        self._free_at = 0.0
        """By the loop's clock."""

    async def turn(self) -> None:
        """Wait until an attempt may begin."""
        now = asyncio.get_running_loop().time()
        due_at = max(now, self._free_at)
        self._free_at = due_at + SPACING_S
        if due_at > now:
            await asyncio.sleep(due_at - now)
