"""How many attempts to connect go on at once: what hundreds of them need at once would stay in our memory.

Each takes us some milliseconds of processor time, so those that wait here hardly lose any. One whose server is
slow takes nobody's turn.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

AT_ONCE: Final = 8
LONGEST_S: Final = 0.05
"""How long an attempt counts, if it is not over before: from then on it waits for its server, not for us."""
T = TypeVar("T")


class Paced(Protocol):
    async def __call__(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What the attempt comes to, made when its turn has come."""
        ...


async def at_once(attempt: Callable[[], Awaitable[T]]) -> T:
    """The pace of those who have no pace."""
    return await attempt()


class Pace:
    """Attempts begin in the order in which they ask."""

    def __init__(self) -> None:
        self._going = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def paced(self, attempt: Callable[[], Awaitable[T]]) -> T:
        await self._turn()
        place = _Place(self._leave)
        timer = asyncio.get_running_loop().call_later(LONGEST_S, place.leave)
        try:
            return await attempt()
        finally:
            timer.cancel()
            place.leave()

    async def _turn(self) -> None:
        if self._going < AT_ONCE:
            self._going += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # Its turn came as it left. Else whoever leaves next passes over it.
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._going -= 1


class _Place:
    """Left once, whoever is first: the end of the attempt or the timer."""

    __slots__ = ("_leave",)

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
