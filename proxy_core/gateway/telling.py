"""Telling many of something, a few in one turn of the loop: between them everything else goes on.

Few are told at once, as long as nobody waits. Of what waits under one key the newest alone is told.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from proxy_core.tasks import Tasks
from proxy_core.turns import in_turns

T = TypeVar("T")
SLICE: Final = 64
"""Who are told in one turn: with what their streams write about a millisecond, in which no call is carried."""
MAX_WAITING: Final = 1024
"""Keys under which something waits; what comes beyond them is told at once, to however many."""


class Telling(Generic[T]):
    """What is told to one kind of listeners, in the order in which it came."""

    def __init__(self, owner: str) -> None:
        self._tasks = Tasks(owner)
        self._is_busy = False
        self._waiting: dict[object, tuple[Callable[[], Sequence[T]], Callable[[T], None]]] = {}

    def tell(self, key: object, whom: Callable[[], Sequence[T]], say: Callable[[T], None]) -> None:
        """Call `say` for each of `whom`, which is asked when their turn has come.

        `say` must not block and must not raise, and has to look at its listener again: it may have left.
        """
        is_busy = self._is_busy
        has_room = len(self._waiting) < MAX_WAITING or key in self._waiting
        listeners = () if is_busy and has_room else whom()
        if has_room and (is_busy or len(listeners) > SLICE):
            self._waiting[key] = whom, say
            if not is_busy:
                self._is_busy = True
                self._tasks.start(self._tell_waiting(), "telling")
            return
        for each in listeners:
            say(each)

    async def _tell_waiting(self) -> None:
        try:
            while self._waiting:
                whom, say = self._waiting.pop(next(iter(self._waiting)))
                await in_turns(whom(), SLICE, say)
                # Also where each is told to few.
                await asyncio.sleep(0)
        finally:
            # Its task is there for one turn more, and who came then would wait for ever.
            self._is_busy = False

    async def aclose(self) -> None:
        """Forget what has not been told."""
        self._waiting.clear()
        await self._tasks.aclose()
        self._is_busy = False
