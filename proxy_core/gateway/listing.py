"""The merged lists and everything made from them: catalog, routes, ready pages, cache hints.

Sole writer of the catalog in force: one assignment swaps it. Reads the backends' lists, asks them nothing.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from proxy_core.backends import lists
from proxy_core.backends.backend import Backend
from proxy_core.backends.call import ANYONE
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF
from proxy_core.backends.lists import FEATURE_OF, METHODS_OF_KIND
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.merge import Catalog, Hidden, ServerLists, merge
from proxy_core.catalog.names import Naming
from proxy_core.catalog.routes import Routes
from proxy_core.clock import Clock
from proxy_core.facts import CatalogChanged, Fact, NameHidden
from proxy_core.gateway.private_lists import Place, PrivateLists
from proxy_core.gateway.subscriptions import ListKind, SubscriptionHub
from proxy_core.gateway.views import ListViews
from proxy_core.protocol.revisions import Era
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


_NOT_READ: Final = lists.Listing(ttl_ms=0, is_private=True)


class _Merged(NamedTuple):
    """One catalog and what is made from it."""

    catalog: Catalog
    routes: Routes
    views: ListViews


class Listing:
    """`principal` is whose lists are meant: all have the same but where a server calls one of its private."""

    def __init__(
        self,
        registry: Callable[[], BackendRegistry],
        naming: Callable[[], Naming],
        hub: SubscriptionHub,
        clock: Clock,
        publish: Callable[[Fact], None],
        sealer: Callable[[], Sealer],
    ) -> None:
        self._registry = registry
        self._naming = naming
        self._hub = hub
        self._clock = clock
        self._publish = publish
        self._sealer = sealer
        self._is_stale = False
        self._has_merged = False
        self._hidden: frozenset[Hidden] = frozenset()
        self._shared = self._made(Catalog())
        self._own = PrivateLists(clock, self._own_changed)
        self._private: tuple[Place, ...] = ()
        self._merged_own: dict[str, _Merged] = {}
        """By principal, where something is private; made when first asked for."""

    # --- the catalog in force -------------------------------------------------------------------------------

    def changed(self) -> None:
        """Some backend's lists or state are not what they were; merged again within this turn of the loop."""
        if not self._is_stale:
            self._is_stale = True
            asyncio.get_running_loop().call_soon(self._merge_if_stale)

    @property
    def catalog(self) -> Catalog:
        """What everyone shares, and whoever has no token; as it was last merged."""
        return self._shared.catalog

    def routes(self, principal: str) -> Routes:
        return self._merged(principal).routes

    def _merged(self, principal: str) -> _Merged:
        self._merge_if_stale()
        if principal == ANYONE or not self._private:
            return self._shared
        merged = self._merged_own.get(principal)
        if merged is None:
            merged = self._made(self._catalog_of(principal))
            self._merged_own[principal] = merged
        return merged

    def _merge_if_stale(self) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        before = self.catalog
        self._shared = self._made(self._catalog_of(ANYONE))
        self._private = tuple(
            (backend, method)
            for backend in self._registry()
            for method in FEATURE_OF
            if backend.is_listed and backend.lists.get(method).is_private
        )
        self._merged_own.clear()
        self._own.keep({backend for backend, _ in self._private})
        self._tell(before)

    def _catalog_of(self, principal: str) -> Catalog:
        # Servers that are down take part with empty lists: nobody else's tool may pass for one of theirs.
        return merge([self._server_lists(backend, principal) for backend in self._registry()], self._naming())

    def _made(self, catalog: Catalog) -> _Merged:
        return _Merged(catalog, Routes.of(catalog), ListViews(catalog, self._sealer))

    def _server_lists(self, backend: Backend, principal: str) -> ServerLists:
        def items(method: str) -> tuple[dict[str, object], ...]:
            return self._list(backend, method, principal).items if backend.is_listed else ()

        return ServerLists(
            server=backend.id,
            title=backend.settings.title,
            rules=backend.settings.tools,
            prefix=backend.settings.prefix,
            tools=items("tools/list"),
            resources=items("resources/list"),
            templates=items("resources/templates/list"),
            prompts=items("prompts/list"),
            is_strict=backend.lists.get("tools/list").is_from_modern_http,
        )

    def _list(self, backend: Backend, method: str, principal: str) -> lists.Listing:
        shared = backend.lists.get(method)
        if principal == ANYONE or not shared.is_private:
            return shared
        return self._own.get(principal, (backend, method)) or _NOT_READ

    def _own_changed(self, principal: str, kind: str | None) -> None:
        self._merged_own.pop(principal, None)
        for each in _SHELVES_OF_KIND:
            if each == kind:
                self._hub.changed(each)

    def _tell(self, before: Catalog) -> None:
        now = self._clock.monotonic()
        is_first, self._has_merged = not self._has_merged, True
        for kind, shelves in _SHELVES_OF_KIND.items():
            if any(getattr(before, shelf) != getattr(self.catalog, shelf) for shelf in shelves):
                if not is_first:
                    # The first catalog, of an earlier run, is news to nobody: no client has seen another.
                    self._hub.changed(kind)
                count = sum(len(getattr(self.catalog, shelf)) for shelf in shelves)
                self._publish(CatalogChanged(now, kind, count))
        hidden = frozenset(self.catalog.hidden)
        for each in sorted(hidden - self._hidden, key=repr):
            self._publish(NameHidden(now, each.server, each.name, each.reason))
        self._hidden = hidden

    # --- pages ----------------------------------------------------------------------------------------------

    async def ready(self, method: str, principal: str) -> None:
        """Wait a little for what a complete list needs: first connects, and lists grown stale."""
        await self._first_connects()
        await self._freshened(method)
        await self.own_ready(principal)

    async def own_ready(self, principal: str) -> None:
        """Wait a little for what is private to this principal, of all kinds: they are merged together."""
        self._merge_if_stale()
        if principal != ANYONE and self._private:
            await self._own.ready(principal, self._private)

    async def first_connect(self, backend: Backend, principal: str) -> None:
        """Wait a little until this server has been in service, or has failed to."""
        await self._first_connects(lambda: [backend])
        await self.own_ready(principal)

    async def _first_connects(self, of: Callable[[], Iterable[Backend]] | None = None) -> None:
        deadline_at = self._clock.monotonic() + FIRST_CONNECT_S
        while settling := [backend for backend in (of or self._registry)() if backend.is_settling]:
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
        return self._merged(principal).views.page(method, revision, principal, cursor)

    def hints(self, method: str, principal: str) -> tuple[int, str]:
        """ttlMs and cacheScope of the merged list, the same for all its pages."""
        now = self._clock.monotonic()
        backends = [backend for backend in self._registry() if _contributes(backend, method)]
        listings = [self._list(backend, method, principal) for backend in backends]
        ttl_ms = min((listing.remaining_ttl_ms(now) for listing in listings), default=PARTIAL_TTL_MS)
        if self.partial(method, principal):
            ttl_ms = min(ttl_ms, PARTIAL_TTL_MS)
        # A legacy server cannot say that a list is for one alone, so where there are several it may be.
        is_private = any(listing.is_private for listing in listings) or (
            principal != ANYONE and any(b.peer is not None and b.peer.era is Era.LEGACY for b in backends)
        )
        return min(ttl_ms, MAX_TTL_MS), "private" if is_private else "public"

    def partial(self, method: str, principal: str) -> list[str]:
        """Backends that should be in the list and are not in service, or were not read for this principal."""
        return [b.id for b in self._registry() if self._is_missing(b, method, principal)]

    def remembered(self, method: str) -> list[str]:
        """Backends whose part of the list is that of an earlier run."""
        return [b.id for b in self._registry() if b.is_remembered and b.is_listed and b.lists.get(method).items]

    def _is_missing(self, backend: Backend, method: str, principal: str) -> bool:
        if backend.state in IN_SERVICE:
            return self._list(backend, method, principal) is _NOT_READ
        return backend.state not in SWITCHED_OFF

    async def aclose(self) -> None:
        await self._own.aclose()

    def has_failed(self) -> bool:
        """Whether there are backends that should answer, and not one of them has anything to show."""
        wanted = [backend for backend in self._registry() if backend.state not in SWITCHED_OFF]
        return bool(wanted) and not any(backend.is_listed or backend.is_settling for backend in wanted)


def _contributes(backend: Backend, method: str) -> bool:
    """Whether what it has may grow old: a list that it does not even offer never does."""
    return backend.is_listed and (backend.peer is None or backend.peer.offers(FEATURE_OF[method]))


def _is_stale(backend: Backend, method: str, now: float) -> bool:
    kind = FEATURE_OF[method]
    if backend.peer is None or not backend.peer.offers(kind):
        return False
    return any(backend.lists.get(each).remaining_ttl_ms(now) == 0 for each in METHODS_OF_KIND[kind])
