"""A legacy HTTP session that its backend has ended: one new session for all the requests that lost it.

Spec: 2025-11-25 basic/transports, "Session Management" (a 404 asks for a new initialize, without an id).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy_core.errors import BackendSessionLost
from proxy_core.tasks import Tasks

T = TypeVar("T")


class Renewal:
    def __init__(self, tasks: Tasks, renew: Callable[[], Awaitable[bool]]) -> None:
        """`renew` opens a new session, and says whether there is one."""
        self._tasks = tasks
        self._renew = renew
        self._task: asyncio.Task[None] | None = None
        self.sessions = 1
        """How many were opened; a request that lost one compares it."""
        self.is_under_way = False

    def lost(self, session: int) -> None:
        """A request that was sent when there were so many has lost its own: open another, once for all."""
        if self._task is None and self.sessions == session:
            self.is_under_way = True
            self._task = self._tasks.start(self._run(), "renew")

    async def around(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, and once more on a new session if ours has ended.

        A 404 means that nothing was processed, so asking again cannot do anything twice.
        """
        if self._task is not None:
            await self._under_way()
        session = self.sessions
        try:
            return await ask()
        except BackendSessionLost:
            self.lost(session)
            await self._under_way()
            return await ask()

    async def _under_way(self) -> None:
        if self._task is not None:
            # Unlike awaiting it, this hands on neither its failure nor its cancellation: `ask` says what is.
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            if await self._renew():
                self.sessions += 1
        finally:
            self._task = None
            self.is_under_way = False
