"""Notice that the configuration file has changed, however that was done, and say so once it holds still.

Watches folders, not the file: editors put another file in its place, and others swap links. Beside events it
looks by itself now and then, for file systems that tell nothing. Knows bytes and whether they are others than
those that were handed over last; what they mean is for whoever is called.
"""

import asyncio
import hashlib
import logging
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from watchfiles import awatch

from proxy_core.config.document import MAX_BYTES
from proxy_core.config.models import ReloadConfig
from proxy_core.config.whereabouts import Whereabouts, whereabouts
from proxy_core.errors import Only1Error
from proxy_core.tasks import Tasks

log = logging.getLogger(__name__)
# It tells every change of any file on the level of information, our own log among them.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

MISSING: Final = "missing"
UNREADABLE: Final = "unreadable"
"""No permission, no file but a folder, or a file system that fails."""

_LOOK_S: Final = 3.0
"""From one look to the next where no event asks for one."""
_POLL_S: Final = 1.0
"""The same where there are no events."""
_RETRY_S: Final = 30.0
"""From one try to get events to the next."""
_STEP_MS: Final = 30
"""How often the watching thread wakes up; each time it needs the interpreter for some microseconds."""
_GATHER_MS: Final = 50
"""The longest that it gathers further events before it tells of the first."""
_WITHOUT_FILE: Final = 5
"""Times longer that a file must stay away: editors delete it and write it anew."""


def digest_of(path: Path | None) -> str | None:
    """What tells one content from another: SHA-256 in hex, or MISSING, or UNREADABLE; None without a path.

    Whoever loads the file asks before, not after: then a change in between is noticed.
    """
    return _look_at(path)[0]


class ConfigWatcher:
    """Calls `on_change` when the content of the file is another than the one handed over last.

    Before the first call that is the content which `seen` told of, else the one at the start of `run`. What is
    handed over has held still for `debounce_ms`: neither bytes nor times of the file changed. That the file is
    missing or cannot be read is a content too, which has to last longer.
    """

    def __init__(
        self,
        path: Callable[[], Path | None],
        settings: Callable[[], ReloadConfig],
        on_change: Callable[[], Awaitable[None]],
        on_note: Callable[[str], None] = log.warning,
    ) -> None:
        """`path` and `settings` are asked again at every look. `on_note`: what a person should know, rarely."""
        self._path = path
        self._settings = settings
        self._on_change = on_change
        self._on_note = on_note
        self._handed: str | None = None
        self._knows_handed = False
        self._stirred = asyncio.Event()
        self._tasks = Tasks("config watcher")
        self._listener: asyncio.Task[None] | None = None
        self._armed: Whereabouts | None = None
        self._is_deaf = False
        self._retry_at = 0.0
        """By the loop's clock."""

    def seen(self, digest: str | None) -> None:
        """This content, by `digest_of`, is in force already."""
        self._handed = digest
        self._knows_handed = True
        self._stirred.set()

    async def run(self) -> None:
        """Until cancelled. What `on_change` raises ends it, but for faults of ours and of the system."""
        if not self._knows_handed:
            self.seen(digest_of(self._path()))
        try:
            while True:
                self._stirred.clear()
                if self._settings().watch:
                    await self._arm()
                    await self._look()
                else:
                    await self._disarm()
                await self._stirring(_POLL_S if self._has_failed() else _LOOK_S)
        finally:
            await self._disarm()

    async def _stirring(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._stirred.wait()
        except TimeoutError:
            pass

    # --- the content ------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        if digest_of(self._path()) == self._handed:
            return
        content = await self._held_still()
        if content == self._handed or not self._settings().watch:
            return
        self._handed = content
        try:
            await self._on_change()
        except (Only1Error, OSError) as error:
            log.error("the changed configuration was not taken: %s", error)

    async def _held_still(self) -> str | None:
        """The content, as soon as it is the same for as long as it should be."""
        loop = asyncio.get_running_loop()
        before, since = _look_at(self._path()), loop.time()
        while True:
            debounce_s = self._settings().debounce_ms / 1000
            is_there = before[0] not in {MISSING, UNREADABLE}
            left_s = since + debounce_s * (1 if is_there else _WITHOUT_FILE) - loop.time()
            if left_s <= 0:
                return before[0]
            await asyncio.sleep(min(left_s, debounce_s / 2))
            now = _look_at(self._path())
            if now != before:
                before, since = now, loop.time()

    # --- events -----------------------------------------------------------------------------------------------

    async def _arm(self) -> None:
        """Listen where the file is now. From its return on every change is an event, if there are events."""
        path = self._path()
        wanted = whereabouts(path) if path is not None else None
        is_due = not self._has_failed() or asyncio.get_running_loop().time() >= self._retry_at
        if wanted == self._armed and (self._hears() or wanted is None or not is_due):
            return
        await self._disarm()
        self._armed = wanted
        if wanted is None:
            return
        self._listener = self._tasks.start(self._listen(wanted), "listen")
        # In its first turn it sets up the watches, or fails to.
        await asyncio.sleep(0)
        if self._is_deaf and self._hears():
            self._is_deaf = False
            self._on_note("Changes of the configuration file are noticed at once again.")

    def _hears(self) -> bool:
        return self._listener is not None and not self._listener.done()

    def _has_failed(self) -> bool:
        return self._listener is not None and self._listener.done()

    async def _listen(self, where: Whereabouts) -> None:
        folders = [folder for folder, _, _ in where.folders]
        try:
            async for _ in awatch(
                *folders,
                watch_filter=lambda _change, changed: changed in where.names,
                step=_STEP_MS,
                debounce=_GATHER_MS,
                recursive=False,
                ignore_permission_denied=True,
            ):
                self._stirred.set()
        except FileNotFoundError:
            # The folder went away meanwhile; the next look finds out where to listen now.
            self._retry_at = 0.0
        except (OSError, RuntimeError) as error:
            # watchfiles raises RuntimeError for what its Rust part cannot do, as without inotify.
            self._turn_deaf(str(error))

    def _turn_deaf(self, reason: str) -> None:
        """For want of inotify watches, most often: other programs use them up."""
        self._retry_at = asyncio.get_running_loop().time() + _RETRY_S
        if not self._is_deaf:
            self._is_deaf = True
            self._on_note(
                f"The folder of the configuration file cannot be watched ({reason}); "
                f"the file is looked at every {_POLL_S:g} s instead."
            )

    async def _disarm(self) -> None:
        await self._tasks.aclose()
        self._listener = self._armed = None


def _look_at(path: Path | None) -> tuple[str | None, tuple[int, ...]]:
    """The content, and what else shows that somebody writes: identity, size and time of the file."""
    if path is None:
        return None, ()
    try:
        with open(path, "rb", opener=_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return UNREADABLE, ()
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return MISSING, ()
    except (OSError, ValueError):  # ValueError: a NUL inside the path
        return UNREADABLE, ()
    return hashlib.sha256(data).hexdigest(), (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting: a pipe in the file's place would hold us until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)
