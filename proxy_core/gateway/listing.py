"""The merged lists and everything made from them: catalog, routes, ready pages, cache hints.

Sole writer of the catalog in force: one assignment swaps it. Reads the backends' lists, asks them nothing.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from proxy_core.backends.backend import Backend
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF
from proxy_core.backends.lists import FEATURE_OF, METHODS_OF_KIND
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.merge import Catalog, Hidden, ServerLists, merge
from proxy_core.catalog.names import Naming
from proxy_core.catalog.routes import Routes
from proxy_core.clock import Clock
from proxy_core.facts import CatalogChanged, Fact, NameHidden
from proxy_core.gateway.subscriptions import ListKind, SubscriptionHub
from proxy_core.gateway.views import ListViews
from proxy_core.protocol.sealed import Sealer

FIRST_CONNECT_S: Final = 5.0
"""How long a list waits for backends that have not been in service yet."""
FRESHEN_S: Final = 1.0
"""How long a list waits for a stale one of a backend that announces no changes."""
PARTIAL_TTL_MS: Final = 5_000
MAX_TTL_MS: Final = 60_000

_SHELVES_OF_KIND: Final[dict[ListKind, tuple[str, ...]]] = {
    "tools": ("tools",),
    "resources": ("resources", "templates"),
    "prompts": ("prompts",),
}


class Listing:
    def __init__(
        self,
        registry: Callable[[], BackendRegistry],
        naming: Callable[[], Naming],
        hub: SubscriptionHub,
        clock: Clock,
        publish: Callable[[Fact], None],
    ) -> None:
        self._registry = registry
        self._naming = naming
        self._hub = hub
        self._clock = clock
        self._publish = publish
        self._sealer = Sealer([secrets.token_bytes(32)])
        self._is_stale = False
        self._hidden: frozenset[Hidden] = frozenset()
        self.catalog = Catalog()
        self._routes = Routes.of(self.catalog)
        self._views = ListViews(self.catalog, self._sealer)

    # --- the catalog in force -------------------------------------------------------------------------------

    def changed(self) -> None:
        """Some backend's lists or state are not what they were; merged again within this turn of the loop."""
        if not self._is_stale:
            self._is_stale = True
            asyncio.get_running_loop().call_soon(self._merge_if_stale)

    @property
    def routes(self) -> Routes:
        self._merge_if_stale()
        return self._routes

    def _merge_if_stale(self) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        before = self.catalog
        # Servers that are down take part with empty lists: nobody else's tool may pass for one of theirs.
        lists = [_server_lists(backend) for backend in self._registry()]
        self.catalog = merge(lists, self._naming())
        self._routes = Routes.of(self.catalog)
        self._views = ListViews(self.catalog, self._sealer)
        self._tell(before)

    def _tell(self, before: Catalog) -> None:
        now = self._clock.monotonic()
        for kind, shelves in _SHELVES_OF_KIND.items():
            if any(getattr(before, shelf) != getattr(self.catalog, shelf) for shelf in shelves):
                self._hub.changed(kind)
                count = sum(len(getattr(self.catalog, shelf)) for shelf in shelves)
                self._publish(CatalogChanged(now, kind, count))
        hidden = frozenset(self.catalog.hidden)
        for each in sorted(hidden - self._hidden, key=repr):
            self._publish(NameHidden(now, each.server, each.name, each.reason))
        self._hidden = hidden

    # --- pages ----------------------------------------------------------------------------------------------

    async def ready(self, method: str) -> None:
        """Wait a little for what a complete list needs: first connects, and lists grown stale."""
        await self._first_connects()
        await self._freshened(method)
        self._merge_if_stale()

    async def _first_connects(self) -> None:
        deadline_at = self._clock.monotonic() + FIRST_CONNECT_S
        while settling := [backend for backend in self._registry() if backend.is_settling]:
            remaining_s = deadline_at - self._clock.monotonic()
            if remaining_s <= 0:
                return
            try:
                async with asyncio.timeout(remaining_s):
                    await asyncio.gather(*(backend.settled() for backend in settling))
            except TimeoutError:
                return

    async def _freshened(self, method: str) -> None:
        now = self._clock.monotonic()
        stale = [b for b in self._registry() if b.state in IN_SERVICE and _is_stale(b, method, now)]
        if not stale:
            return
        kind = FEATURE_OF[method]
        waited: list[Backend] = []
        for backend in stale:
            if backend.peer is not None and backend.peer.announces(kind):
                backend.refresh_soon(kind)
            else:
                waited.append(backend)
        if waited:
            try:
                async with asyncio.timeout(FRESHEN_S):
                    await asyncio.gather(*(backend.refresh((kind,)) for backend in waited))
            except TimeoutError:
                return

    def page(self, method: str, revision: str, principal: str, cursor: str | None) -> bytes:
        """As `ListViews.page`. Raises: InvalidParams."""
        return self._views.page(method, revision, principal, cursor)

    def hints(self, method: str) -> tuple[int, str]:
        """ttlMs and cacheScope of the merged list, the same for all its pages."""
        now = self._clock.monotonic()
        listings = [backend.lists.get(method) for backend in self._registry() if _contributes(backend, method)]
        ttl_ms = min((listing.remaining_ttl_ms(now) for listing in listings), default=PARTIAL_TTL_MS)
        if self.partial():
            ttl_ms = min(ttl_ms, PARTIAL_TTL_MS)
        is_private = any(listing.is_private for listing in listings)
        return min(ttl_ms, MAX_TTL_MS), "private" if is_private else "public"

    def partial(self) -> list[str]:
        """Backends that should be in the lists and are not in service."""
        return [b.id for b in self._registry() if b.state not in IN_SERVICE and b.state not in SWITCHED_OFF]

    def has_failed(self) -> bool:
        """Whether there are backends that should answer, and not one of them has anything to show."""
        wanted = [backend for backend in self._registry() if backend.state not in SWITCHED_OFF]
        return bool(wanted) and not any(backend.is_listed or backend.is_settling for backend in wanted)


def _server_lists(backend: Backend) -> ServerLists:
    def items(method: str) -> tuple[dict[str, object], ...]:
        return backend.lists.get(method).items if backend.is_listed else ()

    return ServerLists(
        server=backend.id,
        title=backend.settings.title,
        rules=backend.settings.tools,
        tools=items("tools/list"),
        resources=items("resources/list"),
        templates=items("resources/templates/list"),
        prompts=items("prompts/list"),
    )


def _contributes(backend: Backend, method: str) -> bool:
    """Whether what it has may grow old: a list that it does not even offer never does."""
    return backend.is_listed and (backend.peer is None or backend.peer.offers(FEATURE_OF[method]))


def _is_stale(backend: Backend, method: str, now: float) -> bool:
    kind = FEATURE_OF[method]
    if backend.peer is None or not backend.peer.offers(kind):
        return False
    return any(backend.lists.get(each).remaining_ttl_ms(now) == 0 for each in METHODS_OF_KIND[kind])
