"""The merged lists and everything made from them: catalog, routes, ready pages, cache hints.

Sole writer of the catalog in force: one assignment swaps it. Reads the backends' lists, asks them nothing.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from proxy_core.backends import lists
from proxy_core.backends.backend import Backend
from proxy_core.backends.call import ANYONE
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF
from proxy_core.backends.lists import EMPTY, FEATURE_OF
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.merge import Catalog, Hidden, ServerLists, merge
from proxy_core.catalog.routes import Routes
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.facts import CatalogChanged, Fact, NameHidden
from proxy_core.gateway.cache import ResponseCache
from proxy_core.gateway.coalescing import Flight, Flights, Subject
from proxy_core.gateway.private_lists import Place, PrivateLists
from proxy_core.gateway.standing import Part, Standing
from proxy_core.gateway.subscriptions import ListKind, SubscriptionHub
from proxy_core.gateway.views import ListViews
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.sealed import Sealer

FIRST_CONNECT_S: Final = 5.0
"""How long a list waits for backends that have not been in service yet."""
FRESHEN_S: Final = 1.0
"""How long a list waits for one grown old of a backend that announces no changes."""
MAX_STANDINGS: Final = 1024
COLD_S: Final = 5.0
"""How long a list waits for one that is known not to be what the backend has now."""

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
        config: Callable[[], Config],
        hub: SubscriptionHub,
        clock: Clock,
        publish: Callable[[Fact], None],
        sealer: Callable[[], Sealer],
        cache: ResponseCache,
        flights: Flights,
    ) -> None:
        self._registry = registry
        self._config = config
        self._cache = cache
        self._flights = flights
        self._hub = hub
        self._clock = clock
        self._publish = publish
        self._sealer = sealer
        self._is_stale = False
        self._has_merged = False
        self._hidden: frozenset[Hidden] = frozenset()
        self._shared = self._made(Catalog())
        self._own = PrivateLists(
            clock, flights, lambda method: config().cache.ttl_of(method), self._own_changed
        )
        self._standings: dict[tuple[str, str], Standing] = {}
        """By method and principal; those that hold are good until something changes."""
        self._private: tuple[Place, ...] = ()
        self._merged_own: dict[str, _Merged] = {}
        """By principal, where something is private; made when first asked for."""

    # --- the catalog in force -------------------------------------------------------------------------------

    def changed(self) -> None:
        """Some backend's lists or state are not what they were; merged again within this turn of the loop."""
        if not self._is_stale:
            self._is_stale = True
            self._drop_standings()
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
        return merge(
            [self._server_lists(backend, principal) for backend in self._registry()], self._config().routing
        )

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
        self._drop_standings()
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

    # --- how the lists stand ----------------------------------------------------------------------------------

    def standing(self, method: str, principal: str) -> Standing | None:
        """How this list stands; None if something has to be waited for first, with `ready`."""
        now = self._clock.monotonic()
        self._merge_if_stale()
        standing = self._standings.get((method, principal))
        if standing is None:
            standing = self.standing_now(method, principal)
        if now < standing.good_until:
            standing.hit(now)
            return standing
        return None

    def standing_now(self, method: str, principal: str) -> Standing:
        """How this list stands, whatever would have to be read for it to be complete."""
        self._merge_if_stale()
        standing = self._stand(method, principal)
        self._drop_standing((method, principal))
        if len(self._standings) >= MAX_STANDINGS:
            self._drop_standings()
        self._standings[method, principal] = standing
        return standing

    def count_hits(self) -> None:
        """Put what was counted by list on the accounts of the servers."""
        for (method, _), standing in self._standings.items():
            standing.count(method, self._cache)

    def kept(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Lists that are kept, each principal's own too: by method and server, how many and their bytes."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        shared = ((backend, method) for backend in self._registry() for method in FEATURE_OF)
        lists = [(place, place[0].lists.get(place[1])) for place in shared]
        for (backend, method), each in (*lists, *self._own.all()):
            if each is not EMPTY:
                count, size = found.get((method, backend.id), (0, 0))
                found[method, backend.id] = count + 1, size + each.size
        return found

    def invalid(self, backend: str, methods: Collection[str]) -> None:
        """What these lists of this server say does not count any more."""
        self._own.invalidate(backend, methods)
        self._flights.invalidate(lambda subject: subject.server == backend and subject.method in methods)
        self._drop_standings()

    def _stand(self, method: str, principal: str) -> Standing:
        backends = [backend for backend in self._registry() if _contributes(backend, method)]
        parts = tuple(Part(backend.id, self._list(backend, method, principal)) for backend in backends)
        partial = tuple(b.id for b in self._registry() if self._is_missing(b, method, principal))
        outdated = {b.id for b in backends if b.state in IN_SERVICE and not b.is_current(method)}
        remembered = {b.id for b in backends if b.is_remembered and b.lists.get(method).items}
        # A legacy server cannot say that a list is for one alone, so where there are several it may be.
        is_private = any(part.listing.is_private for part in parts) or (
            principal != ANYONE and any(b.peer is not None and b.peer.era is Era.LEGACY for b in backends)
        )
        # What is missing may come at any time without anybody saying so here.
        needs_a_look = bool(partial) or self._settles()
        good_for_s = self._config().cache.ttl_of(method)
        good_until = min((part.listing.good_until(good_for_s) for part in parts), default=math.inf)
        stale = tuple(server for server in partial if server in outdated | remembered)
        return Standing(parts, partial, stale, is_private, 0.0 if needs_a_look else good_until)

    def _settles(self) -> bool:
        return any(backend.is_settling for backend in self._registry())

    def _is_missing(self, backend: Backend, method: str, principal: str) -> bool:
        if backend.state not in IN_SERVICE:
            return backend.state not in SWITCHED_OFF
        return self._list(backend, method, principal) is _NOT_READ or not backend.is_current(method)

    def _drop_standing(self, place: tuple[str, str]) -> None:
        standing = self._standings.pop(place, None)
        if standing is not None:
            standing.count(place[0], self._cache)

    def _drop_standings(self) -> None:
        for place in list(self._standings):
            self._drop_standing(place)

    async def ready(self, method: str, principal: str) -> None:
        """Wait a little for what a complete list needs: first connects, and lists that must be read again."""
        await self._first_connects()
        await self._renewed(method)
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

    async def _renewed(self, method: str) -> None:
        """Have what is invalid or too old read again; wait long for the first, a little for the other."""
        now, cache = self._clock.monotonic(), self._config().cache
        good_for_s = cache.ttl_of(method)
        cold: list[Backend] = []
        stale: list[Backend] = []
        for backend in self._registry():
            if backend.state not in IN_SERVICE or not _contributes(backend, method):
                continue
            shared = backend.lists.get(method)
            is_old = now >= shared.good_until(good_for_s)
            if not backend.is_current(method):
                cold.append(backend)
            elif is_old and not (cache.enabled and shared.is_fed):
                stale.append(backend)
            else:
                self._cache.count(method, backend.id).hit(now - shared.read_at)
                if is_old:
                    # It would have said so if it had others: they are as good as new until they are read.
                    backend.refresh_soon(method)
        await self._read_again(method, cold, COLD_S)
        await self._read_again(method, stale, FRESHEN_S)

    async def _read_again(self, method: str, backends: list[Backend], wait_s: float) -> None:
        if not backends:
            return
        seats = []
        for backend in backends:
            self._cache.count(method, backend.id).misses += 1

            async def read(flight: Flight[None], backend: Backend = backend) -> None:
                await (backend.refresh((method,)) if backend.is_current(method) else backend.renew(method))

            seats.append(self._flights.seat((method, backend.id), Subject(backend.id, method), read))
        try:
            async with asyncio.timeout(wait_s):
                for seat in seats:
                    await seat.answer()
        except TimeoutError:
            return
        finally:
            for seat in seats:
                seat.leave(goes_on=True)

    def page(self, method: str, revision: str, principal: str, cursor: str | None) -> bytes:
        """As `ListViews.page`. Raises: InvalidParams."""
        return self._merged(principal).views.page(method, revision, principal, cursor)

    def has_failed(self) -> bool:
        """Whether there are backends that should answer, and not one of them has anything to show."""
        wanted = [backend for backend in self._registry() if backend.state not in SWITCHED_OFF]
        return bool(wanted) and not any(backend.is_listed or backend.is_settling for backend in wanted)


def _contributes(backend: Backend, method: str) -> bool:
    """Whether what it has may grow old: a list that it does not even offer never does."""
    return backend.is_listed and (backend.peer is None or backend.peer.offers(FEATURE_OF[method]))
