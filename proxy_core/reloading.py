"""The configuration in force and the way to another one: read whole, compared, put in force in one step.

Sole writer of the configuration in force. A bad file changes nothing but what is said of it. Knows no servers.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from proxy_core.access.audit.actor import FILE, SIGNAL, acting_as
from proxy_core.clock import Clock
from proxy_core.config.changes import ConfigChanges, diff, restart_keys
from proxy_core.config.load import LoadedConfig
from proxy_core.config.watcher import MISSING, UNREADABLE, ConfigWatcher, digest_of
from proxy_core.errors import ConfigError, NothingToRollBack
from proxy_core.facts import ConfigApplied, ConfigRejected, Fact
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import Action, ConfigStatus, Notice

SHOWN_DIGEST: Final = 8
"""Characters."""
WAITING_NOTICE: Final = (
    "The configuration file has changed. See the plan and apply it with ctrl+r, or `only1mcp reload`."
)
ROLLED_BACK_NOTICE: Final = "The earlier configuration is in force again; the file says something else."
log = logging.getLogger(__name__)


class Reloading:
    def __init__(
        self,
        loaded: LoadedConfig,
        read: Callable[[], LoadedConfig],
        path: Callable[[], Path | None] | None,
        put_in_force: Callable[[LoadedConfig], None],
        clock: Clock,
        publish: Callable[[Fact], None],
    ) -> None:
        """`read` reads the file again, or raises ConfigError. `path`: the file to watch; None watches nothing.

        `put_in_force` is called with the one before, when `loaded` may be another.
        """
        self.loaded = loaded
        """The configuration in force."""
        self._served = loaded
        """The one that the listener was started with."""
        self._previous: LoadedConfig | None = None
        self._read = read
        self._path = path
        self._put_in_force = put_in_force
        self._clock = clock
        self._publish = publish
        self._tasks = Tasks("reloading")
        self._turn = asyncio.Lock()
        """One reload at a time: two that read at once could end in the older one."""
        self._is_rolled_back = False
        self._restart: tuple[str, ...] = ()
        self._seen = self._digest()
        """The content that was read last, of the configuration in force."""
        self.status = ConfigStatus(digest=_shown(self._seen), applied_at=clock.monotonic())
        self._watcher: ConfigWatcher | None = None

    # --- lifetime -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Watch the file, as the configuration in force says."""
        self._served = self.loaded
        self._restart = ()
        if self._path is not None:
            self._watcher = ConfigWatcher(
                self._path, lambda: self.loaded.config.reload, self._file_changed, log.info
            )
            self._watcher.seen(self._seen)
            with acting_as(FILE):
                self._tasks.start(self._watcher.run(), "watch")

    async def stop(self) -> None:
        await self._tasks.aclose()
        self._watcher = None

    # --- the file -------------------------------------------------------------------------------------------

    def request(self) -> None:
        """Put the file in force soon, without a question, as somebody asked by a signal."""
        with acting_as(SIGNAL):
            self._tasks.start(self._reload_quietly(), "requested")

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except ConfigError:
            # Said where it was found.
            return

    async def _file_changed(self) -> None:
        """The file holds still and is not what it was. Says what came of it, raises nothing."""
        if not self.loaded.config.reload.confirm:
            await self._reload_quietly()
            return
        try:
            self._await_confirmation(await self.changes())
        except ConfigError:
            # Said where it was found.
            return

    def _await_confirmation(self, changes: ConfigChanges) -> None:
        is_waiting = not changes.is_empty
        self.status = replace(self.status, is_waiting=is_waiting, error=None)
        if is_waiting:
            log.info("the configuration file has changed and waits for a person to apply it")

    async def changes(self) -> ConfigChanges:
        """What the file would change. Raises: ConfigError."""
        return diff(self.loaded, (await self._load())[0])

    async def reload(self) -> ConfigChanges:
        """Put the file in force; what it changed. Raises: ConfigError, and nothing has changed then."""
        async with self._turn:
            loaded, digest = await self._load()
            changes = self._swap(loaded, digest)
            self._is_rolled_back = False
            self._seen = digest
            if self._watcher is not None:
                self._watcher.seen(digest)
        return changes

    def roll_back(self) -> ConfigChanges:
        """Put the configuration before this one in force; once more, and it is this one again.

        Raises: NothingToRollBack.
        """
        if self._previous is None:
            raise NothingToRollBack
        changes = self._swap(self._previous, None, is_rollback=True)
        self._is_rolled_back = not self._is_rolled_back
        return changes

    async def _load(self) -> tuple[LoadedConfig, str | None]:
        """The file as it is now, and what tells it from others. Raises: ConfigError."""
        try:
            # Off the loop: a large file takes some milliseconds to check.
            loaded, digest = await asyncio.to_thread(self._read_with_digest)
        except ConfigError as error:
            self._reject(error)
            raise
        self.status = replace(self.status, error=None)
        return loaded, digest

    def _read_with_digest(self) -> tuple[LoadedConfig, str | None]:
        # In this order: what is written in between is noticed as a change.
        digest = self._digest()
        return self._read().sharing(self.loaded), digest

    def _digest(self) -> str | None:
        return digest_of(self.loaded.path if self._path is None else self._path())

    def _reject(self, error: ConfigError) -> None:
        if error.message == self.status.error:
            # Looked at again, as for a plan: no other fault than the one that everybody knows of.
            return
        self.status = replace(self.status, errors=self.status.errors + 1, error=error.message, is_waiting=False)
        self._publish(ConfigRejected(self._clock.monotonic(), error.path, error.message))
        log.error("the configuration was not applied, the last good one stays in force: %s", error.message)

    # --- from one to the other ------------------------------------------------------------------------------

    def _swap(self, loaded: LoadedConfig, digest: str | None, *, is_rollback: bool = False) -> ConfigChanges:
        before, changes = self.loaded, diff(self.loaded, loaded)
        self.loaded = loaded
        if not changes.is_empty:
            self._previous = before
        self._restart = restart_keys(self._served, loaded)
        now = self._clock.monotonic()
        self.status = replace(
            self.status,
            version=self.status.version + (not changes.is_empty),
            digest=_shown(digest),
            applied_at=now,
            error=None,
            is_waiting=False,
            can_roll_back=self._previous is not None,
        )
        self._put_in_force(before)
        if not changes.is_empty:
            self._publish(_applied(now, loaded, changes, is_rollback))
            log.info("configuration %d is in force", self.status.version)
        return changes

    # --- what is said of it ---------------------------------------------------------------------------------

    @property
    def notices(self) -> tuple[Notice, ...]:
        found: list[Notice] = []
        if self.status.error is not None:
            words = f"The configuration was not applied, the last good one stays in force: {self.status.error}"
            found.append(Notice("error", words))
        if self.status.is_waiting:
            found.append(Notice("warning", WAITING_NOTICE))
        if self._is_rolled_back:
            found.append(Notice("warning", ROLLED_BACK_NOTICE))
        if self._restart:
            keys = ", ".join(self._restart)
            found.append(Notice("warning", f"A restart of the gateway is needed for: {keys}."))
        return tuple(found)


def _shown(digest: str | None) -> str:
    return "" if digest in (None, MISSING, UNREADABLE) else str(digest)[:SHOWN_DIGEST]


def _applied(at: float, loaded: LoadedConfig, changes: ConfigChanges, is_rollback: bool) -> ConfigApplied:
    def those(*kinds: Action) -> tuple[str, ...]:
        return tuple(server.id for server in changes.servers if server.change in kinds)

    return ConfigApplied(
        at,
        str(loaded.path) if loaded.path else None,
        those(Action.ADD, Action.START),
        those(Action.DRAIN),
        those(Action.REPLACE),
        those(Action.UPDATE),
        is_rollback,
        changes.settings,
    )
