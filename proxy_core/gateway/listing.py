"""The merged lists and everything made from them: catalog, routes, ready pages, cache hints.

Sole writer of the catalog in force: one assignment swaps it. Reads the backends' lists, asks them nothing.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from proxy_core.backends import lists
from proxy_core.backends.backend import Backend
from proxy_core.backends.call import ANYONE
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF
from proxy_core.backends.lists import FEATURE_OF
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.merge import Catalog, Entry, Hidden, Merger, ServerLists
from proxy_core.catalog.routes import Routes
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.facts import CatalogChanged, ContextModeChanged, Fact, NameHidden
from proxy_core.gateway.cache import ResponseCache
from proxy_core.gateway.coalescing import Flight, Flights, Subject
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.long_lived import LongLived
from proxy_core.gateway.private_lists import Place, PrivateLists
from proxy_core.gateway.profiles import EVERYTHING, Profiles
from proxy_core.gateway.standing import Part, Standing
from proxy_core.gateway.subscriptions import ListKind, SubscriptionHub
from proxy_core.gateway.tool_watch import ToolWatch
from proxy_core.gateway.view import View, ViewMaker
from proxy_core.gateway.views import ListViews
from proxy_core.protocol.revisions import Era

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
_SHELVES: Final = tuple(shelf for shelves in _SHELVES_OF_KIND.values() for shelf in shelves)


_NOT_READ: Final = lists.Listing(ttl_ms=0, is_private=True)


class Listing:
    """`viewer` is whose lists are meant. Principals have the same but where a server calls one of its private;
    a profile shows a part of them."""

    def __init__(
        self,
        registry: Callable[[], BackendRegistry],
        config: Callable[[], Config],
        hub: SubscriptionHub,
        clock: Clock,
        publish: Callable[[Fact], None],
        profiles: Profiles,
        maker: ViewMaker,
        cache: ResponseCache,
        flights: Flights,
        watch: ToolWatch,
    ) -> None:
        self._registry = registry
        self._config = config
        self._cache = cache
        self._flights = flights
        self._watch = watch
        self._hub = hub
        self._clock = clock
        self._publish = publish
        self._maker = maker
        self.version = 0
        """Grows whenever anybody's lists, routes or mode may be others than they were."""
        self._is_stale = False
        self._has_merged = False
        self._hidden: frozenset[Hidden] = frozenset()
        self._profiles = profiles
        self._shared = Catalog()
        self._merger = Merger()
        self._long_lived = LongLived()
        self._own = PrivateLists(
            clock, flights, lambda method: config().cache.ttl_of(method), self._own_changed
        )
        self._standings: dict[tuple[str, Viewer], Standing] = {}
        """By method and viewer; those that hold are good until something changes."""
        self._private: tuple[Place, ...] = ()
        self._catalogs: dict[str, Catalog] = {}
        """By principal, where something is private; made when first asked for."""
        self._views: dict[Viewer, View] = {}
        """Made when first asked for; everyone has the same principal where nothing is private."""
        self._former: dict[Viewer, ListViews] = {}
        """Pages of an earlier catalog, of those who have not asked for the present one."""

    # --- the catalog in force -------------------------------------------------------------------------------

    def changed(self) -> None:
        """Some backend's lists or state are not what they were; merged again within this turn of the loop."""
        self.version += 1
        if not self._is_stale:
            self._is_stale = True
            self._drop_standings()
            asyncio.get_running_loop().call_soon(self._merge_if_stale)

    @property
    def catalog(self) -> Catalog:
        """What everyone shares, and whoever has no token; as it was last merged."""
        return self._shared

    def routes(self, viewer: Viewer) -> Routes:
        return self.view(viewer).routes

    def view(self, viewer: Viewer) -> View:
        self._merge_if_stale()
        if viewer.principal != ANYONE and not self._private:
            viewer = Viewer(ANYONE, viewer.profile)
        view = self._views.get(viewer)
        if view is None:
            if viewer.principal != ANYONE:
                # By what everyone shares the mode is chosen, and it is seen whether anything is another.
                self.view(Viewer(ANYONE, viewer.profile))
            view = self._views[viewer] = self._maker.made(
                viewer, self._catalog(viewer.principal), self._former.pop(viewer, None)
            )
        return view

    def compact(self, entry: Entry) -> bytes:
        """The JSON of a tool as it is listed in compact mode. Raises: UnusableItem."""
        return self._maker.compact(entry)

    def search_list(self, view: View) -> bytes:
        """The JSON array of the tools that search mode lists of what this view may reach."""
        return self._maker.search_list(view.part)

    def is_prepared(self, method: str, viewer: Viewer) -> bool:
        """Whether a page of this list is soon made."""
        return method != "tools/list" or self.view(viewer).is_prepared

    async def prepare(self, viewer: Viewer) -> None:
        """Make what the viewer's list of tools is made of, without holding the loop."""
        await self._maker.prepare(self.view(viewer))

    def _catalog(self, principal: str) -> Catalog:
        if principal == ANYONE:
            return self._shared
        catalog = self._catalogs.get(principal)
        if catalog is None:
            catalog = self._catalogs[principal] = self._merged(principal)
        return catalog

    def _merge_if_stale(self) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        self.version += 1
        catalog, views = self._shared, self._views
        self._shared = self._merged(ANYONE)
        self._private = tuple(
            (backend, method)
            for backend in self._registry()
            for method in FEATURE_OF
            if backend.is_listed and backend.lists.get(method).is_private
        )
        self._former = {viewer: view.pages for viewer, view in views.items()} or self._former
        self._catalogs, self._views = {}, {}
        self._own.keep({backend for backend, _ in self._private})
        self._maker.merged(self._shared)
        self._tell(catalog, views)
        self._long_lived.holds(sum(len(getattr(self._shared, shelf)) for shelf in _SHELVES))

    def _merged(self, principal: str) -> Catalog:
        # Servers that are down take part with empty lists: nobody else's tool may pass for one of theirs.
        lists = [self._server_lists(backend, principal) for backend in self._registry()]
        return self._merger.merged(lists, self._config().routing, keep=principal == ANYONE)

    def _server_lists(self, backend: Backend, principal: str) -> ServerLists:
        def items(method: str) -> tuple[dict[str, object], ...]:
            return self._list(backend, method, principal).items if backend.is_listed else ()

        tools: tuple[dict[str, object], ...] = ()
        if backend.is_listed:
            tools = self._offered_tools(backend, principal)
        return ServerLists(
            server=backend.id,
            title=backend.settings.title,
            rules=backend.settings.tools,
            prefix=backend.settings.prefix,
            tools=tools,
            resources=items("resources/list"),
            templates=items("resources/templates/list"),
            prompts=items("prompts/list"),
            is_strict=backend.lists.get("tools/list").is_from_modern_http,
        )

    def _offered_tools(self, backend: Backend, principal: str) -> tuple[dict[str, object], ...]:
        listing = self._list(backend, "tools/list", principal)
        if listing is _NOT_READ:
            return ()
        # A list that everyone shares is judged once, whoever asks for it.
        is_own = principal != ANYONE and backend.lists.get("tools/list").is_private
        return self._watch.offered(backend, listing, principal if is_own else ANYONE)

    def _list(self, backend: Backend, method: str, principal: str) -> lists.Listing:
        shared = backend.lists.get(method)
        if principal == ANYONE or not shared.is_private:
            return shared
        return self._own.get(principal, (backend, method)) or _NOT_READ

    def _own_changed(self, principal: str, kind: str | None) -> None:
        self.version += 1
        self._catalogs.pop(principal, None)
        for viewer in [viewer for viewer in self._views if viewer.principal == principal]:
            del self._views[viewer]
        self._drop_standings()
        for each in _SHELVES_OF_KIND:
            if each == kind:
                self._hub.changed(each)

    def _tell(self, before: Catalog, views: dict[Viewer, View]) -> None:
        now = self._clock.monotonic()
        is_first, self._has_merged = not self._has_merged, True
        changed = set(_differing(before, self.catalog))
        if "tools" in changed:
            self._watch.merged(self.catalog)
        for kind in changed:
            count = sum(len(getattr(self.catalog, shelf)) for shelf in _SHELVES_OF_KIND[kind])
            self._publish(CatalogChanged(now, kind, count))
        if not is_first:
            # The first catalog, of an earlier run, is news to nobody: no client has seen another.
            self._tell_clients(changed, views)
        hidden = frozenset(self.catalog.hidden)
        for each in sorted(hidden - self._hidden, key=repr):
            self._publish(NameHidden(now, each.server, each.name, each.reason))
        self._hidden = hidden

    def _tell_clients(self, changed: set[ListKind], before: dict[Viewer, View]) -> None:
        """Those whose own lists are others now. `changed`: what is, where the lists before are not known."""
        concerned: dict[ListKind, set[str]] = {kind: set() for kind in _SHELVES_OF_KIND}
        known = {viewer.profile: view for viewer, view in before.items() if viewer.principal == ANYONE}
        for profile in {EVERYTHING, *known, *self._hub.profiles}:
            old = known.get(profile)
            # What was asked for once is made again now, so that it is known the next time.
            new = None if old is None else self.view(Viewer(ANYONE, profile))
            for kind in changed if old is None or new is None else _differing(old.shown, new.shown):
                concerned[kind].add(profile)
            if old is not None and new is not None and old.mode is not new.mode:
                concerned["tools"].add(profile)
                self._publish(ContextModeChanged(self._clock.monotonic(), profile, old.mode, new.mode))
        for kind, profiles in concerned.items():
            if profiles:
                self._hub.changed(kind, profiles)

    # --- how the lists stand ----------------------------------------------------------------------------------

    def standing(self, method: str, viewer: Viewer) -> Standing | None:
        """How this list stands, which counts as a use of it; None if something has to be waited for first, with
        `ready`."""
        now = self._clock.monotonic()
        standing = self.stands(method, viewer)
        if now < standing.good_until:
            standing.hit(now)
            return standing
        return None

    def stands(self, method: str, viewer: Viewer) -> Standing:
        """How this list stands, unless its time is over."""
        self._merge_if_stale()
        return self._standings.get((method, viewer)) or self.standing_now(method, viewer)

    def standing_now(self, method: str, viewer: Viewer) -> Standing:
        """How this list stands, whatever would have to be read for it to be complete."""
        self._merge_if_stale()
        standing = self._stand(method, viewer)
        self._drop_standing((method, viewer))
        if len(self._standings) >= MAX_STANDINGS:
            self._drop_standings()
        self._standings[method, viewer] = standing
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
            # A list that its server does not offer was never asked for.
            if each.size:
                count, size = found.get((method, backend.id), (0, 0))
                found[method, backend.id] = count + 1, size + each.size
        return found

    def invalid(self, backend: str, methods: Collection[str]) -> None:
        """What these lists of this server say does not count any more."""
        self._own.invalidate(backend, methods)
        self._flights.invalidate(lambda subject: subject.server == backend and subject.method in methods)
        self._drop_standings()

    def _stand(self, method: str, viewer: Viewer) -> Standing:
        shown, principal = list(self._shown(viewer)), viewer.principal
        backends = [backend for backend in shown if _contributes(backend, method)]
        parts = tuple(Part(backend.id, self._list(backend, method, principal)) for backend in backends)
        partial = tuple(b.id for b in shown if self._is_missing(b, method, principal))
        outdated = {b.id for b in backends if b.state in IN_SERVICE and not b.is_current(method)}
        remembered = {b.id for b in backends if b.is_remembered and b.lists.get(method).items}
        # A legacy server cannot say that a list is for one alone, so where there are several it may be.
        is_private = any(part.listing.is_private for part in parts) or (
            principal != ANYONE
            and (
                self._profiles.go_by_principal
                or any(b.peer is not None and b.peer.era is Era.LEGACY for b in backends)
            )
        )
        # What is missing may come at any time without anybody saying so here.
        needs_a_look = bool(partial) or any(backend.is_settling for backend in shown)
        good_for_s = self._config().cache.ttl_of(method)
        good_until = min((part.listing.good_until(good_for_s) for part in parts), default=math.inf)
        stale = tuple(server for server in partial if server in outdated | remembered)
        return Standing(parts, partial, stale, is_private, 0.0 if needs_a_look else good_until)

    def _is_missing(self, backend: Backend, method: str, principal: str) -> bool:
        if backend.state not in IN_SERVICE:
            return backend.state not in SWITCHED_OFF
        return self._list(backend, method, principal) is _NOT_READ or not backend.is_current(method)

    def _drop_standing(self, place: tuple[str, Viewer]) -> None:
        standing = self._standings.pop(place, None)
        if standing is not None:
            standing.is_over = True
            standing.count(place[0], self._cache)

    def _drop_standings(self) -> None:
        for place in list(self._standings):
            self._drop_standing(place)

    async def ready(self, method: str, viewer: Viewer) -> None:
        """Wait a little for what a complete list needs: first connects, and lists that must be read again."""
        await self._first_connects(lambda: self._shown(viewer))
        await self._renewed(method, viewer)
        await self.own_ready(viewer.principal)

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

    async def _renewed(self, method: str, viewer: Viewer) -> None:
        """Have what is invalid or too old read again; wait long for the first, a little for the other."""
        now, cache = self._clock.monotonic(), self._config().cache
        good_for_s = cache.ttl_of(method)
        cold: list[Backend] = []
        stale: list[Backend] = []
        for backend in self._shown(viewer):
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

    def _shown(self, viewer: Viewer) -> Iterator[Backend]:
        """The backends that take part in what this viewer sees."""
        return (each for each in self._registry() if self._profiles.shows_server(viewer.profile, each.id))

    def page(self, method: str, revision: str, viewer: Viewer, cursor: str | None) -> bytes:
        """As `ListViews.page`. Raises: InvalidParams."""
        return self.view(viewer).pages.page(method, revision, viewer.principal, cursor)

    def has_failed(self, viewer: Viewer) -> bool:
        """Whether there are backends that should answer, and not one of them has anything to show."""
        wanted = [backend for backend in self._shown(viewer) if backend.state not in SWITCHED_OFF]
        return bool(wanted) and not any(backend.is_listed or backend.is_settling for backend in wanted)


def _differing(before: Catalog, now: Catalog) -> Iterator[ListKind]:
    """The kinds of which something is listed otherwise."""
    for kind, shelves in _SHELVES_OF_KIND.items():
        if any(getattr(before, shelf) != getattr(now, shelf) for shelf in shelves):
            yield kind


def _contributes(backend: Backend, method: str) -> bool:
    """Whether what it has may grow old: a list that it does not even offer never does."""
    return backend.is_listed and (backend.peer is None or backend.peer.offers(FEATURE_OF[method]))
