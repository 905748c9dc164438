"""How one merged list stands: until when it needs nothing, and what clients are told of it meanwhile.

Made anew whenever something that it rests on changes; between two changes a list costs no look at any server.
Spec: 2026-07-28 server/utilities/caching; `_meta` of our own marks what is missing or old.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from proxy_core.backends.lists import Listing
from proxy_core.gateway import answers
from proxy_core.gateway.cache import ResponseCache
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import OWN_META, SERVER_INFO
from proxy_core.protocol.revisions import Era

PARTIAL: Final = OWN_META + "partial"
"""In `_meta`: servers whose part is missing, or not what they have now."""
STALE: Final = OWN_META + "stale"
"""In `_meta`: of those, the ones whose earlier lists stand in."""
PARTIAL_TTL_MS: Final = 5_000
MAX_TTL_MS: Final = 60_000


class Part(Struct, frozen=True):
    """What one server contributes."""

    server: str
    listing: Listing


@dataclass(slots=True, eq=False)
class Standing:
    parts: tuple[Part, ...]
    """Of servers whose lists may grow old."""
    partial: tuple[str, ...]
    stale: tuple[str, ...]
    is_private: bool
    good_until: float
    """Monotonic seconds; then something has to be read, or looked at again."""
    is_over: bool = False
    """Whether another took its place, or will."""
    _hits: int = 0
    _hit_at: float = 0.0
    """Moments of all hits, added up: with when a part was read they give its age at each."""
    _last_hit_at: float = 0.0
    _suffix: dict[Era, bytes] = field(default_factory=dict)
    _told_at: int = -1
    _told: bytes = b""
    """The suffix of the modern era, in that millisecond."""
    _most_ms: int = field(init=False)
    """What is told at most, however new the lists are."""
    _aging: Listing | None = field(init=False)
    """The one that will be old before the others."""

    def __post_init__(self) -> None:
        steady = [part.listing.ttl_ms for part in self.parts if part.listing.stays_new]
        aging = [part.listing for part in self.parts if not part.listing.stays_new]
        bound = PARTIAL_TTL_MS if self.partial or not self.parts else MAX_TTL_MS
        self._most_ms = min((*steady, bound))
        self._aging = min(aging, key=lambda listing: listing.read_at * 1000 + listing.ttl_ms, default=None)

    def ttl_ms(self, now: float) -> int:
        aging = self._aging
        return self._most_ms if aging is None else min(self._most_ms, aging.told_ttl_ms(now))

    @property
    def scope(self) -> str:
        return "private" if self.is_private else "public"

    def suffix(self, era: Era, now: float) -> bytes:
        """The members of a list's result beside the list itself, a comma before each."""
        tail = self._suffix.get(era)
        if tail is None:
            tail = self._suffix[era] = self._tail(era)
        if era is Era.LEGACY:
            return tail
        # Told in milliseconds, and asked for many times in one.
        moment = int(now * 1000)
        if moment != self._told_at:
            self._told_at, self._told = moment, b',"ttlMs":%d%b' % (self.ttl_ms(now), tail)
        return self._told

    def _tail(self, era: Era) -> bytes:
        marks: dict[str, Any] = {PARTIAL: self.partial} if self.partial else {}
        if self.stale:
            marks[STALE] = self.stale
        stamp = b""
        if era is Era.MODERN:
            marks[SERVER_INFO] = answers.SERVER_INFO_VALUE
            stamp = b',"cacheScope":"%s","resultType":"complete"' % self.scope.encode()
        return stamp + (b',"_meta":' + jsonrpc.encode(marks) if marks else b"")

    # --- counting ---------------------------------------------------------------------------------------------

    def hit(self, now: float) -> None:
        """The list was given as it stands."""
        self._hits += 1
        self._hit_at += now
        self._last_hit_at = now

    def count(self, method: str, cache: ResponseCache) -> None:
        """Put the hits since the last time on the account of each server."""
        if not self._hits:
            return
        for part in self.parts:
            counts = cache.count(method, part.server)
            counts.hits += self._hits
            counts.age_s += self._hit_at - self._hits * part.listing.read_at
            counts.max_age_s = max(counts.max_age_s, self._last_hit_at - part.listing.read_at)
        self._hits, self._hit_at = 0, 0.0
