"""What one replica offers: its lists, read when it opens and again when it says that they changed.

Sole writer of them. Knows no other replicas: the backend above merges what several offer.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from proxy_core.backends.connection import Connection
from proxy_core.backends.lists import FEATURE_OF, METHODS_OF_KIND, Listing, Lists, read_listing, with_items_of
from proxy_core.backends.peer import Peer
from proxy_core.clock import Clock
from proxy_core.errors import BackendError, BackendFault
from proxy_core.protocol import tasks
from proxy_core.protocol.revisions import Era
from proxy_core.tasks import Tasks

REREAD_PAUSE_S: Final = 0.5


class Offer:
    def __init__(
        self,
        connection: Callable[[], Connection | None],
        owned: Tasks,
        clock: Clock,
        *,
        on_read: Callable[[], None],
        on_invalid: Callable[[tuple[str, ...]], None],
        on_refused: Callable[[str, str], None],
        warn: Callable[[str], None],
    ) -> None:
        """`connection`: the one that takes calls. `owned` ends what is still being read.

        `on_invalid` hears which lists are no longer what the server has, before they are read again.
        `on_refused` hears what the server said, and the same as a sentence for the log. None of them may raise.
        """
        self._connection = connection
        self._owned = owned
        self._clock = clock
        self._on_read = on_read
        self._on_invalid = on_invalid
        self._on_refused = on_refused
        self._warn = warn
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._generation = dict.fromkeys(FEATURE_OF, 0)
        """By method; grows whenever the lists on hand stop being what the server has."""
        self._read_in = dict.fromkeys(FEATURE_OF, 0)
        """The generation in which the lists on hand were asked for."""
        self._reread_at: dict[str, float] = {}
        """By method, from when on an announced change may have it read again, in monotonic seconds."""
        self.lists = Lists()
        self.is_remembered = False
        """Whether the lists are those of an earlier run."""
        self.only_as_tasks: frozenset[str] = frozenset()
        """The 2025-11-25 tools that refuse plain calls."""

    def remember(self, lists: Lists) -> None:
        """Lists of an earlier run, which are served until the replica answers."""
        self.lists = lists
        self.is_remembered = True

    async def read_all(self, connection: Connection) -> None:
        """Read everything before the first call; a list that cannot be read costs that list alone.

        Raises: BackendFault.
        """
        asked_in = dict(self._generation)
        if connection.transport == "http":
            # Each at once would need a connection of its own: as slow to be opened, and kept by both sides.
            for method in FEATURE_OF:
                await self._read_first(connection, method)
        else:
            readings = (self._read_first(connection, method) for method in FEATURE_OF)
            for outcome in await asyncio.gather(*readings, return_exceptions=True):
                if outcome is not None:
                    raise outcome
        self.is_remembered = False
        self._read_in = asked_in
        self._on_read()

    async def _read_first(self, connection: Connection, method: str) -> None:
        try:
            await self._read(connection, method)
        except BackendError as error:
            self._on_refused(f"{method}: {error.message}", f"{method} was refused: {error.message}")

    async def _read(self, connection: Connection, method: str) -> None:
        listing = await with_items_of(self.lists.get(method), await self.read(connection, method))
        self.lists = self.lists.replaced(method, listing)
        if method == "tools/list":
            self.only_as_tasks = _only_as_tasks(connection.peer, listing)

    async def read(self, connection: Connection, method: str) -> Listing:
        return await read_listing(connection, method, self._clock.monotonic, self._warn)

    async def refresh(self, methods: tuple[str, ...] = tuple(FEATURE_OF)) -> None:
        """Read these lists again; one reading at a time of each, later callers join it."""
        for method in methods:
            self.refresh_soon(method)
        await asyncio.gather(
            *(asyncio.shield(self._refreshes[method]) for method in methods if method in self._refreshes)
        )

    def refresh_soon(self, method: str, after_pause: bool = False) -> None:
        """As `refresh`, without waiting. `after_pause`: not right after the reading before."""
        if method not in self._refreshes:
            reading = self._refresh_one(method, after_pause)
            self._refreshes[method] = self._owned.start(reading, f"refresh {method}")

    async def _refresh_one(self, method: str, after_pause: bool) -> None:
        try:
            if after_pause:
                await asyncio.sleep(self._reread_at.get(method, 0.0) - self._clock.monotonic())
            self._reread_at[method] = self._clock.monotonic() + REREAD_PAUSE_S
            connection, asked_in = self._connection(), self._generation[method]
            if connection is not None:
                await self._read(connection, method)
                self._read_in[method] = asked_in
        except (BackendError, BackendFault) as error:
            self._on_refused(error.message, f"its {method} could not be read again: {error.message}")
        finally:
            del self._refreshes[method]
        self._on_read()
        self._read_again(method)

    def is_current(self, method: str) -> bool:
        """Whether nothing has been said against the list on hand since it was asked for."""
        return self._read_in[method] == self._generation[method]

    def invalidate(self, methods: tuple[str, ...] = tuple(FEATURE_OF)) -> None:
        """The lists on hand do not count any more; they are read again when they are asked for."""
        for method in methods:
            self._generation[method] += 1

    async def renew(self, method: str) -> None:
        """Have this list as the server has it now; unless it is current, it is asked for anew."""
        wanted = self._generation[method]
        # The reading under way may have begun before; then another follows it. A server that refuses is not
        # asked a third time.
        for _ in range(2):
            if self._read_in[method] >= wanted:
                return
            await self.refresh((method,))

    def changed(self, kind: str) -> None:
        """The server says that its lists of this kind are others now."""
        methods = METHODS_OF_KIND[kind]
        self.invalidate(methods)
        self._on_invalid(methods)
        for method in methods:
            if method in self._refreshes or self._connection() is None:
                # The reading under way, also the first, may have begun before the change: one more follows it.
                self._again.add(method)
            else:
                # Some servers announce a change with every reading: they must not keep us reading.
                self.refresh_soon(method, after_pause=True)

    def read_again(self) -> None:
        """Now that they can be read: what was said to have changed while they could not."""
        for method in FEATURE_OF:
            self._read_again(method)

    def _read_again(self, method: str) -> None:
        if method in self._again:
            self._again.discard(method)
            self.refresh_soon(method, after_pause=True)


_NONE: Final[frozenset[str]] = frozenset()


def _only_as_tasks(peer: Peer, tools: Listing) -> frozenset[str]:
    if peer.era is not Era.LEGACY or not tasks.takes_tasks(peer.capabilities):
        return _NONE
    names = (tool.get("name") for tool in tools.items if tasks.is_required(tool))
    return frozenset(name for name in names if isinstance(name, str)) or _NONE
