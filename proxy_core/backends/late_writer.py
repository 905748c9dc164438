"""Writing to disk a little later and off the loop: what changes together is written together.

Knows nothing of what is written.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from proxy_core.tasks import Tasks

PAUSE_S: Final = 1.0


class LateWriter:
    def __init__(self, owner: str, write: Callable[[], None]) -> None:
        """`write` writes all that is due, as it is then; it runs in a thread and must not raise."""
        self._write = write
        self._tasks = Tasks(f"writer:{owner}")
        self._saving: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._changes = 0
        self._written_changes = 0

    def changed(self) -> None:
        """There is something to be written."""
        self._changes += 1
        if self._saving is None:
            self._saving = self._tasks.start(self._save(), "save")

    async def _save(self) -> None:
        try:
            await asyncio.sleep(PAUSE_S)
        finally:
            self._saving = None
        await asyncio.to_thread(self._write_now)

    def _write_now(self) -> None:
        # One after the other, each what is in force then: the last to write is right.
        with self._lock:
            changes = self._changes
            self._write()
            self._written_changes = changes

    async def aclose(self) -> None:
        """Write what is not written yet. It may be used again afterwards."""
        await self._tasks.aclose()
        if self._written_changes != self._changes:
            await asyncio.to_thread(self._write_now)
