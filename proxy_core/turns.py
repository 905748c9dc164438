"""Work for many, done a few at a time: between two turns of the loop everything else goes on."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_turns(items: Iterable[T], size: int, work: Callable[[T], object]) -> None:
    """Call `work` for each item in order, for `size` of them in one turn of the loop.

    An iterator is asked for an item right before `work` has it. Of a list, what was true of an item at the
    beginning may be so no more when its turn comes: `work` has to look again.
    """
    for number, item in enumerate(items, 1):
        work(item)
        if number % size == 0:
            await asyncio.sleep(0)
