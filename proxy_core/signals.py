"""A flag that tasks wait for: an `asyncio.Event` that costs next to nothing while nobody does.

An Event keeps a queue of 600 bytes from its beginning, and there are several of them for each server.
"""

import asyncio


class Signal:
    """As an `asyncio.Event`: what waits is woken once it is set, and does not wait while it is."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        if self._is_set:
            return
        self._is_set = True
        for waiter in self._waiting or ():
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Who was woken by then goes on all the same."""
        self._is_set = False

    async def wait(self) -> None:
        if self._is_set:
            return
        waiter = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            self._waiting.remove(waiter)
            if not self._waiting:
                self._waiting = None
