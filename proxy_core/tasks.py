"""Who owns a task: each owner keeps one `Tasks`, and its aclose ends every task it started.

Unlike a TaskGroup, one failing task never cancels its siblings; the failure is logged where it happened.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one owner: named, logged on failure, cancelled and awaited in `aclose`."""

    __slots__ = ("_owner", "_tasks")

    def __init__(self, owner: str) -> None:
        self._owner = owner
        # Most owners start none, and each server has nine of them.
        self._tasks: set[asyncio.Task[Any]] | None = None

    def start(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `coroutine` until it ends or the owner closes."""
        task = asyncio.create_task(coroutine, name=f"{self._owner}:{name}")
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self._tasks is not None:
            self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=error)

    def __len__(self) -> int:
        return len(self._tasks or ())

    async def aclose(self) -> None:
        """Cancel what still runs and wait until it has ended. Safe to call twice."""
        current = asyncio.current_task()
        while tasks := [task for task in self._tasks or () if task is not current]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Done callbacks run one loop turn later; without them the set would still name ended tasks.
            if self._tasks is not None:
                self._tasks.difference_update(tasks)
