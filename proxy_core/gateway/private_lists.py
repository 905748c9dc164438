"""What servers list for one principal alone: read on that principal's connection, kept apart from all others'.

Sole owner of these lists; bounded by `MAX_PRINCIPALS`, the least recently used goes. Knows no merging.
Spec: 2026-07-28 server/utilities/caching, "cacheScope".
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final, TypeAlias

from msgspec.structs import replace

from proxy_core.backends.backend import Backend
from proxy_core.backends.lists import FEATURE_OF, Listing
from proxy_core.clock import Clock
from proxy_core.errors import Only1Error
from proxy_core.gateway.coalescing import Flight, Flights, Subject

MAX_PRINCIPALS: Final = 64
READ_S: Final = 5.0
"""How long a list waits for what is read anew; a server may have to be started for this principal first."""

Place: TypeAlias = tuple[Backend, str]
"""A backend, and the method of a list of its that is private."""
log = logging.getLogger(__name__)


class PrivateLists:
    def __init__(
        self,
        clock: Clock,
        flights: Flights,
        good_for_s: Callable[[str], float],
        on_change: Callable[[str, str | None], None],
    ) -> None:
        """`good_for_s`: how long a list of this method is kept at most.

        `on_change` is told whose lists are others now, and the kind if the principal has seen it before.
        """
        self._clock = clock
        self._flights = flights
        self._good_for_s = good_for_s
        self._on_change = on_change
        self._of: OrderedDict[str, dict[Place, Listing]] = OrderedDict()
        """By principal, least recently used first."""

    def get(self, principal: str, place: Place) -> Listing | None:
        """The last that was read for this principal, however old."""
        return self._used(principal).get(place)

    async def ready(self, principal: str, places: Collection[Place]) -> None:
        """Have these lists read for this principal where they are stale, and wait a little for it."""
        now = self._clock.monotonic()
        seats = [
            self._flights.seat(
                (principal, place), Subject(place[0].id, place[1]), partial(self._read, principal, place)
            )
            for place in places
            if self._is_stale(principal, place, now)
        ]
        try:
            async with asyncio.timeout(READ_S):
                for seat in seats:
                    await seat.answer()
        except TimeoutError:
            return
        finally:
            for seat in seats:
                seat.leave(goes_on=True)

    def all(self) -> Iterator[tuple[Place, Listing]]:
        for lists in self._of.values():
            yield from lists.items()

    def keep(self, backends: Collection[Backend]) -> None:
        """Forget what others than these had."""
        for lists in self._of.values():
            for place in [place for place in lists if place[0] not in backends]:
                del lists[place]

    def invalidate(self, backend: str, methods: Collection[str]) -> None:
        """Read these anew when they are next asked for."""
        for lists in self._of.values():
            for place in [place for place in lists if place[0].id == backend and place[1] in methods]:
                lists[place] = replace(lists[place], ttl_ms=0, is_synthetic=False)

    def _is_stale(self, principal: str, place: Place, now: float) -> bool:
        own = self.get(principal, place)
        backend, method = place
        if own is None or now >= own.good_until(self._good_for_s(method)):
            return True
        # What everyone shares is read again whenever the server tells of a change.
        return own.read_at < backend.lists.get(method).read_at

    async def _read(self, principal: str, place: Place, flight: Flight[None]) -> None:
        backend, method = place
        try:
            fresh = await backend.read_for(principal, method)
        except Only1Error as error:
            log.warning("%s could not be read for %s: %s", method, principal, error.message, extra=_of(backend))
            return
        if flight.is_void:
            # Good for those who asked before the change, and for nobody after them.
            fresh = replace(fresh, ttl_ms=0, is_synthetic=False)
        lists = self._used(principal)
        before, lists[place] = lists.get(place), fresh
        if before is None or before.items != fresh.items:
            self._on_change(principal, None if before is None else FEATURE_OF[method])

    def _used(self, principal: str) -> dict[Place, Listing]:
        lists = self._of.setdefault(principal, {})
        self._of.move_to_end(principal)
        if len(self._of) > MAX_PRINCIPALS:
            forgotten, _ = self._of.popitem(last=False)
            self._on_change(forgotten, None)
        return lists


def _of(backend: Backend) -> dict[str, str]:
    return {"source": backend.id}
