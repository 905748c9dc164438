"""Places for calls on one connection: so many at once, the rest wait in order of arrival, up to a bound.

Taking a free place is an int compare, left to the caller. Knows no clocks: the sweep brings the time.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from proxy_core.errors import BackendFault, Only1Error, Overloaded


class _Waiting(NamedTuple):
    granted: "asyncio.Future[None]"
    until: float
    """Monotonic seconds."""


class Slots:
    def __init__(self, limit: int, max_waiting: Callable[[], int]) -> None:
        """`max_waiting`: how many may wait, as the configuration in force says."""
        self.limit = limit
        self._is_narrow = False
        self.taken = 0
        """May exceed `limit` after `narrow`, by those that were under way."""
        self._max_waiting = max_waiting
        # Lists, as they are short, and every connection has both: an empty deque takes 760 bytes.
        self._queue: list[_Waiting] = []
        self._returning: list[asyncio.Future[None]] = []
        """Calls whose clients are back. They go before the others, and have waited long enough already."""

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def wait(self, until: float) -> None:
        """Take a place as soon as it is this call's turn. Raises: Overloaded; the fault given to `fail`."""
        if len(self._queue) >= self._max_waiting():
            raise Overloaded("Too many calls wait for this server.")
        waiting = _Waiting(asyncio.get_running_loop().create_future(), until)
        self._queue.append(waiting)
        try:
            await waiting.granted
        except asyncio.CancelledError:
            self._gone(waiting)
            raise

    def _gone(self, waiting: _Waiting) -> None:
        granted = waiting.granted
        if waiting in self._queue:
            self._queue.remove(waiting)
        elif not granted.cancelled() and granted.exception() is None:
            # Its turn came in the same moment; the place goes to the next.
            self.give()

    async def come_back(self) -> None:
        """Take a place for a call that gave its own away."""
        if self.taken < self.limit:
            self.taken += 1
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted in self._returning:
                self._returning.remove(granted)
            elif not granted.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """A place is free again."""
        self.taken -= 1
        if self._returning or self._queue:
            self._hand_out()

    def _hand_out(self) -> None:
        while (self._returning or self._queue) and self.taken < self.limit:
            granted = self._returning.pop(0) if self._returning else self._queue.pop(0).granted
            if not granted.done():
                self.taken += 1
                granted.set_result(None)

    def narrow(self) -> None:
        """One at a time from now on; those under way go on."""
        self.limit = 1
        self._is_narrow = True

    def widen(self, limit: int) -> None:
        """So many at once from now on, unless it had to be narrowed; those that wait go as there is room."""
        if not self._is_narrow:
            self.limit = limit
            self._hand_out()

    def expire(self, now: float) -> None:
        """Turn away those that have waited too long. All wait equally long, so the first is the oldest."""
        while self._queue and now >= self._queue[0].until:
            _refuse(self._queue.pop(0), Overloaded("The server was busy for too long."))

    def fail(self, fault: BackendFault) -> None:
        """There is nothing left to wait for."""
        while self._queue:
            _refuse(self._queue.pop(0), fault)


def _refuse(waiting: _Waiting, error: Only1Error) -> None:
    if not waiting.granted.done():
        waiting.granted.set_exception(error)


def waited(since: float, now: float) -> str:
    """For the record of a call, which has its own words for a wait."""
    return f"{(now - since) * 1000:.0f} ms for a free place"
