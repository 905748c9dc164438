"""What one replica offers: its lists, read when it opens and again when it says that they changed.

Sole writer of them. Knows no other replicas: the backend above merges what several offer.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from proxy_core.backends.connection import Connection
from proxy_core.backends.lists import FEATURE_OF, METHODS_OF_KIND, Listing, Lists, read_listing
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
        on_invalid: Callable[[str], None],
        on_refused: Callable[[str, str], None],
        warn: Callable[[str], None],
    ) -> None:
        """`connection`: the one that takes calls. `owned` ends what is still being read.

        `on_invalid` hears which kind of list is no longer what the server has, before it is read again.
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
        self._generation = dict.fromkeys(METHODS_OF_KIND, 0)
        """By kind; grows whenever the lists on hand stop being what the server has."""
        self._read_in = dict.fromkeys(METHODS_OF_KIND, 0)
        """The generation in which the lists on hand were asked for."""
        self._reread_at: dict[str, float] = {}
        """When a kind may be read again at the earliest, in monotonic seconds."""
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
        results = await asyncio.gather(
            *(self._read(connection, method) for method in FEATURE_OF), return_exceptions=True
        )
        for method, result in zip(FEATURE_OF, results, strict=True):
            if isinstance(result, BackendError):
                self._on_refused(f"{method}: {result.message}", f"{method} was refused: {result.message}")
            elif isinstance(result, BaseException):
                raise result
        self.is_remembered = False
        self._read_in = asked_in
        self._on_read()

    async def _read(self, connection: Connection, method: str) -> None:
        listing = await self.read(connection, method)
        self.lists = self.lists.replaced(method, listing)
        if method == "tools/list":
            self.only_as_tasks = _only_as_tasks(connection.peer, listing)

    async def read(self, connection: Connection, method: str) -> Listing:
        return await read_listing(connection, method, self._clock.monotonic, self._warn)

    async def refresh(self, kinds: tuple[str, ...] = tuple(METHODS_OF_KIND)) -> None:
        """Read these lists again; one reading at a time of each kind, later callers join it."""
        for kind in kinds:
            self.refresh_soon(kind)
        await asyncio.gather(
            *(asyncio.shield(self._refreshes[kind]) for kind in kinds if kind in self._refreshes)
        )

    def refresh_soon(self, kind: str) -> None:
        """As `refresh`, without waiting."""
        if kind not in self._refreshes:
            self._refreshes[kind] = self._owned.start(self._refresh_one(kind), f"refresh-{kind}")

    async def _refresh_one(self, kind: str) -> None:
        try:
            # Some servers announce a change with every reading: they must not keep us reading.
            await asyncio.sleep(self._reread_at.get(kind, 0.0) - self._clock.monotonic())
            self._reread_at[kind] = self._clock.monotonic() + REREAD_PAUSE_S
            connection, asked_in = self._connection(), self._generation[kind]
            if connection is not None:
                for method in METHODS_OF_KIND[kind]:
                    await self._read(connection, method)
                self._read_in[kind] = asked_in
        except (BackendError, BackendFault) as error:
            self._on_refused(error.message, f"its {kind} could not be read again: {error.message}")
        finally:
            del self._refreshes[kind]
        self._on_read()
        self.read_again(kind)

    def is_current(self, kind: str) -> bool:
        """Whether nothing has been said against the lists on hand since they were asked for."""
        return self._read_in[kind] == self._generation[kind]

    def invalidate(self, kinds: tuple[str, ...] = tuple(METHODS_OF_KIND)) -> None:
        """The lists on hand do not count any more; they are read again when they are asked for."""
        for kind in kinds:
            self._generation[kind] += 1

    async def renew(self, kind: str) -> None:
        """Have these lists as the server has them now; unless they are current, they are asked for anew."""
        wanted = self._generation[kind]
        # The reading under way may have begun before; then another follows it. A server that refuses is not
        # asked a third time.
        for _ in range(2):
            if self._read_in[kind] >= wanted:
                return
            await self.refresh((kind,))

    def changed(self, kind: str) -> None:
        self._generation[kind] += 1
        self._on_invalid(kind)
        if kind in self._refreshes or self._connection() is None:
            # The reading under way, also the first, may have begun before the change: one more follows it.
            self._again.add(kind)
        else:
            self.refresh_soon(kind)

    def read_again(self, kind: str) -> None:
        """Now that it can be read, if a change was told while it could not."""
        if kind in self._again:
            self._again.discard(kind)
            self.refresh_soon(kind)


def _only_as_tasks(peer: Peer, tools: Listing) -> frozenset[str]:
    if peer.era is not Era.LEGACY or not tasks.takes_tasks(peer.capabilities):
        return frozenset()
    names = (tool.get("name") for tool in tools.items if tasks.is_required(tool))
    return frozenset(name for name in names if isinstance(name, str))
